//! How good a tagger is.

use ner_metrics::{Entity, EntityReport, Mode, ScoredPrediction};
use ner_model::Logits;
use ner_tagger::calibration::scored_entities;
use ner_tagger::{PretokenizedSentence, ScoredSentence, Tagger};
use subword_align::join_words;

use crate::error::Result;
use crate::features::label_ids;

/// What evaluation found.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean of the losses of batches of `batch_size` sequences in the data's order, as the reference reports it.
    pub loss: f64,
    /// Entity scores by seqeval's default rule.
    pub report: EntityReport,
    /// The predicted tags, one a word.
    pub predicted: Vec<Vec<String>>,
    /// The predicted entities by type, with their scores, and whether gold has them.
    pub entities: Vec<(String, ScoredPrediction)>,
    /// How labels were chosen, such as `constrained to iob2`.
    pub decoding: String,
}

/// Predicts tags for sentences that have some, and compares. `batch_size` decides nothing but the loss that is reported.
///
/// `progress` hears after each pass how many sentences have been begun.
///
/// # Errors
/// A tag that is not among the model's labels, a tokenizer that fails, or a batch that does not fit the model.
pub fn evaluate(
    tagger: &Tagger,
    sentences: &[PretokenizedSentence],
    batch_size: usize,
    progress: impl FnMut(usize),
) -> Result<Evaluation> {
    let gold = label_ids(sentences, tagger.labels())?;
    let scored = tagger.score(sentences, progress)?;
    let tagged = tagger.decode(&scored);
    let entities = scored_entities(&tagged, sentences)?;
    let predicted: Vec<Vec<String>> = tagged
        .into_iter()
        .map(|sentence| sentence.tags.into_iter().map(|word| word.tag).collect())
        .collect();
    let tags: Vec<&Vec<String>> = sentences.iter().map(|sentence| &sentence.tags).collect();
    Ok(Evaluation {
        loss: mean_of_batches(&losses(tagger, &scored, &gold)?, batch_size),
        report: EntityReport::new(&tags, &predicted, Mode::Default)?,
        predicted,
        entities,
        decoding: tagger.decoder().to_string(),
    })
}

/// Loss of one sequence: the sum over its labelled sub-words, and their number.
type SequenceLoss = (f64, usize);

/// The loss of each sequence, in order.
fn losses(
    tagger: &Tagger,
    scored: &[ScoredSentence],
    gold: &[Vec<u32>],
) -> Result<Vec<SequenceLoss>> {
    let learnt = tagger.model().transitions()?;
    let of_sequence = |logits: &Logits, words: std::ops::Range<usize>, gold: &[u32]| {
        let labels = &gold[words.clone()];
        let loss = match &learnt {
            Some(scores) => {
                let rows: Vec<&[f32]> = words.map(|word| logits.row(word)).collect();
                scores.negative_log_likelihood(&rows, labels)
            }
            None => words
                .zip(labels)
                .map(|(word, &label)| logits.cross_entropy(word, label as usize))
                .sum(),
        };
        (loss, labels.len())
    };
    let losses = scored.iter().zip(gold).flat_map(|(sentence, gold)| {
        let sequences = sentence.sequences.iter().cloned();
        sequences.map(|words| of_sequence(&sentence.logits, words, gold))
    });
    Ok(losses.collect())
}

/// The mean over batches of the mean over each batch's labelled sub-words; batches without any do not count.
fn mean_of_batches(losses: &[SequenceLoss], batch_size: usize) -> f64 {
    let means: Vec<f64> = losses
        .chunks(batch_size.max(1))
        .filter_map(|batch| {
            let labelled: usize = batch.iter().map(|(_, labelled)| labelled).sum();
            let sum: f64 = batch.iter().map(|(sum, _)| sum).sum();
            (labelled > 0).then(|| sum / labelled as f64)
        })
        .collect();
    means.iter().sum::<f64>() / means.len().max(1) as f64
}

/// What evaluation on running text found.
#[derive(Clone, Debug)]
pub struct TextEvaluation {
    /// Scores of spans: an entity is correct where type, first and last character are.
    pub report: EntityReport,
    /// Gold spans that no prediction could have given, because the text's words, as they were cut, do not begin and end where they do.
    pub out_of_reach: usize,
    /// Sentences that were cut into the words that the data has.
    pub cut_alike: usize,
    /// Sentences in all.
    pub sentences: usize,
    /// How labels were chosen.
    pub decoding: String,
}

/// Joins the words of sentences to running text ([`join_words`]), tags it as any text, and compares spans of characters.
///
/// Gold entities are read by seqeval's default rule. Each sentence is a text of its own.
///
/// # Errors
/// Empty tags, sentences with other numbers of words and tags, a tokenizer or a device that fails.
pub fn evaluate_as_text(
    tagger: &Tagger,
    sentences: &[PretokenizedSentence],
) -> Result<TextEvaluation> {
    label_ids(sentences, tagger.labels())?;
    let joined: Vec<_> = sentences
        .iter()
        .map(|sentence| join_words(&sentence.words))
        .collect();
    let texts: Vec<&str> = joined.iter().map(|joined| joined.text.as_str()).collect();
    let tagged = tagger.tag_texts(&texts)?;
    let (mut gold, mut predicted) = (Vec::new(), Vec::new());
    let (mut out_of_reach, mut cut_alike) = (0, 0);
    for ((sentence, joined), tagged) in sentences.iter().zip(&joined).zip(&tagged) {
        let code_points = |byte: usize| joined.text[..byte].chars().count();
        let starts = |byte: usize| tagged.words.iter().any(|word| word.start == byte);
        let ends = |byte: usize| tagged.words.iter().any(|word| word.end == byte);
        let of_words = Mode::Default.entities(&sentence.tags)?;
        let spans = of_words.into_iter().map(|entity| {
            let first = joined.words[entity.start].start;
            let last = joined.words[entity.end - 1].end;
            out_of_reach += usize::from(!starts(first) || !ends(last));
            Entity {
                start: code_points(first),
                end: code_points(last),
                ..entity
            }
        });
        gold.push(spans.collect::<Vec<_>>());
        let spans = tagged.entities.iter().map(|span| Entity {
            entity_type: &span.entity,
            start: span.start,
            end: span.end,
        });
        predicted.push(spans.collect::<Vec<_>>());
        cut_alike += usize::from(tagged.words == joined.words);
    }
    Ok(TextEvaluation {
        report: EntityReport::from_entities(&gold, &predicted)?,
        out_of_reach,
        cut_alike,
        sentences: sentences.len(),
        decoding: tagger.decoder().to_string(),
    })
}
