//! The model card: `README.md` of a trained model's directory, in the hub's form.
//!
//! The block between `---` lines is what the hub reads: <https://huggingface.co/docs/hub/model-cards>.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use ner_metrics::{EntityReport, Mode, Scheme};
use ner_train::{Evaluation, TrainSettings};
use serde_json::Value;

use crate::data::TaggedFile;

/// What a card tells.
pub struct Card<'a> {
    /// The model that was fine-tuned, as the user named it.
    pub base_model: &'a str,
    /// The labels.
    pub labels: &'a [String],
    /// The numbers of the run.
    pub settings: &'a TrainSettings,
    /// The training data.
    pub train: &'a TaggedFile,
    /// The development data and what the last model scores on it.
    pub dev: Option<(&'a TaggedFile, &'a Evaluation)>,
    /// The test data and what the last model scores on it.
    pub test: Option<(&'a TaggedFile, &'a Evaluation)>,
}

impl Card<'_> {
    /// The card's text. `directory` is where the model lies.
    pub fn text(&self, directory: &Path) -> Result<String> {
        let name = directory.file_name().map_or_else(
            || "model".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
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
        if !Path::new(self.base_model).exists() {
            let name = self.base_model.split('@').next().unwrap_or_default();
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
            data = quoted(&file_name(file)),
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
        let base = if Path::new(self.base_model).exists() {
            "a local model".to_owned()
        } else {
            format!("`{}`", self.base_model)
        };
        format!(
            "A named-entity tagger: {base}, fine-tuned with `ner-cli train`. Its labels: {}.\n",
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
        let files = [("train", self.train)];
        let scored = self.scored().map(|(split, file, _)| (split, file));
        for (split, file) in files.into_iter().chain(scored) {
            let words: usize = file
                .sentences
                .iter()
                .map(|sentence| sentence.words.len())
                .sum();
            _ = writeln!(
                text,
                "| {split} | {} | {} | {words} |",
                file_name(file),
                file.sentences.len()
            );
        }
        text
    }

    fn training(&self) -> Result<String> {
        let mut text =
            "AdamW with a linear schedule.\n\n![Loss and F1 over the steps](curves.svg)\n\n| setting | value |\n|---|---|\n".to_owned();
        if let Value::Object(settings) = serde_json::to_value(self.settings)? {
            for (key, value) in settings {
                if !value.is_null() {
                    _ = writeln!(text, "| {key} | {value} |");
                }
            }
        }
        Ok(text)
    }
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

fn file_name(file: &TaggedFile) -> String {
    file.path.file_name().map_or_else(
        || file.path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// A YAML string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
