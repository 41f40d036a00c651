//! What is done with an entity.

use std::{collections::BTreeMap, str::FromStr};

use sha2::{Digest as _, Sha256, Sha512};

use crate::{Error, Result, key::hex};

/// Hexadecimal digits of a whole HMAC-SHA-256.
const HASH_DIGITS: usize = 64;
/// Fewer bytes of salt are no salt, as Presidio has it.
const MIN_SALT: usize = 16;
/// With fewer digits, two of a few thousand values would likely share a hash.
const MIN_HASH_DIGITS: usize = 8;

/// What is put in an entity's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// The type: `<PER>`.
    Replace,
    /// The type and a number, which equal texts of a type share in a document: `<PER_1>`.
    Number,
    /// A fixed text.
    ReplaceWith(String),
    /// A character in place of characters.
    Mask(char, Masked),
    /// Nothing: the entity is removed.
    Redact,
    /// The first so many hexadecimal digits, 8 to 64, of the HMAC-SHA-256 of the entity's text. It needs a key. Among `n` different texts, two share
    /// a hash of `d` digits with a probability of about `n² / 2^(4d + 1)`: of a million texts, 1 in 37 million with 16 digits, and nearly for sure
    /// with 8.
    Hash(usize),
    /// Presidio's hash: all digits of the digest of the entity's text with a salt of at least 16 bytes after it. Whoever knows the salt can test guesses,
    /// so that it is a key in all but its name.
    SaltedHash(Digest, Vec<u8>),
    /// Another name, address or number of the same kind: see [the crate's README](crate).
    Pseudonym,
    /// The entity as it is, but for what another span covers of it.
    Keep,
}

/// What a salted hash is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// SHA-256, 64 hexadecimal digits.
    Sha256,
    /// SHA-512, 128 of them.
    Sha512,
}

impl Digest {
    fn hex(self, text: &str, salt: &[u8]) -> String {
        let bytes = [text.as_bytes(), salt].concat();
        match self {
            Self::Sha256 => hex(&Sha256::digest(&bytes)),
            Self::Sha512 => hex(&Sha512::digest(&bytes)),
        }
    }
}

/// Which characters a mask hides. An entity that has no more characters than are to be shown is hidden whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Masked {
    /// All.
    All,
    /// All but the last so many.
    AllButLast(usize),
    /// The first so many: Presidio's `chars_to_mask`.
    First(usize),
    /// The last so many: Presidio's `chars_to_mask` with `from_end`.
    Last(usize),
}

impl Operator {
    /// Its name, as Presidio has it where Presidio has the operator.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Operator::Replace | Operator::Number | Operator::ReplaceWith(_) => "replace",
            Operator::Mask(..) => "mask",
            Operator::Redact => "redact",
            Operator::Hash(_) | Operator::SaltedHash(..) => "hash",
            Operator::Pseudonym => "pseudonym",
            Operator::Keep => "keep",
        }
    }

    /// What it puts in the place of one text, where it needs nothing else: numbers and pseudonyms depend on the document, [`Operator::Hash`] on a key.
    #[must_use]
    pub fn replacement(&self, entity_type: &str, original: &str) -> Option<String> {
        match self {
            Operator::Replace => Some(format!("<{entity_type}>")),
            Operator::ReplaceWith(text) => Some(text.clone()),
            Operator::Mask(character, which) => Some(masked(original, *character, *which)),
            Operator::Redact => Some(String::new()),
            Operator::SaltedHash(digest, salt) => Some(digest.hex(original, salt)),
            Operator::Keep => Some(original.to_owned()),
            Operator::Number | Operator::Hash(_) | Operator::Pseudonym => None,
        }
    }

    /// Fails where an argument would do nothing or too little.
    pub(crate) fn check(&self) -> Result<()> {
        let reason = match self {
            Operator::Mask(_, Masked::First(0) | Masked::Last(0)) => {
                "0 characters to mask would hide nothing; give at least 1, or take `keep`"
                    .to_owned()
            }
            Operator::Hash(digits) if !(MIN_HASH_DIGITS..=HASH_DIGITS).contains(digits) => {
                format!("{digits} digits; give {MIN_HASH_DIGITS} to {HASH_DIGITS}")
            }
            Operator::SaltedHash(_, salt) if salt.len() < MIN_SALT => {
                format!("a salt of {} bytes; give at least {MIN_SALT}", salt.len())
            }
            _ => return Ok(()),
        };
        Err(Error::OperatorArgument {
            operator: self.name(),
            reason,
        })
    }
}

