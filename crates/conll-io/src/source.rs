//! What all readers of sentences share.

use std::fs::File;
use std::path::Path;

use crate::{Error, ErrorKind, Sentence};

/// Anything that yields sentences one by one: [`Reader`](crate::Reader),
/// [`CsvReader`](crate::CsvReader), [`JsonlReader`](crate::JsonlReader),
/// [`TaggedReader`](crate::TaggedReader).
pub trait SentenceSource {
    /// Reads the next sentence into `sentence`, whose buffers are used again; `false` at the end.
    ///
    /// # Errors
    ///
    /// Where the text cannot be read or is malformed. An error ends the reading: later calls give
    /// `false`.
    fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error>;
}

impl<S: SentenceSource + ?Sized> SentenceSource for &mut S {
    fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        (**self).read_sentence(sentence)
    }
}

impl<S: SentenceSource + ?Sized> SentenceSource for Box<S> {
    fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
        (**self).read_sentence(sentence)
    }
}

/// Iterator over the sentences of a source, each with buffers of its own. It ends after an error.
#[derive(Debug)]
pub struct Sentences<S> {
    source: S,
    /// What is read into, so that each sentence given is a copy with buffers of just its size.
    sentence: Sentence,
}

impl<S: SentenceSource> Sentences<S> {
    /// The sentences that `source` has still to give.
    pub fn new(source: S) -> Self {
        let sentence = Sentence::new();
        Self { source, sentence }
    }

    /// The source.
    pub fn source(&self) -> &S {
        &self.source
    }
}

impl<S: SentenceSource> Iterator for Sentences<S> {
    type Item = Result<Sentence, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.source.read_sentence(&mut self.sentence) {
            Ok(true) => Some(Ok(self.sentence.clone())),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// Gives a reader `$reader<R>` the methods that read sentences, from its method `read_rows` and its
/// field `done`, and a name; `$errors` are what not every kind of file can have.
macro_rules! reads_sentences {
    ($reader:ident, $($errors:literal),+) => {
        impl<R: Read> $reader<R> {
            /// Gives the reader a name, which errors will say.
            #[must_use]
            pub fn named(mut self, name: impl Into<PathBuf>) -> Self {
                self.path = Some(name.into());
                self
            }

            /// Reads the next sentence into `sentence`, whose buffers are used again; `false` at
            /// the end of the file.
            ///
            /// # Errors
            ///
            /// - [`ErrorKind::Io`]: the file cannot be read, or is UTF-16.
            /// - [`ErrorKind::InvalidUtf8`], [`ErrorKind::Nul`]: the file is not text in UTF-8.
            /// - [`ErrorKind::InvisibleCharacter`]: the tag has one inside.
            $(#[doc = concat!("- ", $errors)])+
            ///
            /// The first fault of the file is reported. It ends the reading: later calls give
            /// `false`.
            pub fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
                sentence.clear();
                if self.done {
                    return Ok(false);
                }
                let outcome = self.read_rows(sentence);
                if !matches!(outcome, Ok(true)) {
                    self.done = true;
                    sentence.clear();
                }
                outcome
            }

            /// Iterator over the sentences still to be read.
            pub fn sentences(&mut self) -> Sentences<&mut Self> {
                Sentences::new(self)
            }

            /// The same, for keeps.
            pub fn into_sentences(self) -> Sentences<Self> {
                Sentences::new(self)
            }
        }

        impl<R: Read> SentenceSource for $reader<R> {
            fn read_sentence(&mut self, sentence: &mut Sentence) -> Result<bool, Error> {
                Self::read_sentence(self, sentence)
            }
        }
    };
}
pub(crate) use reads_sentences;

/// Opens the file at `path` to read it; a directory is none.
pub(crate) fn open(path: &Path) -> Result<File, Error> {
    let error = |kind| Error::new(kind, Some(path), None);
    // On Unix a directory opens, and only reading it fails.
    if path.is_dir() {
        return Err(error(ErrorKind::IsDirectory));
    }
    File::open(path).map_err(|source| error(ErrorKind::Io(source)))
}
