//! `warm-up`: a device's kernels compiled before they are needed.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use ner_model::{DeviceChoice, ModelConfig, Precision, TokenClassifier};
use ner_tagger::PretokenizedSentence;
use ner_train::{Corpus, TrainSettings, Trainer};
use subword_align::SubwordTokenizer;

use crate::hub::HubArguments;
use crate::inference::slow_start;
use crate::progress::Progress;

/// Words of a sentence that is learnt and tagged.
const WORDS: usize = 100;
/// Sentences of a batch.
const SENTENCES: usize = 8;

/// Compile a model's kernels for a device ahead of its first run.
///
/// Two training steps and the tagging of sixteen sentences in each precision, on made-up words; nothing of it is kept. On a GPU compiled kernels
/// stay in the cache that later runs read. On a CPU there is nothing to compile.
#[derive(Debug, Args)]
#[command(args_override_self = true)]
pub struct Arguments {
    /// A directory, or NAME[@REVISION] of the hub.
    #[arg(long)]
    model: String,
    /// auto, cuda, cuda:N, cpu or ndarray.
    #[arg(long, default_value_t = DeviceChoice::Auto)]
    device: DeviceChoice,
    /// Numbers of the matrix products: f32 or bf16, or several with commas; both where not given, if the device has both.
    #[arg(long, value_delimiter = ',')]
    precision: Vec<Precision>,
    #[command(flatten)]
    hub: HubArguments,
}

pub fn run(arguments: &Arguments, quiet: bool) -> Result<()> {
    let mut progress = Progress::new(quiet);
    let dir = arguments.hub.model(&arguments.model, quiet)?;
    let config = ModelConfig::from_dir(&dir)?;
    let tokenizer = Arc::new(SubwordTokenizer::from_dir(&dir, None)?);
    let device = arguments.device.open()?;
    let sentences = sentences(&config);
    let settings = TrainSettings::default().with(|settings| {
        settings.schedule.max_steps = Some(2);
        settings.data.batch_size = SENTENCES;
        settings.data.max_length = settings.data.max_length.min(config.usable_positions());
    });
    let both = [Precision::F32, Precision::Bf16];
    let precisions = match &arguments.precision[..] {
        [] => &both[..],
        asked => asked,
    };
    progress.say(&format!("device {}", arguments.device.resolve()));
    for &precision in precisions {
        let load = || TokenClassifier::load(&dir, &config, &device.clone().autodiff(), 0);
        let model = match load()?.0.with_precision(precision) {
            Err(error) if arguments.precision.is_empty() => {
                progress.say(&format!("{precision}: {error}"));
                continue;
            }
            model => model?,
        };
        if let Some(note) = slow_start(&model) {
            progress.say(note);
        }
        progress.start(&format!("{precision}: compiling and running"), 2);
        let begun = Instant::now();
        let model = trained(model, &settings, &tokenizer, &sentences)?;
        let training = begun.elapsed();
        progress.set(1, String::new);
        let begun = Instant::now();
        let tagger = settings.tagger(model, Arc::clone(&tokenizer))?;
        tagger.score(&sentences, |_| {})?;
        progress.end();
        progress.say(&format!(
            "{precision}: two steps of training {:.1} s, tagging {:.1} s",
            training.as_secs_f64(),
            begun.elapsed().as_secs_f64()
        ));
    }
    Ok(())
}

/// The model after two steps.
fn trained(
    model: TokenClassifier,
    settings: &TrainSettings,
    tokenizer: &Arc<SubwordTokenizer>,
    sentences: &[PretokenizedSentence],
) -> Result<TokenClassifier> {
    let dir = tempfile::tempdir().context("a directory for what the steps write")?;
    let trainer = Trainer::new(model, Arc::clone(tokenizer), dir.path()).settings(settings.clone());
    Ok(trainer.fit(Corpus {
        train: sentences,
        dev: &[],
    })?)
}

/// Sentences of words that every tokenizer knows, with the model's own labels.
fn sentences(config: &ModelConfig) -> Vec<PretokenizedSentence> {
    let tags = || config.id2label.iter().cycle().take(WORDS).cloned();
    let sentence = PretokenizedSentence {
        words: vec!["a".to_owned(); WORDS],
        tags: tags().collect(),
        document: 0,
    };
    vec![sentence; 2 * SENTENCES]
}
