//! What a finished run leaves beside its model: results, predictions, curves and the model card.

use anyhow::Result;
use ner_tagger::Tagger;
use ner_train::{Checkpoint, Evaluation, evaluate};

use super::{Arguments, Data, curves};
use crate::card::Card;
use crate::commands::evaluate::write_predictions;
use crate::data::TaggedFile;
use crate::output::write_file;
use crate::progress::Progress;

/// A run that has come to its end.
pub struct Outcome<'a> {
    pub arguments: &'a Arguments,
    pub data: &'a Data,
    pub labels: &'a [String],
    /// The last model.
    pub tagger: &'a Tagger,
    /// Its evaluation on the development data.
    pub last_evaluation: &'a Evaluation,
}

impl Outcome<'_> {
    /// Writes everything into the output directory.
    pub fn write(&self, progress: &mut Progress) -> Result<()> {
        let dir = &self.arguments.output_dir;
        let path = dir.join("eval_results.txt");
        let mut text = results(self.last_evaluation);
        write_file(&path, &text)?;
        if self.arguments.eval_all_checkpoints {
            text.push_str(&self.checkpoint_results(progress)?);
            write_file(&path, &text)?;
        }
        let test = match &self.data.test {
            Some(file) => Some((file, self.test(file, progress)?)),
            None => None,
        };
        curves::write(dir)?;
        let card = Card {
            base_model: &self.arguments.model,
            labels: self.labels,
            settings: &self.arguments.settings,
            train: &self.data.train,
            dev: Some((&self.data.dev, self.last_evaluation)),
            test: test.as_ref().map(|(file, found)| (*file, found)),
        };
        write_file(&dir.join("README.md"), &card.text(dir)?)
    }

    fn test(&self, file: &TaggedFile, progress: &mut Progress) -> Result<Evaluation> {
        let dir = &self.arguments.output_dir;
        let batch_size = self.arguments.settings.evaluation.eval_batch_size;
        progress.start("test", file.sentences.len());
        let found = evaluate(self.tagger, &file.sentences, batch_size, |done| {
            progress.set(done, String::new);
        })?;
        progress.end();
        progress.say(&format!("test: {}", summary(&found)));
        write_file(&dir.join("test_results.txt"), &results(&found))?;
        let layout = &self.arguments.layout;
        write_predictions(
            &dir.join("test_predictions.txt"),
            file,
            &found.predicted,
            layout,
        )?;
        Ok(found)
    }

    /// The result lines of every sound checkpoint of the run.
    fn checkpoint_results(&self, progress: &Progress) -> Result<String> {
        let mut text = String::new();
        let settings = &self.arguments.settings;
        let builder = Tagger::builder()
            .device(self.arguments.devices().first())
            .precision(settings.precision)
            .decode(settings.decoding.decode)
            .scheme(settings.decoding.decode_scheme)
            .max_length(Some(settings.data.max_length));
        for dir in Checkpoint::all(&self.arguments.output_dir)? {
            let step = match Checkpoint::open(&dir) {
                Ok(checkpoint) => checkpoint.state.step,
                Err(error) => {
                    progress.say(&format!("passed over: {error}"));
                    continue;
                }
            };
            let tagger = builder.from_dir(&dir)?;
            let batch_size = settings.evaluation.eval_batch_size;
            let found = evaluate(&tagger, &self.data.dev.sentences, batch_size, |_| {})?;
            progress.say(&format!(
                "checkpoint of step {step}, dev: {}",
                summary(&found)
            ));
            for line in results(&found).lines() {
                text.push_str(&format!("{step}_{line}\n"));
            }
        }
        Ok(text)
    }
}

/// The reference's result file: `key = value`, sorted by key.
fn results(found: &Evaluation) -> String {
    let micro = &found.report.micro;
    format!(
        "f1 = {}\nloss = {}\nprecision = {}\nrecall = {}\n",
        micro.f1, found.loss, micro.precision, micro.recall
    )
}

pub fn summary(found: &Evaluation) -> String {
    let micro = &found.report.micro;
    let (precision, recall, f1) = (micro.precision, micro.recall, micro.f1);
    format!(
        "precision {precision:.4}, recall {recall:.4}, f1 {f1:.4}, loss {:.4}",
        found.loss
    )
}
