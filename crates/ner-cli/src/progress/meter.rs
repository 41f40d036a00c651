//! How far a long run is, when it will end, and the lines that say so in a log.

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration};

/// Time between two lines of a log.
const PAUSE: Duration = Duration::from_secs(30);

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Steps, sentences: the line says how many of how many.
    Things,
    /// Bytes of a transfer.
    Bytes,
    /// Bytes of a file that is read, of which the share alone means something.
    Share,
}

/// How far one part of a command is.
#[derive(Debug)]
pub struct Meter {
    what: String,
    unit: Unit,
    /// None where it is not known.
    total: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When something was done for the first time, and how much: a run that goes on does not begin at 0.
    first: Option<(Instant, u64)>,
    /// The last time, likewise.
    last: (Instant, u64),
    /// When a line was due the last time.
    told: Instant,
}

impl Meter {
    pub fn new(what: &str, unit: Unit, total: Option<u64>, now: Instant) -> Self {
        Self {
            what: what.to_owned(),
            unit,
            total: total.filter(|total| *total > 0),
            state: Mutex::new(State {
                first: None,
                last: (now, 0),
                told: now,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that so much is done.
    pub fn set(&self, done: u64, now: Instant) {
        let mut state = self.state();
        state.first.get_or_insert((now, done));
        state.last = (now, done);
    }

    /// Whether a line is due; then the next one is after a pause.
    pub fn is_due(&self, now: Instant) -> bool {
        let mut state = self.state();
        let is_due = now.saturating_duration_since(state.told) >= PAUSE;
        if is_due {
            state.told = now;
        }
        is_due
    }

    /// Puts off the next line, because another one told the same.
    pub fn put_off(&self, now: Instant) {
        self.state().told = now;
    }

    /// Time that is left at the pace so far; none before anything can be told.
    pub fn time_left(&self) -> Option<Duration> {
        let state = self.state();
        let (began, before) = state.first?;
        let (now, done) = state.last;
        let since = done.checked_sub(before).filter(|since| *since > 0)?;
        let left = self.total?.saturating_sub(done);
        let seconds = now.saturating_duration_since(began).as_secs_f64();
        Duration::try_from_secs_f64(seconds / since as f64 * left as f64).ok()
    }

    /// The share that is done and the time that is left, such as `15 %, 12 minutes left`; nothing where no end is known.
    pub fn share(&self) -> Option<String> {
        let (_, done) = self.state().last;
        let percent = u128::from(done) * 100 / u128::from(self.total?);
        let mut text = format!("{} %", percent.min(100));
        if let Some(left) = self.time_left() {
            // A String takes all that is written to it.
            _ = write!(text, ", {} left", HumanDuration(left));
        }
        Some(text)
    }

    /// A line of a log, such as `train: 120 of 800 (15 %, 12 minutes left); loss 0.1`.
    pub fn line(&self, message: &str) -> String {
        let (_, done) = self.state().last;
        let counts = match (self.unit, self.total) {
            (Unit::Things, Some(total)) => format!("{done} of {total}"),
            (Unit::Things, None) => done.to_string(),
            (Unit::Bytes, Some(total)) => format!("{} of {}", HumanBytes(done), HumanBytes(total)),
            (Unit::Bytes, None) => HumanBytes(done).to_string(),
            (Unit::Share, _) => String::new(),
        };
        let place = match self.share() {
            Some(share) if counts.is_empty() => share,
            Some(share) => format!("{counts} ({share})"),
            None => counts,
        };
        let parts = [place.as_str(), message].into_iter();
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        format!("{}: {}", self.what, parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(begin: Instant, seconds: u64) -> Instant {
        begin + Duration::from_secs(seconds)
    }

    #[test]
    fn a_line_says_how_far_and_how_long() {
        let begin = Instant::now();
        let meter = Meter::new("train", Unit::Things, Some(800), begin);
        assert_eq!(meter.line(""), "train: 0 of 800 (0 %)");
        // A run that goes on: what was done before took no time of this one.
        meter.set(400, after(begin, 10));
        assert_eq!(meter.time_left(), None);
        assert_eq!(meter.line("loss 0.1"), "train: 400 of 800 (50 %); loss 0.1");
        meter.set(500, after(begin, 110));
        assert_eq!(meter.time_left(), Some(Duration::from_secs(300)));
        assert_eq!(
            meter.line("loss 0.1"),
            "train: 500 of 800 (62 %, 5 minutes left); loss 0.1"
        );
        meter.set(800, after(begin, 410));
        assert_eq!(meter.line(""), "train: 800 of 800 (100 %, 0 seconds left)");
    }

    #[test]
    fn what_is_counted_decides_what_is_shown() {
        let begin = Instant::now();
        let line = |unit, total| {
            let meter = Meter::new("x", unit, total, begin);
            meter.set(1 << 20, begin);
            meter.line("7 texts")
        };
        assert_eq!(
            line(Unit::Bytes, Some(4 << 20)),
            "x: 1.00 MiB of 4.00 MiB (25 %); 7 texts"
        );
        assert_eq!(line(Unit::Share, Some(4 << 20)), "x: 25 %; 7 texts");
        assert_eq!(line(Unit::Bytes, None), "x: 1.00 MiB; 7 texts");
        // A pipe has no size, and neither has an empty file.
        assert_eq!(line(Unit::Share, None), "x: 7 texts");
        assert_eq!(line(Unit::Share, Some(0)), "x: 7 texts");
    }

    #[test]
    fn lines_come_after_pauses() {
        let begin = Instant::now();
        let meter = Meter::new("x", Unit::Things, Some(9), begin);
        let at = |seconds| meter.is_due(after(begin, seconds));
        assert_eq!(
            [at(1), at(29), at(30), at(31), at(59), at(60)],
            [false, false, true, false, false, true]
        );
        meter.put_off(after(begin, 80));
        assert_eq!([at(100), at(110)], [false, true]);
    }
}
