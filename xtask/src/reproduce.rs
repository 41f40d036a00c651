//! `cargo xtask reproduce`: a recipe from its corpus to its report, in one folder.

mod command_line;
mod download;
mod evaluate;
mod folder;
mod manifest;
mod page;
mod pipeline;
mod preprocess;
mod pretrained;
mod recipe;
mod report;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod train;

use std::{
    env,
    fs::{self, File, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail};
use model_dir::FileSet;
use ner_cli::hub::Hub;

use crate::{
    files::{self, Checksums},
    log::Log,
    reproduce::{
        command_line::CommandLine,
        folder::Folder,
        manifest::{Manifest, Stage, StageKey},
        pipeline::{NerCli, Pipeline, Plan, Start},
        pretrained::Sources,
        recipe::{EMBEDDED, Model, Recipe},
        report::Report,
    },
};

/// Train and evaluate a tagger by a recipe: download, preprocess, train, evaluate
///
/// Each stage calls ner-cli and shows the command line. A stage whose inputs and settings have not changed is skipped.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Name of a recipe (see --list) or path of a .toml file
    #[arg(default_value = "quickstart")]
    recipe: String,

    /// Folder with the corpus, instead of a download
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The pretrained model, for recipes that fine-tune one: a folder, or the NAME or NAME@REVISION of one of the hub [default: the recipe's]
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,

    /// Where to compute: auto, flex (also cpu), ndarray, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: String,

    /// Never touch the network
    #[arg(long)]
    offline: bool,

    /// Folder of the run [default: runs/RECIPE in this repository]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Run this stage and those after it, whether they must or not
    #[arg(long, value_name = "STAGE")]
    from: Option<Stage>,

    /// Change a number of the recipe, such as train.epochs=1 (repeatable; an unknown key lists the known ones)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,

    /// Print the recipes and what --set can change
    #[arg(long)]
    list: bool,
}

/// What a run uses of the world around it.
struct Surroundings<'a> {
    workspace: PathBuf,
    ner_cli: NerCli<'a>,
    hub: Hub,
}

pub fn run(args: &Args) -> Result<()> {
    if args.list {
        return print(&list()?);
    }
    let surroundings = Surroundings {
        workspace: workspace()?,
        ner_cli: &|line: &CommandLine| ner_cli::run(line.args()),
        hub: Hub::from_env(),
    };
    print(&reproduce(args, &surroundings)?)
}

/// Runs the recipe and returns the closing summary.
fn reproduce(args: &Args, surroundings: &Surroundings) -> Result<String> {
    let (name, recipe) = Recipe::load(&args.recipe)?;
    let recipe = recipe.with_settings(&args.settings)?;
    let sources = Sources {
        workspace: &surroundings.workspace,
        hub: &surroundings.hub,
        offline: args.offline,
    };
    let given = args.model.as_deref();
    let pretrained = pretrained::locate(&name, &recipe.model, given, &sources)?;
    let pretrained = pretrained.map(|folder| relative_to_here(&folder));
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| surroundings.workspace.join("runs").join(&name));
    let folder = Folder::new(relative_to_here(&out), pretrained);

    make(&folder)?;
    let _lock = lock(&folder)?;
    let previous = previous_run(&folder, &name)?;
    let log = Log::to_file(&folder.log())?;
    log.say(format_args!(
        "{name}: {}, into {}",
        recipe.summary,
        folder.root.display()
    ));
    log.say(pretrained::start(&recipe.model, given, &folder.model));
    let corpus = download::locate(
        recipe.data.source,
        args.data_dir.as_deref(),
        &surroundings.workspace,
        &log,
    )?;

    let manifest = Manifest {
        recipe: name,
        settings: recipe.clone(),
        device: args.device.clone(),
        seed: recipe.train.settings.seed,
        versions: manifest::versions(),
        inputs: Checksums::new(),
        begun: previous
            .as_ref()
            .and_then(|manifest| manifest.begun.clone()),
        stages: previous.map(|manifest| manifest.stages).unwrap_or_default(),
    };
    let mut pipeline = Pipeline {
        folder,
        manifest,
        log: &log,
        ner_cli: surroundings.ner_cli,
        from: args.from,
    };
    run_stages(&mut pipeline, &recipe, &corpus, args)?;

    let report = Report::collect(&pipeline.folder, &pipeline.manifest)?;
    report.write(&pipeline.folder)?;
    log.say(format_args!(
        "report: {}",
        pipeline.folder.report_text().display()
    ));
    let page = match page::write(&report, &pipeline.folder)? {
        true => pipeline.folder.report_html().display().to_string(),
        false => {
            "none, for the training left no data for one; --from train trains again".to_owned()
        }
    };
    log.say(format_args!("page: {page}\n"));
    Ok(report.summary())
}

