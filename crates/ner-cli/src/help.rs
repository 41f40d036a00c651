//! What the program says of itself: groups of commands, the options that `-h` shows, examples, and the first page.

use std::ffi::OsString;
use std::fmt::Write as _;

use clap::builder::Styles;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use crate::Cli;

/// A command: what `-h` shows of it, and examples.
struct Topic {
    name: &'static str,
    /// Names of the options that matter most; `-h` leaves out the others. Empty: it shows all of them.
    essential: &'static [&'static str],
    /// What each is for, and a command line.
    examples: &'static [(&'static str, &'static str)],
}

/// Columns of a row of an example.
const ROW: usize = 72;

/// Commands by what they are for.
const GROUPS: [(&str, &[Topic]); 5] = [
    ("Prepare data", &[CHECK, PREPROCESS, LABELS]),
    ("Make a model", &[TRAIN, DISTILL, SHRINK, NEW_MODEL]),
    ("Measure it", &[EVALUATE, COMPARE, CALIBRATE, INFO]),
    ("Use it", &[PREDICT, REDACT, SERVE]),
    ("This program", &[WARM_UP, COMPLETIONS, MAN]),
];

/// What the program shows when it is called with nothing.
const FIRST: [(&str, Topic); 3] = [
    ("Fine-tune a model on column files:", TRAIN),
    ("Score it as seqeval does:", EVALUATE),
    ("Find the entities of a text:", PREDICT),
];

const CHECK: Topic = Topic {
    name: "check",
    essential: &[
        "files",
        "model",
        "tokenizer",
        "examples",
        "fail_on",
        "format",
        "output",
    ],
    examples: &[
        (
            "Slips in tags, sentences in two files, contradictions:",
            "ner-cli check train.conll dev.conll test.conll",
        ),
        (
            "Also the labels that are probably wrong:",
            "ner-cli check dev.conll --model out --examples 20",
        ),
    ],
};

const PREPROCESS: Topic = Topic {
    name: "preprocess",
    essential: &[
        "input",
        "tokenizer",
        "max_length",
        "columns",
        "no_split",
        "output",
    ],
    examples: &[(
        "Columns 1 and 3, in sentences of at most 120 sub-words:",
        "ner-cli preprocess esp.train --tokenizer MODEL --max-length 120 --columns 1,3 --output train.txt",
    )],
};

const LABELS: Topic = Topic {
    name: "labels",
    essential: &["files", "output"],
    examples: &[(
        "The tags of two files:",
        "ner-cli labels train.conll dev.conll --output labels.txt",
    )],
};

const TRAIN: Topic = Topic {
    name: "train",
    essential: &[
        "model",
        "train",
        "dev",
        "test",
        "output_dir",
        "head",
        "batch_size",
        "learning_rate",
        "head_learning_rate",
        "freeze_embeddings",
        "epochs",
        "max_steps",
        "precision",
        "device",
        "config",
        "resume",
    ],
    examples: &[
        (
            "A model of the hub, or a directory:",
            "ner-cli train --model MODEL --train train.conll --dev dev.conll --output-dir out",
        ),
        (
            "A CRF on a small encoder, and the score on test data:",
            "ner-cli train --model MODEL --train train.conll --dev dev.conll --test test.conll --head crf --learning-rate 3e-4 --head-learning-rate 1e-3 --output-dir out",
        ),
        (
            "Go on after Ctrl-C or a kill:",
            "ner-cli train --model MODEL --train train.conll --dev dev.conll --output-dir out --resume",
        ),
        (
            "The settings of another run:",
            "ner-cli train --config out/settings.toml --output-dir out2 --seed 43",
        ),
    ],
};

const DISTILL: Topic = Topic {
    name: "distill",
    essential: &[
        "teacher",
        "student",
        "text",
        "train",
        "dev",
        "output_dir",
        "student_tokenizer",
        "student_layers",
        "epochs",
        "resume",
    ],
    examples: &[
        (
            "A new small student, from texts without labels:",
            "ner-cli distill --teacher out --student new --layers 4 --hidden 256 --text texts.txt --dev dev.conll --output-dir fast",
        ),
        (
            "A student cut out of its teacher, from labelled data:",
            "ner-cli distill --teacher out --student new --student-tokenizer teacher --student-layers 0,3,7,11 --train train.conll --dev dev.conll --output-dir fast",
        ),
    ],
};

const SHRINK: Topic = Topic {
    name: "shrink",
    essential: &[
        "model",
        "text",
        "vocab_size",
        "layers",
        "precision",
        "output",
    ],
    examples: &[
        (
            "Only the sub-words that these texts use:",
            "ner-cli shrink --model MODEL --text texts.txt --output smaller",
        ),
        (
            "Three of its layers:",
            "ner-cli shrink --model MODEL --layers 0,5,11 --output shallow",
        ),
        (
            "A quarter of the file, tagged in 8 bits:",
            "ner-cli shrink --model out --precision int8 --output small",
        ),
    ],
};

