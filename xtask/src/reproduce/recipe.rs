//! Recipes: every number of a run, read from TOML.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use ner_model::Head;
use ner_train::TrainSettings;
use serde::{Deserialize, Serialize};

use crate::usage::UsageError;

/// The recipes that come with the program, by name.
pub const EMBEDDED: [(&str, &str); 7] = [
    ("quickstart", include_str!("../../recipes/quickstart.toml")),
    ("conll2002", include_str!("../../recipes/conll2002.toml")),
    (
        "conll2002-small",
        include_str!("../../recipes/conll2002-small.toml"),
    ),
    (
        "spanberta-conll2002",
        include_str!("../../recipes/spanberta-conll2002.toml"),
    ),
    (
        "mbert-conll2002",
        include_str!("../../recipes/mbert-conll2002.toml"),
    ),
    (
        "spanberta-conll2002-corrected",
        include_str!("../../recipes/spanberta-conll2002-corrected.toml"),
    ),
    (
        "mbert-conll2002-corrected",
        include_str!("../../recipes/mbert-conll2002-corrected.toml"),
    ),
];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// One line for `--list`.
    pub summary: String,
    pub data: Data,
    pub preprocess: Preprocess,
    pub model: Model,
    pub train: Train,
    pub evaluate: Evaluate,
    /// Figures of others to stand beside this run's.
    #[serde(default)]
    pub published: Vec<Published>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub source: Corpus,
    /// Columns of token and tag, from 1.
    pub columns: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corpus {
    /// The corpus in `fixtures/quickstart`.
    Embedded,
    /// CoNLL-2002 Spanish.
    Conll2002,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// Whether sentences longer than `max_length` are split; else they stay whole, and training and tagging read them in windows.
    pub split: bool,
    /// Longest sentence in sub-words, special tokens included.
    pub max_length: usize,
    /// `none` or `prefix-space`; holds for training too.
    pub word_boundary: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Model {
    /// Random weights, and a tokenizer trained on the training file.
    New {
        kind: String,
        layers: usize,
        hidden: usize,
        heads: usize,
        intermediate: usize,
        vocab_size: usize,
        dropout: f64,
        initializer_range: f64,
        /// Amplitude of sinusoidal position embeddings, random ones where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sinusoidal_positions: Option<f64>,
        seed: u64,
    },
    /// A pretrained encoder that lies in this repository.
    Embedded {
        /// What it is, in words.
        name: String,
        /// Its folder, from the root of the repository.
        path: String,
    },
    /// A pretrained model of the hub, in a folder that the user names.
    Hub {
        name: String,
        #[serde(default)]
        aliases: Vec<String>,
    },
}

/// Options of `ner-cli train`, under the same names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// All settings of a run; the program's defaults where the recipe says nothing.
    #[serde(flatten)]
    pub settings: TrainSettings,
    /// The model's own where absent.
    pub head: Option<Head>,
    /// The model's own where absent.
    pub dropout: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluate {
    /// Tagging scheme of the strict figures.
    pub scheme: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    pub system: String,
    /// Where the figures stand.
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dev: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<Figures>,
    /// Rows of the test set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub per_type: Vec<TypeFigures>,
}

/// Scores between 0 and 1; what was not published is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precision: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<f64>,
    pub f1: f64,
    /// Entities in the gold file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeFigures {
    #[serde(rename = "type")]
    pub entity_type: String,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    pub support: usize,
}

impl Recipe {
    /// A recipe by name, or by the path of a TOML file, with its name (the file's stem).
    ///
    /// # Errors
    /// A name that is no recipe, a file that cannot be read, a key missing, unknown or of the wrong type.
    pub fn load(name_or_path: &str) -> Result<(String, Self)> {
        if let Some((name, text)) = EMBEDDED.iter().find(|(name, _)| *name == name_or_path) {
            return Ok((
                (*name).to_owned(),
                Self::parse(text).with_context(|| format!("recipe {name}"))?,
            ));
        }
        let path = Path::new(name_or_path);
        if path.extension().is_none_or(|extension| extension != "toml") {
            let names: Vec<&str> = EMBEDDED.iter().map(|(name, _)| *name).collect();
            return Err(UsageError::error(format!(
                "no recipe is called {name_or_path}; there are {}, or give the path of a .toml file",
                names.join(", ")
            )));
        }
        let text = fs::read_to_string(path)
            .with_context(|| format!("cannot read recipe {name_or_path}"))?;
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok((
            name,
            Self::parse(&text).with_context(|| format!("recipe {name_or_path}"))?,
        ))
    }

