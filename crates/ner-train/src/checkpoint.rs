//! A run that can be taken up again: model, optimizer and where it stood.
//!
//! A checkpoint is a directory that appears under its name when it is complete and not before: it is written beside it, synced and renamed.
//! `trainer_state.json` holds the SHA-256 of every other file, so that one that is damaged is told from one that is not. Order and dropout
//! follow from the seed and the step, so the step is all that there is to their state.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, iter};

use model_dir::{replace_dir, sha256_of_files};
use ner_model::{NewTensor, TokenClassifier, WORD_EMBEDDINGS, write_safetensors};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};
use subword_align::SubwordTokenizer;

use crate::average::{Values, values};
use crate::error::{Error, Result};
use crate::floats;
use crate::optimizer::MomentValues;
use crate::save_model::{BEST, save};
use crate::settings::{DistillSettings, TrainSettings};

const STATE: &str = "trainer_state.json";
const OPTIMIZER: &str = "optimizer.safetensors";
/// Before a colon and the path of a parameter in [`OPTIMIZER`].
const FIRST: &str = "first";
const SECOND: &str = "second";
const AVERAGE: &str = "average";
/// Before the number of its step.
const PREFIX: &str = "checkpoint-";

/// What a checkpoint is made of.
pub(crate) struct Contents<'a> {
    pub model: &'a TokenClassifier,
    pub tokenizer: &'a SubwordTokenizer,
    pub moments: &'a MomentValues,
    /// The model with the mean of the weights over the steps that count; none before the first of them.
    pub mean: Option<&'a TokenClassifier>,
    pub state: TrainerState,
}

/// What a run holds beside the model's weights.
#[derive(Debug, Default)]
pub(crate) struct OptimizerValues {
    /// Of each parameter that has been updated.
    pub moments: MomentValues,
    /// The mean of the weights over the steps that count; nothing before the first of them.
    pub average: Values,
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Optimizer steps done.
    pub step: usize,
    /// The best development figure so far, so that more is better.
    #[serde(with = "exact::option")]
    pub best: Option<f64>,
    /// Evaluations since then.
    pub evaluations_without_gain: usize,
    /// The step after which the last evaluation was.
    pub evaluated: usize,
    /// Losses since the last row of the log.
    #[serde(with = "exact::list")]
    pub losses: Vec<f64>,
    /// The numbers of the run.
    pub settings: TrainSettings,
    /// How a teacher counts, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<DistillSettings>,
    /// SHA-256 of the sequences that it learns from, and of what a teacher says of them.
    pub data: String,
    /// SHA-256 of the sentences that it is evaluated on.
    pub dev: String,
    /// SHA-256 of each file of the checkpoint.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// Numbers as text, because reading a JSON number may be off by its last bit.
mod exact {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    fn parse<E: Error>(text: &str) -> Result<f64, E> {
        text.parse()
            .map_err(|_| E::custom(format!("`{text}` is no number")))
    }

    pub mod list {
        use super::*;

        pub fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
            let texts: Vec<String> = values.iter().map(f64::to_string).collect();
            texts.serialize(serializer)
        }

        pub fn deserialize<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
            let texts = Vec::<String>::deserialize(deserializer)?;
            texts.iter().map(|text| parse(text)).collect()
        }
    }

    pub mod option {
        use super::*;

        pub fn serialize<S: Serializer>(
            value: &Option<f64>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            value.map(|value| value.to_string()).serialize(serializer)
        }

        pub fn deserialize<'a, D: Deserializer<'a>>(
            deserializer: D,
        ) -> Result<Option<f64>, D::Error> {
            let text = Option::<String>::deserialize(deserializer)?;
            text.as_deref().map(parse).transpose()
        }
    }
}

/// A checkpoint whose files are those that were written.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Its directory, which is a model's too.
    pub dir: PathBuf,
    /// Where the run stood.
    pub state: TrainerState,
}

