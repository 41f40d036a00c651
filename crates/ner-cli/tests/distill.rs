//! `distill` as its users call it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const CORPUS: &str = "Ana B-PER\nPaz I-PER\nvive O\nen O\nLima B-LOC\n. O\n\nEl O\nBanco B-ORG\nde I-ORG\nLima I-ORG\ncierra O\n. O\n\nLlueve O\n. O\n";
/// Words of the corpus in other sentences, one line of which holds none.
const TEXTS: &str =
    "Ana vive en Lima.\nEl Banco de Lima cierra.\n\nPaz vive.\nLlueve en Lima.\nEl Banco vive.\n";

/// A folder with a corpus, texts and a teacher.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write("train.conll", CORPUS);
        folder.write("texts.txt", TEXTS);
        folder.new_model("model", "train.conll", "roberta");
        folder.teach("teacher", "model", "train.conll");
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn weights(&self, dir: &str) -> Vec<u8> {
        fs::read(self.path(dir).join("model.safetensors")).unwrap()
    }

    /// Runs a command line in the folder.
    fn run(&self, line: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ner-cli"));
        command.args(line.split_whitespace());
        let command = command.current_dir(self.0.path()).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// What a command that must succeed says on stderr.
    fn said(&self, line: &str) -> String {
        let output = self.run(line);
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}: {talk}");
        talk
    }

    /// The message of a distillation that must fail and leave nothing.
    fn refused(&self, line: &str) -> String {
        let output = self.run(&format!("distill --output-dir refused {line}"));
        let talk = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {talk}");
        assert!(!self.path("refused").exists(), "{line}");
        talk
    }

    fn new_model(&self, output: &str, data: &str, kind: &str) {
        self.said(&format!(
            "new-model --kind {kind} --train {data} --output {output} --layers 1 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300"
        ));
    }

    fn teach(&self, output: &str, model: &str, data: &str) {
        self.said(&format!(
            "train --model {model} --train {data} --dev {data} --output-dir {output} --epochs 40 --learning-rate 0.01 --batch-size 2"
        ));
    }
}

/// A student smaller than its teacher.
const STUDENT: &str = "--student new --layers 1 --hidden 8 --heads 2 --intermediate 16 --vocab-size 300 --initializer-range 0.1 \
                       --learning-rate 0.02 --batch-size 3";

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn texts_alone_make_a_tagger() {
    let folder = Folder::new();
    let talk = folder.said(&format!(
        "distill --teacher teacher {STUDENT} --kind bert --text texts.txt --epochs 100 --output-dir out --logging-steps 10"
    ));
    assert!(
        talk.contains("22 words have the teacher's probabilities, 0 of them a gold label"),
        "{talk}"
    );
    assert!(talk.contains("22 words read, 22 carry loss"), "{talk}");
    // As `train` leaves them, but for what development data makes.
    let files = [
        "README.md",
        "config.json",
        "curves.svg",
        "eval_log.csv",
        "model.safetensors",
        "report.html",
        "report.json",
        "settings.toml",
        "tensorboard",
        "tokenizer.json",
        "tokenizer_config.json",
        "train_log.csv",
        "vocab.txt",
    ];
    let found = names(&folder.path("out"));
    for name in files {
        assert!(found.contains(&name.to_owned()), "{name}: {found:?}");
    }
    for name in ["best", "eval_results.txt"] {
        assert!(!found.contains(&name.to_owned()), "{name}: {found:?}");
    }
    let card = folder.read("out/README.md");
    for part in [
        "a new model, which learnt from a local model with `ner-cli distill`",
        "| text | texts.txt | 5 | 22 |",
        "| distillation_temperature | 2.0 |",
        "| gold_weight | 0.5 |",
    ] {
        assert!(card.contains(part), "{part} is missing in {card}");
    }
    assert!(!card.contains("base_model"), "{card}");
    // The student decides as its teacher, and reads its labels in the same scheme.
    let tags = |model: &str| {
        let line = format!("predict --model {model} --input texts.txt --format conll");
        String::from_utf8(folder.run(&line).stdout).unwrap()
    };
    assert_eq!(tags("out"), tags("teacher"));
    assert!(tags("out").contains("B-LOC"));
    let scheme = |model: &str| {
        let config = folder.read(&format!("{model}/config.json"));
        let line = config.lines().find(|line| line.contains("tagging_scheme"));
        line.unwrap().trim_matches([' ', ',']).to_owned()
    };
    assert_eq!(scheme("out"), scheme("teacher"));
}

