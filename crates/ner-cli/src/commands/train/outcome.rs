//! What a finished run leaves beside its model: results, predictions, curves, the model card and the page.

use std::path::Path;

use anyhow::Result;
use ner_tagger::Tagger;
use ner_train::{BEST, Checkpoint, Evaluation, evaluate};
use serde_json::json;

use super::curves;
use super::launch::{Launch, quoted};
use super::page::{self, Page};
use crate::card::Card;
use crate::column_files::TaggedFile;
use crate::commands::evaluate::write_predictions;
use crate::output::write_file;
use crate::progress::Progress;

/// Figures of the last model on the development data.
const DEV_RESULTS: &str = "eval_results.txt";
/// The same on the test data.
const TEST_RESULTS: &str = "test_results.txt";
/// What it predicts there.
const TEST_PREDICTIONS: &str = "test_predictions.txt";
/// The model card.
const CARD: &str = "README.md";

/// Whether a directory has all that a run with these flags leaves when it has come to its end.
pub fn is_complete(dir: &Path, flags: &toml::Table) -> bool {
    let mut files = vec![model_dir::CONFIG, CARD, page::DATA_FILE, page::FILE];
    if flags.contains_key("dev") {
        files.push(DEV_RESULTS);
    }
    if flags.contains_key("test") {
        files.extend([TEST_RESULTS, TEST_PREDICTIONS]);
    }
    files.iter().all(|name| dir.join(name).is_file()) && model_dir::weight_file(dir).is_ok()
}

/// A run that has come to its end.
pub struct Outcome<'a> {
    pub run: &'a Launch<'a>,
    /// The last model.
    pub tagger: &'a Tagger,
    /// Its evaluation on the development data, where there is some.
    pub last_evaluation: Option<&'a Evaluation>,
}

/// A part of the data, and what the last model finds in it.
pub struct Scored<'a> {
    /// `dev` or `test`.
    pub name: &'static str,
    pub file: &'a TaggedFile,
    pub found: &'a Evaluation,
}

impl Outcome<'_> {
    /// Writes everything into the output directory.
    pub fn write(&self, progress: &mut Progress) -> Result<()> {
        let dir = &self.run.arguments.output_dir;
        let data = &self.run.data;
        let dev = data.dev.as_ref().zip(self.last_evaluation);
        if let Some((file, found)) = dev {
            let path = dir.join(DEV_RESULTS);
            let mut text = results(found);
            write_file(&path, &text)?;
            if self.run.arguments.eval_all_checkpoints {
                text.push_str(&self.checkpoint_results(file, progress)?);
                write_file(&path, &text)?;
            }
        }
        let test = match &data.test {
            Some(file) => Some((file, self.test(file, progress)?)),
            None => None,
        };
        let curves = curves::read(dir)?;
        curves::write(dir, &curves)?;
        let card = Card {
            base: self.run.base,
            labels: &self.run.config.id2label,
            settings: &self.run.arguments.settings,
            train: &data.parts,
            dev,
            test: test.as_ref().map(|(file, found)| (*file, found)),
        };
        write_file(&dir.join(CARD), &card.text(dir)?)?;
        let parts = [("dev", card.dev), ("test", card.test)];
        let scored = parts
            .into_iter()
            .filter_map(|(name, part)| part.map(|(file, found)| Scored { name, file, found }));
        let page = Page {
            run: self.run,
            tagger: self.tagger,
            scored: &scored.collect::<Vec<_>>(),
            curves: &curves,
        };
        // The model is complete: a page that fails takes nothing from it.
        if let Err(error) = page.write() {
            progress.warn(&format!(
                "{} could not be written: {}",
                page::FILE,
                crate::message(&error)
            ));
        }
        self.say_what_is_there(progress);
        if let Some(note) = self.last_evaluation.and_then(nothing_found) {
            progress.say(note);
        }
        Ok(())
    }

    /// Says where the models and the report are, and what to type next.
    fn say_what_is_there(&self, progress: &Progress) {
        let dir = &self.run.arguments.output_dir;
        let best = dir.join(BEST);
        let best = best.is_dir().then_some(best);
        let mut text = format!("model: {}", dir.display());
        if let Some(best) = &best {
            text.push_str(&format!("\nbest model on dev: {}", best.display()));
        }
        let report = dir.join(page::FILE);
        let model = best.as_ref().unwrap_or(dir);
        text.push_str(&format!("\nreport: {}", report.display()));
        text.push_str(&format!(
            "\ntry it: ner-cli predict --model {} \"TEXT\"",
            quoted(model)
        ));
        progress.tell(
            "done",
            &text,
            || json!({"model": dir, "best": best, "report": report}),
        );
    }

    fn test(&self, file: &TaggedFile, progress: &mut Progress) -> Result<Evaluation> {
        let arguments = self.run.arguments;
        let dir = &arguments.output_dir;
        let batch_size = arguments.settings.evaluation.eval_batch_size;
        progress.start("test", file.sentences.len());
        let found = evaluate(self.tagger, &file.sentences, batch_size, |done| {
            progress.set(done, String::new);
        })?;
        progress.end();
        progress.say(&format!("test, last model: {}", summary(&found)));
        write_file(&dir.join(TEST_RESULTS), &results(&found))?;
        let layout = &arguments.layout;
        write_predictions(&dir.join(TEST_PREDICTIONS), file, &found.predicted, layout)?;
        Ok(found)
    }

    /// The result lines of every sound checkpoint of the run.
    fn checkpoint_results(&self, dev: &TaggedFile, progress: &Progress) -> Result<String> {
        let mut text = String::new();
        let arguments = self.run.arguments;
        let settings = &arguments.settings;
        let builder = Tagger::builder()
            .device(arguments.devices().first())
            .precision(settings.precision)
            .decode(settings.decoding.decode)
            .scheme(settings.decoding.decode_scheme)
            .max_length(Some(settings.data.max_length));
        for dir in Checkpoint::all(&arguments.output_dir)? {
            let step = match Checkpoint::open(&dir) {
                Ok(checkpoint) => checkpoint.state.step,
                Err(error) => {
                    progress.say(&format!("passed over: {error}"));
                    continue;
                }
            };
            let tagger = builder.clone().from_dir(&dir)?;
            let batch_size = settings.evaluation.eval_batch_size;
            let found = evaluate(&tagger, &dev.sentences, batch_size, |_| {})?;
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

/// What to say of a model that finds no entity right, though there are some.
fn nothing_found(evaluation: &Evaluation) -> Option<&'static str> {
    let all = &evaluation.report.micro;
    (all.f1 == 0.0 && all.support > 0).then_some(
        "note: no entity of the development data was found right, so this model is of no use: look at the notes before the first step, at the learning \
         rate and the number of steps, and at `ner-cli check`",
    )
}
