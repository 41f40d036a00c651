//! The programs that this system is compared with, in their own virtual environment.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use super::Folder;

const SCRIPT: &str = "fixtures/bench/peers.py";

pub struct Peers {
    python: PathBuf,
}

impl Peers {
    /// Uses the given environment, or makes one, and exports the models to ONNX.
    pub fn open(folder: &Folder, venv: Option<&Path>) -> Result<Self> {
        let made = folder.0.join("venv");
        let venv = venv.unwrap_or(&made);
        let peers = Self {
            python: venv.join("bin/python"),
        };
        if !peers.python.is_file() {
            succeed(Command::new("python3").args(["-m", "venv"]).arg(venv))?;
            succeed(Command::new(&peers.python).args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--requirement",
                "fixtures/bench/requirements.txt",
            ]))?;
        }
        for model in ["base", "small"] {
            let exported = folder.path(&format!("{model}.onnx"));
            if !Path::new(&exported).is_file() {
                let arguments = [
                    "export",
                    "--model",
                    &folder.path(model),
                    "--output",
                    &exported,
                ];
                succeed(&mut peers.command(&arguments.map(str::to_owned)))?;
            }
        }
        Ok(peers)
    }

    pub fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(SCRIPT).args(arguments);
        command
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
