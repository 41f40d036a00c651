//! The terminal that results and diagnostics go to, and texts that fit it.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use terminal_size::{Height, Width, terminal_size_of};
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

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

/// A text of somebody's on its way to where results go. A terminal gets U+FFFD for each control character, which would move its cursor or change its
/// colors; anything else gets the text as it is.
pub fn shown(text: &str, on_terminal: bool) -> Cow<'_, str> {
    let acts = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if on_terminal && text.contains(acts) {
        text.replace(acts, "\u{fffd}").into()
    } else {
        text.into()
    }
}

/// Whether each line of a text has at most so many columns.
pub fn fits(text: &str, columns: usize) -> bool {
    text.lines().all(|line| line.chars().count() <= columns)
}

/// A text whose longer lines go on in a next one that is indented. No word is broken.
pub fn wrapped(text: &str, columns: usize) -> String {
    let lines = text.split('\n').map(|line| {
        let indent = line.chars().take_while(|c| *c == ' ').count();
        let hanging = " ".repeat((indent + HANGING).min(columns / 2));
        let options = Options::new(columns)
            .break_words(false)
            .word_splitter(WordSplitter::NoHyphenation)
            .word_separator(WordSeparator::AsciiSpace)
            .wrap_algorithm(WrapAlgorithm::FirstFit)
            .subsequent_indent(&hanging);
        textwrap::fill(line, options)
    });
    lines.collect::<Vec<String>>().join("\n")
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
    fn a_terminal_gets_no_control_character() {
        let text = "Ana \x1b[31mroja\x1b[0m\t\u{9b}1m\x07 ñ\r\n";
        let seen = "Ana \u{fffd}[31mroja\u{fffd}[0m\t\u{fffd}1m\u{fffd} ñ\u{fffd}\n";
        assert_eq!(shown(text, true), seen);
        assert_eq!(shown(text, false), text);
    }

    #[test]
    fn an_output_that_is_a_file_has_no_columns() {
        assert_eq!(columns(Some(Path::new("report.txt"))), None);
        assert_eq!(columns(Some(Path::new("-"))), stdout_columns());
    }
}
