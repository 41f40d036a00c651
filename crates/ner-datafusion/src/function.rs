//! The function `ner`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::arrow::array::{ArrayRef, ListArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use ner_tagger::Tagger;
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::entities::{entities_array, entities_type};
use crate::texts::with_texts;

/// The function `ner(text)`: the entities of each text, as [`entities_type`] has them, those that [`Tagger::entities_of`] finds. A null text has a null list,
/// a text without entities an empty one.
///
/// It takes one string: `Utf8`, `LargeUtf8`, `Utf8View`, or a dictionary of them. Each batch of the engine is tagged as a whole. Partitions that come at the
/// same time take turns, because one batch has all of the tagger's threads already; a thread of a multi-threaded runtime that works or waits here hands its
/// other tasks on.
///
/// The same text has the same entities, so the function is immutable: what a `SELECT` writes twice is worked out once, and a literal when the query is
/// planned. But a filter on the result of a subquery is moved below the subquery's projection, and both work it out; one on what `unnest` gives is not.
#[derive(Debug)]
pub struct Ner {
    name: String,
    signature: Signature,
    model: Option<Arc<Model>>,
}

/// A tagger, for one batch at a time.
struct Model {
    tagger: Tagger,
    turn: Mutex<()>,
}

impl fmt::Debug for Model {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Model").finish_non_exhaustive()
    }
}

impl Ner {
    /// Of a model that is loaded. Its device, precision, decoding and lowest scores are the tagger's.
    #[must_use]
    pub fn new(tagger: Tagger) -> Self {
        let turn = Mutex::new(());
        Self::of(Some(Arc::new(Model { tagger, turn })))
    }

    /// For a process that plans queries and leaves the work to others, as the scheduler and the clients of a cluster do: name and types only.
    #[must_use]
    pub fn without_model() -> Self {
        Self::of(None)
    }

    fn of(model: Option<Arc<Model>>) -> Self {
        Self {
            name: "ner".to_owned(),
            signature: Signature::string(1, Volatility::Immutable),
            model,
        }
    }

    /// Under another name, where one session has several models.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    fn tag(&self, column: &ArrayRef) -> Result<ListArray> {
        let Some(model) = &self.model else {
            return Err(DataFusionError::Execution(format!(
                "{}: there is no model in this process, which only plans queries; register `Ner::new` where they run",
                self.name
            )));
        };
        with_texts(column, |rows| {
            let texts: Vec<&str> = rows.iter().copied().flatten().collect();
            let found = aside(|| {
                let _turn = model.turn.lock().unwrap_or_else(PoisonError::into_inner);
                model.tagger.entities_of(&texts)
            });
            let found = found.map_err(|error| {
                let context = format!("{}: {} texts", self.name, texts.len());
                DataFusionError::External(Box::new(error)).context(context)
            })?;
            let mut found = found.into_iter();
            let rows: Vec<_> = rows
                .iter()
                .map(|row| row.map(|_| found.next().unwrap_or_default()))
                .collect();
            Ok(entities_array(&rows)?)
        })
    }
}

/// Does long work. On a worker of a multi-threaded runtime, the worker's other tasks are handed to another thread first.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    let flavor = Handle::try_current().map(|runtime| runtime.runtime_flavor());
    // What runs outside of a task, as the future of `block_on` does, keeps no worker from its tasks.
    if matches!(flavor, Ok(RuntimeFlavor::MultiThread)) && tokio::task::try_id().is_some() {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

impl ScalarUDFImpl for Ner {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(entities_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.as_slice() {
            [ColumnarValue::Array(column)] => Ok(ColumnarValue::Array(Arc::new(self.tag(column)?))),
            [ColumnarValue::Scalar(text)] => {
                let list = self.tag(&text.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::List(Arc::new(list))))
            }
            other => Err(DataFusionError::Execution(format!(
                "{}: takes one text, not {} arguments",
                self.name,
                other.len()
            ))),
        }
    }
}

impl PartialEq for Ner {
    /// The same name and the same loaded model.
    fn eq(&self, other: &Self) -> bool {
        let models = match (&self.model, &other.model) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        models && self.name == other.name
    }
}

impl Eq for Ner {}

impl Hash for Ner {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.model.as_ref().map(Arc::as_ptr).hash(state);
    }
}
