//! The model card: `README.md` of a trained model's directory, in the hub's form.
//!
//! The block between `---` lines is what the hub reads: <https://huggingface.co/docs/hub/model-cards>.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use ner_metrics::{EntityReport, Mode, Scheme};
use ner_tagger::PretokenizedSentence;
use ner_train::{DistillSettings, Evaluation, TrainSettings};
use serde_json::Value;

use crate::column_files::{TaggedFile, file_name};

/// What a model was before.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The model that was trained, as the user named it; none where it was a new one.
    pub model: Option<&'a str>,
    /// How its teachers count, and their names, where it had some.
    pub lesson: Option<(DistillSettings, &'a [String])>,
}

impl Base<'_> {
    /// What the model was, and how it was trained. A directory of this machine has no name there.
    pub fn in_words(&self) -> String {
        let named = |model: &str| match Path::new(model).exists() {
            true => "a local model".to_owned(),
            false => format!("`{model}`"),
        };
        let base = self.model.map_or("a new model".to_owned(), named);
        match self.lesson {
            None => format!("{base}, fine-tuned with `ner-cli train`"),
            Some((_, teachers)) => {
                let teachers: Vec<String> = teachers.iter().map(|name| named(name)).collect();
                let teachers = teachers.join(" and ");
                format!("{base}, which learnt from {teachers} with `ner-cli distill`")
            }
        }
    }

    /// The settings of a run, those of its lesson included, by name.
    pub fn settings(&self, settings: &TrainSettings) -> Result<Vec<(String, Value)>> {
        let mut tables = vec![serde_json::to_value(settings)?];
        if let Some((lesson, _)) = self.lesson {
            tables.push(serde_json::to_value(lesson)?);
        }
        let tables = tables.into_iter().filter_map(|table| match table {
            Value::Object(table) => Some(table),
            _ => None,
        });
        let settings = tables.flatten().filter(|(_, value)| !value.is_null());
        Ok(settings.collect())
    }
}

/// A part of the training data.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is, such as `train`.
    pub kind: &'static str,
    /// Name of its file.
    pub file: String,
    pub sentences: usize,
    pub words: usize,
}

impl Part {
    /// Of some sentences of a file.
    pub fn new(kind: &'static str, path: &Path, sentences: &[PretokenizedSentence]) -> Self {
        Self {
            kind,
            file: file_name(path),
            sentences: sentences.len(),
            words: sentences.iter().map(|sentence| sentence.words.len()).sum(),
        }
    }
}

/// What a card tells.
pub struct Card<'a> {
    /// What was trained.
    pub base: Base<'a>,
    /// The labels.
    pub labels: &'a [String],
    /// The numbers of the run.
    pub settings: &'a TrainSettings,
    /// The training data.
    pub train: &'a [Part],
    /// The development data and what the last model scores on it.
    pub dev: Option<(&'a TaggedFile, &'a Evaluation)>,
    /// The test data and what the last model scores on it.
    pub test: Option<(&'a TaggedFile, &'a Evaluation)>,
}

