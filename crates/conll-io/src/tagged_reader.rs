//! Opens files of tagged sentences in the format that their names tell.

use std::fs::File;
use std::io::{self, Chain, Cursor, Read};
use std::path::Path;

use memchr::memchr2;

use crate::encoding::read_some;
use crate::reader::TagColumn;
use crate::source::open;
use crate::table_header::is_header;
use crate::{
    CsvReader, CsvReaderBuilder, Error, ErrorKind, JsonlReader, JsonlReaderBuilder, Reader,
    ReaderBuilder, Sentence, SentenceSource, Sentences, Separator,
};

/// Bytes in which the first line is looked for.
const HEAD: usize = 64 * 1024;

/// What may stand between the columns of a CSV file.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// How a file of tagged sentences is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Columns by their places: see [`Reader`].
    Columns,
    /// Columns by the names of a header, CSV or TSV: see [`CsvReader`].
    Table,
    /// One JSON object a line: see [`JsonlReader`].
    Jsonl,
}

/// Reads the sentences of a file in one of the formats: see [`ReaderBuilder::open`].
#[derive(Debug)]
pub struct TaggedReader(Source);

/// A file of which the first bytes are read already.
type Input = Chain<Cursor<Vec<u8>>, File>;

#[derive(Debug)]
enum Source {
    Columns(Box<Reader<Input>>),
    Table(Box<CsvReader<Input>>),
    Jsonl(Box<JsonlReader<Input>>),
}

impl TaggedReader {
    /// How the file is laid out.
    pub fn format(&self) -> FileFormat {
        match self.0 {
            Source::Columns(_) => FileFormat::Columns,
            Source::Table(_) => FileFormat::Table,
            Source::Jsonl(_) => FileFormat::Jsonl,
        }
    }

    /// The names of all fields of a JSONL file's first record, once it is read; none of other files.
    pub fn first_fields(&self) -> &[String] {
        match &self.0 {
            Source::Jsonl(reader) => reader.first_fields(),
            Source::Columns(_) | Source::Table(_) => &[],
        }
    }

    /// Iterator over the sentences still to be read.
    pub fn into_sentences(self) -> Sentences<Self> {
        Sentences::new(self)
    }
}

impl SentenceSource for TaggedReader {
    fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        match &mut self.0 {
            Source::Columns(reader) => reader.read_sentence(sentence),
            Source::Table(reader) => reader.read_sentence(sentence),
            Source::Jsonl(reader) => reader.read_sentence(sentence),
        }
    }
}

impl ReaderBuilder {
    /// Opens a file in the format that its extension names, in upper or lower case. Errors name it.
    ///
    /// | extension | read as |
    /// |---|---|
    /// | `.jsonl`, `.ndjson` | JSONL: see [`JsonlReader`] |
    /// | `.csv` | a table whose header has [usual names](CsvReaderBuilder::usual_names), with commas, semicolons or tabs between its columns |
    /// | `.tsv` | such a table with tabs where its first line is such a header, else a column file |
    /// | another, or none | a column file: see [`Reader`] |
    ///
    /// The settings are those of column files. For JSONL and tables the encoding counts too. Of a
    /// table, the columns of token and tag are found by name where no number is given, else they are
    /// the ones with these numbers. [`names`](Self::names) gives other names, in JSONL too. Where
    /// numbers are given, the first line of a table is its header unless it has no name that is usual
    /// or given, and the tags' column has a tag there or a field is a number.
    /// With [`Separator::Tab`], double quotes in a `.tsv` are plain characters.
    ///
    /// ```
    /// use conll_io::{FileFormat, ReaderBuilder};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("train.csv");
    /// std::fs::write(&path, "Sentence #,Word,Tag\n1,Ana,B-PER\n,vive,O\n2,Llueve,O\n")?;
    /// let reader = ReaderBuilder::new().open(&path)?;
    /// assert_eq!(reader.format(), FileFormat::Table);
    /// let sentences = reader.into_sentences().collect::<Result<Vec<_>, _>>()?;
    /// assert_eq!((sentences.len(), sentences[0].token(1)), (2, "vive"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Io`]: the file cannot be opened or read.
    /// - [`ErrorKind::LooksLikeJson`]: it looks like JSON and its extension is another.
    /// - [`ErrorKind::NamedColumn`]: a column file, of which a column is asked for by name.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<TaggedReader, Error> {
        let path = path.as_ref();
        let mut file = open(path)?;
        let head = read_head(&mut file)
            .map_err(|error| Error::new(ErrorKind::Io(error), Some(path), None))?;
        let text = String::from_utf8_lossy(&head).into_owned();
        let input = Cursor::new(head).chain(file);
        let extension = path.extension().and_then(|end| end.to_str());
        let extension = extension.unwrap_or_default().to_ascii_lowercase();
        if ["jsonl", "ndjson"].contains(&extension.as_str()) {
            let reader = self.jsonl().from_reader(input).named(path);
            return Ok(TaggedReader(Source::Jsonl(Box::new(reader))));
        }
        if let Some(line) = json_begins(&text) {
            return Err(Error::new(ErrorKind::LooksLikeJson, Some(path), Some(line)));
        }
        let header = text
            .split(['\n', '\r'])
            .find(|line| !is_blank(line))
            .unwrap_or_default();
        let has_header = |delimiter: &u8| is_header(&names(header, *delimiter), &self.names);
        let delimiter = match extension.as_str() {
            "csv" => Some(
                DELIMITERS
                    .into_iter()
                    .find(has_header)
                    .unwrap_or_else(|| most_columns(header)),
            ),
            "tsv" => Some(b'\t').filter(has_header),
            _ => None,
        };
        if let Some(delimiter) = delimiter {
            let table = self.table(delimiter, extension == "tsv");
            let reader = table.from_reader(input).named(path);
            return Ok(TaggedReader(Source::Table(Box::new(reader))));
        }
        self.refuse_names(header)
            .map_err(|kind| Error::new(kind, Some(path), None))?;
        let reader = self.from_reader(input).named(path);
        Ok(TaggedReader(Source::Columns(Box::new(reader))))
    }

    /// The settings of a JSONL file that is read in the place of a column file.
    fn jsonl(&self) -> JsonlReaderBuilder {
        let mut jsonl = JsonlReaderBuilder::new();
        let has_tags = !matches!(self.tag, TagColumn::None);
        jsonl.tags(has_tags).encoding(self.encoding);
        if let Some(name) = &self.names.token {
            jsonl.token_field(name);
        }
        if let Some(name) = &self.names.tag {
            jsonl.tag_field(name);
        }
        if let Some(name) = &self.names.document {
            jsonl.document_field(name);
        }
        jsonl
    }

    /// An error where token or tag have a name, which no column of a column file has.
    fn refuse_names(&self, first_line: &str) -> Result<(), ErrorKind> {
        let named = [("token", &self.names.token), ("tag", &self.names.tag)];
        let named = named
            .into_iter()
            .find_map(|(role, name)| Some((role, name.as_ref()?)));
        let Some((role, name)) = named else {
            return Ok(());
        };
        let found = match self.separator {
            Separator::Tab => names(first_line, b'\t'),
            Separator::Space => names(first_line, b' '),
            Separator::Whitespace => first_line.split_whitespace().map(str::to_owned).collect(),
        };
        Err(ErrorKind::NamedColumn {
            role,
            name: name.clone(),
            found,
        })
    }

    /// The settings of a table that is read in the place of a column file.
    fn table(&self, delimiter: u8, is_tsv: bool) -> CsvReaderBuilder {
        let mut table = CsvReaderBuilder::new();
        table
            .usual_names()
            .delimiter(delimiter)
            .quoting(!(is_tsv && self.separator == Separator::Tab))
            .encoding(self.encoding);
        let names = &self.names;
        match (self.tag, &names.tag) {
            (TagColumn::None, _) => table.places(self.token, None).tag_column(None),
            (_, Some(name)) => table.places(self.token, None).tag_column(Some(name)),
            (TagColumn::At(column), None) => table.places(self.token, Some(column)),
            (TagColumn::Default, None) => table.places(self.token, None),
        };
        if let Some(name) = &names.token {
            table.token_column(name);
        }
        if let Some(name) = &names.sentence {
            table.sentence_column(name);
        }
        if let Some(name) = &names.document {
            table.document_column(name);
        }
        table
    }
}

