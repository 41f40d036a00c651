//! What to look at before a run has cost its time: data and settings that are allowed and seldom meant.

use std::collections::{BTreeSet, HashSet};

use ner_metrics::{read_entities, tags_without_position};
use ner_tagger::PretokenizedSentence;
use ner_train::{Plan, TrainSettings};

use super::launch::Data;
use crate::column_files::file_name;
use crate::wording::counted;

/// Steps below which a classifier that begins at random seldom learns to tag.
const FEW_STEPS: usize = 100;

/// A learning rate above which a fine-tuned encoder forgets what it knew.
const HIGH_LEARNING_RATE: f64 = 5e-3;

/// Share of the sentences of development or test data above which their standing in the training data changes a score.
const SHARED: f64 = 0.05;

/// A line for each thing that is odd.
pub fn advice(
    data: &Data,
    settings: &TrainSettings,
    plan: &Plan,
    has_new_classifier: bool,
) -> Vec<String> {
    let mut lines = Vec::new();
    let rate = settings.optimizer.learning_rate;
    if rate > HIGH_LEARNING_RATE {
        lines.push(format!(
            "a learning rate of {rate} is far above the usual 1e-5 to 1e-3; a pretrained encoder forgets what it knows"
        ));
    }
    if has_new_classifier && plan.total_steps < FEW_STEPS {
        let more = match settings.schedule.max_steps {
            Some(_) => "raise --max-steps",
            None => "raise --epochs or lower --batch-size",
        };
        lines.push(format!(
            "{} few: a new classifier learns little in fewer than about {FEW_STEPS}; {more}",
            counted(plan.total_steps, "step is", "steps are")
        ));
    }
    if data
        .train
        .iter()
        .all(|sentence| are_numbers(&sentence.words))
    {
        lines.push(
            "the words are 1, 2, 3 and so on: in CoNLL-U the words are --token-column 2".to_owned(),
        );
    }
    let tags = data.train.iter().flat_map(|sentence| &sentence.tags);
    let bare = tags_without_position(tags);
    if !bare.is_empty() {
        lines.push(format!(
            "tags without a position letter such as B- or I-: {0}; entities that touch each other become one, and seqeval's rule takes the first letter of a tag for its position; \
             write them as B-{1} and I-{1}",
            bare.join(", "),
            bare[0]
        ));
    }
    lines.extend(untrained_types(data));
    lines.extend(shared_sentences(data));
    lines
}

/// Of development and test data, the types that the training data lacks.
fn untrained_types(data: &Data) -> Vec<String> {
    let Some(train) = data.parts.iter().find(|part| part.kind == "train") else {
        return Vec::new();
    };
    let known = types(&data.train);
    let mut lines = Vec::new();
    for file in data.dev.iter().chain(&data.test) {
        let found = types(&file.sentences);
        let lacking: Vec<&str> = found.difference(&known).copied().collect();
        if !lacking.is_empty() && !known.is_empty() {
            lines.push(format!(
                "{} has types that {} lacks: {}",
                file_name(&file.path),
                train.file,
                lacking.join(", ")
            ));
        }
    }
    lines
}

/// The types of the entities.
fn types(sentences: &[PretokenizedSentence]) -> BTreeSet<&str> {
    let entities = sentences
        .iter()
        .map(|sentence| read_entities(&sentence.tags));
    let entities = entities.flat_map(Result::unwrap_or_default);
    entities.map(|entity| entity.entity_type).collect()
}

/// Whether the words are the numbers of words.
fn are_numbers(words: &[String]) -> bool {
    let mut numbered = (1_usize..).zip(words);
    numbered.all(|(number, word)| word.parse() == Ok(number))
}

/// Of development and test data that stand in the training data word for word.
fn shared_sentences(data: &Data) -> Vec<String> {
    let known: HashSet<&[String]> = data.train.iter().map(|one| &one.words[..]).collect();
    let mut lines = Vec::new();
    for file in data.dev.iter().chain(&data.test) {
        let all = file.sentences.len();
        let stands = |words: &Vec<String>| known.contains(&words[..]);
        let shared = file
            .sentences
            .iter()
            .filter(|one| stands(&one.words))
            .count();
        if shared as f64 > SHARED * all as f64 {
            let stand = if shared == 1 { "stands" } else { "stand" };
            lines.push(format!(
                "{shared} of the {} of {} {stand} word for word in the training data, so that its scores are too good for new text \
                 (`ner-cli check` lists them)",
                counted(all, "sentence", "sentences"),
                file_name(&file.path)
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_the_entities() {
        let sentences = [
            PretokenizedSentence::tagged(["Ana", "vive"], ["B-PER", "O"]),
            PretokenizedSentence::tagged(["Lima", "y", "Ana"], ["I-LOC", "O", "PER"]),
            PretokenizedSentence::untagged(["Llueve"]),
        ];
        assert_eq!(types(&sentences), BTreeSet::from(["LOC", "PER"]));
    }
}
