//! `cargo xtask bench`: this system and its peers side by side, in one run, into docs/benchmarks.md.

mod groups;
mod ours;
mod peers;
mod registers;
mod table;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use model_dir::FileSet;
use ner_metrics::{EntityReport, Mode};
use ner_model::DeviceChoice;
use ner_tagger::PretokenizedSentence;
use serde::{Deserialize, Serialize};

pub use ours::{Worker, work};

use crate::bench::{
    groups::{GIVEN, GPU_GROUPS, GROUPS, Group, PREDICTIONS, SCORED, Side},
    peers::Peers,
    table::Measured,
};

/// Measure this system and its peers side by side
///
/// Each work is done by each side in turn, A B C A B C, one process each time; medians and their ratios go to docs/benchmarks.md, once every
/// group has been measured, in one call or in several of the same build. The peers run in a virtual environment made from fixtures/bench/requirements.txt; without
/// Python or the network only this system is measured.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Folder with esp.train, esp.testa and esp.testb
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,

    /// How often each side does each work
    #[arg(long, default_value_t = 3)]
    rounds: usize,

    /// A fine-tuned model with a linear head, which is measured as the two with random weights are, its F1 on esp.testb beside each speed
    #[arg(long, value_name = "MODEL_DIR")]
    model: Option<PathBuf>,

    /// Measure what a GPU is for, on this one: `cuda` or `cuda:N`, in a build with `--features cuda`; results go to docs/benchmarks-gpu.md
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,

    /// Groups of work to measure, such as train-base; all where not given
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    only: Vec<String>,

    /// A virtual environment that has the peers, instead of one made in target/bench
    #[arg(long, value_name = "DIR")]
    venv: Option<PathBuf>,

    /// File to write; docs/benchmarks.md where not given and every group has been measured, with --device docs/benchmarks-gpu.md where every
    /// group is measured now
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What a process reports of its work: `seconds` for `items` things, start and first call, or whole first pass, left out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    pub seconds: f64,
    pub items: usize,
    /// Sub-words read, special tokens included, where a model reads any.
    #[serde(default)]
    pub subwords: usize,
    /// Peak resident memory, in bytes.
    pub peak_bytes: u64,
    /// Memory in use on the first GPU at the end, what the process keeps for later included.
    #[serde(default)]
    pub device_bytes: u64,
    /// The numbers in which matrix products were computed, where the process tells.
    #[serde(default)]
    pub numbers: String,
    /// Of its tags, where the group is scored.
    #[serde(default)]
    pub f1: Option<f64>,
}

impl Outcome {
    /// Of work whose sub-words and memory are not counted.
    pub fn of(time: Duration, items: usize) -> Self {
        Self {
            seconds: time.as_secs_f64(),
            items,
            subwords: 0,
            peak_bytes: 0,
            device_bytes: 0,
            numbers: String::new(),
            f1: None,
        }
    }
}

/// Sentences that the base-sized model is trained on and those that it tags: it is slow.
const BASE_SENTENCES: [usize; 2] = [96, 160];
/// The same on a GPU.
const GPU_SENTENCES: [usize; 2] = [2048, 1517];
/// The same for the small model, which is for CPUs.
const SMALL_SENTENCES: [usize; 2] = [768, 1517];
/// The same for the model that is given.
const GIVEN_SENTENCES: [usize; 2] = [192, 400];

/// What earlier calls measured.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The programs and the machine: this program's digest, the peers' versions and the processor.
    with: String,
    measured: Vec<Measured>,
}

/// Files of a benchmark.
pub struct Folder(PathBuf);

impl Folder {
    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Keeps what was measured, and gives it with the groups that were measured at another time `with` the same programs and machine.
    fn keep(&self, measured: Vec<Measured>, with: &str) -> Result<Vec<Measured>> {
        let path = self.0.join("outcomes.json");
        let before = fs::read(&path)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let mut all = match before {
            Some(Kept {
                with: before,
                measured,
            }) if before == with => measured,
            _ => Vec::new(),
        };
        all.retain(|old| measured.iter().all(|new| new.group != old.group));
        all.extend(measured);
        let kept = Kept {
            with: with.to_owned(),
            measured: all,
        };
        fs::write(&path, serde_json::to_string_pretty(&kept)?)
            .with_context(|| path.display().to_string())?;
        Ok(kept.measured)
    }
}

