//! Grapheme clusters, which no word parts.

use std::iter::Peekable;

use unicode_segmentation::{GraphemeIndices, UnicodeSegmentation};

/// Whether a character can belong to the cluster of its neighbor: none before the combining marks does, white space aside,
/// and no ideograph.
fn joins(c: char) -> bool {
    c >= '\u{300}' && !matches!(c, '\u{3400}'..='\u{9fff}')
}

/// The extended grapheme clusters of a slice without white space.
pub(super) struct Clusters<'a> {
    slice: &'a str,
    clusters: Peekable<GraphemeIndices<'a>>,
}

impl<'a> Clusters<'a> {
    pub fn new(slice: &'a str) -> Self {
        Self {
            slice,
            clusters: slice.grapheme_indices(true).peekable(),
        }
    }

    /// Whether a cluster begins at a byte of the slice. The bytes asked for must not descend.
    pub fn begins_at(&mut self, byte: usize) -> bool {
        let (before, after) = self.slice.split_at(byte);
        if !before.ends_with(joins) && !after.starts_with(joins) {
            return true;
        }
        while self
            .clusters
            .next_if(|&(cluster, _)| cluster < byte)
            .is_some()
        {}
        self.clusters
            .peek()
            .is_some_and(|&(cluster, _)| cluster == byte)
    }
}
