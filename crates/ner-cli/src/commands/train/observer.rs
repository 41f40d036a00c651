//! What a run tells while it goes.

use std::ops::ControlFlow;

use anyhow::Result;
use ner_train::{Evaluation, Event, Plan, Step};
use serde_json::json;

use super::log_files::LogFiles;
use super::outcome::summary;
use crate::interrupt::Listening;
use crate::progress::Progress;
use crate::wording::counted;

/// Steps after which freed memory goes back to the system: rare enough to cost nothing.
const TRIM_STEPS: usize = 100;

/// Turns the events of a run into its record, a progress bar and lines.
pub struct Observer<'a> {
    /// Opened when nothing can refuse the run any more.
    pub record: Option<LogFiles>,
    pub start: &'a dyn Fn() -> Result<LogFiles>,
    /// What to say once it has been opened.
    pub begun: &'a dyn Fn(&Progress),
    pub listening: Listening,
    pub progress: &'a mut Progress,
    pub failed: Option<anyhow::Error>,
    pub last_evaluation: Option<Evaluation>,
    /// What the run does, once that is known.
    pub plan: Option<Plan>,
    /// What to say of the plan before the first step.
    pub advise: &'a dyn Fn(&Plan) -> Vec<String>,
}

impl Observer<'_> {
    fn record(&mut self, event: &Event<'_>) -> Result<()> {
        if matches!(event, Event::Planned(_)) {
            self.record = Some((self.start)()?);
        }
        match &mut self.record {
            Some(record) => record.write(event),
            None => Ok(()),
        }
    }

    pub fn hear(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        if self.failed.is_some() {
            return ControlFlow::Break(());
        }
        if let Err(error) = self.record(event) {
            self.failed = Some(error);
            return ControlFlow::Break(());
        }
        match event {
            Event::Planned(plan) => self.planned(plan),
            Event::Stepped(step) => {
                self.stepped(step);
                if self.listening.heard() {
                    return ControlFlow::Break(());
                }
            }
            Event::Logged(step) => self.logged(step),
            Event::Evaluated {
                step,
                epoch,
                evaluation,
                best,
            } => {
                let mark = if *best { " (best so far)" } else { "" };
                let text = format!(
                    "step {step}, epoch {}, dev: {}{mark}",
                    (epoch * 100.0).round() / 100.0,
                    summary(evaluation)
                );
                self.progress.tell("evaluation", &text, || {
                    let micro = &evaluation.report.micro;
                    json!({"step": step, "epoch": epoch, "f1": micro.f1, "precision": micro.precision, "recall": micro.recall,
                           "loss": evaluation.loss, "best": best})
                });
                self.last_evaluation = Some((*evaluation).clone());
                crate::allocator::trim_allocator(); // of what the last steps needed, before files are written
            }
            Event::Evaluating { done, total } => {
                if *done == 0 {
                    crate::allocator::trim_allocator(); // of what the last steps needed
                }
                self.progress.message(|| {
                    let sentences = counted(*total, "sentence", "sentences");
                    format!("evaluating: {done} of {sentences}")
                });
            }
            Event::Saved { dir } => {
                self.progress.tell_json("saved", || json!({"dir": dir}));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn planned(&mut self, plan: &Plan) {
        (self.begun)(self.progress);
        self.plan = Some(plan.clone());
        let text = format!(
            "{} in {} of {}; {} read, {} loss, {} unknown to the tokenizer; {}",
            counted(plan.sentences, "sentence", "sentences"),
            counted(plan.sequences, "sequence", "sequences"),
            counted(plan.subwords, "sub-word", "sub-words"),
            counted(plan.words, "word", "words"),
            counted(plan.labelled_words, "carries", "carry"),
            plan.unknown_words,
            counted(plan.total_steps, "step", "steps"),
        );
        self.progress.tell("plan", &text, || json!(plan));
        for line in (self.advise)(plan) {
            self.progress.say(&format!("note: {line}"));
        }
        crate::allocator::trim_allocator(); // of what reading the files needed
        self.progress.start("train", plan.total_steps);
    }

    fn stepped(&self, step: &Step) {
        if step.step.is_multiple_of(TRIM_STEPS) {
            crate::allocator::trim_allocator();
        }
        self.progress.set(step.step, || {
            let mut text = format!(
                "loss {:.4} lr {:.1e} {:.0} sub-words/s",
                step.loss, step.learning_rate, step.tokens_per_second
            );
            if let Some(found) = &self.last_evaluation {
                text.push_str(&format!(" dev F1 {:.4}", found.report.micro.f1));
            }
            text
        });
    }

    fn logged(&self, step: &Step) {
        let total = self.plan.as_ref().map_or(0, |plan| plan.total_steps);
        let text = || {
            let share = self.progress.share();
            let share = share.map_or_else(String::new, |share| format!(" ({share})"));
            format!(
                "step {}/{total}{share}: loss {:.4}, learning rate {:.2e}, gradient norm {:.3}, {:.0} sub-words/s",
                step.step, step.loss, step.learning_rate, step.grad_norm, step.tokens_per_second
            )
        };
        let fields = || {
            let mut fields = json!(step);
            let left = self.progress.time_left();
            fields["total_steps"] = json!(total);
            fields["seconds_left"] = json!(left.map(|left| left.as_secs()));
            fields
        };
        self.progress.tell_without_bar("step", text, fields);
    }
}
