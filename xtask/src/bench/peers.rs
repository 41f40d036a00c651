//! The programs that this system is compared with, in their own virtual environment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::Folder;

pub const SCRIPT: &str = "fixtures/bench/peers.py";

pub struct Peers {
    python: PathBuf,
    threads: usize,
}

impl Peers {
    /// Uses the given environment, or makes one, and exports these models to ONNX.
    pub fn open(
        folder: &Folder,
        venv: Option<&Path>,
        threads: usize,
        exported: &[&str],
    ) -> Result<Self> {
        let made = folder.0.join("venv");
        let peers = Self {
            python: venv.unwrap_or(&made).join("bin/python"),
            threads,
        };
        if venv.is_none() {
            if !peers.python.is_file() {
                succeed(Command::new("python3").args(["-m", "venv"]).arg(&made))?;
            }
            // Quick where all is there; an installation that broke off is taken up again.
            let install = ["-m", "pip", "install", "--quiet", "--requirement"];
            let mut pip = Command::new(&peers.python);
            succeed(pip.args(install).arg("fixtures/bench/requirements.txt"))?;
        }
        for model in exported {
            let [plain, fused, int8] = ["onnx", "fused.onnx", "int8.onnx"]
                .map(|end| folder.path(&format!("{model}.{end}")));
            let model = folder.path(model);
            peers.make(&model, &plain, &["export", "--model", &model])?;
            for (path, precision) in [(&fused, "f32"), (&int8, "int8")] {
                let fuse = ["fuse", "--model", &model, "--precision", precision];
                if let Err(error) = peers.make(&model, path, &fuse) {
                    eprintln!("{path} could not be made: {error:#}");
                }
            }
        }
        Ok(peers)
    }

    /// Makes a file of a model, unless that has been done since the model and the script were made.
    fn make(&self, model: &str, made: &str, arguments: &[&str]) -> Result<()> {
        let modified = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
        let sources = [Path::new(model).join("model.safetensors"), SCRIPT.into()];
        let at = modified(Path::new(made));
        if at.is_some() && sources.iter().all(|source| modified(source) < at) {
            return Ok(());
        }
        if at.is_some() {
            fs::remove_file(made).with_context(|| made.to_owned())?;
        }
        let partial = format!("{made}.part");
        let arguments = [arguments, &["--output", &partial]].concat();
        let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
        succeed(&mut self.command(&arguments))?;
        fs::rename(&partial, made).with_context(|| made.to_owned())
    }

    /// Names and versions of the peers, as this environment has them.
    pub fn versions(&self) -> Result<String> {
        let output = succeed(&mut self.command(&["versions".to_owned()]))?;
        Ok(String::from_utf8(output)?.trim().to_owned())
    }

    pub fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(&self.python);
        let threads = self.threads.to_string();
        command
            .args([SCRIPT, "--threads", &threads])
            .args(arguments);
        command
    }
}

/// What a command printed.
fn succeed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}
