//! Runs stages, and leaves out those whose result is there already.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result};

use crate::{
    files,
    log::Log,
    peak_memory,
    reproduce::{
        command_line::CommandLine,
        folder::Folder,
        manifest::{BegunStage, Manifest, Stage, StageKey, StageRecord},
    },
};

/// Runs one command line in process.
pub type NerCli<'a> = &'a dyn Fn(&CommandLine) -> Result<()>;

/// What a stage needs, and what it makes.
pub struct Plan {
    pub stage: Stage,
    pub key: StageKey,
    /// Files and folders below the run's folder, removed before the stage starts. Of a folder, the files directly in it
    /// are the result; folders inside it (checkpoints) are extra.
    pub outputs: Vec<PathBuf>,
    /// Whether its outputs hold what it can go on with, where it was stopped.
    pub can_go_on: bool,
}

/// How the work of a stage starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Anew,
    /// Where an earlier run of the same stage was stopped.
    GoOn,
}

pub struct Pipeline<'a> {
    pub folder: Folder,
    pub manifest: Manifest,
    pub log: &'a Log,
    pub ner_cli: NerCli<'a>,
    /// Stages from this one on run whether they must or not.
    pub from: Option<Stage>,
}

impl Pipeline<'_> {
    /// Does the work of a stage, unless the manifest shows that it is done. A stage enters the manifest when it is
    /// complete and not before, so that one cut short runs again, or goes on if it can.
    pub fn run(&mut self, plan: Plan, work: impl FnOnce(&Self, Start) -> Result<()>) -> Result<()> {
        let name = plan.stage.name();
        let Some(reason) = self.reason_to_run(&plan) else {
            self.log.say(format_args!("{name}: unchanged, skipped"));
            return Ok(());
        };
        let begun = self.manifest.begun.take();
        let begun = begun.filter(|begun| {
            let is_same = begun.stage == plan.stage && begun.key == plan.key;
            is_same && plan.can_go_on && self.from.is_none_or(|from| from > plan.stage)
        });
        let (start, before) = match begun {
            Some(begun) => (Start::GoOn, begun.seconds),
            None => (Start::Anew, 0.0),
        };
        match start {
            Start::Anew => self.log.say(format_args!("{name}: runs ({reason})")),
            Start::GoOn => self.log.say(format_args!(
                "{name}: goes on where it was stopped (--from {name} begins anew)"
            )),
        }

        self.manifest.stages.remove(&plan.stage);
        self.manifest.begun = Some(BegunStage {
            stage: plan.stage,
            key: plan.key.clone(),
            seconds: before,
        });
        self.save_manifest()?;
        // A report of an earlier run must not outlive what it reports on.
        files::remove(&self.folder.report_json())?;
        files::remove(&self.folder.report_text())?;
        files::remove(&self.folder.report_html())?;
        for output in plan.outputs.iter().filter(|_| start == Start::Anew) {
            let path = self.folder.root.join(output);
            files::remove(&path)?;
            model_dir::make_parent(&path)?;
        }

        peak_memory::reset();
        let clock = Instant::now();
        let worked = work(self, start);
        let seconds = before + clock.elapsed().as_secs_f64();
        let seconds = (seconds * 1000.0).round() / 1000.0;
        if worked.is_err()
            && let Some(begun) = &mut self.manifest.begun
        {
            begun.seconds = seconds;
            self.save_manifest()?;
        }
        worked.with_context(|| format!("stage {name}"))?;
        let outputs = files::checksums(&self.folder.root, &plan.outputs)
            .with_context(|| format!("stage {name} did not write all its files"))?;
        let record = StageRecord {
            key: plan.key,
            outputs,
            seconds,
            peak_memory_bytes: peak_memory::bytes(),
        };
        self.manifest.stages.insert(plan.stage, record);
        self.manifest.begun = None;
        self.save_manifest()?;
        self.log.say(format_args!("{name}: done in {seconds:.1} s"));
        Ok(())
    }

    /// Runs command lines one after the other, each shown as the user would type it.
    pub fn run_commands(&self, commands: &[CommandLine]) -> Result<()> {
        for command in commands {
            self.log.say(format_args!("  $ {command}"));
            (self.ner_cli)(command).with_context(|| command.to_string())?;
        }
        Ok(())
    }

    pub fn save_manifest(&self) -> Result<()> {
        self.manifest.save(&self.folder.manifest())
    }

    fn reason_to_run(&self, plan: &Plan) -> Option<String> {
        let Some(record) = self.manifest.stages.get(&plan.stage) else {
            return Some("not done yet".to_owned());
        };
        if let Some(from) = self.from.filter(|from| plan.stage >= *from) {
            return Some(format!("asked for by --from {}", from.name()));
        }
        if record.key != plan.key {
            return Some(difference(&record.key, &plan.key));
        }
        match files::checksums(&self.folder.root, &plan.outputs) {
            Ok(outputs) if outputs == record.outputs => None,
            _ => Some("its files are not those it wrote".to_owned()),
        }
    }
}

fn difference(old: &StageKey, new: &StageKey) -> String {
    if old.version != new.version {
        return format!("version {} instead of {}", new.version, old.version);
    }
    if old.commands != new.commands {
        return "settings changed".to_owned();
    }
    let changed = new
        .inputs
        .iter()
        .find(|(name, sum)| old.inputs.get(*name) != Some(sum));
    let gone = old
        .inputs
        .keys()
        .find(|name| !new.inputs.contains_key(*name));
    let name = changed.map(|(name, _)| name).or(gone);
    name.map_or_else(
        || "inputs changed".to_owned(),
        |name| format!("{name} changed"),
    )
}