#[test]
fn gold_labels_an_ensemble_and_evaluation() {
    let folder = Folder::new();
    folder.teach("other", "model", "train.conll");
    let talk = folder.said(&format!(
        "distill --teacher teacher --teacher other {STUDENT} --text texts.txt --train train.conll --dev train.conll --test train.conll \
         --epochs 100 --output-dir out --save-steps 250 --eval-all-checkpoints --gold-weight 0.25"
    ));
    assert!(
        talk.contains(
            "36 words have the mean probabilities of 2 teachers, 14 of them a gold label"
        ),
        "{talk}"
    );
    let results = folder.read("out/eval_results.txt");
    assert!(results.starts_with("f1 = 1"), "{results}");
    assert!(results.contains("250_f1 = "), "{results}");
    assert!(folder.read("out/test_results.txt").starts_with("f1 = 1"));
    assert!(folder.path("out/best").is_dir());
    let card = folder.read("out/README.md");
    for part in [
        "| train | train.conll | 3 | 14 |\n| text | texts.txt | 5 | 22 |\n| dev |",
        "from a local model and a local model",
        "| gold_weight | 0.25 |",
    ] {
        assert!(card.contains(part), "{part} is missing in {card}");
    }

    // The settings that a run leaves make the same run.
    folder.said("distill --config out/settings.toml --output-dir again --overwrite-output-dir");
    assert!(folder.weights("again") == folder.weights("out"));
}

#[test]
fn tags_of_texts_are_not_read_and_column_files_keep_their_words() {
    let folder = Folder::new();
    let untagged: String = CORPUS
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned() + "\n")
        .collect();
    folder.write("untagged.conll", &untagged);
    for (file, output) in [("train.conll", "tagged"), ("untagged.conll", "untagged")] {
        let talk = folder.said(&format!(
            "distill --teacher teacher {STUDENT} --input-format conll --text {file} --max-steps 5 --output-dir {output}"
        ));
        assert!(
            talk.contains("14 words have the teacher's probabilities, 0 of them"),
            "{talk}"
        );
    }
    assert!(folder.weights("tagged") == folder.weights("untagged"));
    // Without a format the name of a file tells what it holds.
    let records = TEXTS
        .lines()
        .map(|text| format!("{{\"text\": \"{text}\"}}\n"));
    folder.write("texts.jsonl", &records.collect::<String>());
    for (file, output) in [
        ("train.conll", "named"),
        ("texts.txt", "lines"),
        ("texts.jsonl", "records"),
    ] {
        let talk = folder.said(&format!(
            "distill --teacher teacher {STUDENT} --text {file} --max-steps 5 --output-dir {output}"
        ));
        assert!(talk.contains("note: 5 steps are few"), "{talk}");
    }
    assert!(folder.weights("named") == folder.weights("tagged"));
    assert!(folder.weights("records") == folder.weights("lines"));
}

