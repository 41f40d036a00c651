//! Requests wait here, and one thread a model takes what waits through it together.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ner_tagger::EntitySpan;
use tokio::sync::oneshot;

use crate::metrics::ModelMetrics;
use crate::settings::Limits;
use crate::tagging::TextTagger;

/// A model failed; the reason is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed;

/// The entities of each text of a request.
pub type Answer = Result<Vec<Vec<EntitySpan>>, Failed>;

/// Why a request is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many wait as may.
    Full,
    /// The service ends.
    Closed,
}

/// Requests that wait for one model.
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// Requests that may wait.
    longest: usize,
    /// Characters that are taken together.
    batch_chars: usize,
    metrics: ModelMetrics,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    closed: bool,
}

/// A request.
struct Job {
    texts: Arc<Vec<String>>,
    /// Entities of the texts that were tagged.
    found: Vec<Vec<EntitySpan>>,
    answer: oneshot::Sender<Answer>,
}

/// Texts of a request that are tagged in one pass.
struct Part {
    job: Job,
    texts: Range<usize>,
}

impl Queue {
    pub fn new(limits: &Limits, metrics: ModelMetrics) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            longest: limits.queue,
            batch_chars: limits.batch_chars,
            metrics,
        }
    }

    /// Puts the texts of a request in the queue; there is at least one. Who drops the receiver withdraws the request.
    pub fn push(&self, texts: Arc<Vec<String>>) -> Result<oneshot::Receiver<Answer>, Refusal> {
        let (answer, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::Closed);
        }
        if state.jobs.len() >= self.longest {
            self.drop_vanished(&mut state);
        }
        if state.jobs.len() >= self.longest {
            return Err(Refusal::Full);
        }
        let found = Vec::with_capacity(texts.len());
        state.jobs.push_back(Job {
            texts,
            found,
            answer,
        });
        self.metrics.set_queue(state.jobs.len());
        drop(state);
        self.changed.notify_one();
        Ok(receiver)
    }

    /// Takes no request any more. Those that wait are answered.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Tags what comes until the queue is closed and empty. `failed` hears why a model failed on a request.
    pub fn work(&self, tagger: &dyn TextTagger, failed: impl Fn(String)) {
        while let Some(parts) = self.next_pass() {
            let started = Instant::now();
            let texts = parts.iter().map(|part| part.texts.len()).sum();
            match tag(tagger, &parts) {
                Ok(found) => self.hand_out(parts, found),
                // One request must not take the others down.
                Err(_) if parts.len() > 1 => {
                    for part in parts {
                        self.tag_alone(tagger, part, &failed);
                    }
                }
                Err(reason) => fail(parts, reason, &failed),
            }
            self.metrics.passed(texts, started.elapsed());
        }
    }

    fn tag_alone(&self, tagger: &dyn TextTagger, part: Part, failed: &impl Fn(String)) {
        let parts = vec![part];
        match tag(tagger, &parts) {
            Ok(found) => self.hand_out(parts, found),
            Err(reason) => fail(parts, reason, failed),
        }
    }

    /// Waits for texts and takes as many as go through the model together: requests in their order, of each what there is room for.
    fn next_pass(&self) -> Option<Vec<Part>> {
        let mut state = self.lock();
        loop {
            self.drop_vanished(&mut state);
            if !state.jobs.is_empty() {
                break;
            }
            self.metrics.set_queue(0);
            if state.closed {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let mut room = self.batch_chars.max(1);
        let mut parts = Vec::new();
        while room > 0 {
            let Some(job) = state.jobs.pop_front() else {
                break;
            };
            let first = job.found.len();
            let mut end = first;
            while end < job.texts.len() && room > 0 {
                let length = job.texts[end].chars().count();
                if length > room && (end > first || !parts.is_empty()) {
                    room = 0;
                    break;
                }
                room = room.saturating_sub(length.max(1));
                end += 1;
            }
            if end == first {
                state.jobs.push_front(job); // it comes first in the next pass
                break;
            }
            parts.push(Part {
                texts: first..end,
                job,
            });
        }
        self.metrics.set_queue(state.jobs.len());
        Some(parts)
    }

    /// Gives each request the entities of its texts; one with texts left goes to the end of the queue, so that short ones need not wait for it.
    fn hand_out(&self, parts: Vec<Part>, found: Vec<Vec<EntitySpan>>) {
        let mut found = found.into_iter();
        let mut unfinished = Vec::new();
        for Part { mut job, texts } in parts {
            let chars = texts.clone().map(|text| job.texts[text].chars().count());
            self.metrics.tagged(texts.len(), chars.sum());
            job.found.extend(found.by_ref().take(texts.len()));
            if job.found.len() == job.texts.len() {
                _ = job.answer.send(Ok(job.found)); // its client may have gone
            } else {
                unfinished.push(job);
            }
        }
        if !unfinished.is_empty() {
            let mut state = self.lock();
            state.jobs.extend(unfinished);
            self.metrics.set_queue(state.jobs.len());
        }
    }

    /// Forgets requests whose clients have gone.
    fn drop_vanished(&self, state: &mut State) {
        let before = state.jobs.len();
        state.jobs.retain(|job| !job.answer.is_closed());
        self.metrics.vanished(before - state.jobs.len());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The entities of the texts of some requests, one after the other.
fn tag(tagger: &dyn TextTagger, parts: &[Part]) -> Result<Vec<Vec<EntitySpan>>, String> {
    let texts = parts
        .iter()
        .flat_map(|part| &part.job.texts[part.texts.clone()]);
    let texts: Vec<&str> = texts.map(String::as_str).collect();
    // A panic is an error of the request, not the end of the service.
    let found = catch_unwind(AssertUnwindSafe(|| tagger.tag(&texts)))
        .unwrap_or_else(|_| Err("it panicked".to_owned()))?;
    if found.len() == texts.len() {
        Ok(found)
    } else {
        let (found, texts) = (found.len(), texts.len());
        Err(format!("it gave {found} results for {texts} texts"))
    }
}

fn fail(parts: Vec<Part>, reason: String, failed: &impl Fn(String)) {
    failed(reason);
    for part in parts {
        _ = part.job.answer.send(Err(Failed));
    }
}
