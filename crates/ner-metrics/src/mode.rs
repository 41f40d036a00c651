//! The two readings of tags: seqeval's default and strict mode.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::entity::Chunker;
use crate::tag::{Affix, NO_TYPE, Tag, split_default, split_strict};
use crate::tag_patterns::Prefix;
use crate::{Entity, Error, Result, Scheme};

/// What counts as an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// The conlleval rule, as seqeval's default mode applies it: any tag is read, and an `I-X` that follows no `X`
    /// opens an entity.
    #[default]
    Default,
    /// Only entities that are well-formed under a scheme; see [`Scheme::entities`].
    Strict(Scheme),
}

impl Mode {
    /// `default` or `strict`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Strict(_) => "strict",
        }
    }

    /// The scheme of the strict mode.
    #[must_use]
    pub fn scheme(self) -> Option<Scheme> {
        match self {
            Self::Default => None,
            Self::Strict(scheme) => Some(scheme),
        }
    }

    /// The entities of one sentence, in order, as seqeval counts them. To use entities rather than to score them, see
    /// [`TagSet::entities`](crate::TagSet::entities) and [`read_entities`](crate::read_entities).
    ///
    /// # Errors
    /// [`Error::EmptyTag`]; in strict mode also [`Error::ForeignTag`].
    pub fn entities<S: AsRef<str>>(self, tags: &[S]) -> Result<Vec<Entity<'_>>> {
        let mut chunker = Chunker::new(self);
        let mut entities = Vec::new();
        for (i, tag) in tags.iter().enumerate() {
            let tag = self.split(tag.as_ref(), Affix::Prefix, i)?;
            entities.extend(chunker.push(tag.prefix, tag.entity_type));
        }
        entities.extend(chunker.push(Prefix::O, NO_TYPE));
        Ok(entities.into_iter().map(Entity::from).collect())
    }

    /// Reads one tag. `index` counts from 0 and only serves the error.
    pub(crate) fn split(self, tag: &str, affix: Affix, index: usize) -> Result<Tag<'_>> {
        let parts = match self {
            Self::Default => split_default(tag, affix),
            Self::Strict(_) => split_strict(tag, affix),
        };
        let parts = parts.ok_or(Error::EmptyTag { token: index + 1 })?;
        match self {
            Self::Strict(scheme) if !scheme.prefixes().contains(parts.letter) => {
                Err(Error::ForeignTag {
                    token: index + 1,
                    tag: tag.to_owned(),
                    scheme,
                })
            }
            _ => Ok(parts),
        }
    }
}

impl Serialize for Mode {
    /// Writes two fields, `mode` and `scheme` (null in default mode), for reports to flatten.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Mode", 2)?;
        fields.serialize_field("mode", self.name())?;
        fields.serialize_field("scheme", &self.scheme())?;
        fields.end()
    }
}
