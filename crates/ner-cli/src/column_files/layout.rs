//! The flags that say how files of words and tags are laid out.

use std::path::Path;

use clap::Args;
use conll_io::{
    Column, ColumnNames, Comments, Encoding, ReaderBuilder, Separator, TaggedReader, WriterBuilder,
};

/// How column files are laid out.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Column files")]
pub struct ColumnArguments {
    /// Column of the token, from 1, or from -1 at the end; in JSONL and in tables with a header also the name of the field or column.
    /// Where not given, the first column, and in JSONL and tables the one with a usual name, such as `token`.
    #[arg(long, value_name = "N|NAME", allow_hyphen_values = true, value_parser = chosen_column)]
    token_column: Option<ChosenColumn>,
    /// Column of the tag, from 1, or from -1 at the end; in JSONL and in tables with a header also the name of the field or column.
    /// Where not given, the last column, and in JSONL and tables the one with a usual name, such as `ner_tag`.
    #[arg(long, value_name = "N|NAME", allow_hyphen_values = true, value_parser = chosen_column)]
    tag_column: Option<ChosenColumn>,
    /// Column of a table with the number of each word's sentence; by the usual names, such as `sentence_id`, where not given.
    #[arg(long, value_name = "NAME")]
    sentence_column: Option<String>,
    /// Column of a table, or field of JSONL, with the document; `document` or `doc_id` where not given and there is one.
    #[arg(long, value_name = "NAME")]
    document_column: Option<String>,
    /// What stands between columns.
    #[arg(long, value_enum, default_value_t = SeparatorName::Whitespace)]
    separator: SeparatorName,
    /// Encoding of the files.
    #[arg(long, value_enum, default_value_t = EncodingName::Utf8)]
    encoding: EncodingName,
    /// Which lines are comments: those of the `# key = value` kind, none, or those that begin with the given text.
    #[arg(long, value_name = "key-value|none|PREFIX", default_value = "key-value", value_parser = comments)]
    comments: Comments,
}

/// A column by its number or by its name.
#[derive(Clone, Debug)]
enum ChosenColumn {
    Number(Column),
    Name(String),
}

impl ChosenColumn {
    fn number(&self) -> Option<Column> {
        match self {
            Self::Number(column) => Some(*column),
            Self::Name(_) => None,
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::Number(_) => None,
            Self::Name(name) => Some(name.clone()),
        }
    }
}

/// What is no number is a name, but for an option that stands where a value is missing.
fn chosen_column(text: &str) -> Result<ChosenColumn, String> {
    let is_number = text.trim().parse::<i64>().is_ok();
    if is_number || text.trim().is_empty() || text.starts_with('-') {
        let column = text.parse::<Column>();
        return column
            .map(ChosenColumn::Number)
            .map_err(|error| error.to_string());
    }
    Ok(ChosenColumn::Name(text.to_owned()))
}

fn comments(name: &str) -> Result<Comments, String> {
    match name {
        "key-value" => Ok(Comments::KeyValue),
        "none" => Ok(Comments::None),
        "" => Err("expected key-value, none, or how comment lines begin".to_owned()),
        prefix => Ok(Comments::Prefix(prefix.to_owned())),
    }
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum SeparatorName {
    Whitespace,
    Space,
    Tab,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum EncodingName {
    #[value(name = "utf-8")]
    Utf8,
    #[value(name = "iso-8859-1")]
    Latin1,
}

impl ColumnArguments {
    /// Opens a file: JSONL, a table or columns, as its extension says.
    ///
    /// # Errors
    /// A file that cannot be opened, or that looks like JSON and has another extension.
    pub fn open(&self, path: &Path) -> Result<TaggedReader, conll_io::Error> {
        self.reader().open(path)
    }

    /// The settings of a reader of column files.
    fn reader(&self) -> ReaderBuilder {
        let number = |column: &Option<ChosenColumn>| column.as_ref()?.number();
        let name = |column: &Option<ChosenColumn>| column.as_ref()?.name();
        let mut builder = ReaderBuilder::new();
        if let Some(column) = number(&self.token_column) {
            builder.token_column(column);
        }
        if let Some(column) = number(&self.tag_column) {
            builder.tag_column(Some(column));
        }
        builder
            .names(ColumnNames {
                token: name(&self.token_column),
                tag: name(&self.tag_column),
                sentence: self.sentence_column.clone(),
                document: self.document_column.clone(),
            })
            .separator(self.separator())
            .comments(self.comments.clone())
            .encoding(match self.encoding {
                EncodingName::Utf8 => Encoding::Utf8,
                EncodingName::Latin1 => Encoding::Latin1,
            });
        builder
    }

    /// The settings of a writer whose files this layout reads.
    pub fn writer(&self) -> WriterBuilder {
        let mut builder = WriterBuilder::new();
        builder.separator(self.separator());
        builder
    }

    /// Whether the files are UTF-8, as texts always are.
    pub fn is_utf8(&self) -> bool {
        matches!(self.encoding, EncodingName::Utf8)
    }

    fn separator(&self) -> Separator {
        match self.separator {
            SeparatorName::Whitespace => Separator::Whitespace,
            SeparatorName::Space => Separator::Space,
            SeparatorName::Tab => Separator::Tab,
        }
    }
}
