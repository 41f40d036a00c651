//! What a service needs of a model.

use std::fmt;

use ner_tagger::{EntitySpan, Error, Tagger};

/// Finds entities in texts, on one thread.
pub trait TextTagger: Send {
    /// The entities of each text. Offsets count Unicode code points.
    ///
    /// # Errors
    /// A model that fails. The reason is logged, so that it must not repeat a text.
    fn tag(&self, texts: &[&str]) -> Result<Vec<Vec<EntitySpan>>, String>;

    /// The types that it finds, such as `PER`, each once.
    fn entity_types(&self) -> Vec<String>;
}

impl TextTagger for Tagger {
    fn tag(&self, texts: &[&str]) -> Result<Vec<Vec<EntitySpan>>, String> {
        self.entities_of(texts).map_err(|error| match error {
            Error::Model(error) => error.to_string(),
            // A tokenizer may name what it could not encode.
            _ => "the tokenizer cannot encode a text".to_owned(),
        })
    }

    fn entity_types(&self) -> Vec<String> {
        let tags = self.decoder().tags();
        let labels = 0..self.labels().len();
        let mut types: Vec<String> = Vec::new();
        for name in labels.filter_map(|label| tags.entity_type(label)) {
            if !types.iter().any(|known| known == name) {
                types.push(name.to_owned());
            }
        }
        types
    }
}

/// A model that is served, with its name.
pub struct Model {
    /// What requests call it.
    pub name: String,
    /// The model.
    pub tagger: Box<dyn TextTagger>,
}

impl Model {
    /// A model and its name.
    pub fn new(name: impl Into<String>, tagger: impl TextTagger + 'static) -> Self {
        Self {
            name: name.into(),
            tagger: Box::new(tagger),
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// What the operator of a service should know. No event holds a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A model failed on the texts of one request, which was answered with status 500.
    ModelFailed {
        /// The model's name.
        model: String,
        /// Why.
        reason: String,
    },
    /// A connection could not be accepted; the service goes on.
    AcceptFailed {
        /// Why.
        reason: String,
    },
    /// The service is to end: it accepts no connection any more, and answers what it has taken.
    Ending {
        /// Connections that are open.
        connections: usize,
    },
}

/// Hears events.
pub type Listener = Box<dyn Fn(&Event) + Send + Sync>;
