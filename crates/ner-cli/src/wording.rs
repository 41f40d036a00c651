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