    /// Reads a recipe. Where it names another one as its `base`, its keys are laid over that one's.
    pub fn parse(text: &str) -> Result<Self> {
        let mut table: toml::Table = toml::from_str(text)?;
        if let Some(base) = table.remove("base") {
            let known = EMBEDDED
                .iter()
                .find(|(name, _)| base.as_str() == Some(*name));
            let (_, text) = known.with_context(|| format!("base = {base} is no recipe"))?;
            table = laid_over(toml::from_str(text)?, table);
            return Ok(toml::Value::Table(table).try_into()?);
        }
        Ok(toml::from_str(text)?)
    }
}

/// The keys of `over` in place of those of `base`, table by table.
fn laid_over(mut base: toml::Table, over: toml::Table) -> toml::Table {
    for (key, value) in over {
        let value = match (base.remove(&key), value) {
            (Some(toml::Value::Table(base)), toml::Value::Table(over)) => {
                toml::Value::Table(laid_over(base, over))
            }
            (_, value) => value,
        };
        base.insert(key, value);
    }
    base
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::Path};

    use super::{EMBEDDED, Recipe};
    use crate::usage::UsageError;

    fn recipe(name: &str) -> Recipe {
        Recipe::load(name).unwrap().1
    }

    #[test]
    fn every_file_of_the_folder_is_embedded_and_reads() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
        let mut files: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut names: Vec<_> = EMBEDDED
            .iter()
            .map(|(name, _)| format!("{name}.toml"))
            .collect();
        files.sort();
        names.sort();
        assert_eq!(files, names);
        for (name, _) in EMBEDDED {
            recipe(name);
        }
    }

    #[test]
    fn every_number_of_a_recipe_names_its_source() {
        for (name, text) in EMBEDDED {
            let lines = text.lines().take_while(|line| *line != "[[published]]");
            let numbers = lines.filter_map(|line| line.split_once(" = "));
            let numbers =
                numbers.filter(|(_, value)| value.starts_with(|c: char| c.is_ascii_digit()));
            for (key, value) in numbers {
                assert!(value.contains(" # "), "{name}: {key} = {value}");
            }
        }
    }

    #[test]
    fn a_recipe_with_an_unknown_or_missing_key_does_not_read() {
        let text = EMBEDDED[0].1;
        for (from, to) in [
            ("epochs = ", "epoch = "),
            ("path = ", "folder = "),
            ("[evaluate]", "[evaluation]"),
        ] {
            assert!(text.contains(from));
            assert!(Recipe::parse(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
        for (section, line, said) in [
            ("[model]", "dropuot = 0.1", "dropuot"),
            (
                "[train]",
                "warm_up_steps = 3",
                "did you mean `warmup_steps`",
            ),
            (
                "[train]",
                "decode = \"viterbi\"",
                "`decode`: unknown variant",
            ),
        ] {
            let extra = text.replacen(section, &format!("{section}\n{line}"), 1);
            let error = format!("{:#}", Recipe::parse(&extra).unwrap_err());
            assert!(error.contains(said), "{error}");
        }
        let head = "base = \"quickstart\"\n[train]\nhead = \"crff\"";
        let error = format!("{:#}", Recipe::parse(head).unwrap_err());
        assert!(error.contains("expected `linear` or `crf`"), "{error}");
    }

    #[test]
    fn a_corrected_recipe_differs_from_its_base_in_what_it_corrects_alone() {
        for name in ["spanberta-conll2002", "mbert-conll2002"] {
            let (base, mut corrected) = (recipe(name), recipe(&format!("{name}-corrected")));
            assert!(base.preprocess.split && !corrected.preprocess.split);
            assert_eq!(base.preprocess.word_boundary, "none");
            assert_eq!(corrected.preprocess.word_boundary, "prefix-space");
            corrected.preprocess = base.preprocess.clone();
            corrected.summary.clone_from(&base.summary);
            assert_eq!(corrected, base);
        }
    }

    #[test]
    fn an_unknown_base_is_refused() {
        let error = Recipe::parse("base = \"spanberta\"").unwrap_err();
        assert!(error.to_string().contains("spanberta"), "{error}");
    }

    #[test]
    fn a_name_that_is_no_recipe_is_answered_with_the_names() {
        let error = Recipe::load("quick").unwrap_err();
        assert!(error.is::<UsageError>());
        assert!(
            error
                .to_string()
                .contains("quickstart, conll2002, conll2002-small"),
            "{error}"
        );
        assert!(!Recipe::load("absent.toml").unwrap_err().is::<UsageError>());
    }
}
