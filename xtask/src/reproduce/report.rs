//! `report.json`, `report.txt` and the closing table: the evaluation's figures put together, none computed here.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize, Serializer};

use crate::reproduce::{
    evaluate::{
        self, AS_TEXT_JSON, DEFAULT_JSON, DEFAULT_TEXT, REJOINED_JSON, REJOINED_TEXT, STRICT_JSON,
        STRICT_TEXT, TOKEN_TEXT,
    },
    folder::{Folder, Split},
    manifest::{Manifest, Stage},
    recipe::{Figures, Published, TypeFigures},
    table::Table,
};

/// The shape of `report.json`.
#[derive(Serialize)]
pub struct Report {
    pub recipe: String,
    pub device: String,
    pub seed: u64,
    dev: SplitReport,
    pub test: SplitReport,
    /// Seconds per stage, of the run that did the stage, and their sum under `total`.
    #[serde(serialize_with = "seconds_with_total")]
    seconds: Vec<(Stage, f64)>,
    /// The highest of all stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    example: Tagged,
    pub published: Vec<Published>,
    #[serde(skip)]
    texts: Vec<(String, String)>,
}

#[derive(Serialize)]
pub struct SplitReport {
    /// By seqeval's default rule.
    #[serde(flatten)]
    scores: Figures,
    strict: Figures,
    /// By the default rule, on the sentences as the corpus has them rather than as preprocessing split them.
    rejoined: Figures,
    /// On the corpus's sentences as running text, by spans of characters.
    as_text: TextReport,
    /// How labels were chosen.
    decoding: String,
    pub per_type: Vec<TypeFigures>,
    token: TokenScores,
}

#[derive(Serialize)]
struct TextReport {
    #[serde(flatten)]
    scores: Figures,
    #[serde(flatten)]
    cut: Cut,
}

/// How the running text was cut into words.
#[derive(Default, Serialize, Deserialize)]
struct Cut {
    sentences: usize,
    /// Sentences with the words that the corpus has.
    cut_alike: usize,
    /// Gold spans that no tags on the text's words could give.
    out_of_reach: usize,
}

/// The parts used here of what `ner-cli evaluate --format json` writes.
#[derive(Deserialize)]
struct Evaluation {
    entity: EntityScores,
    token: Option<TokenScores>,
    decoding: Option<String>,
    #[serde(flatten)]
    cut: Option<Cut>,
}

#[derive(Deserialize)]
struct EntityScores {
    per_type: Vec<TypeRow>,
    micro: Average,
}

#[derive(Deserialize)]
struct TypeRow {
    #[serde(rename = "type")]
    entity_type: String,
    #[serde(flatten)]
    scores: Average,
}

#[derive(Deserialize)]
struct Average {
    precision: f64,
    recall: f64,
    f1: f64,
    support: usize,
}

#[derive(Default, Serialize, Deserialize)]
struct TokenScores {
    accuracy: Option<f64>,
}

/// A line of `ner-cli predict --format jsonl`.
#[derive(Serialize, Deserialize)]
struct Tagged {
    text: String,
    entities: Vec<Entity>,
}

#[derive(Serialize, Deserialize)]
struct Entity {
    entity_group: String,
    score: f64,
    word: String,
    start: usize,
    end: usize,
}

impl Average {
    fn figures(&self) -> Figures {
        Figures {
            precision: Some(self.precision),
            recall: Some(self.recall),
            f1: self.f1,
            support: Some(self.support),
        }
    }
}

impl TypeRow {
    fn figures(self) -> TypeFigures {
        let Average {
            precision,
            recall,
            f1,
            support,
        } = self.scores;
        TypeFigures {
            entity_type: self.entity_type,
            precision,
            recall,
            f1,
            support,
        }
    }
}

impl Report {
    /// Reads what the evaluation left in the run's folder.
    pub fn collect(folder: &Folder, manifest: &Manifest) -> Result<Self> {
        let mut texts = Vec::new();
        for split in evaluate::SCORED.into_iter().rev() {
            let parts = [
                ("entities, seqeval's default mode", DEFAULT_TEXT),
                ("entities, seqeval's strict mode", STRICT_TEXT),
                (
                    "entities of the sentences before they were split, seqeval's default mode",
                    REJOINED_TEXT,
                ),
                ("tokens, scikit-learn's report", TOKEN_TEXT),
            ];
            for (title, what) in parts {
                texts.push((
                    format!("{}: {title}", split.name()),
                    read(&folder.evaluation(split, what))?,
                ));
            }
        }
        Ok(Self {
            recipe: manifest.recipe.clone(),
            device: manifest.device.clone(),
            seed: manifest.seed,
            dev: SplitReport::collect(folder, Split::Dev)?,
            test: SplitReport::collect(folder, Split::Test)?,
            seconds: manifest
                .stages
                .iter()
                .map(|(stage, record)| (*stage, record.seconds))
                .collect(),
            peak_memory_bytes: manifest
                .stages
                .values()
                .filter_map(|record| record.peak_memory_bytes)
                .max(),
            example: json(&folder.example())?,
            published: manifest.settings.published.clone(),
            texts,
        })
    }

    pub fn write(&self, folder: &Folder) -> Result<()> {
        let mut json = serde_json::to_string_pretty(self)?;
        json.push('\n');
        model_dir::write(&folder.report_json(), json)?;
        Ok(model_dir::write(&folder.report_text(), self.text())?)
    }

    /// The whole report: the reports of the two libraries, then the summary with times and memory.
    fn text(&self) -> String {
        let mut text = format!(
            "{}, device {}, seed {}\n",
            self.recipe, self.device, self.seed
        );
        for (title, report) in &self.texts {
            _ = write!(text, "\n{title}\n\n{}\n", report.trim_end_matches('\n'));
        }
        _ = write!(
            text,
            "\ncurves of loss and F1: output/curves.svg\n\n{}",
            self.summary()
        );
        text
    }

