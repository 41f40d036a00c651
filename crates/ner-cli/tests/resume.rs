//! Training that is interrupted, by Ctrl-C and by kills at any moment.
#![cfg(unix)]
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test that sends signals and tells what it did"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const KILLS: u64 = 24;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let names = ["Ana", "Paz", "Lima", "Banco", "Eva", "Quito"];
        let sentence = |i: usize| {
            let name = names[i % names.len()];
            format!(
                "{name} B-PER\nvive O\nen O\n{} B-LOC\nlejos{i} O\n. O\n\n",
                names[(i + 2) % names.len()]
            )
        };
        fs::write(
            folder.path("train.conll"),
            (0..60).map(sentence).collect::<String>(),
        )
        .unwrap();
        let status = command()
            .args([
                "new-model",
                "--layers",
                "1",
                "--hidden",
                "32",
                "--heads",
                "2",
                "--intermediate",
                "64",
                "--vocab-size",
                "300",
                "--quiet",
            ])
            .arg("--train")
            .arg(folder.path("train.conll"))
            .arg("--output")
            .arg(folder.path("model"))
            .status();
        assert!(status.unwrap().success());
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Starts training into `output`.
    fn train(&self, output: &str, more: &[&str]) -> Child {
        let data = self.path("train.conll");
        command()
            .arg("train")
            .arg("--model")
            .arg(self.path("model"))
            .arg("--train")
            .arg(&data)
            .arg("--dev")
            .arg(&data)
            .arg("--output-dir")
            .arg(self.path(output))
            .args([
                "--epochs",
                "8",
                "--batch-size",
                "4",
                "--learning-rate",
                "0.003",
                "--save-steps",
                "3",
                "--logging-steps",
                "1",
                "--device",
                "flex",
            ])
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn finish(&self, output: &str, more: &[&str]) {
        let output = self.train(output, more).wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// What an interruption must not change. Speeds in the log are the clock's.
    fn results(&self, output: &str) -> ([Vec<u8>; 4], Vec<String>) {
        let read = |name: &str| fs::read(self.path(output).join(name)).unwrap();
        let log = String::from_utf8(read("train_log.csv")).unwrap();
        let rows = log
            .lines()
            .map(|line| line.rsplit_once(',').unwrap().0.to_owned());
        let files = [
            "model.safetensors",
            "best/model.safetensors",
            "eval_log.csv",
            "eval_results.txt",
        ];
        (files.map(read), rows.collect())
    }
}

fn command() -> Command {
    Command::new(env!("CARGO_BIN_EXE_ner-cli"))
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{} did not appear",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn ctrl_c_leaves_a_checkpoint_and_the_command_that_goes_on() {
    let folder = Folder::new();
    folder.finish("whole", &[]);
    let child = folder.train("out", &[]);
    wait_for(&folder.path("out/checkpoint-3"));
    // SAFETY: a signal to a child that has not been waited for, so that its number is its own.
    let sent = unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) };
    assert_eq!(sent, 0);
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{talk}");
    assert!(
        talk.contains("the checkpoint is") && talk.contains("--device flex --resume"),
        "{talk}"
    );
    let note =
        "stopping after the step that is under way, with a checkpoint; Ctrl-C again ends at once";
    assert!(talk.contains(note), "{talk}");
    folder.finish("out", &["--resume"]);
    assert_eq!(folder.results("out"), folder.results("whole"));

    // Taken up at the end, a run has nothing to do but its results; and it names the latest checkpoint, not the one it was taken up at.
    fs::remove_file(folder.path("out/eval_results.txt")).unwrap();
    folder.finish("out", &["--resume"]);
    assert_eq!(folder.results("out"), folder.results("whole"));
    let early = folder.path("whole/checkpoint-3");
    let early = ["--resume", early.to_str().unwrap()];
    let child = folder.train("whole", &early);
    fs::remove_dir_all(folder.path("whole/checkpoint-6")).unwrap();
    wait_for(&folder.path("whole/checkpoint-6"));
    // SAFETY: as above.
    assert_eq!(
        unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGINT) },
        0
    );
    let talk = String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap();
    assert!(talk.contains("checkpoint-3 --resume"), "{talk}");
}

