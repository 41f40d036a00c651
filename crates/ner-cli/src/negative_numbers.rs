//! Negative numbers as values of options.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// The command line with each negative number joined to the option before it, as in `--learning-rate=-5e-5`: a word that begins with `-` is an
/// option to clap, which knows only some numbers for what they are. Whether the option may be negative is for its own check to say.
pub fn join(line: Vec<OsString>, program: &Command) -> Vec<OsString> {
    let command = line
        .iter()
        .skip(1)
        .find_map(|word| program.find_subcommand(word));
    let Some(command) = command else {
        return line;
    };
    let mut joined: Vec<OsString> = Vec::with_capacity(line.len());
    let mut options_end = false;
    for word in line {
        options_end |= word == "--";
        match joined.last_mut() {
            Some(option) if !options_end && is_negative(&word) && takes_one(command, option) => {
                option.push("=");
                option.push(&word);
            }
            _ => joined.push(word),
        }
    }
    joined
}

fn is_negative(word: &OsStr) -> bool {
    let text = word.to_str().filter(|text| text.starts_with('-'));
    text.is_some_and(|text| text.parse::<f64>().is_ok())
}

/// Whether a word is an option of a command with one value.
fn takes_one(command: &Command, word: &OsStr) -> bool {
    let Some(long) = word.to_str().and_then(|text| text.strip_prefix("--")) else {
        return false;
    };
    let has_name = |argument: &&Arg| {
        let aliases = argument.get_all_aliases();
        argument.get_long() == Some(long) || aliases.is_some_and(|names| names.contains(&long))
    };
    let argument = command.get_arguments().find(has_name);
    argument.is_some_and(|argument| {
        let values = argument.get_num_args();
        argument.get_action().takes_values() && values.is_none_or(|values| values.max_values() == 1)
    })
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    #[test]
    fn a_negative_number_is_the_value_of_the_option_before_it() {
        let train = Command::new("train")
            .arg(Arg::new("learning_rate").long("learning-rate").alias("lr"))
            .arg(Arg::new("errors").long("errors").action(ArgAction::SetTrue))
            .arg(Arg::new("input").long("input").num_args(1..))
            .arg(Arg::new("texts").num_args(0..));
        let mut program = Command::new("ner-cli").subcommand(train);
        program.build();
        let joined = |line: &str| -> String {
            let words = line.split(' ').map(OsString::from).collect();
            let joined = join(words, &program).into_iter();
            let joined: Vec<String> = joined.filter_map(|word| word.into_string().ok()).collect();
            joined.join(" ")
        };
        for (line, expected) in [
            ("x train --learning-rate -1", "x train --learning-rate=-1"),
            ("x train --lr -5e-5 --errors", "x train --lr=-5e-5 --errors"),
            ("x train --lr -.5 a", "x train --lr=-.5 a"),
            ("x train --lr -inf", "x train --lr=-inf"),
        ] {
            assert_eq!(joined(line), expected);
            let words = expected.split(' ');
            assert!(program.clone().try_get_matches_from(words).is_ok());
        }
        for unchanged in [
            "x train --lr 1",
            "x train --lr=-1 -1",
            "x train --lr --errors",
            "x train --errors -1",
            "x train --input -1",
            "x train --rate -1",
            "x train -- --lr -1",
            "x --lr -1",
            "x",
        ] {
            assert_eq!(joined(unchanged), unchanged);
        }
    }
}
