//! Sentences given as words.

/// A sentence given as words, with their tags where these are known.
///
/// ```
/// use ner_tagger::PretokenizedSentence;
///
/// let file = conll_io::Reader::from_reader(&b"Ana B-PER\nduerme O\n"[..]).into_sentences();
/// let sentences = PretokenizedSentence::from_reader(file)?;
/// assert_eq!(sentences[0], PretokenizedSentence::tagged(["Ana", "duerme"], ["B-PER", "O"]));
/// # Ok::<(), conll_io::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PretokenizedSentence {
    /// The words.
    pub words: Vec<String>,
    /// One tag a word; none where they are not known.
    pub tags: Vec<String>,
    /// Number of its document. Sentences that follow each other under one number can be context of each other; where nothing tells
    /// documents apart, all have the same.
    pub document: usize,
}

impl PretokenizedSentence {
    /// Words without tags, of document 0.
    pub fn untagged(words: impl IntoIterator<Item: Into<String>>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Words and their tags, of document 0.
    pub fn tagged(
        words: impl IntoIterator<Item: Into<String>>,
        tags: impl IntoIterator<Item: Into<String>>,
    ) -> Self {
        Self {
            tags: tags.into_iter().map(Into::into).collect(),
            ..Self::untagged(words)
        }
    }

    /// The sentences of a file, their documents numbered as its boundaries (`-DOCSTART-`) have them.
    ///
    /// # Errors
    /// The first error of the file.
    pub fn from_reader(
        sentences: impl IntoIterator<Item = Result<conll_io::Sentence, conll_io::Error>>,
    ) -> Result<Vec<Self>, conll_io::Error> {
        let mut document = 0;
        let mut numbered = |sentence: conll_io::Sentence| {
            document += usize::from(sentence.starts_document());
            Self {
                document,
                ..Self::from(&sentence)
            }
        };
        let sentences = sentences.into_iter();
        sentences
            .map(|sentence| sentence.map(&mut numbered))
            .collect()
    }
}

/// Its tokens and tags, of document 0.
impl From<&conll_io::Sentence> for PretokenizedSentence {
    fn from(sentence: &conll_io::Sentence) -> Self {
        Self::tagged(sentence.tokens(), sentence.tags().into_iter().flatten())
    }
}
