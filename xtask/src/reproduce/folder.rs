//! Where everything of a run lies.

use std::path::PathBuf;

use crate::reproduce::recipe::Model;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Train,
    Dev,
    Test,
}

impl Split {
    pub const ALL: [Self; 3] = [Self::Train, Self::Dev, Self::Test];

    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Dev => "dev",
            Self::Test => "test",
        }
    }
}

/// The folder of one run, and the model it starts from.
#[derive(Clone, Debug)]
pub struct Folder {
    pub root: PathBuf,
    /// Folder of the initial model.
    pub model: PathBuf,
}

impl Folder {
    pub fn new(root: PathBuf, pretrained: Option<PathBuf>) -> Self {
        let model = pretrained.unwrap_or_else(|| root.join("model"));
        Self { root, model }
    }

    /// Paths as they stand in the manifest: below the run's folder, and a pretrained model by its name. They are the
    /// same wherever the folders lie.
    pub fn symbolic(model: &Model) -> Self {
        match model {
            Model::New { .. } => Self::new(PathBuf::new(), None),
            Model::Embedded { path, .. } => Self::new(PathBuf::new(), Some(path.into())),
            Model::Hub { name, .. } => Self::new(PathBuf::new(), Some(name.into())),
        }
    }

    /// A part of the corpus as it was obtained.
    pub fn raw(&self, split: Split) -> PathBuf {
        self.root.join(format!("data/raw/{}.conll", split.name()))
    }

    /// A part of the corpus after preprocessing.
    pub fn data(&self, split: Split) -> PathBuf {
        self.root.join(format!("data/{}.txt", split.name()))
    }

    pub fn labels(&self) -> PathBuf {
        self.root.join("data/labels.txt")
    }

    /// The trained model and the logs of its training.
    pub fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    pub fn predictions(&self, split: Split) -> PathBuf {
        self.evaluation(split, "predictions.txt")
    }

    /// A file of the evaluation of one part of the corpus.
    pub fn evaluation(&self, split: Split, what: &str) -> PathBuf {
        self.root
            .join(format!("evaluation/{}.{what}", split.name()))
    }

    /// The example sentence, tagged.
    pub fn example(&self) -> PathBuf {
        self.root.join("evaluation/example.jsonl")
    }

    pub fn manifest(&self) -> PathBuf {
        self.root.join("manifest.json")
    }

    pub fn report_json(&self) -> PathBuf {
        self.root.join("report.json")
    }

    pub fn report_text(&self) -> PathBuf {
        self.root.join("report.txt")
    }

    pub fn report_html(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The page of the training, as data.
    pub fn training_report(&self) -> PathBuf {
        self.output().join("report.json")
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("logs/reproduce.log")
    }

    /// Held while a run works in the folder.
    pub fn lock(&self) -> PathBuf {
        self.root.join(".lock")
    }
}
