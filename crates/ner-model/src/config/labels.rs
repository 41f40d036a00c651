//! The labels of a `config.json`, in every form that it has had on the hub.
//!
//! The first of these that says something decides, as in `transformers`: `id2label`, an object with numbers as keys or a list; `label2id`, the
//! same the other way round; `num_labels` or `_num_labels`, which leave the names to be made up. Where `id2label` and `label2id` contradict
//! each other, `id2label` holds.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error};
use serde_json::{Map, Value};

const ID2LABEL: &str = "id2label";
const LABEL2ID: &str = "label2id";
/// How many classes there are, today's name and that of 2019.
pub(super) const NUMBERS_OF_LABELS: [&str; 2] = ["num_labels", "_num_labels"];

/// Classes of a configuration that names none, as in `transformers`.
const DEFAULT_NUMBER: usize = 2;
/// Most classes that a file may ask for without naming them. No tag set has as many; a damaged number may.
const MOST_UNNAMED: usize = 10_000;

/// The names that `transformers` gives to unnamed classes.
pub(super) fn unnamed(number: usize) -> Vec<String> {
    (0..number).map(|id| format!("LABEL_{id}")).collect()
}

pub(super) fn default() -> Vec<String> {
    unnamed(DEFAULT_NUMBER)
}

/// Gives `id2label` the labels that these fields of a configuration name, in whatever form they do.
pub(super) fn resolve(fields: &mut Map<String, Value>) -> Result<(), String> {
    let of = |key: &str| fields.get(key).filter(|value| !is_nothing(value));
    let labels = if let Some(value) = of(ID2LABEL) {
        from_id2label(value)?
    } else if let Some(value) = of(LABEL2ID) {
        from_label2id(value)?
    } else if let Some((key, value)) = NUMBERS_OF_LABELS
        .iter()
        .find_map(|key| of(key).map(|value| (key, value)))
    {
        unnamed(number_of_labels(key, value)?)
    } else {
        default()
    };
    fields.insert(ID2LABEL.to_owned(), labels.into());
    Ok(())
}

/// Whether a field says no more than an absent one.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn from_id2label(value: &Value) -> Result<Vec<String>, String> {
    let mut by_id = ById::new(ID2LABEL);
    match value {
        Value::Array(labels) => {
            for (id, label) in labels.iter().enumerate() {
                by_id.insert(id, text(id, label)?)?;
            }
        }
        Value::Object(labels) => {
            for (id, label) in labels {
                let id = (id.trim().parse())
                    .map_err(|_| format!("{ID2LABEL}: key `{id}` is no class number"))?;
                by_id.insert(id, text(id, label)?)?;
            }
        }
        other => {
            return Err(format!(
                "{ID2LABEL} is {other}, expected an object of class numbers and labels, or a list of labels"
            ));
        }
    }
    by_id.labels()
}

/// The text of a label. Some files hold numbers.
fn text(id: usize, label: &Value) -> Result<String, String> {
    match label {
        Value::String(label) => Ok(label.clone()),
        Value::Number(label) => Ok(label.to_string()),
        other => Err(format!(
            "{ID2LABEL}: the label of class {id} is {other}, expected a text"
        )),
    }
}

fn from_label2id(value: &Value) -> Result<Vec<String>, String> {
    let Value::Object(ids) = value else {
        return Err(format!(
            "{LABEL2ID} is {value}, expected an object of labels and class numbers"
        ));
    };
    let mut by_id = ById::new(LABEL2ID);
    for (label, id) in ids {
        let number = match id {
            Value::Number(id) => id.as_u64().and_then(|id| usize::try_from(id).ok()),
            Value::String(id) => id.trim().parse().ok(),
            _ => None,
        };
        let number = number.ok_or_else(|| {
            format!("{LABEL2ID}: label `{label}` has {id}, expected a class number")
        })?;
        by_id.insert(number, label.clone())?;
    }
    by_id.labels()
}

fn number_of_labels(key: &str, value: &Value) -> Result<usize, String> {
    let number = value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok());
    match number {
        Some(number @ 1..=MOST_UNNAMED) => Ok(number),
        _ => Err(format!(
            "{key} is {value}, expected a number of classes from 1 to {MOST_UNNAMED}"
        )),
    }
}

/// Labels by class number, as a file gives them.
struct ById {
    /// Where they come from.
    key: &'static str,
    labels: BTreeMap<usize, String>,
}

impl ById {
    fn new(key: &'static str) -> Self {
        Self {
            key,
            labels: BTreeMap::new(),
        }
    }

    fn insert(&mut self, id: usize, label: String) -> Result<(), String> {
        match self.labels.get(&id) {
            Some(other) => Err(format!(
                "{}: class {id} has two labels, {other:?} and {label:?}",
                self.key
            )),
            None => {
                self.labels.insert(id, label);
                Ok(())
            }
        }
    }