impl Card<'_> {
    /// The card's text. `directory` is where the model lies.
    pub fn text(&self, directory: &Path) -> Result<String> {
        let name = model_name(directory);
        let mut text = format!(
            "{}\n# {name}\n\n{}\n",
            self.front_matter(&name),
            self.about()
        );
        text.push_str("## Scores\n\n");
        text.push_str(&self.scores()?);
        text.push_str("\n## Data\n\n");
        text.push_str(&self.data());
        text.push_str("\n## Training\n\n");
        text.push_str(&self.training()?);
        text.push_str(&usage(&name));
        Ok(text)
    }

    /// The data and results that are there, with the name of each.
    fn scored(&self) -> impl Iterator<Item = (&'static str, &TaggedFile, &Evaluation)> {
        let dev = self.dev.map(|(file, found)| ("dev", file, found));
        let test = self.test.map(|(file, found)| ("test", file, found));
        dev.into_iter().chain(test)
    }

    fn front_matter(&self, name: &str) -> String {
        let mut text = "---\nlibrary_name: transformers\npipeline_tag: token-classification\ntags:\n- named-entity-recognition\n".to_owned();
        // A directory of this machine means nothing to others.
        if let Some(model) = self.base.model.filter(|model| !Path::new(model).exists()) {
            let name = model.split('@').next().unwrap_or_default();
            _ = writeln!(text, "base_model: {}", quoted(name));
        }
        text.push_str("metrics:\n- precision\n- recall\n- f1\n");
        let (Some((file, found)), split) = (
            self.test.or(self.dev),
            if self.test.is_some() { "test" } else { "dev" },
        ) else {
            return text + "---\n";
        };
        let micro = &found.report.micro;
        _ = writeln!(
            text,
            "model-index:\n- name: {}\n  results:\n  - task:\n      type: token-classification\n    dataset:\n      type: {data}\n      name: {data}\n      split: {split}\n    metrics:",
            quoted(name),
            data = quoted(&file_name(&file.path)),
        );
        for (metric, value) in [
            ("precision", micro.precision),
            ("recall", micro.recall),
            ("f1", micro.f1),
        ] {
            _ = writeln!(text, "    - type: {metric}\n      value: {value}");
        }
        text + "---\n"
    }

    fn about(&self) -> String {
        format!(
            "A named-entity tagger: {}. Its labels: {}.\n",
            self.base.in_words(),
            self.labels.join(", ")
        )
    }

    /// Both counting rules, then a row for each type.
    fn scores(&self) -> Result<String> {
        let mut text =
            "| data | rule | precision | recall | F1 | entities |\n|---|---|---|---|---|---|\n"
                .to_owned();
        for (split, file, found) in self.scored() {
            let strict =
                EntityReport::new(&file.tags(), &found.predicted, Mode::Strict(Scheme::Iob2));
            // A corpus of another scheme has no such figures.
            let strict = strict.ok();
            let rules = [
                ("seqeval, default", Some(&found.report)),
                ("seqeval, strict IOB2", strict.as_ref()),
            ];
            for (rule, report) in rules {
                let Some(EntityReport { micro, .. }) = report else {
                    continue;
                };
                _ = writeln!(
                    text,
                    "| {split} | {rule} | {:.4} | {:.4} | {:.4} | {} |",
                    micro.precision, micro.recall, micro.f1, micro.support
                );
            }
        }
        if let Some((_, _, found)) = self.scored().next() {
            _ = writeln!(text, "\nDecoding: {}.", found.decoding);
        }
        for (split, _, found) in self.scored() {
            _ = write!(
                text,
                "\nBy type, on {split}:\n\n| type | precision | recall | F1 | entities |\n|---|---|---|---|---|\n"
            );
            for row in &found.report.per_type {
                let scores = &row.scores;
                _ = writeln!(
                    text,
                    "| {} | {:.4} | {:.4} | {:.4} | {} |",
                    row.entity_type, scores.precision, scores.recall, scores.f1, scores.support
                );
            }
        }
        Ok(text)
    }

    fn data(&self) -> String {
        let mut text = "| part | file | sentences | words |\n|---|---|---|---|\n".to_owned();
        let scored = self
            .scored()
            .map(|(split, file, _)| Part::new(split, &file.path, &file.sentences));
        for part in self.train.iter().cloned().chain(scored) {
            let Part {
                kind,
                file,
                sentences,
                words,
            } = part;
            _ = writeln!(text, "| {kind} | {file} | {sentences} | {words} |");
        }
        text
    }

    fn training(&self) -> Result<String> {
        let mut text =
            "AdamW with a linear schedule.\n\n![Loss and F1 over the steps](curves.svg)\n\n| setting | value |\n|---|---|\n".to_owned();
        for (key, value) in self.base.settings(self.settings)? {
            _ = writeln!(text, "| {key} | {value} |");
        }
        Ok(text)
    }
}

/// The name that a directory gives its model.
pub fn model_name(directory: &Path) -> String {
    directory.file_name().map_or_else(
        || "model".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn usage(name: &str) -> String {
    format!(
        r#"
## Use

```sh
ner-cli predict --model {name} "Ana Paz vive en Lima."
```

```python
from transformers import pipeline

pipeline("ner", model="{name}", aggregation_strategy="simple")("Ana Paz vive en Lima.")
```

To share it: `hf upload USER/{name} {name}`.
"#
    )
}

/// A YAML string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
