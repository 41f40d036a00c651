//! The tagging schemes, as one table.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tag_patterns::{Patterns, Rules, Types};
use crate::{Entity, Error, Mode, Result};

/// A tagging scheme: how the position letters of the tags `P-TYPE` mark the entities of a sentence.
///
/// `O` stands outside of entities. Names are parsed in any case; `bio` is an alias of `iob2`, `bioes` of `iobes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `I`, and `B` only at the start of an entity that touches one of its own type before it.
    Iob1,
    /// `B` at every start, `I` after it.
    Iob2,
    /// `I`, and `E` only at the end of an entity that touches one of its own type after it.
    Ioe1,
    /// `E` at every end, `I` before it.
    Ioe2,
    /// `S` for one token; `B`, `I`..., `E` for more.
    Iobes,
    /// `U` for one token; `B`, `I`..., `L` for more.
    Bilou,
}

/// Position letters of the tokens of one entity.
#[derive(Clone, Copy)]
pub(crate) struct Roles {
    pub(crate) single: char,
    pub(crate) first: char,
    pub(crate) inside: char,
    pub(crate) last: char,
}

/// A neighbor of the same type that changes the letters of an entity which touches it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Neighbor {
    Before,
    After,
}

/// One row of the table.
struct Row {
    name: &'static str,
    prefixes: &'static str,
    /// How an entity is written.
    roles: Roles,
    /// How it is written where it touches that neighbor.
    touching: Option<(Neighbor, Roles)>,
    /// How seqeval's strict mode reads it. Its reading is not always the inverse of writing: see [`Scheme::entities`].
    patterns: Patterns,
}

const fn roles(single: char, first: char, inside: char, last: char) -> Roles {
    Roles {
        single,
        first,
        inside,
        last,
    }
}

use Types::{Any, Different, Same};

/// The table, in the order of [`Scheme`]. Patterns: seqeval 1.2.2, `seqeval/scheme.py`.
static TABLE: [Row; 6] = [
    Row {
        name: "iob1",
        prefixes: "IOB",
        roles: roles('I', 'I', 'I', 'I'),
        touching: Some((Neighbor::Before, roles('B', 'B', 'I', 'I'))),
        patterns: Patterns {
            start: &[("OB", "I", Any), ("I", "I", Different), ("IB", "B", Same)],
            inside: &[("IB", "I", Same)],
            end: &[
                ("IB", "O", Any),
                ("IB", "I", Different),
                ("I", "B", Any),
                ("B", "B", Same),
            ],
        },
    },
    Row {
        name: "iob2",
        prefixes: "IOB",
        roles: roles('B', 'B', 'I', 'I'),
        touching: None,
        patterns: Patterns {
            start: &[("*", "B", Any)],
            inside: &[("IB", "I", Same)],
            end: &[("IB", "OB", Any), ("IB", "I", Different)],
        },
    },
    Row {
        name: "ioe1",
        prefixes: "IOE",
        roles: roles('I', 'I', 'I', 'I'),
        touching: Some((Neighbor::After, roles('E', 'I', 'I', 'E'))),
        patterns: Patterns {
            start: &[("OE", "I", Any), ("I", "I", Different), ("E", "E", Same)],
            inside: &[("I", "IE", Same)],
            end: &[("I", "O", Any), ("I", "IE", Different), ("E", "IE", Same)],
        },
    },
    Row {
        name: "ioe2",
        prefixes: "IOE",
        roles: roles('E', 'I', 'I', 'E'),
        touching: None,
        patterns: Patterns {
            start: &[("OE", "IE", Any), ("I", "IE", Different)],
            inside: &[("I", "IE", Same)],
            end: &[("E", "*", Any)],
        },
    },
    Row {
        name: "iobes",
        prefixes: "IOBES",
        roles: roles('S', 'B', 'I', 'E'),
        touching: None,
        patterns: Patterns {
            start: &[("*", "BS", Any)],
            inside: &[("BI", "IE", Same)],
            end: &[("ES", "*", Any)],
        },
    },
    Row {
        name: "bilou",
        prefixes: "BILOU",
        roles: roles('U', 'B', 'I', 'L'),
        touching: None,
        patterns: Patterns {
            start: &[("*", "BU", Any)],
            inside: &[("BI", "IL", Same)],
            end: &[("LU", "*", Any)],
        },
    },
];

static STRICT: [Rules; 6] = [
    Rules::compile(&TABLE[0].patterns),
    Rules::compile(&TABLE[1].patterns),
    Rules::compile(&TABLE[2].patterns),
    Rules::compile(&TABLE[3].patterns),
    Rules::compile(&TABLE[4].patterns),
    Rules::compile(&TABLE[5].patterns),
];

impl Scheme {
    /// All schemes.
    pub const ALL: [Scheme; 6] = [
        Self::Iob1,
        Self::Iob2,
        Self::Ioe1,
        Self::Ioe2,
        Self::Iobes,
        Self::Bilou,
    ];

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    pub(crate) fn strict(self) -> &'static Rules {
        &STRICT[self as usize]
    }

    pub(crate) fn roles(self) -> Roles {
        self.row().roles
    }

    pub(crate) fn touching(self) -> Option<(Neighbor, Roles)> {
        self.row().touching
    }

    /// The name: `iob1`, `iob2`, `ioe1`, `ioe2`, `iobes` or `bilou`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The position letters, `O` among them.
    #[must_use]
    pub fn prefixes(self) -> &'static str {
        self.row().prefixes
    }

    /// The well-formed entities of one sentence, exactly as the strict mode of seqeval 1.2.2 finds them.
    ///
    /// Entities that break the scheme are left out, not repaired. The type is what follows the position letter,
    /// without dashes at either end; it is `_` where nothing follows.
    ///
    /// seqeval's reading of IOE1 misses some entities of one token (`E-X I-X` yields only the second);
    /// [`Scheme::decode`] does not.
    ///
    /// # Errors
    /// [`Error::EmptyTag`] and [`Error::ForeignTag`].
    pub fn entities<S: AsRef<str>>(self, tags: &[S]) -> Result<Vec<Entity<'_>>> {
        Mode::Strict(self).entities(tags)
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Scheme {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let wanted = match name.to_ascii_lowercase().as_str() {
            "bio" => "iob2".to_owned(),
            "bioes" => "iobes".to_owned(),
            other => other.to_owned(),
        };
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name() == wanted)
            .ok_or_else(|| Error::UnknownScheme {
                name: name.to_owned(),
            })
    }
}

impl Serialize for Scheme {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// From a name, as [`Scheme::from_str`] takes it.
impl<'de> Deserialize<'de> for Scheme {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Scheme;

    #[test]
    fn serde_reads_what_it_writes_and_aliases() {
        for scheme in Scheme::ALL {
            let text = serde_json::to_string(&scheme).unwrap();
            assert_eq!(text, format!("\"{scheme}\""));
            assert_eq!(serde_json::from_str::<Scheme>(&text).unwrap(), scheme);
        }
        let alias: Scheme = serde_json::from_str("\"BIOES\"").unwrap();
        assert_eq!(alias, Scheme::Iobes);
        let error = serde_json::from_str::<Scheme>("\"iob3\"").unwrap_err();
        assert!(error.to_string().contains("iob3"), "{error}");
    }
}