    /// The labels in the order of their numbers, without what stands invisibly at their ends.
    fn labels(self) -> Result<Vec<String>, String> {
        let Self { key, labels } = self;
        if let Some((missing, _)) = labels.keys().enumerate().find(|(at, id)| at != *id) {
            return Err(format!(
                "{key} must number its {} labels from 0 without a gap; {missing} is missing",
                labels.len()
            ));
        }
        let mut seen: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        for (&id, label) in &labels {
            let plain = trim(label);
            if plain.is_empty() {
                return Err(format!("{key}: the label of class {id} is empty"));
            }
            if let Some((first, other)) = seen.insert(plain, (id, label)) {
                return Err(format!(
                    "{key}: classes {first} and {id} have the same label, {other:?} and {label:?}"
                ));
            }
        }
        let labels = labels.values().map(|label| trim(label).to_owned());
        Ok(labels.collect())
    }
}

/// A label without blanks and byte-order marks at its ends, which come from the label files that some configurations were made from.
fn trim(label: &str) -> &str {
    label.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

pub(super) fn serialize<S: Serializer>(
    labels: &[String],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().enumerate())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    if is_nothing(&value) {
        return Ok(default());
    }
    from_id2label(&value).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::ModelConfig;

    /// The labels of a configuration with these fields beside its sizes, as [`ModelConfig::from_dir`] reads them.
    fn labels_of(fields: &Value) -> Result<Vec<String>, String> {
        let mut config = json!({"model_type": "bert", "vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16});
        let fields = fields.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(fields);
        ModelConfig::parse(&config.to_string()).map(|config| config.id2label)
    }

    #[test]
    fn labels_are_read_in_every_form() {
        let named: &[&str] = &["O", "B-PER", "I-PER"];
        let unnamed: &[&str] = &["LABEL_0", "LABEL_1", "LABEL_2"];
        let two: &[&str] = &["LABEL_0", "LABEL_1"];
        for (fields, expected) in [
            (
                json!({"id2label": {"0": "O", "1": "B-PER", "2": "I-PER"}}),
                named,
            ),
            (
                json!({"id2label": {"2": "I-PER", "0": "O", "1": "B-PER"}}),
                named,
            ),
            (
                json!({"id2label": {" 2": "I-PER", "00": "O", "1 ": "B-PER"}}),
                named,
            ),
            (json!({"id2label": ["O", "B-PER", "I-PER"]}), named),
            (json!({"label2id": {"I-PER": 2, "O": 0, "B-PER": 1}}), named),
            (
                json!({"label2id": {"I-PER": "2", "O": "0", "B-PER": "1"}}),
                named,
            ),
            (
                json!({"id2label": null, "label2id": {"I-PER": 2, "O": 0, "B-PER": 1}}),
                named,
            ),
            (
                json!({"id2label": {}, "label2id": {"I-PER": 2, "O": 0, "B-PER": 1}}),
                named,
            ),
            (json!({"num_labels": 3}), unnamed),
            (json!({"_num_labels": 3}), unnamed),
            (
                json!({"id2label": null, "label2id": null, "num_labels": 3}),
                unnamed,
            ),
            (json!({"num_labels": null, "_num_labels": 3}), unnamed),
            // What transformers' names and numbers say first holds.
            (json!({"num_labels": 3, "_num_labels": 5}), unnamed),
            (
                json!({"id2label": ["O", "B-PER", "I-PER"], "num_labels": 9, "_num_labels": 2}),
                named,
            ),
            (
                json!({"label2id": {"O": 0, "B-PER": 1, "I-PER": 2}, "num_labels": 9}),
                named,
            ),
            (
                json!({"id2label": {"0": "O", "1": "B-PER", "2": "I-PER"}, "label2id": {"O": 2, "B-LOC": 0, "I-PER": 7}}),
                named,
            ),
            (
                json!({"id2label": ["O", "B-PER", "I-PER"], "label2id": "nonsense"}),
                named,
            ),
            (json!({}), two),
            (json!({"id2label": null}), two),
            (json!({"id2label": [], "label2id": {}}), two),
            (json!({"id2label": {"0": 0, "1": 1}}), &["0", "1"]),
            // A label file with a byte-order mark, Windows' line ends, a blank that does not break.
            (
                json!({"id2label": {"0": "\u{feff}O\r", "1": " B-PER\n", "2": "I-PER\u{a0}"}}),
                named,
            ),
            (
                json!({"label2id": {"\u{feff}O": 0, "B-PER ": 1, "I-PER": 2}}),
                named,
            ),
            // Inside a label they are a part of it.
            (
                json!({"id2label": ["B-first name", "O"]}),
                &["B-first name", "O"],
            ),
        ] {
            assert_eq!(labels_of(&fields).unwrap(), expected, "{fields}");
        }
    }

    #[test]
    fn labels_that_cannot_be_say_what_is_wrong() {
        for (fields, expected) in [
            (
                json!({"id2label": {"0": "O", "1": "B-PER", "3": "I-PER"}}),
                "without a gap; 2 is missing",
            ),
            (
                json!({"id2label": {"1": "O", "2": "B-PER"}}),
                "without a gap; 0 is missing",
            ),
            (
                json!({"label2id": {"O": 0, "B-PER": 2}}),
                "label2id must number its 2 labels",
            ),
            (
                json!({"id2label": {"0": "O", "1": "O "}}),
                r#"classes 0 and 1 have the same label, "O" and "O ""#,
            ),
            (
                json!({"id2label": ["O", "B-PER", "O"]}),
                r#"classes 0 and 2 have the same label, "O" and "O""#,
            ),
            (
                json!({"label2id": {"O": 0, "\u{feff}O": 1}}),
                "classes 0 and 1 have the same label",
            ),
            (
                json!({"label2id": {"O": 0, "B-PER": 0}}),
                r#"class 0 has two labels, "O" and "B-PER""#,
            ),
            (
                json!({"id2label": {"0": "O", "00": "B-PER"}}),
                r#"class 0 has two labels, "O" and "B-PER""#,
            ),
            (
                json!({"id2label": {"0": "O", "1": " "}}),
                "the label of class 1 is empty",
            ),
            (
                json!({"id2label": {"O": "0"}}),
                "key `O` is no class number",
            ),
            (
                json!({"id2label": {"-1": "O"}}),
                "key `-1` is no class number",
            ),
            (
                json!({"id2label": {"0": null}}),
                "the label of class 0 is null",
            ),
            (
                json!({"id2label": ["O", ["B-PER"]]}),
                "the label of class 1 is [\"B-PER\"]",
            ),
            (json!({"id2label": "O"}), "id2label is \"O\""),
            (json!({"id2label": 9}), "id2label is 9"),
            (json!({"label2id": ["O"]}), "label2id is [\"O\"]"),
            (json!({"label2id": {"O": -1}}), "label `O` has -1"),
            (json!({"label2id": {"O": 0.5}}), "label `O` has 0.5"),
            (json!({"label2id": {"O": null}}), "label `O` has null"),
            (json!({"num_labels": 0}), "num_labels is 0"),
            (json!({"num_labels": -3}), "num_labels is -3"),
            (json!({"num_labels": "3"}), "num_labels is \"3\""),
            (
                json!({"_num_labels": 4_000_000_000_u64}),
                "_num_labels is 4000000000, expected a number of classes from 1 to 10000",
            ),
        ] {
            let message = labels_of(&fields).unwrap_err();
            assert!(message.contains(expected), "{fields}: {message}");
        }
    }

    /// Where a configuration is no file of its own, `id2label` is all there is.
    #[test]
    fn a_part_of_other_json_is_read_alike() {
        let parse = |labels: Value| {
            let json = json!({"model_type": "bert", "vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1,
                "num_attention_heads": 2, "intermediate_size": 16, "id2label": labels});
            serde_json::from_value::<ModelConfig>(json).map(|config| config.id2label)
        };
        assert_eq!(parse(json!(["O", "B-PER"])).unwrap(), ["O", "B-PER"]);
        assert_eq!(
            parse(json!({"1": "B-PER", "0": "O"})).unwrap(),
            ["O", "B-PER"]
        );
        assert_eq!(parse(json!(null)).unwrap(), ["LABEL_0", "LABEL_1"]);
        let message = parse(json!(["O", "O"])).unwrap_err().to_string();
        assert!(message.contains("the same label"), "{message}");
    }

    #[test]
    fn what_follows_from_the_labels_is_not_kept_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        let config = json!({"model_type": "bert", "vocab_size": 30, "hidden_size": 8, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16, "num_labels": 2, "_num_labels": 2, "label2id": {"LABEL_0": 0, "LABEL_1": 1}});
        std::fs::write(&path, format!("\u{feff}{config}\r\n")).unwrap();
        let mut config = ModelConfig::from_dir(dir.path()).unwrap();
        config.id2label = ["O", "B-PER", "I-PER"].map(str::to_owned).to_vec();
        config.save(dir.path()).unwrap();
        let written: Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(
            written["id2label"],
            json!({"0": "O", "1": "B-PER", "2": "I-PER"})
        );
        assert_eq!(written["label2id"], json!({"O": 0, "B-PER": 1, "I-PER": 2}));
        assert!(written.get("num_labels").is_none() && written.get("_num_labels").is_none());
        assert_eq!(
            ModelConfig::from_dir(dir.path()).unwrap().id2label,
            config.id2label
        );
    }

    proptest! {
        /// The same labels in any form, in any order, are the same labels.
        #[test]
        fn every_form_says_the_same(
            labels in prop::collection::hash_set("[A-Z]-[a-zñé\u{4e00} ]{0,5}[a-z]", 1..12),
            seed: u64,
        ) {
            let labels: Vec<String> = labels.into_iter().collect();
            let mut order: Vec<usize> = (0..labels.len()).collect();
            order.sort_by_key(|&id| (id as u64 + 1).wrapping_mul(seed | 1));
            let by_id: Map<String, Value> =
                order.iter().map(|&id| (id.to_string(), labels[id].clone().into())).collect();
            let by_label: Map<String, Value> =
                order.iter().map(|&id| (labels[id].clone(), id.into())).collect();
            for fields in [json!({"id2label": labels}), json!({"id2label": by_id}), json!({"label2id": by_label})] {
                prop_assert_eq!(&labels_of(&fields).unwrap(), &labels);
            }
        }
    }
}
