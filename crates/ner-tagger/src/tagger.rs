//! A fine-tuned model at work.

use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use ner_metrics::Scheme;
use ner_model::{DeviceChoice, LayerView, Logits, ModelConfig, Precision, TokenClassifier};
use rayon::prelude::*;
use subword_align::{
    Aggregation, EncodedWords, EntitySpan, Segmentation, SubwordTokenizer, aggregate,
};

use crate::decoder::{Decode, Decoder};
use crate::error::{Error, Result};
use crate::inference::{Engine, Output, Scored, Unit};
use crate::min_scores::MinScores;
use crate::sentence::PretokenizedSentence;
use crate::sequencer::Sequencer;
use crate::tagged::{TaggedSentence, TaggedText};

/// Texts that [`Tagger::entities_iter`] takes at once.
const TEXTS_AT_ONCE: usize = 1024;

/// A fine-tuned model with its tokenizer: words or running text in, tags and entities out.
///
/// Running text is cut into words as corpora are ([`Segmentation`]), and each word is encoded as in training, so that what a report says of a
/// test file holds for text too. Nothing is cut off: what is longer than the model is read in overlapping windows.
///
/// ```no_run
/// use ner_tagger::Tagger;
///
/// let tagger = Tagger::from_dir("out")?;
/// for entity in tagger.entities("Ana vive en Lima")? {
///     println!("{} {} {}..{} {:.2}", entity.entity, entity.word, entity.start, entity.end, entity.score);
/// }
/// # Ok::<(), ner_tagger::Error>(())
/// ```
#[derive(Debug)]
pub struct Tagger {
    model: TokenClassifier,
    tokenizer: Arc<SubwordTokenizer>,
    decoder: Decoder,
    segmentation: Segmentation,
    max_length: usize,
    document_context: usize,
    batch_tokens: usize,
}

/// How a [`Tagger`] is made; what is not given is the model's own choice, or suits its device.
#[derive(Clone, Debug, Default)]
pub struct TaggerBuilder {
    device: DeviceChoice,
    precision: Option<Precision>,
    decode: Decode,
    scheme: Option<Scheme>,
    segmentation: Segmentation,
    max_length: Option<usize>,
    document_context: Option<usize>,
    batch_tokens: Option<usize>,
    min_scores: MinScores,
}

impl TaggerBuilder {
    /// Where to compute. Default: a GPU where this build has CUDA and one answers, else the CPU.
    #[must_use]
    pub fn device(mut self, device: DeviceChoice) -> Self {
        self.device = device;
        self
    }

    /// The numbers to compute with. Default: f32, on a CPU int8 where the weights are stored so, or what a model that is loaded already computes
    /// with.
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = Some(precision);
        self
    }

    /// Which label sequences can be predicted. Default: the well-formed ones.
    #[must_use]
    pub fn decode(mut self, decode: Decode) -> Self {
        self.decode = decode;
        self
    }

    /// The tagging scheme of the labels. Default: the one of the training data, else the one that the labels tell.
    #[must_use]
    pub fn scheme(mut self, scheme: Option<Scheme>) -> Self {
        self.scheme = scheme;
        self
    }

    /// How running text is cut into words. Default: by Unicode's rules and those of corpora.
    #[must_use]
    pub fn segmentation(mut self, segmentation: Segmentation) -> Self {
        self.segmentation = segmentation;
        self
    }

    /// Longest sequence of sub-words, special tokens included. Default: the model's limit.
    #[must_use]
    pub fn max_length(mut self, max_length: Option<usize>) -> Self {
        self.max_length = max_length;
        self
    }

    /// Sub-words of the neighboring sentences of its document on each side of a sentence, as far as there is room; a text stands alone.
    /// Default: what the model was trained with.
    #[must_use]
    pub fn document_context(mut self, subwords: Option<usize>) -> Self {
        self.document_context = subwords;
        self
    }

    /// Sub-words of a forward pass, about, each sequence counted as long as the longest. Default: what suits the device.
    #[must_use]
    pub fn batch_tokens(mut self, batch_tokens: Option<usize>) -> Self {
        self.batch_tokens = batch_tokens;
        self
    }

    /// Leaves out entities with lower scores than these. Default: none.
    #[must_use]
    pub fn min_scores(mut self, min_scores: MinScores) -> Self {
        self.min_scores = min_scores;
        self
    }

    /// Loads a fine-tuned model as `ner-cli train` or `transformers` saves it.
    ///
    /// # Errors
    /// Files that are missing or cannot be read, weights without a classifier for the labels, a device that is not there, or settings that
    /// do not fit the model.
    pub fn from_dir(self, dir: impl AsRef<Path>) -> Result<Tagger> {
        let dir = dir.as_ref();
        let config = ModelConfig::from_dir(dir)?;
        let device = self.device.open()?;
        // A large vocabulary takes as long to read as the weights.
        let (tokenizer, model) = thread::scope(|scope| {
            let tokenizer = scope.spawn(|| SubwordTokenizer::from_dir(dir, None));
            let model = TokenClassifier::open(dir, &config, &device, self.precision);
            (tokenizer.join(), model)
        });
        let tokenizer = tokenizer.unwrap_or_else(|panic| resume_unwind(panic))?;
        let (model, loaded) = model?;
        let no_crf = loaded
            .new_crf
            .then(|| "config.json asks for a CRF that the weights do not have".to_owned());
        if let Some(reason) = loaded.new_classifier.or(no_crf) {
            let dir = dir.to_owned();
            return Err(Error::NotFineTuned { dir, reason });
        }
        self.build(model, tokenizer)
    }

    /// Of a model that is loaded. The device is then the model's.
    ///
    /// # Errors
    /// Settings that do not fit the model.
    pub fn build(
        self,
        model: TokenClassifier,
        tokenizer: impl Into<Arc<SubwordTokenizer>>,
    ) -> Result<Tagger> {
        let tokenizer = tokenizer.into();
        let model = match self.precision {
            Some(precision) => model.with_precision(precision)?,
            None => model,
        };
        let usable = model.config().usable_positions();
        let max_length = self.max_length.unwrap_or(usable);
        if max_length > usable {
            return Err(Error::Setting {
                name: "max_length",
                reason: format!("{max_length} is more than the model's {usable} positions"),
            });
        }
        Sequencer::new(&tokenizer, max_length)?;
        Ok(Tagger {
            decoder: Decoder::new(&model, self.decode, self.scheme)?
                .with_min_scores(self.min_scores)?,
            batch_tokens: self.batch_tokens.unwrap_or(model.batch_tokens()),
            document_context: self
                .document_context
                .unwrap_or(model.config().document_context),
            segmentation: self.segmentation,
            max_length,
            tokenizer,
            model,
        })
    }
}