/// The first bytes of a file, among them its first line that is not blank, unless that is longer.
fn read_head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let mut filled = 0;
    while filled < HEAD {
        let count = read_some(file, &mut head[filled..])?;
        filled += count;
        // Somebody may be typing the file: nothing is waited for that is not needed.
        let has_line = memchr2(b'\n', b'\r', head[..filled].trim_ascii_start()).is_some();
        if count == 0 || has_line {
            break;
        }
    }
    head.truncate(filled);
    Ok(head)
}

/// The names in a header, as far as they are needed to know it for one.
fn names(header: &str, delimiter: u8) -> Vec<String> {
    let fields = header.split(char::from(delimiter));
    let plain = |field: &str| field.trim().trim_matches(['\u{feff}', '"']).to_owned();
    fields.map(plain).collect()
}

/// The delimiter that makes most columns of a line, the first of equals.
fn most_columns(header: &str) -> u8 {
    let columns = |delimiter: &u8| header.split(char::from(*delimiter)).count();
    // `max_by_key` takes the last of equals.
    let most = DELIMITERS.into_iter().rev().max_by_key(columns);
    most.unwrap_or(DELIMITERS[0])
}

/// The line in which a JSON object, or a list of them, begins, where the text begins with one.
fn json_begins(text: &str) -> Option<u64> {
    let json = text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
    let object = json.strip_prefix('[').unwrap_or(json).trim_start();
    let key = object.strip_prefix('{')?.trim_start().strip_prefix('"')?;
    let (key, behind) = key.split_once('"')?;
    if key.contains(['\n', '\r']) || !behind.trim_start().starts_with(':') {
        return None;
    }
    let before = &text[..text.len() - json.len()];
    Some(1 + before.matches('\n').count() as u64)
}

fn is_blank(line: &str) -> bool {
    line.chars()
        .all(|c| c == '\u{feff}' || c.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_json() {
        for (text, line) in [
            (r#"{"tokens": ["Ana"]}"#, Some(1)),
            ("\u{feff}\n{ \"tokens\" : []}", Some(2)),
            ("[\n  {\n    \"tokens\": [", Some(1)),
            ("[{\"a\":1},", Some(1)),
            ("[ O\nsic O\n] O\n", None),
            ("{ O\n\" O\n", None),
            ("{\n\"\nkey\n\"\n:\n", None),
            ("[\n{\n", None),
            ("Ana B-PER\n", None),
            ("", None),
        ] {
            assert_eq!(json_begins(text), line, "{text:?}");
        }
    }
}