const NEW_MODEL: Topic = Topic {
    name: "new-model",
    essential: &[
        "kind",
        "layers",
        "hidden",
        "heads",
        "vocab_size",
        "train",
        "output",
        "seed",
    ],
    examples: &[(
        "A small RoBERTa with a tokenizer of its own:",
        "ner-cli new-model --kind roberta --layers 4 --hidden 256 --train train.conll --output small",
    )],
};

const EVALUATE: Topic = Topic {
    name: "evaluate",
    essential: &[
        "model",
        "data",
        "gold",
        "pred",
        "as_text",
        "errors",
        "train",
        "bootstrap",
        "report",
        "mode",
        "scheme",
        "format",
        "output",
    ],
    examples: &[
        (
            "A model on a column file:",
            "ner-cli evaluate --model out --data test.conll",
        ),
        (
            "Two files with the same words:",
            "ner-cli evaluate --gold test.conll --pred predicted.conll --mode strict --scheme iob2",
        ),
        (
            "What is wrong, and how sure the score is:",
            "ner-cli evaluate --model out --data test.conll --errors --bootstrap 1000",
        ),
        (
            "What the model is worth on running text:",
            "ner-cli evaluate --model out --data test.conll --as-text",
        ),
    ],
};

const COMPARE: Topic = Topic {
    name: "compare",
    essential: &[
        "systems", "a", "b", "gold", "samples", "strict", "examples", "format", "output",
    ],
    examples: &[
        (
            "Two prediction files, or models:",
            "ner-cli compare a.conll b.conll --gold test.conll",
        ),
        (
            "Several seeds of each:",
            "ner-cli compare --a 'runs/a*/pred.conll' --b 'runs/b*/pred.conll' --gold test.conll",
        ),
    ],
};

const CALIBRATE: Topic = Topic {
    name: "calibrate",
    essential: &[
        "model",
        "data",
        "precision_of",
        "dry_run",
        "format",
        "output",
    ],
    examples: &[
        (
            "Scores that are probabilities:",
            "ner-cli calibrate --model out --data dev.conll",
        ),
        (
            "The threshold that makes 95 in 100 right:",
            "ner-cli calibrate --model out --data dev.conll --precision-of 0.95 --dry-run",
        ),
    ],
};

const INFO: Topic = Topic {
    name: "info",
    essential: &[],
    examples: &[("A model's sizes, labels and origin:", "ner-cli info out")],
};

const PREDICT: Topic = Topic {
    name: "predict",
    essential: &[
        "texts",
        "model",
        "input",
        "input_format",
        "text_field",
        "format",
        "output",
        "resume",
        "min_score",
        "precision",
        "device",
    ],
    examples: &[
        (
            "A text:",
            "ner-cli predict --model out \"Ana Torres vive en Lima.\"",
        ),
        (
            "Lines of a file, as JSON:",
            "ner-cli predict --model out --input texts.txt --format jsonl --output entities.jsonl",
        ),
        (
            "A field of records, the others kept; the same command goes on after a kill:",
            "ner-cli predict --model out --input 'data/*.jsonl.gz' --text-field body --format jsonl --output entities.jsonl --resume",
        ),
        (
            "A page to look at:",
            "ner-cli predict --model out --input texts.txt --format html --output page.html",
        ),
    ],
};

const REDACT: Topic = Topic {
    name: "redact",
    essential: &[
        "texts",
        "model",
        "input",
        "input_format",
        "text_field",
        "operator",
        "key_file",
        "map",
        "undo",
        "report",
        "output",
    ],
    examples: &[
        (
            "A text:",
            "ner-cli redact \"Ana Torres, ana@gil.es\" --model out",
        ),
        (
            "Names and identifiers out:",
            "ner-cli redact --model out --input mails.jsonl --operator number --map map.jsonl --output clean.jsonl",
        ),
        (
            "And back:",
            "ner-cli redact --undo map.jsonl --input clean.jsonl --output mails.jsonl",
        ),
        (
            "By rules alone, e-mail addresses masked:",
            "ner-cli redact --input mails.txt --operator replace EMAIL_ADDRESS=mask",
        ),
    ],
};

const WARM_UP: Topic = Topic {
    name: "warm-up",
    essential: &["model", "device", "precision"],
    examples: &[(
        "Compile what this model needs on a GPU, as a step of building an image:",
        "ner-cli warm-up --model MODEL --device cuda",
    )],
};

const SERVE: Topic = Topic {
    name: "serve",
    essential: &[
        "model",
        "host",
        "port",
        "token",
        "min_score",
        "precision",
        "device",
    ],
    examples: &[
        (
            "On this machine, with a page to try it at http://127.0.0.1:8080/:",
            "ner-cli serve --model out",
        ),
        (
            "Two models, by name:",
            "ner-cli serve --model es=out --model fast=fast --precision auto",
        ),
    ],
};

