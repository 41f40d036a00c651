//! Entities, and the state machine that cuts them out of a run of tags.

use serde::Serialize;

use crate::Mode;
use crate::default_rule::DEFAULT;
use crate::tag_patterns::{Prefix, Rules};

/// One entity: a type and the half-open range `start..end`, counted from 0.
///
/// The range is in tokens where the entity comes from tags;
/// [`EntityReport::from_entities`](crate::EntityReport::from_entities) takes any unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Entity<'a> {
    /// The type, such as `PER`; `_` where the tags have none.
    #[serde(rename = "type")]
    pub entity_type: &'a str,
    /// The first token (or character).
    pub start: usize,
    /// One past the last token (or character).
    pub end: usize,
}

/// An entity whose type is whatever the caller compares types by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk<T> {
    pub(crate) entity_type: T,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl<'a> From<Chunk<&'a str>> for Entity<'a> {
    fn from(chunk: Chunk<&'a str>) -> Self {
        Self {
            entity_type: chunk.entity_type,
            start: chunk.start,
            end: chunk.end,
        }
    }
}

/// Reads tags one by one and hands out each entity when the tag after it arrives.
pub(crate) struct Chunker<T> {
    rules: &'static Rules,
    strict: bool,
    position: usize,
    previous: (Prefix, Option<T>),
    start: Option<usize>,
}

impl<T: Copy + PartialEq> Chunker<T> {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            rules: mode.scheme().map_or(&DEFAULT, |scheme| scheme.strict()),
            strict: mode.scheme().is_some(),
            position: 0,
            previous: (Prefix::O, None),
            // The default mode may end an entity that it never started (`O U B-X`); seqeval then takes the last
            // start it saw, or 0.
            start: mode.scheme().is_none().then_some(0),
        }
    }

    /// Takes the next tag; returns the entity that ended before it. An `O` must follow the last tag of a sentence.
    #[inline]
    pub(crate) fn push(&mut self, prefix: Prefix, entity_type: T) -> Option<Chunk<T>> {
        let (previous, previous_type) = self.previous;
        let step = self
            .rules
            .step(previous, prefix, previous_type == Some(entity_type));
        let position = self.position;
        self.position += 1;
        self.previous = (prefix, Some(entity_type));

        if self.start.is_some() && step.is_inside() {
            return None;
        }
        let ended = match (self.start, previous_type) {
            (Some(start), Some(entity_type)) if step.ends() => Some(Chunk {
                entity_type,
                start,
                end: position,
            }),
            _ => None,
        };
        if step.starts() {
            self.start = Some(position);
        } else if self.strict {
            self.start = None;
        }
        ended
    }
}