impl Checkpoint {
    /// Opens a checkpoint, or the latest sound one below a run's output directory.
    ///
    /// # Errors
    /// There is none; the message names those that are damaged.
    pub fn open(dir: &Path) -> Result<Self> {
        if dir.join(STATE).is_file() {
            return Self::verified(dir);
        }
        let mut reasons = String::new();
        for path in Self::all(dir)?.into_iter().rev() {
            match Self::verified(&path) {
                Ok(checkpoint) => return Ok(checkpoint),
                Err(error) => reasons.push_str(&format!("; {error}")),
            }
        }
        Err(Error::Checkpoint {
            dir: dir.to_owned(),
            reason: format!("no sound checkpoint in it{reasons}"),
        })
    }

    /// The directories of a run's checkpoints, sound or not, in the order of their steps.
    pub fn all(output_dir: &Path) -> Result<Vec<PathBuf>> {
        let mut found: Vec<(usize, PathBuf)> = fs::read_dir(output_dir)
            .map_err(Error::io(output_dir))?
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                Some((step_of(&name)?, entry.path()))
            })
            .collect();
        found.sort();
        Ok(found.into_iter().map(|(_, path)| path).collect())
    }

    /// Removes all checkpoints beside the one that was just written, but for the latest ones: `count` are left, that one among them.
    pub(crate) fn keep_latest(written: &Path, count: usize) -> Result<()> {
        let mut others = Self::all(written.parent().unwrap_or(Path::new(".")))?;
        others.retain(|dir| dir != written);
        others.truncate((others.len() + 1).saturating_sub(count));
        others
            .iter()
            .try_for_each(|dir| fs::remove_dir_all(dir).map_err(Error::io(dir)))
    }

    /// Directory of the checkpoint of a step.
    pub(crate) fn dir(output_dir: &Path, step: usize) -> PathBuf {
        output_dir.join(format!("{PREFIX}{step}"))
    }

    /// Writes a checkpoint to `dir`, in place of one that may be there.
    pub(crate) fn write(dir: &Path, contents: Contents<'_>) -> Result<()> {
        let Contents {
            model,
            tokenizer,
            moments,
            mean,
            mut state,
        } = contents;
        replace_dir(dir, |partial| {
            save(model, tokenizer, partial)?;
            write_optimizer(&partial.join(OPTIMIZER), moments, mean)?;
            state.files = sha256_of_files(partial)?;
            let path = partial.join(STATE);
            let text = serde_json::to_string_pretty(&state).map_err(|e| Error::Checkpoint {
                dir: partial.to_owned(),
                reason: e.to_string(),
            })?;
            Ok(model_dir::write(&path, text + "\n")?)
        })
    }

    /// What the run held beside the model's weights.
    pub(crate) fn optimizer(&self) -> Result<OptimizerValues> {
        let path = self.dir.join(OPTIMIZER);
        let bytes = fs::read(&path).map_err(Error::io(&path))?;
        let damaged = |reason: String| Error::Checkpoint {
            dir: self.dir.clone(),
            reason: format!("{OPTIMIZER}: {reason}"),
        };
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| damaged(e.to_string()))?;
        let mut found = OptimizerValues::default();
        for (name, tensor) in tensors.tensors() {
            let values = floats::of_bytes(tensor.data());
            match name.split_once(':') {
                Some((FIRST, path)) => {
                    found.moments.entry(path.to_owned()).or_default()[0] = values;
                }
                Some((SECOND, path)) => {
                    found.moments.entry(path.to_owned()).or_default()[1] = values;
                }
                Some((AVERAGE, path)) => {
                    found.average.insert(path.to_owned(), values);
                }
                _ => {
                    return Err(damaged(format!(
                        "tensor `{name}` is neither moment nor mean"
                    )));
                }
            }
        }
        Ok(found)
    }

    fn verified(dir: &Path) -> Result<Self> {
        let damaged = |reason: String| Error::Checkpoint {
            dir: dir.to_owned(),
            reason,
        };
        let path = dir.join(STATE);
        let text = fs::read_to_string(&path).map_err(Error::io(&path))?;
        let state: TrainerState =
            serde_json::from_str(&text).map_err(|e| damaged(format!("{STATE}: {e}")))?;
        let mut found = sha256_of_files(dir)?;
        found.remove(STATE);
        for (name, sum) in &state.files {
            match found.get(name) {
                Some(found) if found == sum => {}
                Some(_) => return Err(damaged(format!("{name} is not as it was written"))),
                None => return Err(damaged(format!("{name} is missing"))),
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            state,
        })
    }
}

