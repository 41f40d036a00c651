//! `--set key=value`: a recipe with other numbers.

use anyhow::{Result, bail};
use serde_json::{Map, Value};

use crate::{reproduce::recipe::Recipe, usage::UsageError};

/// Keys that describe a recipe; `--set` leaves them alone.
const DESCRIPTIONS: [&str; 2] = ["summary", "published"];

impl Recipe {
    /// This recipe with `key=value` settings applied, as `train.epochs=1`.
    ///
    /// # Errors
    /// A setting without `=`, a key that the recipe does not have, a value of the wrong type.
    pub fn with_settings(&self, settings: &[String]) -> Result<Self> {
        let mut values = serde_json::to_value(self)?;
        for setting in settings {
            let Some((key, value)) = setting.split_once('=') else {
                return Err(UsageError::error(format!(
                    "--set {setting}: expected key=value, such as train.epochs=1"
                )));
            };
            let pointer = format!("/{}", key.replace('.', "/"));
            let known = keys(&values);
            let Some(place) = values
                .pointer_mut(&pointer)
                .filter(|_| known.iter().any(|known| known == key))
            else {
                // The key without its section.
                let end = format!(".{key}");
                let meant = known.iter().find(|known| known.ends_with(&end));
                let meant = meant.map(|meant| format!(" (did you mean `{meant}`?)"));
                return Err(UsageError::error(format!(
                    "--set {setting}: unknown key{}; known keys: {}",
                    meant.unwrap_or_default(),
                    known.join(", ")
                )));
            };
            *place = parse_value(value, place)
                .map_err(|error| UsageError::error(format!("--set {setting}: {error}")))?;
        }
        serde_json::from_value(values).map_err(|error| {
            UsageError::error(format!("--set {}: {error}", settings.join(" --set ")))
        })
    }

    /// The keys that `--set` takes.
    pub fn keys(&self) -> Result<Vec<String>> {
        Ok(keys(&serde_json::to_value(self)?))
    }
}

/// `section.key` of all values but the descriptions.
fn keys(recipe: &Value) -> Vec<String> {
    let sections = recipe.as_object().into_iter().flatten();
    let sections = sections.filter(|(name, _)| !DESCRIPTIONS.contains(&name.as_str()));
    sections
        .flat_map(|(section, values)| {
            let keys = values.as_object().into_iter().flat_map(Map::keys);
            keys.map(move |key| format!("{section}.{key}"))
        })
        .collect()
}

/// Reads a value as the type of the one it replaces; in place of an absent one or of a table it is what TOML makes of the text, or the text.
fn parse_value(text: &str, replaces: &Value) -> Result<Value> {
    if replaces.is_string() {
        return Ok(Value::String(text.to_owned()));
    }
    let table: toml::Table = match toml::from_str(&format!("value = {text}")) {
        Ok(table) => table,
        // A word, such as train.head=crf.
        Err(_) if replaces.is_null() || replaces.is_object() => {
            return Ok(Value::String(text.to_owned()));
        }
        Err(_) => bail!("cannot read {text} as a value"),
    };
    let value = serde_json::to_value(&table["value"])?;
    let fits = match replaces {
        Value::Number(_) => value.is_number(),
        Value::Bool(_) => value.is_boolean(),
        Value::Array(_) => value.is_array(),
        _ => true,
    };
    if !fits {
        bail!("expected a value such as {replaces}");
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use crate::{
        reproduce::recipe::{EMBEDDED, Model, Recipe},
        usage::UsageError,
    };

    fn recipe(name: &str) -> Recipe {
        Recipe::load(name).unwrap().1
    }

    fn set(settings: &[&str]) -> anyhow::Result<Recipe> {
        recipe("quickstart")
            .with_settings(&settings.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn settings_replace_values_of_any_type() {
        let changed = set(&[
            "train.epochs=1",
            "train.learning_rate=1e-3",
            "train.max_steps=20",
            "train.shuffle=false",
            "data.columns=1,3",
            "model.path=mine",
        ]);
        let changed = changed.unwrap();
        let settings = &changed.train.settings;
        assert_eq!(
            (settings.schedule.epochs, settings.optimizer.learning_rate),
            (1, 1e-3)
        );
        assert_eq!(
            (settings.schedule.max_steps, settings.data.shuffle),
            (Some(20), false)
        );
        assert_eq!(changed.data.columns, "1,3");
        assert!(
            matches!(changed.model, Model::Embedded { path, name } if path == "mine" && !name.is_empty())
        );
    }

    #[test]
    fn settings_that_change_nothing_leave_the_recipe_as_it_is() {
        for (name, _) in EMBEDDED {
            assert_eq!(recipe(name).with_settings(&[]).unwrap(), recipe(name));
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_known_ones() {
        for setting in [
            "train.epoch=1",
            "train=1",
            "summary=x",
            "published=[]",
            "train.epochs.x=1",
            "/train/epochs=1",
        ] {
            let error = set(&[setting]).unwrap_err();
            assert!(error.is::<UsageError>());
            let text = error.to_string();
            assert!(
                text.contains("unknown key")
                    && text.contains("train.epochs")
                    && text.contains("train.max_steps"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_key_without_its_section_is_answered_with_the_whole_one() {
        let text = |setting: &str| set(&[setting]).unwrap_err().to_string();
        assert!(
            text("epochs=1").contains("unknown key (did you mean `train.epochs`?); known keys:"),
            "{}",
            text("epochs=1")
        );
        assert!(!text("epoch=1").contains("did you mean"));
    }

    #[test]
    fn values_of_the_wrong_type_are_wrong_usage() {
        for setting in [
            "train.epochs",
            "train.epochs=many",
            "train.epochs=0.5",
            "train.epochs=true",
            "train.batch_size=1.5",
            "train.batch_size=-1",
            "train.shuffle=1",
            "train.warmup_ratio=some",
            "train.class_weights=some",
            "train.decode_scheme=some",
            "train.dropout=some",
            "data.source=web",
        ] {
            let error = set(&[setting]).unwrap_err();
            assert!(error.is::<UsageError>(), "{setting}: {error}");
            assert!(error.to_string().contains(setting), "{error}");
        }
    }
}
