//! Words that several commands say.

/// `1 entity`, `2 entities`.
pub fn counted(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}

/// What these tags without a position letter do to a report.
pub fn bare_tags(bare: &[&str], report: &str) -> String {
    format!(
        "tags without a position letter such as B- or I-: {}; seqeval's rule takes their first letter for one, so that entities are missing \
         from the {report} or have another name there",
        bare.join(", ")
    )
}
