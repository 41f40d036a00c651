//! Fine-tunes a model on column files: `fine_tune fixtures/encoder train.conll dev.conll out 60`, the last being optimizer steps.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::BTreeSet;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use ner_model::{DeviceChoice, ModelConfig, TokenClassifier};
use ner_train::{Corpus, Event, PretokenizedSentence, TrainSettings, Trainer};
use subword_align::SubwordTokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, train, dev, out, steps] = &arguments[..] else {
        return Err("usage: fine_tune MODEL_DIR TRAIN DEV OUTPUT_DIR STEPS".into());
    };
    let read = |file| {
        PretokenizedSentence::from_reader(conll_io::Reader::from_path(file)?.into_sentences())
    };
    let (train, dev, steps) = (read(train)?, read(dev)?, steps.parse()?);

    let dir = Path::new(model);
    let mut config = ModelConfig::from_dir(dir)?;
    let tags: BTreeSet<&String> = train.iter().flat_map(|sentence| &sentence.tags).collect();
    config.id2label = tags.into_iter().cloned().collect();
    let device = DeviceChoice::Auto.open()?.autodiff();
    let (model, _) = TokenClassifier::load(dir, &config, &device, 42)?;

    let settings = TrainSettings::default().with(|settings| {
        settings.data.batch_size = 8;
        settings.optimizer.learning_rate = 5e-4; // for a small encoder; 5e-5 for a large one
        settings.optimizer.head_learning_rate = Some(3e-3);
        settings.optimizer.freeze_embeddings = true;
        settings.schedule.max_steps = Some(steps);
    });
    let observer = |event: Event<'_>| {
        if let Event::Evaluated {
            step, evaluation, ..
        } = event
        {
            println!("step {step}: dev F1 {:.3}", evaluation.report.micro.f1);
        }
        ControlFlow::Continue(())
    };
    Trainer::new(model, SubwordTokenizer::from_dir(dir, None)?, out)
        .settings(settings)
        .observer(observer)
        .fit(Corpus {
            train: &train,
            dev: &dev,
        })?;
    println!("{out} has the last model, {out}/best the best one");
    Ok(())
}
