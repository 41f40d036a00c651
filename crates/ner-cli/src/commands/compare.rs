//! `compare`: is one system better than another?

mod report;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use ner_metrics::{Entity, Mode, Resampling, Scheme, tags_without_position};

use self::report::Report;
use crate::column_files::{ColumnArguments, TaggedFile};
use crate::hub::HubArguments;
use crate::inference::InferenceArguments;
use crate::output::Output;
use crate::paths::expand;
use crate::progress::Progress;
use crate::screen;
use crate::wording::{bare_tags, few_samples};

/// How the names of prediction files end; those of models do not.
const ENDINGS: [&str; 13] = [
    "bio", "conll", "conllu", "csv", "iob", "iob2", "jsonl", "ndjson", "pred", "tagged", "tags",
    "tsv", "txt",
];

/// Compare two systems on the same gold data, with p-values.
///
/// A paired bootstrap, approximate randomization, and the entities that only one of them finds.
///
/// A system is a column file of predicted tags, or a model that predicts them now. With several runs of a side (`--a 'runs/s*/pred.txt'`), as of
/// several seeds, the test says whether the difference outlives the seeds.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// Two systems, each a prediction file or a model.
    #[arg(value_name = "A B", num_args = 2, conflicts_with_all = ["a", "b"], required_unless_present = "a")]
    systems: Vec<String>,
    /// Runs of the first system: files or models, with wildcards.
    #[arg(long, value_name = "PATTERN", requires = "b")]
    a: Vec<String>,
    /// Runs of the second system.
    #[arg(long, value_name = "PATTERN", requires = "a")]
    b: Vec<String>,
    /// Column file with the true tags.
    #[arg(long, value_name = "FILE")]
    gold: PathBuf,
    /// How often sentences are drawn anew, documents where the gold file has several.
    #[arg(long, default_value_t = 10_000)]
    samples: usize,
    /// Share of samples between the ends of an interval.
    #[arg(long, default_value_t = 0.95)]
    level: f64,
    /// Seed of the draws.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Tagging scheme whose well-formed entities alone count, as in `evaluate --mode strict`; the conlleval rule where not given.
    #[arg(long, value_name = "SCHEME")]
    strict: Option<Scheme>,
    /// Entities to show of those that only one side finds, for each side.
    #[arg(long, default_value_t = 10)]
    examples: usize,
    /// Form of the report.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// File to write instead of stdout.
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten, next_help_heading = "With models")]
    inference: InferenceArguments,
    #[command(flatten)]
    layout: ColumnArguments,
    #[command(flatten)]
    hub: HubArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// One of the two systems: the entities that each of its runs predicts.
pub struct System {
    /// What stands on the command line.
    pub name: String,
    /// Of each run, of each sentence.
    pub runs: Vec<Vec<Vec<OwnedEntity>>>,
}

/// An entity with its own type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OwnedEntity {
    pub entity_type: String,
    pub start: usize,
    pub end: usize,
}

impl OwnedEntity {
    /// The same, borrowed.
    pub fn as_entity(&self) -> Entity<'_> {
        Entity {
            entity_type: &self.entity_type,
            start: self.start,
            end: self.end,
        }
    }
}

