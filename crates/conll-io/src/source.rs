use crate::{Error, Sentence};

/// Anything that yields sentences one by one: [`Reader`](crate::Reader),
/// [`CsvReader`](crate::CsvReader).
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
