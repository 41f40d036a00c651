//! Which flag mends a file that is laid out otherwise: `conll-io` knows settings, and not what they are called here.

use anyhow::anyhow;
use conll_io::ErrorKind;

/// A fault of a file, with the flag that may mend it.
pub fn with_flag(fault: conll_io::Error) -> anyhow::Error {
    match flag(fault.kind()) {
        Some(flag) => anyhow!("{fault} ({flag})"),
        None => fault.into(),
    }
}

/// What is wrong, without the place and with the flag that may mend it.
pub fn kind_with_flag(kind: &ErrorKind) -> String {
    match flag(kind) {
        Some(flag) => format!("{kind} ({flag})"),
        None => kind.to_string(),
    }
}

/// The flag that says what the file does not.
fn flag(kind: &ErrorKind) -> Option<&'static str> {
    match kind {
        ErrorKind::MissingField { what: role, .. }
        | ErrorKind::MissingHeader { role, .. }
        | ErrorKind::UnknownHeader { role, .. } => match *role {
            "token" | "tokens" => Some("--token-column NAME"),
            "tag" | "tags" => Some("--tag-column NAME"),
            "sentence id" => Some("--sentence-column NAME"),
            "document" => Some("--document-column NAME"),
            _ => None,
        },
        ErrorKind::NoSentenceEnd { .. } => {
            Some("--sentence-column NAME, where a column of another name has the number")
        }
        ErrorKind::InvalidUtf8 { .. } => Some("--encoding iso-8859-1"),
        ErrorKind::CommentInSentence => Some("--comments none"),
        ErrorKind::MaybeComment => Some("--comments none, or --comments PREFIX"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::column_files::ColumnArguments;
    use clap::{Args, Command, FromArgMatches};

    /// What is said of a file that is read with the defaults.
    fn said(name: &str, text: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let matches = ColumnArguments::augment_args(Command::new("x")).get_matches_from(["x"]);
        let layout = ColumnArguments::from_arg_matches(&matches).unwrap();
        let read = layout
            .open(&path)
            .map(conll_io::TaggedReader::into_sentences);
        let fault = match read {
            Ok(sentences) => sentences.collect::<Result<Vec<_>, _>>().unwrap_err(),
            Err(fault) => fault,
        };
        assert!(kind_with_flag(fault.kind()).ends_with(')'));
        with_flag(fault).to_string()
    }

    #[test]
    fn a_file_that_is_laid_out_otherwise_is_answered_with_a_flag() {
        for (name, text, flag) in [
            (
                "a.jsonl",
                &b"{\"palabras\": [\"Ana\"], \"etiquetas\": [\"B-PER\"]}\n"[..],
                "rename it (--token-column NAME)",
            ),
            (
                "a.csv",
                &b"frase,palabra,etiqueta\n1,Ana,B-PER\n"[..],
                "name of the token column (--token-column NAME)",
            ),
            (
                "a.csv",
                &b"sentence_id,token,etiqueta\n1,Ana,B-PER\n"[..],
                "name of the tag column (--tag-column NAME)",
            ),
            (
                "a.csv",
                &b"frase,token,tag\n1,Ana,B-PER\n2,Llueve,O\n"[..],
                "after each sentence (--sentence-column NAME, where a column of another name has the number)",
            ),
            (
                "a.conll",
                &b"Espa\xF1a B-LOC\n"[..],
                "to UTF-8 (--encoding iso-8859-1)",
            ),
        ] {
            let said = said(name, text);
            assert!(said.ends_with(flag), "{said}");
        }
    }
}