/// Reads `replace`, `replace:TEXT`, `number`, `mask`, `mask:CHARACTER`, `mask:CHARACTER:SHOWN` (all but the last so many), `redact`, `hash`,
/// `hash:DIGITS`, `pseudonym` or `keep`.
impl FromStr for Operator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        let operator = match (name, argument) {
            ("replace", None) => Operator::Replace,
            ("replace", Some(text)) => Operator::ReplaceWith(text.to_owned()),
            ("number", None) => Operator::Number,
            ("mask", None) => Operator::Mask('*', Masked::All),
            ("mask", Some(argument)) => mask(argument)?,
            ("redact", None) => Operator::Redact,
            ("hash", None) => Operator::Hash(HASH_DIGITS),
            ("hash", Some(digits)) => Operator::Hash(number("hash", digits)?),
            ("pseudonym", None) => Operator::Pseudonym,
            ("keep", None) => Operator::Keep,
            _ => {
                return Err(Error::UnknownOperator {
                    name: text.to_owned(),
                });
            }
        };
        operator.check()?;
        Ok(operator)
    }
}

/// `CHARACTER` or `CHARACTER:SHOWN`.
fn mask(argument: &str) -> Result<Operator> {
    let mut characters = argument.chars();
    let masked = match (characters.next(), characters.as_str()) {
        (Some(character), "") => Some((character, Masked::All)),
        (Some(character), rest) => match rest.strip_prefix(':') {
            Some(shown) => Some((character, Masked::AllButLast(number("mask", shown)?))),
            None => None,
        },
        (None, _) => None,
    };
    let (character, masked) = masked.ok_or_else(|| Error::OperatorArgument {
        operator: "mask",
        reason: format!("`{argument}` is no single character; write `mask:*` or `mask:*:4`"),
    })?;
    Ok(Operator::Mask(character, masked))
}

fn number(operator: &'static str, text: &str) -> Result<usize> {
    text.parse().map_err(|_| Error::OperatorArgument {
        operator,
        reason: format!("`{text}` is no whole number"),
    })
}

/// An operator for each type, and one for all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operators {
    default: Operator,
    by_type: BTreeMap<String, Operator>,
}

impl Default for Operators {
    /// `replace` for all types.
    fn default() -> Self {
        Self::new(Operator::Replace)
    }
}

impl Operators {
    /// One operator for all types.
    #[must_use]
    pub fn new(default: Operator) -> Self {
        Self {
            default,
            by_type: BTreeMap::new(),
        }
    }

    /// An operator for one type.
    #[must_use]
    pub fn with(mut self, entity_type: &str, operator: Operator) -> Self {
        self.by_type.insert(entity_type.to_owned(), operator);
        self
    }

    /// Reads a list of `OPERATOR`, for all types, and `TYPE=OPERATOR`. Of two for one type, the later holds.
    ///
    /// # Errors
    ///
    /// For what is no operator.
    pub fn from_list<S: AsRef<str>>(list: &[S]) -> Result<Self> {
        let mut operators = Self::default();
        for entry in list.iter().map(AsRef::as_ref) {
            // A replacement text may hold an equals sign, a type no colon before it.
            match entry.split_once('=') {
                Some((entity_type, operator))
                    if !entity_type.is_empty() && !entity_type.contains(':') =>
                {
                    operators = operators.with(entity_type, operator.parse()?);
                }
                _ => operators.default = entry.parse()?,
            }
        }
        Ok(operators)
    }

    /// The operators: those of types, then the one of all others.
    pub fn all(&self) -> impl Iterator<Item = &Operator> {
        self.by_type.values().chain([&self.default])
    }

    /// Fails for a type that has an operator of its own and is none of those that are found.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownEntityType`]: a typing error must not leave a type to the operator of all others.
    pub fn check_types(&self, known: &[&str]) -> Result<()> {
        let mut known = known.to_vec();
        known.sort_unstable();
        known.dedup();
        match self
            .by_type
            .keys()
            .find(|entity_type| !known.contains(&entity_type.as_str()))
        {
            None => Ok(()),
            Some(unknown) => Err(Error::unknown_type(unknown, &known)),
        }
    }

    /// The operator of a type.
    #[must_use]
    pub fn get(&self, entity_type: &str) -> &Operator {
        self.by_type.get(entity_type).unwrap_or(&self.default)
    }

    /// Fails where one cannot work.
    pub(crate) fn check(&self, has_key: bool) -> Result<()> {
        for operator in self.all() {
            operator.check()?;
            if matches!(operator, Operator::Hash(_)) && !has_key {
                return Err(Error::NoKey {
                    operator: operator.name(),
                });
            }
        }
        Ok(())
    }
}

/// The text with some characters hidden.
fn masked(text: &str, character: char, masked: Masked) -> String {
    let count = text.chars().count();
    let hidden = match masked {
        Masked::All => 0..count,
        Masked::AllButLast(shown) if shown < count => 0..count - shown,
        Masked::AllButLast(_) => 0..count,
        Masked::First(hidden) => 0..hidden.min(count),
        Masked::Last(hidden) => count.saturating_sub(hidden)..count,
    };
    text.chars()
        .enumerate()
        .map(|(place, c)| {
            if hidden.contains(&place) {
                character
            } else {
                c
            }
        })
        .collect()
}
