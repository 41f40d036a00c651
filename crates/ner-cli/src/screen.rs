//! The terminal that results and diagnostics go to, and texts that fit it.

use std::io;
use std::path::Path;

use terminal_size::{Height, Width, terminal_size_of};

/// Columns by which the rest of a line is indented, more than the line is.
const HANGING: usize = 2;

/// Columns of the terminal that results go to; none where they go to a file or a pipe.
pub fn columns(output: Option<&Path>) -> Option<usize> {
    let is_file = output.is_some_and(|path| path != Path::new("-"));
    if is_file { None } else { stdout_columns() }
}

/// Columns of the terminal that stdout is; none where it is no terminal.
pub fn stdout_columns() -> Option<usize> {
    terminal_size_of(io::stdout()).map(width)
}

/// The same of stderr.
pub fn stderr_columns() -> Option<usize> {
    terminal_size_of(io::stderr()).map(width)
}

fn width((Width(columns), _): (Width, Height)) -> usize {
    usize::from(columns)
}

/// Whether each line of a text has at most so many columns.
pub fn fits(text: &str, columns: usize) -> bool {
    text.lines().all(|line| line.chars().count() <= columns)
}

/// A text whose longer lines go on in a next one that is indented. No word is broken.
pub fn wrapped(text: &str, columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = match line.strip_suffix('\n') {
            Some(line) => (line, "\n"),
            None => (line, ""),
        };
        if line.chars().count() <= columns {
            wrapped.push_str(line);
        } else {
            wrap(line, columns, &mut wrapped);
        }
        wrapped.push_str(end);
    }
    wrapped
}

/// Breaks a line at blanks.
fn wrap(line: &str, columns: usize, wrapped: &mut String) {
    let indent = line.chars().take_while(|c| *c == ' ').count();
    let hanging = " ".repeat((indent + HANGING).min(columns / 2));
    let (mut rest, mut used) = (line, 0);
    let mut is_first = true;
    loop {
        let word = rest.trim_start_matches(' ');
        if word.is_empty() {
            return; // blanks at the end
        }
        let blanks = &rest[..rest.len() - word.len()];
        let (word, behind) = word.split_at(word.find(' ').unwrap_or(word.len()));
        let length = word.chars().count();
        let is_too_long = used + blanks.len() + length > columns;
        if is_too_long && !is_first {
            wrapped.push('\n');
            wrapped.push_str(&hanging);
            used = hanging.len() + length;
        } else {
            wrapped.push_str(blanks);
            used += blanks.len() + length;
        }
        wrapped.push_str(word);
        is_first = false;
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_go_on_indented_and_lose_no_word() {
        let text = "labels  B-LOC B-ORG B-PER I-LOC\n  a.conll:7: the word is long\nshort\n\nsupercalifragilistic word";
        let expected = "labels  B-LOC\n  B-ORG B-PER\n  I-LOC\n  a.conll:7: the\n    word is long\nshort\n\nsupercalifragilistic\n  word";
        let found = wrapped(text, 16);
        assert_eq!(found, expected);
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        for columns in 0..40 {
            assert_eq!(words(&wrapped(text, columns)), words(text), "{columns}");
        }
        assert_eq!(wrapped(text, 40), text);
        assert_eq!(wrapped("", 10), "");
    }

    #[test]
    fn an_output_that_is_a_file_has_no_columns() {
        assert_eq!(columns(Some(Path::new("report.txt"))), None);
        assert_eq!(columns(Some(Path::new("-"))), stdout_columns());
    }
}
