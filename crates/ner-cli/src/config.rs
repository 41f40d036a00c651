//! Flags of `train` from a TOML file, and the other way.

use std::any::TypeId;
use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use toml::{Table, Value};

/// Flags that a file cannot hold, and that are no settings.
const NOT_SETTINGS: [&str; 5] = ["config", "help", "quiet", "resume", "version"];

/// The command line of `train` with the flags of its `--config` file, where there is one, before its own.
///
/// A flag of the command line wins over the file's, and over those of the file that it excludes.
///
/// # Errors
/// A file that cannot be read or is no TOML, a key that is no flag, or a value that no flag can have.
pub fn expand(line: Vec<OsString>, train: &Command) -> Result<Vec<OsString>> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    let Some(place) = line
        .iter()
        .position(|argument| argument == train.get_name())
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
        let Some(argument) = train.get_arguments().find(known) else {
            bail!(
                "{path}: `{key}` is no setting of {}; see `ner-cli train --help`",
                train.get_name()
            );
        };
        let rivals = train.get_arg_conflicts_with(argument);
        let rivals = rivals.into_iter().filter_map(Arg::get_long);
        if is_given(&long) || rivals.into_iter().any(is_given) {
            continue;
        }
        flags.extend(flag(argument, &long, value).with_context(|| format!("{path}: `{key}`"))?);
    }
    let mut expanded = line;
    expanded.splice(place + 1..=place, flags.into_iter().map(OsString::from));
    Ok(expanded)
}

fn read(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}

/// The flag that a value of a file stands for; none where it is one that is not set.
fn flag(argument: &Arg, long: &str, value: Value) -> Result<Option<String>> {
    let text = match (argument.get_action(), value) {
        (ArgAction::SetTrue, Value::Boolean(is_set)) => {
            return Ok(is_set.then(|| format!("--{long}")));
        }
        (ArgAction::SetTrue, _) => bail!("expected true or false"),
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
    Ok(Some(format!("--{long}={text}")))
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
pub fn effective(train: &Command, matches: &ArgMatches) -> Table {
    let mut table = Table::new();
    let source = |argument: &Arg| matches.value_source(argument.get_id().as_str());
    let is_given = |argument: &Arg| source(argument) == Some(ValueSource::CommandLine);
    for argument in train.get_arguments() {
        let rivals = train.get_arg_conflicts_with(argument);
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