    /// Seconds of all stages.
    pub fn total_seconds(&self) -> f64 {
        total(&self.seconds)
    }

    /// This run beside the published figures, what it took, and the example sentence.
    pub fn summary(&self) -> String {
        let Cut {
            sentences,
            cut_alike,
            out_of_reach,
        } = self.test.as_text.cut;
        let mut text = format!(
            "{}\n{}\ndecoding: {}\nrunning text: {cut_alike} of {sentences} test sentences cut into the corpus's words; {out_of_reach} gold \
             spans out of reach of the cut\n",
            self.scores(),
            self.scores_per_type(),
            self.test.decoding
        );
        let stages: Vec<String> = self
            .seconds
            .iter()
            .map(|(stage, seconds)| format!("{} {seconds:.1}", stage.name()))
            .collect();
        _ = write!(
            text,
            "\nseconds: {:.1} ({})",
            self.total_seconds(),
            stages.join(", ")
        );
        if let Some(bytes) = self.peak_memory_bytes {
            _ = write!(text, "\npeak memory: {} MiB", bytes >> 20);
        }
        _ = write!(text, "\n\n{}\n", self.example.text);
        for entity in &self.example.entities {
            _ = writeln!(
                text,
                "  {:<4}  {:.3}  {}",
                entity.entity_group, entity.score, entity.word
            );
        }
        if self.example.entities.is_empty() {
            text.push_str("  no entity found\n");
        }
        text
    }

    /// The figures of this run on the development and the test set, each with the name of how it was scored.
    pub fn own(&self) -> [(&'static str, Figures, Figures); 4] {
        let (dev, test) = (&self.dev, &self.test);
        [
            ("this run, words given", dev.scores, test.scores),
            (
                "this run, as running text",
                dev.as_text.scores,
                test.as_text.scores,
            ),
            ("this run, strict mode", dev.strict, test.strict),
            ("this run, sentences rejoined", dev.rejoined, test.rejoined),
        ]
    }

    fn scores(&self) -> String {
        let mut table = Table::new([
            "", "dev P", "dev R", "dev F1", "entities", "test P", "test R", "test F1", "entities",
        ]);
        for (name, dev, test) in self.own() {
            table.row(name, cells([Some(dev), Some(test)]));
        }
        for published in &self.published {
            table.row(&published.system, cells([published.dev, published.test]));
        }
        if self.published.is_empty() {
            table.row("published", vec!["none".to_owned()]);
        }
        table.to_string()
    }

    /// Test F1 by entity type, with those published figures that give it.
    fn scores_per_type(&self) -> String {
        let types: Vec<&str> = self
            .test
            .per_type
            .iter()
            .map(|row| row.entity_type.as_str())
            .collect();
        let mut table = Table::new(["test F1"].into_iter().chain(types.iter().copied()));
        let own = self
            .test
            .per_type
            .iter()
            .map(|row| format!("{:.4}", row.f1));
        table.row("this run", own.collect());
        for published in self
            .published
            .iter()
            .filter(|published| !published.per_type.is_empty())
        {
            let of_type = |name: &&str| {
                published
                    .per_type
                    .iter()
                    .find(|row| row.entity_type == **name)
                    .map(|row| row.f1)
            };
            table.row(
                &published.system,
                types.iter().map(|name| cell(of_type(name))).collect(),
            );
        }
        table.to_string()
    }
}

impl SplitReport {
    fn collect(folder: &Folder, split: Split) -> Result<Self> {
        let default: Evaluation = json(&folder.evaluation(split, DEFAULT_JSON))?;
        let strict: Evaluation = json(&folder.evaluation(split, STRICT_JSON))?;
        let rejoined: Evaluation = json(&folder.evaluation(split, REJOINED_JSON))?;
        let as_text: Evaluation = json(&folder.evaluation(split, AS_TEXT_JSON))?;
        Ok(Self {
            scores: default.entity.micro.figures(),
            strict: strict.entity.micro.figures(),
            rejoined: rejoined.entity.micro.figures(),
            as_text: TextReport {
                scores: as_text.entity.micro.figures(),
                cut: as_text.cut.unwrap_or_default(),
            },
            decoding: default.decoding.unwrap_or_default(),
            per_type: default
                .entity
                .per_type
                .into_iter()
                .map(TypeRow::figures)
                .collect(),
            token: default.token.unwrap_or_default(),
        })
    }
}

fn total(seconds: &[(Stage, f64)]) -> f64 {
    let total: f64 = seconds.iter().map(|(_, seconds)| seconds).sum();
    (total * 1000.0).round() / 1000.0
}

fn seconds_with_total<S: Serializer>(
    seconds: &[(Stage, f64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let stages = seconds
        .iter()
        .map(|(stage, seconds)| (stage.name(), *seconds));
    serializer.collect_map(stages.chain([("total", total(seconds))]))
}

fn cells<const N: usize>(figures: [Option<Figures>; N]) -> Vec<String> {
    let values = figures.into_iter().flat_map(|figures| match figures {
        Some(Figures {
            precision,
            recall,
            f1,
            support,
        }) => {
            let support = support.map_or_else(|| "-".to_owned(), |support| support.to_string());
            [cell(precision), cell(recall), cell(Some(f1)), support]
        }
        None => ["-"; 4].map(str::to_owned),
    });
    values.collect()
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

pub fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    serde_json::from_str(&read(path)?)
        .with_context(|| format!("{} is not as expected", path.display()))
}