fn run_stages(
    pipeline: &mut Pipeline,
    recipe: &Recipe,
    corpus: &[download::CorpusFile],
    args: &Args,
) -> Result<()> {
    let folder = pipeline.folder.clone();
    let symbolic = Folder::symbolic(&recipe.model);
    let device = args.device.as_str();

    let plan = download::plan(corpus);
    let mut inputs: Checksums = plan
        .key
        .inputs
        .iter()
        .map(|(split, sum)| (format!("corpus/{split}"), sum.clone()))
        .collect();
    let pretrained = !matches!(recipe.model, Model::New { .. });
    if pretrained {
        inputs.extend(model_checksums(&folder.model, FileSet::Model)?);
    }
    pipeline.manifest.inputs = inputs;
    pipeline.save_manifest()?;
    pipeline.run(plan, |pipeline, _| {
        download::run(corpus, &folder, args.offline, pipeline.log)
    })?;

    let mut inputs = files::checksums(
        &folder.root,
        &folder::Split::ALL.map(|split| symbolic.raw(split)),
    )?;
    if pretrained {
        inputs.extend(model_checksums(&folder.model, FileSet::Tokenizer)?);
    }
    let commands = |folder: &Folder| preprocess::commands(recipe, folder);
    run_commands(
        pipeline,
        Stage::Preprocess,
        inputs,
        &commands,
        preprocess::outputs(recipe),
    )?;

    let mut inputs = files::checksums(
        &folder.root,
        &folder::Split::ALL.map(|split| symbolic.data(split)),
    )?;
    inputs.extend(files::checksums(&folder.root, &[symbolic.labels()])?);
    inputs.extend(model_checksums(&folder.model, FileSet::Model)?);
    let commands = |folder: &Folder| train::commands(recipe, folder, device);
    run_commands(
        pipeline,
        Stage::Train,
        inputs,
        &commands,
        train::outputs(&recipe.model),
    )?;

    let mut inputs = files::checksums(
        &folder.root,
        &evaluate::SCORED.map(|split| symbolic.data(split)),
    )?;
    inputs.extend(files::checksums(
        &folder.root,
        &evaluate::SCORED.map(|split| symbolic.raw(split)),
    )?);
    inputs.extend(model_checksums(&folder.output(), FileSet::Model)?);
    let commands = |folder: &Folder| evaluate::commands(recipe, folder, device);
    run_commands(
        pipeline,
        Stage::Evaluate,
        inputs,
        &commands,
        evaluate::outputs(recipe),
    )
}

/// A stage that is nothing but command lines.
fn run_commands(
    pipeline: &mut Pipeline,
    stage: Stage,
    inputs: Checksums,
    commands: &dyn Fn(&Folder) -> Vec<CommandLine>,
    outputs: Vec<PathBuf>,
) -> Result<()> {
    let symbolic = commands(&Folder::symbolic(&pipeline.manifest.settings.model));
    let key = StageKey {
        version: manifest::version().to_owned(),
        inputs,
        commands: symbolic.iter().map(ToString::to_string).collect(),
    };
    let output = pipeline.folder.output();
    let can_go_on = stage == Stage::Train
        && ner_train::Checkpoint::all(&output).is_ok_and(|found| !found.is_empty());
    pipeline.run(
        Plan {
            stage,
            key,
            outputs,
            can_go_on,
        },
        |pipeline, start| {
            let mut lines = commands(&pipeline.folder);
            if start == Start::GoOn {
                lines = lines.into_iter().map(|line| line.arg("--resume")).collect();
            }
            pipeline.run_commands(&lines)
        },
    )
}

