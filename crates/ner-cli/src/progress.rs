//! What a long run shows on stderr: a bar on a terminal that can draw one; elsewhere plain lines, one from time to time.

mod meter;

use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Map, Value, json};

use self::meter::{Meter, Unit};
use crate::screen::stderr_columns;

/// Columns below which a bar shows figures alone.
const NARROW: usize = 60;

/// Diagnostics of one command.
pub struct Progress {
    quiet: bool,
    json: bool,
    meter: Option<Meter>,
    bar: Option<ProgressBar>,
}

/// What a bar shows.
struct Template {
    wide: &'static str,
    /// Where there are few columns.
    narrow: &'static str,
}

const THINGS: Template = Template {
    wide: "{prefix} [{bar:14}] {pos}/{len} {elapsed} < {eta} {wide_msg}",
    narrow: "{prefix} {pos}/{len} < {eta}",
};

const BYTES: Template = Template {
    wide: "{prefix} [{bar:14}] {bytes}/{total_bytes} {bytes_per_sec} < {eta}",
    narrow: "{prefix} {bytes}/{total_bytes} < {eta}",
};

const SHARE: Template = Template {
    wide: "{prefix} [{bar:14}] {percent}% {elapsed} < {eta} {wide_msg}",
    narrow: "{prefix} {percent}% < {eta}",
};

const NO_END: Template = Template {
    wide: "{prefix} {elapsed} {wide_msg}",
    narrow: "{prefix} {elapsed}",
};

impl Progress {
    /// Diagnostics that `--quiet` silences.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            json: false,
            meter: None,
            bar: None,
        }
    }

    /// Diagnostics as one JSON object a line, `event` saying of what kind, and never a bar.
    pub fn json(quiet: bool) -> Self {
        Self {
            json: true,
            ..Self::new(quiet)
        }
    }

    /// Whether a bar, or lines in its place, would be shown.
    fn is_shown(&self) -> bool {
        !self.quiet && !self.json
    }

    /// Starts a part of `total` steps in place of a former one.
    pub fn start(&mut self, what: &str, total: usize) {
        self.begin(what, Unit::Things, Some(total as u64), &THINGS);
    }

    /// Says how far a transfer of `total` bytes is, and starts it where there is none.
    pub fn set_bytes(&mut self, what: &str, done: u64, total: u64) {
        if self.meter.is_none() {
            self.begin(what, Unit::Bytes, Some(total), &BYTES);
        }
        self.set(done as usize, String::new);
    }

    /// Says how far a file is read, and starts it where there is none: bytes read, of how many where that is known.
    pub fn set_texts(&mut self, done: u64, total: Option<u64>, message: String) {
        if self.meter.is_none() {
            let template = if total.is_some() { &SHARE } else { &NO_END };
            self.begin("predict", Unit::Share, total, template);
        }
        self.set(done as usize, || message);
    }

    fn begin(&mut self, what: &str, unit: Unit, total: Option<u64>, template: &Template) {
        self.end();
        self.meter = Some(Meter::new(what, unit, total, Instant::now()));
        if !self.is_shown() {
            return;
        }
        let bar = ProgressBar::new(total.unwrap_or(0));
        // No terminal, or one that no line can be drawn anew on (TERM is `dumb` or not set): lines are said in the bar's place.
        if !bar.is_hidden() {
            // A terminal that does not say how wide it is may be narrow.
            let is_wide = stderr_columns().is_some_and(|columns| columns >= NARROW);
            let template = if is_wide {
                template.wide
            } else {
                template.narrow
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.with_key("eta", time_left).progress_chars("=> "));
            }
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(500));
            self.bar = Some(bar);
        }
    }

    /// Says how much is done.
    pub fn set(&self, done: usize, message: impl FnOnce() -> String) {
        if let Some(meter) = &self.meter {
            meter.set(done as u64, Instant::now());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
        }
        self.message(message);
    }

    /// Says what goes on where the part is.
    pub fn message(&self, message: impl FnOnce() -> String) {
        let Some(meter) = self.meter.as_ref().filter(|_| self.is_shown()) else {
            return;
        };
        if let Some(bar) = &self.bar {
            bar.set_message(message());
        } else if meter.is_due(Instant::now()) {
            eprintln!("{}", meter.line(&message()));
        }
    }

    /// The share of the part that is done and the time that is left, such as `15 %, 12 minutes left`.
    pub fn share(&self) -> Option<String> {
        self.meter.as_ref().and_then(Meter::share)
    }

    /// The time that is left of the part, where something can be told.
    pub fn time_left(&self) -> Option<Duration> {
        self.meter.as_ref().and_then(Meter::time_left)
    }

    /// Ends the part and takes its bar away.
    pub fn end(&mut self) {
        self.meter = None;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Says a line that stays, above a bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            _ if self.quiet => {}
            _ if self.json => self.tell_json("message", || json!({"text": line})),
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// What says lines from another thread, while this one shows a bar.
    pub fn aside(&self) -> impl Fn(&str) + Send + use<> {
        let (quiet, json) = (self.quiet, self.json);
        // The cursor stands behind the bar, or behind the `^C` that the terminal shows.
        let begin = if !json && std::io::stderr().is_terminal() {
            "\n"
        } else {
            ""
        };
        move |line: &str| {
            let voice = Self {
                json,
                ..Self::new(quiet)
            };
            voice.say(&format!("{begin}{line}"));
        }
    }

    /// Says what went wrong without ending the command, even where diagnostics are silenced.
    pub fn warn(&self, line: &str) {
        let loud = Self {
            json: self.json,
            ..Self::new(false)
        };
        loud.say(line);
    }

    /// Says what happened: as a line that stays, or by its fields where diagnostics are JSON.
    pub fn tell(&self, event: &str, line: &str, fields: impl FnOnce() -> Value) {
        if self.json {
            self.tell_json(event, fields);
        } else {
            self.say(line);
        }
    }

    /// As [`tell`](Self::tell), but nothing where a bar tells the same.
    pub fn tell_without_bar(
        &self,
        event: &str,
        line: impl FnOnce() -> String,
        fields: impl FnOnce() -> Value,
    ) {
        if self.json {
            self.tell_json(event, fields);
        } else if !self.quiet && self.bar.is_none() {
            eprintln!("{}", line());
            if let Some(meter) = &self.meter {
                meter.put_off(Instant::now());
            }
        }
    }

    /// Says what happened where diagnostics are JSON.
    pub fn tell_json(&self, event: &str, fields: impl FnOnce() -> Value) {
        if self.json && !self.quiet {
            let mut object = Map::from_iter([("event".to_owned(), json!(event))]);
            if let Value::Object(fields) = fields() {
                object.extend(fields);
            }
            eprintln!("{}", Value::Object(object));
        }
    }
}

/// Time that is left, as indicatif writes it; a question mark before the first step, which nothing can be told from.
fn time_left(state: &ProgressState, text: &mut dyn Write) {
    let written: fmt::Result = match state.pos() {
        0 => text.write_char('?'),
        _ => write!(text, "{:#}", HumanDuration(state.eta())),
    };
    debug_assert!(written.is_ok(), "a bar is a string");
}