pub fn run(args: &Args) -> Result<()> {
    let groups = if args.device.is_some() {
        GPU_GROUPS
    } else {
        GROUPS
    };
    let unknown = args
        .only
        .iter()
        .find(|name| groups.iter().all(|group| group.name != **name));
    if let Some(name) = unknown {
        let known: Vec<&str> = groups.iter().map(|group| group.name).collect();
        return Err(crate::usage::UsageError::error(format!(
            "--only {name}: there are {}",
            known.join(", ")
        )));
    }
    ensure!(args.rounds > 0, "--rounds must be at least 1");
    let folder = Folder(PathBuf::from("target/bench"));
    prepare(&folder, args)?;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    if let Some(device) = args.device {
        ensure!(
            matches!(device, DeviceChoice::Cuda(_)),
            "--device {device}: it is for GPUs; a CPU is measured without"
        );
        device.open()?; // before the peers are fetched
    }
    let exported: &[&str] = match (args.device, &args.model) {
        (Some(_), _) => &[],
        (None, None) => &["base", "small"],
        (None, Some(_)) => &["base", "small", GIVEN],
    };
    let peers = match Peers::open(&folder, args.venv.as_deref(), threads, exported) {
        Ok(peers) => Some(peers),
        Err(error) => {
            eprintln!("the peers are left out: {error:#}");
            None
        }
    };
    let wanted =
        |group: &&Group| args.only.is_empty() || args.only.iter().any(|name| name == group.name);
    let mut now = Vec::new();
    let is_there = |group: &&Group| group.model != GIVEN || args.model.is_some();
    for group in groups.iter().filter(wanted).filter(is_there) {
        now.extend(measure(group, &folder, peers.as_ref(), threads, args)?);
    }
    let versions = peers.as_ref().map(Peers::versions).transpose()?;
    let versions = versions.as_deref();
    if let Some(device) = args.device {
        let text = table::gpu_text(&now, &device.to_string(), versions);
        print!("{text}");
        let is_whole = peers.is_some() && args.only.is_empty();
        let whole = is_whole.then(|| PathBuf::from("docs/benchmarks-gpu.md"));
        if let Some(path) = args.out.clone().or(whole) {
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        return Ok(());
    }
    print!("{}", table::text(&now, threads, versions));
    let all = match versions {
        Some(versions) => {
            let program = model_dir::sha256(&env::current_exe()?)?;
            let script = model_dir::sha256(Path::new(peers::SCRIPT))?;
            let with = format!("{program}, {script}, {versions}, {}", table::machine());
            folder.keep(now, &with)?
        }
        None => now,
    };
    let is_whole = GROUPS
        .iter()
        .filter(is_there)
        .all(|group| all.iter().any(|side| side.group == group.name));
    let whole = (is_whole && peers.is_some()).then(|| PathBuf::from("docs/benchmarks.md"));
    if let Some(path) = args.out.clone().or(whole) {
        let text = table::text(&all, threads, versions);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Measures the sides of one group in turn.
fn measure(
    group: &Group,
    folder: &Folder,
    peers: Option<&Peers>,
    threads: usize,
    args: &Args,
) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    let sides = group
        .sides
        .iter()
        .filter(|side| peers.is_some() || !side.is_peer());
    let mut sides: Vec<(&Side, Vec<Outcome>)> = sides.map(|side| (side, Vec::new())).collect();
    for round in 1..=args.rounds {
        let mut failed = Vec::new();
        for (number, (side, outcomes)) in sides.iter_mut().enumerate() {
            let scores = round == 1 && side.is_scored(group);
            let mut arguments = side.arguments(group, folder, &args.data_dir, scores);
            if let Some(device) = args.device {
                let place = ["--warm-up", "--device", &device.to_string()];
                arguments.extend(place.map(str::to_owned));
            }
            let command = match (side.is_peer(), peers) {
                (true, Some(peers)) => peers.command(&arguments),
                _ => {
                    let mut command = Command::new(env::current_exe()?);
                    command.arg("bench-worker").args(&arguments);
                    command.env("RAYON_NUM_THREADS", threads.to_string());
                    command
                }
            };
            let outcome = match outcome_of(command) {
                Ok(outcome) => outcome,
                Err(error) if side.is_peer() || side.lacks_instructions(&error) => {
                    eprintln!("{}, {} is left out: {error:#}", group.name, side.name);
                    failed.push(number);
                    continue;
                }
                Err(error) => return Err(error.context(format!("{}, {}", group.name, side.name))),
            };
            let outcome = if scores {
                scored(outcome, folder)?
            } else {
                outcome
            };
            eprintln!(
                "{} {round}/{}: {:<28} {:>9.3} s for {} ({:.2}/s), peak {:.2} GB",
                group.name,
                args.rounds,
                side.name,
                outcome.seconds,
                outcome.items,
                outcome.items as f64 / outcome.seconds,
                outcome.peak_bytes as f64 / 1e9
            );
            outcomes.push(outcome);
        }
        for number in failed.into_iter().rev() {
            let (side, _) = sides.remove(number);
            // Named in the text, without figures.
            measured.push(Measured {
                group: group.name.to_owned(),
                side: side.name.to_owned(),
                outcomes: Vec::new(),
            });
        }
    }
    for (side, outcomes) in sides {
        measured.push(Measured {
            group: group.name.to_owned(),
            side: side.name.to_owned(),
            outcomes,
        });
    }
    Ok(measured)
}

/// With the F1 of the tags that the side wrote.
fn scored(outcome: Outcome, folder: &Folder) -> Result<Outcome> {
    let gold = conll_io::Reader::from_path(folder.path(SCORED))?;
    let gold = PretokenizedSentence::from_reader(gold.into_sentences())?;
    let gold: Vec<Vec<String>> = gold.into_iter().map(|sentence| sentence.tags).collect();
    let path = folder.path(PREDICTIONS);
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let predicted = text.split("\n\n").filter(|block| !block.is_empty());
    let predicted: Vec<Vec<String>> = predicted
        .map(|block| block.lines().map(str::to_owned).collect())
        .collect();
    let report =
        EntityReport::new(&gold, &predicted, Mode::Default).with_context(|| path.clone())?;
    fs::remove_file(&path)?; // so that no other side's is taken for the next one's
    Ok(Outcome {
        f1: Some(report.micro.f1),
        ..outcome
    })
}

/// Runs a process and reads what it reports; one that reports nothing is timed from its start to its end.
fn outcome_of(mut command: Command) -> Result<Outcome> {
    let started = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    let seconds = started.elapsed().as_secs_f64();
    if !output.status.success() {
        bail!(
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    match stdout.lines().find(|line| line.starts_with('{')) {
        Some(line) => serde_json::from_str(line).with_context(|| format!("{command:?}: {line}")),
        None => Ok(Outcome {
            seconds,
            ..Outcome::of(Duration::ZERO, 1)
        }),
    }
}

/// Makes what the works read: split corpora, samples of them, two models with random weights, and a copy of the one that is given.
fn prepare(folder: &Folder, args: &Args) -> Result<()> {
    let data_dir = &args.data_dir;
    fs::create_dir_all(&folder.0)?;
    for name in ["esp.train", "esp.testa", "esp.testb"] {
        let path = data_dir.join(name);
        ensure!(
            path.is_file(),
            "{} is not there; --data-dir names the folder of CoNLL-2002's Spanish files",
            path.display()
        );
    }
    let cli = |arguments: &[&str]| ner_cli::run([&["ner-cli", "--quiet"], arguments].concat());
    let corpus = |name: &str| data_dir.join(name).display().to_string();
    let base_sentences = if args.device.is_some() {
        GPU_SENTENCES
    } else {
        BASE_SENTENCES
    };
    let sizes = [
        ("base", ["12", "768", "12", "3072"], base_sentences),
        ("small", ["4", "256", "4", "1024"], SMALL_SENTENCES),
    ];
    for (name, [layers, hidden, heads, intermediate], sentences) in sizes {
        let model = folder.path(name);
        if !Path::new(&model).join("model.safetensors").is_file() {
            let sizes = [
                "--layers",
                layers,
                "--hidden",
                hidden,
                "--heads",
                heads,
                "--intermediate",
                intermediate,
            ];
            let source = [
                "--train",
                &corpus("esp.train"),
                "--vocab-size",
                "8000",
                "--output",
                &model,
            ];
            cli(&[&["new-model"][..], &sizes, &source].concat())?;
        }
        sample(folder, name, data_dir, sentences)?;
    }
    if let Some(model) = &args.model {
        let config = ner_model::ModelConfig::from_dir(model)?;
        ensure!(
            config.head == ner_model::Head::Linear,
            "--model {}: the peers know no CRF; give a model with a linear head",
            model.display()
        );
        model_dir::replace_dir(Path::new(&folder.path(GIVEN)), |copy| -> Result<()> {
            for name in model_dir::files(model, FileSet::Model)? {
                let from = model.join(&name);
                fs::copy(&from, copy.join(&name)).with_context(|| from.display().to_string())?;
            }
            Ok(())
        })?;
        sample(folder, GIVEN, data_dir, GIVEN_SENTENCES)?;
    }
    Ok(())
}

/// Splits the corpus as the model needs it, and takes sentences of it evenly, to train on and to tag.
fn sample(
    folder: &Folder,
    name: &str,
    data_dir: &Path,
    [to_train, to_tag]: [usize; 2],
) -> Result<()> {
    for (file, split, count) in [
        ("esp.train", "train", to_train),
        ("esp.testb", "test", to_tag),
    ] {
        let whole = folder.path(&format!("{name}.{split}.all"));
        let line = [
            "ner-cli",
            "--quiet",
            "preprocess",
            &data_dir.join(file).display().to_string(),
            "--tokenizer",
            &folder.path(name),
            "--max-length",
            "128",
            "--output",
            &whole,
        ];
        ner_cli::run(line)?;
        let text = fs::read_to_string(&whole)?;
        let sentences: Vec<&str> = text
            .split("\n\n")
            .filter(|text| !text.trim().is_empty())
            .collect();
        let every = (sentences.len() / count).max(1);
        let sample: Vec<&str> = sentences.into_iter().step_by(every).take(count).collect();
        fs::write(
            folder.path(&format!("{name}.{split}")),
            sample.join("\n\n") + "\n\n",
        )?;
    }
    Ok(())
}
