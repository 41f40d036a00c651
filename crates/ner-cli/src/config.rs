//! Flags of `train` and `distill` from a TOML file, and the other way.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::{Table, Value};

/// Flags that a file cannot hold, and that are no settings.
const NOT_SETTINGS: [&str; 5] = ["config", "help", "quiet", "resume", "version"];

/// The command of a command line whose flags may stand in a file: the first word that names one, if it is such a command.
pub fn configurable<'c>(line: &[OsString], program: &'c Command) -> Option<&'c Command> {
    let mut words = line.iter().skip(1);
    let command = words.find_map(|word| program.find_subcommand(word))?;
    let has_file = |argument: &Arg| argument.get_long() == Some("config");
    command.get_arguments().any(has_file).then_some(command)
}

/// The command line of a command with the flags of its `--config` file, where there is one, before its own.
///
/// A flag of the command line wins over the file's, and over those of the file that it excludes.
///
/// # Errors
/// A file that cannot be read or is no TOML, a key that is no flag, or a value that no flag can have.
pub fn expand(line: Vec<OsString>, command: &Command) -> Result<Vec<OsString>> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let Some(place) = line
        .iter()
        .position(|argument| argument == command.get_name())
    else {
        return Ok(line);
    };
    let own: Vec<String> = line[place + 1..].iter().map(text).collect();
    let mut paths = own.iter().enumerate().filter_map(|(at, argument)| {
        let joined = argument.strip_prefix("--config=").map(str::to_owned);
        joined.or_else(|| own.get(at + 1).filter(|_| argument == "--config").cloned())
    });
    // As with every flag, the last one counts.
    let Some(path) = paths.next_back() else {
        return Ok(line);
    };
    let is_given = |long: &str| {
        let flag = format!("--{long}");
        own.iter()
            .any(|argument| *argument == flag || argument.starts_with(&format!("{flag}=")))
    };
    let mut flags = Vec::new();
    for (key, value) in read(Path::new(&path))? {
        let long = key.replace('_', "-");
        let known = |argument: &&Arg| {
            argument.get_long() == Some(long.as_str()) && !NOT_SETTINGS.contains(&long.as_str())
        };
        let Some(argument) = command.get_arguments().find(known) else {
            bail!(
                "{path}: `{key}` is no setting of {0}; see `ner-cli {0} --help`",
                command.get_name()
            );
        };
        let rivals = command.get_arg_conflicts_with(argument);
        let rivals = rivals.into_iter().filter_map(Arg::get_long);
        if is_given(&long) || rivals.into_iter().any(is_given) {
            continue;
        }
        flags.extend(
            self::flags(argument, &long, value).with_context(|| format!("{path}: `{key}`"))?,
        );
    }
    let mut expanded = line;
    expanded.splice(place + 1..=place, flags.into_iter().map(OsString::from));
    Ok(expanded)
}

fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}

/// The flags that a value of a file stands for: none where it is one that is not set, one for each of a list where the flag may be repeated.
fn flags(argument: &Arg, long: &str, value: Value) -> Result<Vec<String>> {
    let text = match (argument.get_action(), value) {
        (ArgAction::SetTrue, Value::Boolean(is_set)) => {
            return Ok(Vec::from_iter(is_set.then(|| format!("--{long}"))));
        }
        (ArgAction::SetTrue, _) => bail!("expected true or false"),
        (ArgAction::Append, Value::Array(values)) => {
            let flag = |value| Ok(format!("--{long}={}", plain(value)?));
            return values.iter().map(flag).collect();
        }
        (_, Value::Array(values)) => {
            let values: Result<Vec<String>> = values.iter().map(plain).collect();
            values?.join(",")
        }
        (_, Value::Table(pairs)) => {
            let pair = |(name, value)| Ok(format!("{name}={}", plain(value)?));
            let pairs: Result<Vec<String>> = pairs.iter().map(pair).collect();
            pairs?.join(",")
        }
        (_, value) => plain(&value)?,
    };
    Ok(vec![format!("--{long}={text}")])
}

/// A value as it stands on a command line.
fn plain(value: &Value) -> Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        _ => bail!("expected a string, a number, true or false, or a list or table of these"),
    })
}

/// Every setting with the value that it has, as [`expand`] reads them; not the default of one that a given flag excludes.
pub fn effective(command: &Command, matches: &ArgMatches) -> Table {
    let mut table = Table::new();
    let source = |argument: &Arg| matches.value_source(argument.get_id().as_str());
    let is_given = |argument: &Arg| source(argument) == Some(ValueSource::CommandLine);
    for argument in command.get_arguments() {
        let rivals = command.get_arg_conflicts_with(argument);
        if !is_given(argument) && rivals.into_iter().any(is_given) {
            continue;
        }
        let Some(long) = argument
            .get_long()
            .filter(|long| !NOT_SETTINGS.contains(long))
        else {
            continue;
        };
        let id = argument.get_id().as_str();
        if matches!(argument.get_action(), ArgAction::SetTrue) {
            table.insert(long.to_owned(), Value::Boolean(matches.get_flag(id)));
        } else if let Some(values) = matches.get_raw(id) {
            let values: Vec<Value> = values
                .map(|value| typed(argument, &value.to_string_lossy()))
                .collect();
            let value = match <[Value; 1]>::try_from(values) {
                Ok([value]) => value,
                Err(values) => Value::Array(values),
            };
            table.insert(long.to_owned(), value);
        }
    }
    table
}

/// A number, or true or false, where the flag takes one and TOML can write it so; `2024_06` is a directory's name too.
fn typed(argument: &Arg, text: &str) -> Value {
    let plain = [
        TypeId::of::<usize>(),
        TypeId::of::<u64>(),
        TypeId::of::<f64>(),
        TypeId::of::<bool>(),
    ];
    let takes = argument.get_value_parser().type_id();
    if !plain.into_iter().any(|kind| takes == kind) {
        return Value::String(text.to_owned());
    }
    let value = format!("x = {text}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("x"));
    match value {
        Some(value @ (Value::Integer(_) | Value::Float(_) | Value::Boolean(_))) => value,
        _ => Value::String(text.to_owned()),
    }
}