fn write_optimizer(
    path: &Path,
    moments: &MomentValues,
    mean: Option<&TokenClassifier>,
) -> Result<()> {
    let mut average = mean.map(values).transpose()?.unwrap_or_default();
    average.remove(WORD_EMBEDDINGS); // may be too many to be held
    let words = mean.map(|mean| {
        let (config, name) = (mean.config(), format!("{AVERAGE}:{WORD_EMBEDDINGS}"));
        let shape = vec![config.vocab_size * config.embedding_size()];
        NewTensor::of_floats(name, shape, mean.word_embedding_parts())
    });
    let moments = moments.iter().flat_map(|(path, [first, second])| {
        [vector(FIRST, path, first), vector(SECOND, path, second)]
    });
    let average = average
        .iter()
        .map(|(path, values)| vector(AVERAGE, path, values));
    let tensors = moments.chain(average).chain(words).collect();
    Ok(write_safetensors(path, &[], tensors)?)
}

/// Values of a parameter.
fn vector<'a>(kind: &str, path: &str, values: &'a [f32]) -> NewTensor<'a> {
    let copy = iter::once_with(move || Ok(values.to_vec()));
    NewTensor::of_floats(format!("{kind}:{path}"), vec![values.len()], copy)
}

/// Clears what a stop in the middle of writing checkpoints or the best model left below a run's output directory.
pub(crate) fn take_back_unfinished(output_dir: &Path) -> Result<()> {
    let is_ours = |name: &str| name == BEST || step_of(name).is_some();
    Ok(model_dir::take_back_unfinished(output_dir, is_ours)?)
}

/// The step in the name of a checkpoint's directory.
fn step_of(name: &str) -> Option<usize> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::settings::ClassWeights;

    #[test]
    fn what_a_stop_left_half_done_is_taken_back() {
        let out = tempfile::tempdir().unwrap();
        let file = |dir: &str| out.path().join(dir).join("weights");
        let write = |dir: &str, text: &str| {
            fs::create_dir(out.path().join(dir)).unwrap();
            fs::write(file(dir), text).unwrap();
        };
        // The best model was moved away and the new one not yet put in its place; one checkpoint was replaced, another begun.
        write(".best.old", "old");
        write(".best.partial", "new");
        write(".checkpoint-3.old", "old");
        write("checkpoint-3", "new");
        write(".checkpoint-6.partial", "half");
        for not_ours in [".mine.old", ".checkpoint-x.partial"] {
            write(not_ours, "kept");
        }
        take_back_unfinished(out.path()).unwrap();
        assert_eq!(fs::read_to_string(file("best")).unwrap(), "old");
        assert_eq!(fs::read_to_string(file("checkpoint-3")).unwrap(), "new");
        let mut left: Vec<String> = fs::read_dir(out.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let wanted = [".checkpoint-x.partial", ".mine.old", "best", "checkpoint-3"];
        assert_eq!(left, wanted);
        take_back_unfinished(&out.path().join("none")).unwrap();
    }

    #[test]
    fn numbers_are_read_as_they_were_written() {
        // Each is off by one bit where JSON's own numbers are read.
        let awkward = [0.945_626_477_541_371_1, 15.554_086_609_083_965];
        let settings = TrainSettings::default().with(|settings| {
            settings.loss.class_weights =
                ClassWeights::Given([("I-LOC".to_owned(), awkward[1])].into());
        });
        for best in [None, Some(awkward[0]), Some(f64::NEG_INFINITY)] {
            let state = TrainerState {
                step: 7,
                best,
                evaluations_without_gain: 2,
                evaluated: 6,
                losses: awkward.to_vec(),
                settings: settings.clone(),
                distillation: None,
                data: String::new(),
                dev: String::new(),
                files: BTreeMap::new(),
            };
            let text = serde_json::to_string(&state).unwrap();
            let read: TrainerState = serde_json::from_str(&text).unwrap();
            assert_eq!((read.best, &read.losses), (state.best, &state.losses));
            assert_eq!(read.settings.differences(&settings), [""; 0]);
        }
    }
}