/// The student begins with what its width holds of the teacher's word embeddings, and reads the teacher's sub-words.
#[test]
fn a_new_student_can_have_its_teachers_tokenizer() {
    let folder = Folder::new();
    let student = STUDENT.replace("--vocab-size 300", "--student-tokenizer teacher");
    let line = |output: &str, epochs: usize| {
        format!(
            "distill --teacher teacher {student} --text texts.txt --epochs {epochs} --output-dir {output}"
        )
    };
    let talk = folder.said(&line("out", 100));
    let random = "the student begins with random layers: --hidden 8 holds 1 of the teacher's attention heads";
    assert!(talk.contains(random), "{talk}");
    folder.said(&(line("again", 100) + " --student-layers random"));
    assert!(folder.weights("out") == folder.weights("again"));
    assert_eq!(
        folder.read("out/tokenizer.json"),
        folder.read("teacher/tokenizer.json")
    );
    let tags = |model: &str| {
        let line = format!("predict --model {model} --input texts.txt --format conll");
        String::from_utf8(folder.run(&line).stdout).unwrap()
    };
    assert_eq!(tags("out"), tags("teacher"));
}

/// A student that begins with layers of its teacher, and learns the hidden states after each of them.
#[test]
fn a_new_student_begins_with_layers_of_its_teacher() {
    let folder = Folder::new();
    folder.said(
        "new-model --kind roberta --train train.conll --output deep-model --layers 3 --hidden 16 --heads 2 --intermediate 32 --vocab-size 300",
    );
    folder.teach("deep", "deep-model", "train.conll");
    let line = |sizes: &str, more: &str, output: &str| {
        format!(
            "distill --teacher deep --student new --student-tokenizer teacher {sizes} --text texts.txt --train train.conll --batch-size 2 {more} \
             --output-dir {output}"
        )
    };
    let tags = |model: &str| {
        let line = format!("predict --model {model} --input texts.txt --format conll");
        String::from_utf8(folder.run(&line).stdout).unwrap()
    };
    assert!(tags("deep").contains("B-LOC"));
    // All of a teacher is the teacher.
    let whole = "--layers 3 --hidden 16 --intermediate 32";
    let talk = folder.said(&line(whole, "--max-steps 1 --learning-rate 1e-9", "whole"));
    let cut = "the student begins with layers 0, 1, 2 of its teacher, cut from 16 to 16 hidden units, from 2 to 2 heads, from 32 to 32 neurons";
    assert!(talk.contains(cut), "{talk}");
    assert_eq!(tags("whole"), tags("deep"));

    let half = "--layers 2 --hidden 8 --intermediate 16";
    let learning = "--epochs 60 --learning-rate 0.01 --hidden-loss-weight 0.5 --save-steps 100 --dev train.conll";
    let talk = folder.said(&line(half, learning, "half"));
    let cut = "the student begins with layers 0, 2 of its teacher, cut from 16 to 8 hidden units, from 2 to 1 head, from 32 to 16 neurons";
    assert!(talk.contains(cut), "{talk}");
    assert_eq!(tags("half"), tags("deep"));
    folder.said(&line(
        half,
        &format!("{learning} --student-layers 0,2"),
        "again",
    ));
    assert!(folder.weights("again") == folder.weights("half"));
    let rest = format!("{learning} --resume half/checkpoint-100");
    folder.said(&line(half, &rest, "rest"));
    assert!(folder.weights("rest") == folder.weights("half"));
    folder.said(&line(
        half,
        &format!("{learning} --student-layers 1,2"),
        "others",
    ));
    assert!(folder.weights("others") != folder.weights("half"));
    // A list says how many layers there are where --layers does not.
    let narrow = "--hidden 8 --intermediate 16";
    let talk = folder.said(&line(
        narrow,
        "--max-steps 1 --student-layers 0,2",
        "listed",
    ));
    assert!(
        talk.contains("the student begins with layers 0, 2 of its teacher"),
        "{talk}"
    );
}