const COMPLETIONS: Topic = Topic {
    name: "completions",
    essential: &[],
    examples: &[
        ("bash, in ~/.bashrc:", "source <(ner-cli completions bash)"),
        (
            "zsh, in a directory of $fpath:",
            "ner-cli completions zsh > _ner-cli",
        ),
        (
            "fish:",
            "ner-cli completions fish > ~/.config/fish/completions/ner-cli.fish",
        ),
    ],
};

const MAN: Topic = Topic {
    name: "man",
    essential: &[],
    examples: &[
        (
            "All pages, where man looks:",
            "ner-cli man --output ~/.local/share/man/man1",
        ),
        ("One of them, now:", "ner-cli man train | man -l -"),
    ],
};

/// The examples of a command, none for the program itself: what each is for, and a command line.
pub fn examples(command: &str) -> &'static [(&'static str, &'static str)] {
    let topic = topics().find(|topic| topic.name == command);
    topic.map_or(&[], |topic| topic.examples)
}

fn topics() -> impl Iterator<Item = &'static Topic> {
    GROUPS.iter().flat_map(|(_, topics)| topics.iter())
}

/// The program with its help.
pub fn program() -> Command {
    let program = topics().fold(Cli::command(), |program, topic| {
        program.mut_subcommand(topic.name, |command| described(command, topic))
    });
    let template = overview(&program);
    program.help_template(template)
}

/// A command with its examples, and with a short help of the first clauses of its essential options.
fn described(command: Command, topic: &Topic) -> Command {
    let is_essential = |name: &str| topic.essential.is_empty() || topic.essential.contains(&name);
    let command = command.mut_args(|argument| {
        let is_hidden = !is_essential(argument.get_id().as_str());
        let argument = argument.hide_short_help(is_hidden);
        let text = argument.get_help().map(ToString::to_string);
        match (text, argument.get_long_help()) {
            (Some(text), None) => argument.help(first_clause(&text)).long_help(text),
            _ => argument,
        }
    });
    let styles = Styles::styled();
    let header = styles.get_header();
    let mut text = format!("{header}Examples:{header:#}");
    for (what, line) in topic.examples {
        // A String takes all that is written to it.
        _ = write!(text, "\n  {what}\n    {}", folded(line));
    }
    command.after_long_help(text)
}

/// What stands before the first colon, semicolon or full stop.
fn first_clause(text: &str) -> String {
    let ends = [": ", "; ", ". "]
        .into_iter()
        .filter_map(|mark| text.find(mark));
    text[..ends.min().unwrap_or(text.len())].to_owned()
}

/// A command line in rows that a terminal of 80 columns holds, as a shell reads it on.
fn folded(line: &str) -> String {
    let mut rows: Vec<String> = Vec::new();
    for (place, part) in line.split(" --").enumerate() {
        let part = if place == 0 {
            part.to_owned()
        } else {
            format!("--{part}")
        };
        match rows.last_mut() {
            Some(row) if row.len() + part.len() < ROW => {
                row.push(' ');
                row.push_str(&part);
            }
            _ => rows.push(part),
        }
    }
    rows.join(" \\\n      ")
}

/// The template of the program's own help: commands by group.
fn overview(program: &Command) -> String {
    let styles = Styles::styled();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (group, topics) in &GROUPS {
        _ = writeln!(text, "\n{header}{group}:{header:#}");
        for Topic { name, .. } in *topics {
            let about = program.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            _ = writeln!(text, "  {literal}{name:11}{literal:#}  {about}");
        }
    }
    _ = write!(
        text,
        "\n{header}Options:{header:#}\n{{options}}\n\n`ner-cli COMMAND -h` shows the options that matter, `--help` all, with examples."
    );
    text
}

/// The program whose help is its first page: what a command line with nothing on it is answered with.
pub fn first_page() -> Command {
    let styles = Styles::styled();
    let literal = styles.get_literal();
    let mut text = "{about-with-newline}\n".to_owned();
    for (what, topic) in &FIRST {
        if let Some((_, line)) = topic.examples.first() {
            _ = writeln!(text, "{what}\n  {literal}{}{literal:#}\n", folded(line));
        }
    }
    text.push_str(
        "`ner-cli --help` lists all commands, `ner-cli train --help` the options of one.\n",
    );
    text.push_str("From your own files to a service: ");
    text.push_str(GUIDE);
    Cli::command().help_template(text)
}

/// Where the guide is.
const GUIDE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/guide.md");

/// An error of usage with a command line that works, where something is missing.
pub fn with_example(mut error: clap::Error, line: &[OsString]) -> clap::Error {
    let named = |word: &OsString| topics().find(|topic| word == topic.name);
    let topic = line.iter().skip(1).find_map(named);
    let example = topic.and_then(|topic| topic.examples.first());
    if let (ErrorKind::MissingRequiredArgument, Some((_, example))) = (error.kind(), example) {
        let tip = format!("for example: {example}").into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    let takes_model = topic.is_some_and(|topic| topic.essential.contains(&"model"));
    if let (ErrorKind::UnknownArgument, true) = (error.kind(), takes_model)
        && let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg)
        && !word.starts_with('-')
    {
        let tip = format!("if this is the model: --model {word}").into();
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}