/// A sentence that the model has read.
#[derive(Clone, Debug)]
pub struct ScoredSentence {
    /// One row a word.
    pub logits: Logits,
    /// The words that each of its sequences decided: one for a sentence that fits, more for windows of a long one.
    pub sequences: Vec<std::ops::Range<usize>>,
}

impl Tagger {
    /// Loads a fine-tuned model; [`Tagger::builder`] has the choices.
    ///
    /// # Errors
    /// As [`TaggerBuilder::from_dir`].
    pub fn from_dir(dir: impl AsRef<Path>) -> Result<Self> {
        Self::builder().from_dir(dir)
    }

    /// The choices with which a model is loaded.
    #[must_use]
    pub fn builder() -> TaggerBuilder {
        TaggerBuilder::default()
    }

    /// The entities of one text, in order.
    ///
    /// # Errors
    /// A tokenizer or a device that fails.
    pub fn entities(&self, text: &str) -> Result<Vec<EntitySpan>> {
        Ok(self.entities_of(&[text])?.pop().unwrap_or_default())
    }

    /// The entities of each of several texts. Many at once are faster than one by one.
    ///
    /// # Errors
    /// As [`Self::entities`].
    pub fn entities_of<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<Vec<EntitySpan>>> {
        let tagged = self.tag_texts(texts)?;
        Ok(tagged.into_iter().map(|text| text.entities).collect())
    }