#[test]
fn a_run_goes_on_to_the_same_bits_with_its_own_teacher_only() {
    let folder = Folder::new();
    folder.new_model("model-2", "train.conll", "bert");
    folder.teach("teacher-2", "model-2", "train.conll");
    let line = |teacher: &str, more: &str| {
        format!(
            "distill --teacher {teacher} {STUDENT} --text texts.txt --train train.conll --dev train.conll --epochs 4 --save-steps 3 {more}"
        )
    };
    folder.said(&line("teacher", "--output-dir whole"));
    let rest = "--output-dir rest --resume whole/checkpoint-3";
    let talk = folder.said(&line("teacher", rest));
    assert!(talk.contains("going on after step 3"), "{talk}");
    assert!(folder.weights("rest") == folder.weights("whole"));

    for (teacher, more, said) in [
        ("teacher-2", "", "made with other training data"),
        (
            "teacher",
            "--gold-weight 0.75",
            "gold_weight was 0.5, is 0.75",
        ),
    ] {
        let more = format!("--output-dir refused --resume whole/checkpoint-3 {more}");
        let output = folder.run(&line(teacher, &more));
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && talk.contains(said), "{talk}");
        assert!(!folder.path("refused").exists());
    }
}

#[test]
fn what_does_not_go_together_is_said() {
    let folder = Folder::new();
    let other = CORPUS.replace("LOC", "CITY");
    folder.write("cities.conll", &other);
    folder.new_model("cities-model", "cities.conll", "roberta");
    folder.teach("cities", "cities-model", "cities.conll");
    folder.write("empty.txt", "\n \n");
    let text = "--text texts.txt";
    let cut = format!(
        "--teacher teacher --student new --student-tokenizer teacher --hidden 8 --intermediate 16 {text}"
    );
    for (line, said) in [
        (
            format!("--teacher teacher --teacher cities {STUDENT} {text}"),
            "teachers need the same labels",
        ),
        (
            format!("--teacher teacher --student cities {text}"),
            "the student's classifier has the labels B-CITY",
        ),
        (
            format!("--teacher teacher {STUDENT} {text} --train cities.conll"),
            "the teacher does not know a tag of the data: cities.conll:5: tag `B-CITY`",
        ),
        (
            format!("--teacher teacher {STUDENT} --text texts.txt empty.txt"),
            "empty.txt: holds no word to learn from",
        ),
        (
            format!("--teacher teacher --student model {text} --layers 2"),
            "are for --student new",
        ),
        (
            format!(
                "--teacher teacher --student new {text} --student-tokenizer teacher --hidden 32"
            ),
            "--hidden 32 is more than the 16 of the teacher's word embeddings",
        ),
        (
            format!("{cut} --layers 1 --student-layers 3"),
            "--student-layers 3: layers [3] cannot be kept: the model has 1, numbered from 0",
        ),
        (
            format!("{cut} --layers 2 --student-layers 0"),
            "--student-layers 0: 1 layer is numbered, --layers is 2; leave --layers out",
        ),
        (
            format!("{cut} --layers 1 --student-layers 0 --hidden 12"),
            "12 hidden units are no whole number of attention heads, which have 8 each",
        ),
        (
            format!("{cut} --layers 1 --student-layers 0 --heads 4"),
            "--hidden 8 holds 1 of the teacher's attention heads; leave --heads out",
        ),
        (
            format!("{cut} --layers 1 --student-layers 0 --sinusoidal-positions 0.1"),
            "--sinusoidal-positions would take the place",
        ),
        (
            format!("--teacher teacher {STUDENT} {text} --distillation-temperature 0"),
            "distillation_temperature: 0 is not a number above 0",
        ),
        (
            format!("--teacher teacher {STUDENT} {text} --hidden-loss-weight 1"),
            "hidden_loss_weight: the teacher's hidden states are 16 wide, the student's 8",
        ),
    ] {
        let talk = folder.refused(&line);
        assert!(talk.contains(said), "{talk}");
    }
    // A CRF is no student, but may be a teacher.
    folder.said(
        "train --model model --train train.conll --dev train.conll --output-dir crf --head crf --epochs 40 --learning-rate 0.01 --batch-size 2");
    let talk = folder.refused(&format!("--teacher teacher --student crf {text}"));
    assert!(talk.contains("head: a teacher teaches words"), "{talk}");
    folder.said(&format!(
        "distill --teacher crf --student teacher {text} --max-steps 2 --hidden-loss-weight 0.5 --output-dir of-crf"
    ));
}
