//! Models made smaller: what they predict, and what cannot be done.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ner_model::{DeviceChoice, EncoderSizes, Head, ModelConfig, ModelType, TokenClassifier};
use ner_tagger::Tagger;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use subword_align::{SubwordTokenizer, WordBoundary};
use tempfile::TempDir;

/// The golden files' tokenizers with the family that has such a one.
const KINDS: [(&str, ModelType); 5] = [
    ("bpe", ModelType::Roberta),
    ("bpe-json", ModelType::Roberta),
    ("wordpiece", ModelType::Bert),
    ("wordpiece-json", ModelType::Distilbert),
    ("unigram", ModelType::XlmRoberta),
];
const LABELS: [&str; 5] = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"];
/// Rows of the embeddings that have no sub-word, as published models have to fill up a block.
const SPARE_ROWS: usize = 3;
/// Texts with characters and words that the others do not have.
const UNSEEN: [&str; 4] = [
    "東京 ☃ Žižek",
    "xylophon \u{0}",
    "<s> [MASK]",
    "ﬁn 👩\u{200d}👧",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// A folder with a model of each kind, `texts.txt` and `words.conll`.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let lines = fs::read_to_string(fixtures().join("goldens/subwords/text.txt")).unwrap();
        let lines: Vec<&str> = lines.lines().take(20).collect();
        fs::write(folder.path("texts.txt"), lines.join("\n")).unwrap();
        let corpus = fs::read_to_string(fixtures().join("quickstart/dev.conll")).unwrap();
        let sentences: Vec<&str> = corpus.split("\n\n").take(20).collect();
        fs::write(folder.path("words.conll"), sentences.join("\n\n") + "\n").unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn texts(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("texts.txt")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// A tagger with random weights that are large enough to make it say something, in the folder `model`.
    fn model(&self, tokenizer: &str, model_type: ModelType) {
        let dir = fixtures().join("goldens/subwords").join(tokenizer);
        let tokenizer = SubwordTokenizer::from_dir(dir, Some(WordBoundary::PrefixSpace)).unwrap();
        let sizes = EncoderSizes {
            vocab_size: tokenizer.vocab_size() + SPARE_ROWS,
            hidden_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 32,
            usable_positions: 128,
        };
        let mut config = ModelConfig::new(model_type, &sizes, LABELS.map(str::to_owned).to_vec());
        config.initializer_range = 0.5;
        config.pad_token_id = tokenizer.pad_id();
        config.head = Head::Crf;
        config.tagging_scheme = Some("IOB2".to_owned());
        config
            .extra
            .insert("of_the_owner".to_owned(), json!([1, "x"]));
        config
            .extra
            .insert("sep_token_id".to_owned(), json!(tokenizer.suffix_ids()[0]));
        let model = TokenClassifier::init(&config, &DeviceChoice::Flex.open().unwrap(), 7);
        model.save(&self.path_made("model")).unwrap();
        tokenizer.save(self.path("model")).unwrap();
    }

    fn path_made(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ner-cli"))
            .args(line.split(' '))
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// What a command says that must succeed.
    fn said(&self, line: &str) -> String {
        let output = self.run(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}: {said}");
        said
    }

    /// The message of a command that must fail and leave nothing.
    fn failure(&self, code: i32, line: &str) -> String {
        let before = names(self.0.path());
        let output = self.run(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        assert_eq!(names(self.0.path()), before, "{line}");
        said
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap()
    }

    fn change_json(&self, file: &str, change: impl Fn(&mut Value)) {
        let mut value = self.json(file);
        change(&mut value);
        fs::write(self.path(file), value.to_string()).unwrap();
    }

    fn tagger(&self, name: &str) -> Tagger {
        let flex = Tagger::builder().device(DeviceChoice::Flex);
        flex.from_dir(self.path(name)).unwrap()
    }

    fn predict(&self, model: &str, line: &str) -> String {
        let line = format!("predict --device flex --format jsonl --model {model} {line}");
        let output = self.run(&line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn tensor_names(dir: &Path) -> Vec<String> {
    let bytes = fs::read(dir.join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<String> = file.names().into_iter().map(ToString::to_string).collect();
    names.sort();
    names
}

/// A number that the command prints before and after.
fn numbers(said: &str, name: &str) -> (f64, f64) {
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}: ")));
    let (before, after) = line.unwrap().split_once(" -> ").unwrap();
    (before.parse().unwrap(), after.parse().unwrap())
}

#[test]
fn predictions_on_the_texts_stay_what_they_were() {
    for (tokenizer, model_type) in KINDS {
        let folder = Folder::new();
        folder.model(tokenizer, model_type);
        let said = folder.said("shrink --model model --text texts.txt --output small");
        let (before, after) = numbers(&said, "sub-words");
        assert!(after < before - SPARE_ROWS as f64, "{tokenizer}: {said}");
        let (before, after) = numbers(&said, "parameters");
        assert!(after < before, "{tokenizer}: {said}");
        assert_eq!(
            numbers(&said, "bytes of weights"),
            (4.0 * before, 4.0 * after)
        );
        let (before, after) = numbers(&said, "sub-words per word");
        assert_eq!(before, after, "{tokenizer}: {said}");

        let (whole, small) = (folder.tagger("model"), folder.tagger("small"));
        let texts = folder.texts();
        let tagged = whole.tag_texts(&texts).unwrap();
        assert!(
            tagged.iter().any(|text| !text.entities.is_empty()),
            "{tokenizer}: a model that finds nothing tests nothing"
        );
        // Labels and, to the bit, scores.
        assert_eq!(small.tag_texts(&texts).unwrap(), tagged, "{tokenizer}");
        small.tag_texts(&UNSEEN).unwrap();

        let mut config = folder.json("model/config.json");
        let saved = folder.json("small/config.json");
        config["vocab_size"] = saved["vocab_size"].clone();
        config["sep_token_id"] = saved["sep_token_id"].clone();
        assert_eq!(saved, config, "{tokenizer}");
        assert_eq!(
            saved["sep_token_id"],
            json!(small.tokenizer().suffix_ids()[0])
        );
        assert_eq!(
            tensor_names(&folder.path("small")),
            tensor_names(&folder.path("model"))
        );
    }
}

#[test]
fn the_words_of_a_column_file_count_as_they_are() {
    for (tokenizer, model_type) in KINDS {
        let folder = Folder::new();
        folder.model(tokenizer, model_type);
        folder.said("shrink --model model --text words.conll --input-format conll --output small");
        let line = "--input-format conll --input words.conll";
        assert_eq!(
            folder.predict("small", line),
            folder.predict("model", line),
            "{tokenizer}"
        );
    }
}

#[test]
fn texts_are_read_by_the_names_of_their_files() {
    let folder = Folder::new();
    folder.model("bpe-json", ModelType::Roberta);
    let record = |text: &String| json!({"body": text, "other": "Žižek 東京"}).to_string() + "\n";
    let records: String = folder.texts().iter().map(record).collect();
    fs::write(folder.path("texts.jsonl"), records).unwrap();
    let shrink = "shrink --model model --text";
    let said = folder.said(&format!("{shrink} texts.txt --output lines"));
    let note = "read: words of other texts are cut into characters; give more text";
    assert!(said.contains(note), "{said}");
    folder.said(&format!(
        "{shrink} texts.jsonl --text-field body --output records"
    ));
    folder.said(&format!("{shrink} words.conll --output named"));
    folder.said(&format!(
        "{shrink} words.conll --input-format conll --output columns"
    ));
    let tokenizer = |model: &str| fs::read(folder.path(model).join("tokenizer.json")).unwrap();
    assert!(tokenizer("records") == tokenizer("lines"));
    assert!(tokenizer("named") == tokenizer("columns"));
    let message = folder.failure(1, &format!("{shrink} texts.jsonl --output other"));
    let wanted = "texts.jsonl:1: has no field `text`, only body, other";
    assert!(message.contains(wanted), "{message}");
}

#[test]
fn vocabulary_files_without_tokenizer_json_serve_as_well() {
    for (tokenizer, model_type) in [("bpe", ModelType::Roberta), ("wordpiece", ModelType::Bert)] {
        let folder = Folder::new();
        folder.model(tokenizer, model_type);
        folder.said("shrink --model model --text texts.txt --output small");
        fs::remove_file(folder.path("small/tokenizer.json")).unwrap();
        let line = "--input texts.txt";
        assert_eq!(folder.predict("small", line), folder.predict("model", line));
    }
}

#[test]
fn a_limit_says_what_it_costs() {
    for (tokenizer, model_type) in KINDS {
        let folder = Folder::new();
        folder.model(tokenizer, model_type);
        let line = "shrink --model model --text texts.txt words.conll --output small";
        let message = folder.failure(1, &format!("{line} --vocab-size 9"));
        assert!(
            message.contains("too small to write the language"),
            "{message}"
        );
        let smallest: usize = message.trim().rsplit(' ').next().unwrap().parse().unwrap();
        folder.failure(1, &format!("{line} --vocab-size {}", smallest - 1));

        let said = folder.said(&format!("{line} --vocab-size {smallest}"));
        assert_eq!(numbers(&said, "sub-words").1, smallest as f64);
        let (before, after) = numbers(&said, "sub-words per word");
        assert!(after > before, "{tokenizer}: {said}");
        folder.predict("small", "--input texts.txt");
    }
}

#[test]
fn all_layers_are_the_model_and_fewer_are_numbered_anew() {
    for (tokenizer, model_type) in KINDS {
        let folder = Folder::new();
        folder.model(tokenizer, model_type);
        let said = folder.said("shrink --model model --layers 0,1 --output same");
        assert!(!said.contains("per word"), "{said}");
        assert!(!said.contains("note: "), "{said}");
        for file in names(&folder.path("model")) {
            let read = |model: &str| fs::read(folder.path(model).join(&file)).unwrap();
            if file == "config.json" {
                let config = |model: &str| folder.json(&format!("{model}/{file}"));
                assert_eq!(config("same"), config("model"), "{tokenizer}");
            } else {
                assert!(read("same") == read("model"), "{tokenizer}: {file}");
            }
        }
        let said = folder.said("shrink --model model --layers 1 --text texts.txt --output small");
        assert_eq!(numbers(&said, "layers"), (2.0, 1.0));
        assert!(said.contains("note: 1 of 2 layers are left"), "{said}");
        assert!(said.contains("train the model again"), "{said}");
        assert_eq!(folder.tagger("small").model().config().num_hidden_layers, 1);
        folder.predict("small", "--input texts.txt");

        let message = folder.failure(1, "shrink --model model --layers 0,2 --output other");
        assert!(
            message.contains("the model has 2, numbered from 0"),
            "{message}"
        );
        folder.failure(1, "shrink --model model --layers 1,0 --output other");
    }
}

#[test]
fn an_encoder_gets_no_classifier() {
    let folder = Folder::new();
    folder.model("bpe-json", ModelType::Roberta);
    let path = folder.path("model/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let encoder = file.iter().filter(|(name, _)| name.starts_with("roberta."));
    fs::write(&path, safetensors::serialize(encoder, None).unwrap()).unwrap();
    folder.change_json("model/config.json", |config| {
        config["architectures"] = json!(["RobertaModel"]);
        config["torch_dtype"] = json!("float16");
    });
    folder.said("shrink --model model --text texts.txt --output small");
    let found = tensor_names(&folder.path("small"));
    assert!(
        found.iter().all(|name| name.starts_with("roberta.")),
        "{found:?}"
    );
    let config = folder.json("small/config.json");
    assert_eq!(config["architectures"], json!(["RobertaModel"]));
    assert_eq!(config["torch_dtype"], json!("float16"));
    let message = folder.failure(1, "predict --model small Ana");
    assert!(message.contains("classifier"), "{message}");
}

#[test]
fn weights_of_8_bits_are_stored_and_used() {
    let folder = Folder::new();
    folder.model("unigram", ModelType::XlmRoberta);
    let said = folder.said("shrink --model model --precision int8 --output small");
    let (before, after) = numbers(&said, "bytes of weights");
    assert!(after < before / 2.0, "{said}");
    let (before, after) = numbers(&said, "parameters");
    assert_eq!(after, before, "{said}");

    // By itself as integers, and as floats where that is asked for.
    let tagged = folder.predict("small", "--input texts.txt");
    assert!(tagged.contains("\"score\""), "{tagged}");
    let integers = folder.predict("small", "--precision int8 --input texts.txt");
    assert_eq!(integers, tagged);
    let floats = folder.predict("small", "--precision f32 --input texts.txt");
    assert_ne!(floats, tagged);

    let again = folder.failure(1, "shrink --model small --precision int8 --output again");
    assert!(again.contains("8-bit integers already"), "{again}");
    let bf16 = folder.failure(2, "shrink --model model --precision bf16 --output again");
    assert!(bf16.contains("stored as int8"), "{bf16}");
    assert!(!folder.path("again").exists());
}

#[test]
fn a_directory_is_replaced_only_when_asked_for() {
    let folder = Folder::new();
    folder.model("unigram", ModelType::XlmRoberta);
    let expected = folder.predict("model", "--input texts.txt");
    fs::write(folder.path("model/sentencepiece.bpe.model"), "stale").unwrap();
    let line = "shrink --model model --text texts.txt --output model";
    let message = folder.failure(1, line);
    assert!(message.contains("--overwrite-output-dir"), "{message}");
    fs::write(folder.path("model/thesis.txt"), "ten years").unwrap();
    let message = folder.failure(1, &format!("{line} --overwrite-output-dir"));
    assert!(
        message.contains("thesis.txt is no part of a model"),
        "{message}"
    );
    fs::remove_file(folder.path("model/thesis.txt")).unwrap();
    let failing = format!("{line} --overwrite-output-dir --layers 7");
    folder.failure(1, &failing);
    assert_eq!(folder.predict("model", "--input texts.txt"), expected);
    folder.said(&format!("{line} --overwrite-output-dir"));
    assert_eq!(folder.predict("model", "--input texts.txt"), expected);
    assert!(!names(&folder.path("model")).contains(&"sentencepiece.bpe.model".to_owned()));
    assert_eq!(
        names(folder.0.path()),
        ["model", "texts.txt", "words.conll"]
    );
}

#[test]
fn bad_input_is_one_error_and_nothing_written() {
    let folder = Folder::new();
    folder.model("wordpiece-json", ModelType::Bert);
    fs::write(folder.path("empty.txt"), "\n \n").unwrap();
    fs::write(folder.path("empty.conll"), "\n").unwrap();
    let shrink = "shrink --model model --output small";
    for (code, line, expected) in [
        (
            1,
            format!("{shrink} --text empty.txt"),
            "empty.txt: no word found",
        ),
        (
            1,
            format!("{shrink} --text empty.conll --input-format conll"),
            "empty.conll: no word found",
        ),
        (1, format!("{shrink} --text missing.txt"), "missing.txt"),
        (
            1,
            "shrink --offline --model nowhere --output small --text texts.txt".to_owned(),
            "nowhere",
        ),
        (2, shrink.to_owned(), "--text"),
        (2, format!("{shrink} --layers 1 --vocab-size 300"), "--text"),
        (2, format!("{shrink} --layers one"), "one"),
    ] {
        let message = folder.failure(code, &line);
        assert!(message.contains(expected), "{line}: {message}");
    }

    // A tokenizer with more sub-words than the model has embeddings.
    let rows = folder.json("model/config.json")["vocab_size"]
        .as_u64()
        .unwrap();
    let first = rows - SPARE_ROWS as u64;
    folder.change_json("model/tokenizer_config.json", |config| {
        let added =
            (first..=rows).map(|id| (id.to_string(), json!({"content": format!("<{id}>")})));
        config["added_tokens_decoder"] = Value::Object(added.collect());
    });
    let message = folder.failure(1, &format!("{shrink} --text texts.txt"));
    let expected = format!("sub-word {rows} of the tokenizer has no row in tensor");
    assert!(message.contains(&expected), "{message}");
}

#[test]
fn a_tokenizer_of_another_kind_is_refused() {
    let folder = Folder::new();
    folder.model("wordpiece-json", ModelType::Bert);
    fs::remove_file(folder.path("model/tokenizer_config.json")).unwrap();
    folder.change_json("model/tokenizer.json", |tokenizer| {
        let vocabulary = tokenizer["model"]["vocab"].clone();
        tokenizer["model"] =
            json!({"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"});
    });
    let line = "shrink --model model --text texts.txt --output small";
    let message = folder.failure(1, line);
    assert!(
        message.contains("WordLevel cannot be made smaller"),
        "{message}"
    );
    // Layers have nothing to do with the tokenizer.
    folder.said("shrink --model model --layers 0 --output small");
}
