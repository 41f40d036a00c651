//! Words that several commands say.

use std::fmt::Display;

/// `1 entity`, `2 entities`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(
    count: N,
    one: &str,
    more: &str,
) -> String {
    let noun = if count == N::from(1) { one } else { more };
    format!("{count} {noun}")
}

/// How many records were left out of those that were read.
pub fn left_out(count: u64, read: u64) -> String {
    let were = if count == 1 { "was" } else { "were" };
    format!(
        "{count} of {} {were} left out",
        counted(read, "record", "records")
    )
}

/// Samples below which an interval or a p-value moves much from one seed to another.
const FEW_SAMPLES: usize = 1000;

/// What to say of so few samples that figures are rough, if they are; none at all are an error.
pub fn few_samples(samples: usize) -> Option<String> {
    (1..FEW_SAMPLES).contains(&samples).then(|| {
        format!(
            "note: {}: intervals and p-values are rough; draw 1,000 or more",
            counted(samples, "sample", "samples")
        )
    })
}

/// What these tags without a position letter do to a report.
pub fn bare_tags(bare: &[&str], report: &str) -> String {
    format!(
        "tags without a position letter such as B- or I-: {}; seqeval's rule takes their first letter for one, so that entities are missing \
         from the {report} or have another name there",
        bare.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_singular_and_all_else_plural() {
        let texts = [0_u64, 1, 2, 101].map(|count| counted(count, "text", "texts"));
        assert_eq!(texts, ["0 texts", "1 text", "2 texts", "101 texts"]);
        assert_eq!(counted(1_usize, "entity", "entities"), "1 entity");
    }
}
