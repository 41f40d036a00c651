//! Calls of `ner-cli`: what runs in process is what the user is shown.

use std::{ffi::OsString, fmt};

use serde::Serialize;
use serde_json::{Map, Value};

/// Name of the program, first of its arguments.
pub const PROGRAM: &str = "ner-cli";

/// One command line of `ner-cli`.
#[derive(Clone, Debug, PartialEq)]
pub struct CommandLine(Vec<OsString>);

impl CommandLine {
    pub fn new(command: &str) -> Self {
        Self(vec![PROGRAM.into(), command.into()])
    }

    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.0.push(arg.into());
        self
    }

    pub fn option(self, name: &str, value: impl Into<OsString>) -> Self {
        self.arg(name).arg(value)
    }

    pub fn number(self, name: &str, value: impl Into<Number>) -> Self {
        self.option(name, value.into().0)
    }

    /// An option for each setting that is not the program's default, under the setting's key.
    pub fn settings<S: Serialize + Default>(self, settings: &S) -> Self {
        let defaults = fields(&S::default());
        let changed = fields(settings)
            .into_iter()
            .filter(|(key, value)| defaults.get(key) != Some(value));
        changed.fold(self, |line, (key, value)| {
            let name = format!("--{}", key.replace('_', "-"));
            match value {
                Value::Bool(true) => line.arg(name),
                value => line.option(&name, text(&value)),
            }
        })
    }

    /// The program's name and its arguments.
    pub fn args(&self) -> &[OsString] {
        &self.0
    }
}

/// Values by their keys.
fn fields(settings: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// A value as the program takes it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            Number::from(number.as_f64().unwrap_or_default()).0
        }
        Value::Object(pairs) => {
            let pairs = pairs
                .iter()
                .map(|(name, value)| format!("{name}={}", text(value)));
            pairs.collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// A number as people write it: `5e-5` rather than `0.00005`.
pub struct Number(String);

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        let small = value != 0.0 && value.abs() < 1e-3;
        Self(if small {
            format!("{value:e}")
        } else {
            value.to_string()
        })
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self(value.to_string())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string())
    }
}

/// As one would type it into a POSIX shell.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arg) in self.0.iter().enumerate() {
            let arg = arg.to_string_lossy();
            let separator = if i == 0 { "" } else { " " };
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./,:=+@%".contains(c);
            if !arg.is_empty() && arg.chars().all(plain) {
                write!(f, "{separator}{arg}")?;
            } else {
                write!(f, "{separator}'{}'", arg.replace('\'', r"'\''"))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::CommandLine;

    #[test]
    fn shows_what_a_shell_would_take() {
        let line = CommandLine::new("predict")
            .option("--model", "my models/a")
            .arg("l'Ejido")
            .arg("")
            .number("--rate", 5e-5)
            .number("--clip", 1.0);
        assert_eq!(
            line.to_string(),
            r"ner-cli predict --model 'my models/a' 'l'\''Ejido' '' --rate 5e-5 --clip 1"
        );
        assert_eq!(line.args().len(), 10);
    }
}