/// Checksums of a model's files, named `model/FILE` wherever the model lies.
fn model_checksums(folder: &Path, wanted: FileSet) -> Result<Checksums> {
    let names = model_dir::files(folder, wanted)?;
    let sums = names.into_iter().map(|name| {
        let sum = model_dir::sha256(&folder.join(&name))?;
        Ok((format!("model/{name}"), sum))
    });
    sums.collect()
}

/// Makes the run's folder.
///
/// # Errors
/// A folder with other things in it: stages remove what they are about to write, and it might be somebody's own.
fn make(folder: &Folder) -> Result<()> {
    let root = folder.root.display();
    fs::create_dir_all(&folder.root).with_context(|| format!("cannot create {root}"))?;
    if folder.manifest().exists() {
        return Ok(());
    }
    for entry in fs::read_dir(&folder.root).with_context(|| format!("cannot read {root}"))? {
        let path = entry.with_context(|| format!("cannot read {root}"))?.path();
        // What a run that broke off before its manifest may have left.
        if path != folder.lock() && !folder.log().starts_with(&path) {
            bail!("{root} is not empty and holds no run; choose another folder with --out");
        }
    }
    Ok(())
}

/// The manifest of the run that this one takes up.
fn previous_run(folder: &Folder, recipe: &str) -> Result<Option<Manifest>> {
    let manifest = Manifest::load(&folder.manifest())?;
    if let Some(other) = manifest
        .as_ref()
        .filter(|manifest| manifest.recipe != recipe)
    {
        bail!(
            "{} holds a run of recipe {}; choose another folder with --out",
            folder.root.display(),
            other.recipe
        );
    }
    Ok(manifest)
}

/// Keeps a second run out of the folder until this one ends, however it ends.
fn lock(folder: &Folder) -> Result<File> {
    let path = folder.lock();
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("another run is at work in {}", folder.root.display())
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

/// Root of this repository: the one that cargo was started in, else the one around the current folder, around the program, or where it was built.
fn workspace() -> Result<PathBuf> {
    let from_cargo = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = env::current_dir().unwrap_or_default();
    let program = env::current_exe().unwrap_or_default();
    let built = Path::new(env!("CARGO_MANIFEST_DIR"));
    let candidates = from_cargo.iter().flat_map(|dir| dir.ancestors());
    let candidates = candidates
        .chain(here.ancestors())
        .chain(program.ancestors())
        .chain(built.ancestors());
    let is_root = |path: &&Path| path.join("fixtures/quickstart").is_dir();
    candidates
        .into_iter()
        .find(is_root)
        .map(Path::to_owned)
        .ok_or_else(|| anyhow!("cannot find the repository: run this as cargo xtask"))
}

/// The path as one would type it here.
fn relative_to_here(path: &Path) -> PathBuf {
    let relative = env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    match relative {
        Some(relative) if relative.as_os_str().is_empty() => ".".into(),
        Some(relative) => relative,
        None => path.to_owned(),
    }
}

fn list() -> Result<String> {
    let mut text = String::new();
    let width = EMBEDDED.iter().map(|(name, _)| name.len()).max();
    let width = width.unwrap_or(0);
    for (name, _) in EMBEDDED {
        let (_, recipe) = Recipe::load(name)?;
        text.push_str(&format!("{name:<width$} {}\n", recipe.summary));
        text.push_str(&format!(
            "{:<width$} --set {}\n",
            "",
            recipe.keys()?.join(" ")
        ));
    }
    Ok(text)
}

/// Prints to stdout; a reader that has seen enough is no error.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to stdout")
        }
        _ => Ok(()),
    }
}
