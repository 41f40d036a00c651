use ner_model::{Head, ModelConfig};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::TrainSettings;
use super::check::{above_zero, not_negative, share};
use crate::error::{Error, Result};

/// What a student learns of its teacher and of gold labels (Hinton et al. 2015, <https://arxiv.org/abs/1503.02531>, section 2).
///
/// These are no settings of every run: [`Trainer::distillation`](crate::Trainer::distillation) takes them with the teacher's
/// [`SoftTargets`](crate::SoftTargets). serde has one key a field, and takes the default for one that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
#[serde(default, deny_unknown_fields)]
pub struct DistillSettings {
    /// What the logits of teacher and student are divided by before they become probabilities: the higher, the more the teacher's unlikely
    /// labels tell.
    #[cfg_attr(feature = "clap", arg(long, value_name = "T", default_value_t = Self::default().distillation_temperature))]
    pub distillation_temperature: f64,
    /// Share of the gold label in the loss of a word that has one; the rest is the teacher's. A word without one learns from the teacher alone.
    #[cfg_attr(feature = "clap", arg(long, value_name = "SHARE", default_value_t = Self::default().gold_weight))]
    pub gold_weight: f64,
    /// Weight of the mean squared difference between hidden states of student and teacher (Jiao et al. 2019, <https://arxiv.org/abs/1909.10351>,
    /// equation 8): the last ones, which must be equally wide, or where the student began with layers of the teacher those after each of them,
    /// which take 4 bytes of memory a word, layer and hidden unit; 0 for none.
    #[cfg_attr(feature = "clap", arg(long, value_name = "WEIGHT", default_value_t = Self::default().hidden_loss_weight))]
    pub hidden_loss_weight: f64,
}

impl Default for DistillSettings {
    fn default() -> Self {
        Self {
            distillation_temperature: 2.0,
            gold_weight: 0.5,
            hidden_loss_weight: 0.0,
        }
    }
}

impl DistillSettings {
    /// Refuses what cannot work: values, a student with a CRF, settings that speak of single sub-words.
    ///
    /// # Errors
    /// The name of the first such setting, and why it cannot work.
    pub fn check(&self, student: &ModelConfig, settings: &TrainSettings) -> Result<()> {
        self.check_values()?;
        let refused = |name: &'static str, reason: &str| {
            let reason = reason.to_owned();
            Err(Error::Setting { name, reason })
        };
        if student.head == Head::Crf {
            return refused(
                "head",
                "a teacher teaches words, a CRF's loss is of whole sequences; distil into the linear head, and train that model on with a CRF",
            );
        }
        if settings.loss.label_all_tokens {
            return refused(
                "label_all_tokens",
                "goes with gold labels only; a teacher speaks of words",
            );
        }
        Ok(())
    }

    fn check_values(&self) -> Result<()> {
        above_zero("distillation_temperature", self.distillation_temperature)?;
        share("gold_weight", self.gold_weight)?;
        not_negative("hidden_loss_weight", self.hidden_loss_weight)
    }

    /// What differs between the settings of a checkpoint, where it has some, and others.
    pub(crate) fn differences(was: Option<Self>, is: Option<Self>) -> Vec<String> {
        let (was, is) = (fields(was), fields(is));
        let keys = fields(Some(Self::default()));
        let value = |fields: &Map<String, Value>, key: &String| {
            let value = fields.get(key);
            value.map_or_else(|| "not given".to_owned(), Value::to_string)
        };
        keys.keys()
            .filter(|key| was.get(*key) != is.get(*key))
            .map(|key| format!("{key} was {}, is {}", value(&was, key), value(&is, key)))
            .collect()
    }
}

/// Every setting by its key, as reading it from JSON gives it, which may be off by a number's last bit.
fn fields(settings: Option<DistillSettings>) -> Map<String, Value> {
    let text = settings.and_then(|settings| serde_json::to_string(&settings).ok());
    text.and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A value for every key, each other than the default.
    fn changed() -> Map<String, Value> {
        let text = include_str!("../../../../fixtures/settings/changed-distillation.json");
        serde_json::from_str(text).unwrap()
    }

    /// The defaults but for one key.
    fn with(key: &str, value: &Value) -> DistillSettings {
        serde_json::from_value(json!({ key: value })).unwrap()
    }

    #[test]
    fn every_key_is_written_and_read_and_named_where_it_differs() {
        let default = DistillSettings::default();
        let defaults = fields(Some(default));
        assert!(changed().keys().eq(defaults.keys()));
        for (key, value) in &changed() {
            assert_ne!(*value, defaults[key], "{key}");
            let settings = with(key, value);
            let mut expected = defaults.clone();
            expected[key] = value.clone();
            assert_eq!(fields(Some(settings)), expected);
            assert_eq!(
                DistillSettings::differences(Some(default), Some(settings)),
                [format!("{key} was {}, is {value}", defaults[key])]
            );
        }
        assert_eq!(
            DistillSettings::differences(Some(default), Some(default)),
            [""; 0]
        );
        let of_none = DistillSettings::differences(None, Some(default));
        assert_eq!(of_none.len(), defaults.len());
        assert_eq!(of_none[0], "distillation_temperature was not given, is 2.0");
        assert!(serde_json::from_value::<DistillSettings>(json!({"temperature": 2})).is_err());
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        assert!(DistillSettings::default().check_values().is_ok());
        for (key, values) in [
            ("distillation_temperature", &[0.0, -1.0][..]),
            ("gold_weight", &[-0.1, 1.1]),
            ("hidden_loss_weight", &[-1.0]),
        ] {
            for value in values {
                let error = with(key, &json!(value))
                    .check_values()
                    .unwrap_err()
                    .to_string();
                assert!(error.starts_with(&format!("{key}: ")), "{value}: {error}");
            }
        }
        let endless = DistillSettings {
            distillation_temperature: f64::INFINITY,
            ..DistillSettings::default()
        };
        assert!(endless.check_values().is_err());
    }
}
