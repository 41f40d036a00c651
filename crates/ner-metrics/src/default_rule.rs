//! The rule of seqeval's default mode. `B-PER I-LOC` is two entities: a change of type ends one and starts another.

use crate::tag_patterns::{Pattern, Patterns, Rules, Types};

use Types::{Any, Different};

/// Every letter but `O` and `.`, the two that the conlleval rule never takes for a part of an entity.
const NAMED: &str = "IBESUL?";
const DEFAULT_START: &[Pattern] = &[
    ("*", "BS", Any),
    ("OES", "IE", Any),
    ("*", NAMED, Different),
];
const DEFAULT_END: &[Pattern] = &[
    ("ES", "*", Any),
    ("BI", "BSO", Any),
    (NAMED, "*", Different),
];

/// seqeval's default mode, the rule of conlleval extended to `S`: it reads any tags, of any scheme.
pub(crate) static DEFAULT: Rules = Rules::compile(&Patterns {
    start: DEFAULT_START,
    inside: &[],
    end: DEFAULT_END,
});
