//! What a long run shows on stderr: a bar on a terminal, plain lines elsewhere.

use std::fmt::{self, Write};
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Map, Value, json};

/// Diagnostics of one command.
pub struct Progress {
    quiet: bool,
    json: bool,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Diagnostics that `--quiet` silences.
    pub fn new(quiet: bool) -> Self {
        Self {
            quiet,
            json: false,
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

    /// Whether a bar would be shown.
    fn on_terminal(&self) -> bool {
        !self.quiet && !self.json && std::io::stderr().is_terminal()
    }

    /// Starts a bar of `total` steps in place of a former one; does nothing where there is no terminal.
    pub fn start(&mut self, what: &str, total: usize) {
        self.start_bar(
            what,
            total,
            "{prefix} [{bar:14}] {pos}/{len} {elapsed} < {eta} {wide_msg}",
        );
    }

    /// Moves the bar of a transfer of `total` bytes, and starts it where there is none.
    pub fn set_bytes(&mut self, what: &str, done: u64, total: u64) {
        if self.bar.is_none() {
            self.start_bar(
                what,
                total as usize,
                "{prefix} [{bar:14}] {bytes}/{total_bytes} {bytes_per_sec} < {eta}",
            );
        }
        self.set(done as usize, String::new);
    }

    /// Moves the bar of a file that is read, and starts it where there is none: bytes read, of how many where that is known.
    pub fn set_texts(&mut self, done: u64, total: Option<u64>, message: String) {
        if self.bar.is_none() {
            let template = match total {
                Some(_) => "{prefix} [{bar:14}] {percent}% {elapsed} < {eta} {wide_msg}",
                None => "{prefix} {elapsed} {wide_msg}",
            };
            self.start_bar("predict", total.unwrap_or(0) as usize, template);
        }
        self.set(done as usize, || message);
    }

    fn start_bar(&mut self, what: &str, total: usize, template: &str) {
        self.end();
        if self.on_terminal() {
            let bar = ProgressBar::new(total as u64);
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.with_key("eta", time_left).progress_chars("=> "));
            }
            bar.set_prefix(what.to_owned());
            bar.enable_steady_tick(Duration::from_millis(500));
            self.bar = Some(bar);
        }
    }

    /// Moves the bar.
    pub fn set(&self, done: usize, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(message());
        }
    }

    /// Leaves the bar where it is and says what goes on there.
    pub fn message(&self, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message());
        }
    }

    /// Takes the bar away.
    pub fn end(&mut self) {
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

    /// Says what went wrong without ending the command, even where diagnostics are silenced.
    pub fn warn(&self, line: &str) {
        let loud = Self {
            quiet: false,
            json: self.json,
            bar: None,
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