impl From<Entity<'_>> for OwnedEntity {
    fn from(entity: Entity<'_>) -> Self {
        Self {
            entity_type: entity.entity_type.to_owned(),
            start: entity.start,
            end: entity.end,
        }
    }
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let gold = TaggedFile::read(&arguments.gold, &arguments.layout)?;
    let [a, b] = match arguments.systems.as_slice() {
        [a, b] => [vec![a.into()], vec![b.into()]],
        _ => [expand(&arguments.a)?, expand(&arguments.b)?],
    };
    let mut bare = BTreeSet::new();
    add_bare(&mut bare, gold.tags());
    let sides = [
        arguments.side(&a, &gold, &mut bare, quiet)?,
        arguments.side(&b, &gold, &mut bare, quiet)?,
    ];
    if !bare.is_empty() {
        let bare: Vec<&str> = bare.iter().map(String::as_str).collect();
        Progress::new(quiet).say(&bare_tags(&bare, "comparison"));
    }
    if let Some(note) = few_samples(arguments.samples) {
        Progress::new(quiet).say(&note);
    }
    let resampling = Resampling {
        samples: arguments.samples,
        level: arguments.level,
        seed: arguments.seed,
    };
    let report = Report::new(&gold, arguments.mode(), &sides, &resampling)?;
    let path = arguments.output.as_deref();
    let mut output = Output::create(path)?;
    match arguments.format {
        Format::Text => {
            output.write_text(&report.to_text(arguments.examples, screen::columns(path)))?;
        }
        Format::Json => writeln!(output, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    output.finish()
}

impl Arguments {
    fn mode(&self) -> Mode {
        self.strict.map_or(Mode::Default, Mode::Strict)
    }

    /// What a side's runs predict. Their tags without a position letter are added to those that are known.
    fn side(
        &self,
        sources: &[PathBuf],
        gold: &TaggedFile,
        bare: &mut BTreeSet<String>,
        quiet: bool,
    ) -> Result<System> {
        let mut runs = Vec::with_capacity(sources.len());
        for source in sources {
            let tags = self.tags(source, gold, quiet)?;
            add_bare(bare, &tags);
            runs.push(self.entities(&tags)?);
        }
        let names = sources.iter().map(|source| source.display().to_string());
        Ok(System {
            name: names.collect::<Vec<_>>().join(", "),
            runs,
        })
    }

    /// What a file or a model predicts.
    fn tags(&self, source: &Path, gold: &TaggedFile, quiet: bool) -> Result<Vec<Vec<String>>> {
        if source.is_file() {
            let file = TaggedFile::read(source, &self.layout)?;
            gold.check_same_words(&file)?;
            let sentences = file.sentences.into_iter();
            return Ok(sentences.map(|sentence| sentence.tags).collect());
        }
        let model = source.to_str();
        let model = model.with_context(|| format!("{}: is not UTF-8", source.display()))?;
        self.predict(model, gold, quiet)
    }

    /// The entities of tagged sentences.
    fn entities(&self, tags: &[Vec<String>]) -> Result<Vec<Vec<OwnedEntity>>> {
        let read = |tags: &Vec<String>| -> Result<Vec<OwnedEntity>> {
            let entities = self.mode().entities(tags)?;
            Ok(entities.into_iter().map(OwnedEntity::from).collect())
        };
        tags.iter().map(read).collect()
    }

    fn predict(&self, model: &str, gold: &TaggedFile, quiet: bool) -> Result<Vec<Vec<String>>> {
        let is_there = Path::new(model).is_dir();
        let nothing = || format!("{model}: neither a file nor a model directory has this name");
        ensure!(is_there || !is_file_name(model), nothing());
        let dir = self.hub.model(model, quiet);
        let dir = if is_there {
            dir?
        } else {
            dir.with_context(nothing)?
        };
        let tagger = self.inference.load(&dir, quiet)?;
        gold.check_tags(tagger.labels())?;
        let mut progress = Progress::new(quiet);
        progress.start(model, gold.sentences.len());
        let scored = tagger.score(&gold.sentences, |done| progress.set(done, String::new))?;
        progress.end();
        let tagged = tagger.decode(&scored).into_iter();
        Ok(tagged
            .map(|sentence| sentence.tags.into_iter().map(|word| word.tag).collect())
            .collect())
    }
}

/// Whether a name is one of a prediction file, by its end.
fn is_file_name(name: &str) -> bool {
    let end = Path::new(name).extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ENDINGS.contains(&end.to_lowercase().as_str()))
}

/// Adds the tags that have no position letter.
fn add_bare<'a>(bare: &mut BTreeSet<String>, sentences: impl IntoIterator<Item = &'a Vec<String>>) {
    let tags = sentences.into_iter().flatten();
    let found = tags_without_position(tags).into_iter();
    bare.extend(found.map(str::to_owned));
}