    /// The entities of each text of an iterator, which is read as results are taken, a thousand texts at a time.
    pub fn entities_iter<S: AsRef<str> + Sync>(
        &self,
        texts: impl IntoIterator<Item = S>,
    ) -> impl Iterator<Item = Result<Vec<EntitySpan>>> {
        let mut texts = texts.into_iter();
        std::iter::from_fn(move || {
            let some: Vec<S> = texts.by_ref().take(TEXTS_AT_ONCE).collect();
            (!some.is_empty()).then(|| match self.entities_of(&some) {
                Ok(found) => found.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error)],
            })
        })
        .flatten()
    }

    /// Words, tags and entities of each text.
    ///
    /// # Errors
    /// As [`Self::entities`].
    pub fn tag_texts<S: AsRef<str> + Sync>(&self, texts: &[S]) -> Result<Vec<TaggedText>> {
        let encode = |text: &S| {
            let text = text.as_ref();
            let ranges = self.tokenizer.words(text, self.segmentation)?;
            let words: Vec<&str> = ranges.iter().map(|range| &text[range.clone()]).collect();
            Ok((self.tokenizer.encode_words(&words)?, ranges))
        };
        let engine = self.engine(Unit::Word, 0)?; // each text stands alone
        let scored = engine.run(texts, encode, |_| 0, |_| {})?;
        let tagged = scored.into_par_iter().zip(texts).map(|(scored, text)| {
            TaggedText::new(
                text.as_ref(),
                scored.source,
                self.decoder.decode(&scored.logits),
            )
        });
        Ok(tagged.collect())
    }

    /// Tags and entities of sentences given as words, each in the context of its document where the model was trained so.
    ///
    /// # Errors
    /// As [`Self::entities`].
    pub fn tag(&self, sentences: &[PretokenizedSentence]) -> Result<Vec<TaggedSentence>> {
        Ok(self.decode(&self.score(sentences, |_| {})?))
    }

    /// Reads sentences and leaves their labels undecided. `progress` hears after each pass how many sentences have been begun.
    ///
    /// # Errors
    /// As [`Self::entities`].
    pub fn score(
        &self,
        sentences: &[PretokenizedSentence],
        progress: impl FnMut(usize),
    ) -> Result<Vec<ScoredSentence>> {
        let scored = self.read(sentences, Output::Logits, progress)?;
        let scored = scored.into_iter().map(
            |Scored {
                 logits, sequences, ..
             }| ScoredSentence { logits, sequences },
        );
        Ok(scored.collect())
    }

    /// Reads sentences as [`Self::score`] does, and gives the hidden states of each word, those of its first sub-word, that a view has: of each
    /// sentence `[words, layers * width]`, row-major.
    ///
    /// # Errors
    /// As [`Self::entities`].
    pub fn score_with_states(
        &self,
        sentences: &[PretokenizedSentence],
        view: &LayerView,
        progress: impl FnMut(usize),
    ) -> Result<Vec<(ScoredSentence, Vec<f32>)>> {
        let labels = self.labels().len();
        let scored = self.read(sentences, Output::LogitsAndStates(view), progress)?;
        let split = |scored: Scored<()>| {
            let (mut logits, mut states) = (Vec::new(), Vec::new());
            for word in 0..scored.logits.len() {
                let (of_labels, of_layers) = scored.logits.row(word).split_at(labels);
                logits.extend_from_slice(of_labels);
                states.extend_from_slice(of_layers);
            }
            let sentence = ScoredSentence {
                logits: Logits::new(logits, labels),
                sequences: scored.sequences,
            };
            (sentence, states)
        };
        Ok(scored.into_iter().map(split).collect())
    }

    fn read(
        &self,
        sentences: &[PretokenizedSentence],
        output: Output<'_>,
        progress: impl FnMut(usize),
    ) -> Result<Vec<Scored<()>>> {
        let engine = Engine {
            output,
            ..self.engine(Unit::Word, self.document_context)?
        };
        let encode = |sentence: &PretokenizedSentence| {
            Ok((self.tokenizer.encode_words(&sentence.words)?, ()))
        };
        engine.run(sentences, encode, |sentence| sentence.document, progress)
    }

    /// Decides the labels of sentences that were read.
    #[must_use]
    pub fn decode(&self, scored: &[ScoredSentence]) -> Vec<TaggedSentence> {
        let decode = |sentence: &ScoredSentence| self.decoder.decode(&sentence.logits);
        scored.par_iter().map(decode).collect()
    }

    /// The entities of texts as `pipeline("ner")` of transformers finds them, by one of its strategies: units are sub-words or its own words,
    /// label sequences are not decoded.
    ///
    /// # Errors
    /// As [`Self::entities`].
    pub fn pipeline<S: AsRef<str> + Sync>(
        &self,
        texts: &[S],
        aggregation: Aggregation,
    ) -> Result<Vec<Vec<EntitySpan>>> {
        let encode = |text: &S| {
            let encoded = self.tokenizer.encode_text(text.as_ref())?;
            let words = EncodedWords {
                ids: encoded.ids.clone(),
                word_starts: encoded.word_starts(),
                unknown_words: 0,
            };
            Ok((words, encoded))
        };
        let engine = self.engine(Unit::Subword, 0)?;
        let scored = engine.run(texts, encode, |_| 0, |_| {})?;
        let labels = &self.model.config().id2label;
        let entities = scored.into_par_iter().zip(texts).map(|(scored, text)| {
            let rows = 0..scored.logits.len();
            let probabilities: Vec<f32> = rows
                .flat_map(|row| scored.logits.probabilities(row))
                .collect();
            let text = text.as_ref();
            let mut entities =
                aggregate(text, &scored.source, &probabilities, labels, aggregation)?;
            entities.retain(|found| self.is_sure(&found.entity, found.score));
            Ok(entities)
        });
        entities.collect()
    }

    /// Whether an entity of the pipeline's strategies, named by its type or by its label, has the score that it needs.
    fn is_sure(&self, name: &str, score: f32) -> bool {
        let label = self.labels().iter().position(|label| label == name);
        let of_label = label.and_then(|label| self.decoder.tags().entity_type(label));
        self.decoder
            .min_scores()
            .keeps(of_label.unwrap_or(name), score)
    }

    fn engine(&self, unit: Unit, document_context: usize) -> Result<Engine<'_>> {
        Ok(Engine {
            model: &self.model,
            sequencer: Sequencer::new(&self.tokenizer, self.max_length)?
                .with_document_context(document_context),
            unit,
            output: Output::Logits,
            batch_tokens: self.batch_tokens,
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &TokenClassifier {
        &self.model
    }

    /// Its tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &SubwordTokenizer {
        &self.tokenizer
    }

    /// Sub-words of its document that a sentence is read beside, on each side.
    #[must_use]
    pub fn document_context(&self) -> usize {
        self.document_context
    }

    /// Its labels, by number.
    #[must_use]
    pub fn labels(&self) -> &[String] {
        &self.model.config().id2label
    }

    /// How its labels are chosen.
    #[must_use]
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }
}