#[test]
fn a_run_that_is_finished_has_nothing_to_do() {
    let folder = Folder::new();
    let short = ["--epochs", "1"];
    folder.finish("out", &short);
    let out = folder.path("out");
    let written = || {
        let of = |entry: fs::DirEntry| {
            let when = entry.metadata().unwrap().modified().unwrap();
            (entry.file_name(), when)
        };
        let entries = fs::read_dir(&out).unwrap();
        let mut written: Vec<_> = entries.map(|entry| of(entry.unwrap())).collect();
        written.sort();
        written
    };
    let resumed = |more: &[&str]| {
        let child = folder.train("out", &[&short[..], &["--resume"], more].concat());
        let output = child.wait_with_output().unwrap();
        let talk = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), talk)
    };
    let before = written();
    // What decides no result may differ.
    for more in [&[""; 0][..], &["--logging-steps", "2", "--device", "auto"]] {
        let (code, talk) = resumed(more);
        assert_eq!(code, 0, "{talk}");
        let lines: Vec<&str> = talk.lines().collect();
        assert!(
            lines.len() == 1 && talk.contains("the run is finished, there is nothing to do"),
            "{talk}"
        );
        assert_eq!(written(), before);
    }
    let (code, talk) = resumed(&["--learning-rate", "0.1"]);
    assert_eq!(code, 1, "{talk}");
    assert!(
        talk.contains("finished, with other settings: --learning-rate was 0.003, is 0.1; for another run leave out --resume"),
        "{talk}"
    );
    assert_eq!(written(), before);

    // Its checkpoints are of no use any more.
    let checkpoints = fs::read_dir(&out).unwrap().map(Result::unwrap);
    let checkpoints = checkpoints.filter(|entry| {
        let name = entry.file_name();
        name.to_string_lossy().starts_with("checkpoint-")
    });
    for checkpoint in checkpoints.collect::<Vec<_>>() {
        fs::remove_dir_all(checkpoint.path()).unwrap();
    }
    assert_eq!(resumed(&[]).0, 0);
    // A run that is not finished needs one.
    fs::remove_file(out.join("report.html")).unwrap();
    let (code, talk) = resumed(&[]);
    assert_eq!(code, 1, "{talk}");
    assert!(
        talk.contains(
            "no sound checkpoint in it; there is nothing to go on with: leave out --resume"
        ),
        "{talk}"
    );
}

#[test]
fn what_is_refused_changes_nothing() {
    let folder = Folder::new();
    let short = ["--epochs", "1"];
    folder.finish("out", &short);
    let files = || {
        let read = |name: &str| fs::read(folder.path("out").join(name)).unwrap();
        ["train_log.csv", "eval_log.csv", "settings.toml"].map(read)
    };
    let before = files();
    let labels = folder.path("labels.txt");
    fs::write(&labels, "O\nB-LOC\nB-PER\nB-ORG\n").unwrap();
    let early = folder.path("out/checkpoint-3");
    let [labels, early] = [&labels, &early].map(|path| path.to_str().unwrap());
    for (more, said) in [
        (
            ["--learning-rate", "0.1"],
            "learning_rate was 0.003, is 0.1; a run goes on with its own settings and data",
        ),
        (["--head", "crf"], "head was"),
        (["--labels", labels], "id2label was"),
        (["--dropout", "0.3"], "hidden_dropout_prob was 0.1, is 0.3"),
    ] {
        let refused = folder.train("out", &[&short[..], &["--resume", early], &more].concat());
        let refused = refused.wait_with_output().unwrap();
        let talk = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(1), "{talk}");
        assert!(talk.contains(said), "{talk}");
        let begins = |line: &str| {
            ["going on after", "settings: "]
                .iter()
                .any(|begin| line.starts_with(begin))
        };
        assert!(!talk.lines().any(begins), "{talk}");
        assert!(files() == before, "{more:?}");
    }
    for more in [
        &["--batch-size", "0"][..],
        &["--max-length", "10000"],
        &["--head", "crf", "--label-smoothing", "0.1"],
        &["--class-weights", "B-CITY=2"],
    ] {
        let refused = folder.train("new", more).wait_with_output().unwrap();
        assert!(!refused.status.success());
        assert!(!folder.path("new").exists(), "{more:?}");
    }

    // An earlier run's checkpoints and best model do not pass for those of the run that takes its place.
    assert!(folder.path("out/checkpoint-15").exists());
    let anew = [
        "--overwrite-output-dir",
        "--max-steps",
        "4",
        "--save-total-limit",
        "1",
    ];
    folder.finish("out", &anew);
    let left = fs::read_dir(folder.path("out")).unwrap();
    let mut left: Vec<String> = left
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("checkpoint-"))
        .collect();
    left.sort();
    assert_eq!(left, ["checkpoint-3"]);
}

#[test]
fn kills_at_any_moment_change_no_bit() {
    let folder = Folder::new();
    let start = Instant::now();
    folder.finish("whole", &[]);
    let mut whole = start.elapsed();
    let expected = folder.results("whole");

    let out = folder.path("out");
    let go_on = || {
        if has_checkpoint(&out) {
            "--resume"
        } else {
            "--overwrite-output-dir"
        }
    };
    let (mut kills, mut taken_up) = (0, 0);
    while kills < KILLS {
        taken_up += u64::from(has_checkpoint(&out));
        let mut child = folder.train("out", &[go_on()]);
        if kills == 0 {
            wait_for(&out.join("checkpoint-3"));
        } else {
            // From a tenth to nine tenths of a whole run; the odd factor keeps the moments from falling on a beat.
            std::thread::sleep(whole * (10 + (kills * 7_919 % 81) as u32) / 100);
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "a run that was taken up fails");
            assert_eq!(folder.results("out"), expected);
            fs::remove_dir_all(&out).unwrap();
            whole = whole * 4 / 5; // the machine has become faster than it was
            continue; // it was not killed
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    println!("{kills} kills, {taken_up} runs taken up from a checkpoint");
    assert!(taken_up > 0);
    folder.finish("out", &[go_on()]);
    assert_eq!(folder.results("out"), expected);
}

fn has_checkpoint(dir: &Path) -> bool {
    fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_string_lossy()
                .starts_with("checkpoint-")
        })
    })
}
