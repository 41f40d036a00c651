//! What to look at before a run has cost its time: data and settings that are allowed and seldom meant.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ner_metrics::{SchemeFit, foreign_tags, read_entities};
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
    if rate == 0.0 {
        lines.push("a learning rate of 0 changes no weight".to_owned());
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
    lines.extend(odd_tags(&data.train));
    lines.extend(untrained_types(data));
    lines.extend(shared_sentences(data));
    // Development and test data may be one file.
    let mut told = HashSet::new();
    lines.retain(|line| told.insert(line.clone()));
    lines
}

/// Tags that are seldom meant as they are written, and how to write them.
fn odd_tags(sentences: &[PretokenizedSentence]) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for tag in sentences.iter().flat_map(|sentence| &sentence.tags) {
        *counts.entry(tag).or_default() += 1;
    }
    let counts: Vec<(&str, usize)> = counts.into_iter().collect();
    let tags: Vec<&Vec<String>> = sentences.iter().map(|sentence| &sentence.tags).collect();
    let scheme = SchemeFit::nearest(&tags).map(|fit| fit.scheme);
    let (mut misspelled, mut numbers, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for odd in foreign_tags(&counts, scheme) {
        let meant = odd.meant.map(str::to_owned).or_else(|| spelled(odd.tag));
        match meant {
            Some(meant) => {
                let words = counted(odd.count, "word", "words");
                misspelled.push(format!("`{}` ({words}) for `{meant}`", odd.tag));
            }
            None if odd.tag.bytes().all(|byte| byte.is_ascii_digit()) => numbers.push(odd.tag),
            None if odd.is_bare => bare.push(odd.tag),
            None => {}
        }
    }
    let mut lines = Vec::new();
    if !misspelled.is_empty() {
        lines.push(format!(
            "tags that are probably misspelled: {}; `ner-cli check` tells where they stand",
            misspelled.join(", ")
        ));
    }
    if !numbers.is_empty() {
        lines.push(format!(
            "tags that are numbers: {}; each is trained as the name of a type; where they are ids of classes write the names instead, such as O, B-PER and I-PER",
            numbers.join(", ")
        ));
    }
    if let Some(first) = bare.first() {
        lines.push(format!(
            "tags without a position letter such as B- or I-: {}; entities that touch each other become one, and seqeval's rule takes the first letter of a tag for its position; \
             write them as B-{first} and I-{first}",
            bare.join(", ")
        ));
    }
    lines
}

/// A tag as it is spelled where another character stands for the hyphen after a position letter, as in `B_PER`, or where `O` is small.
fn spelled(tag: &str) -> Option<String> {
    if tag == "o" {
        return Some("O".to_owned());
    }
    let (position, entity_type) = tag.split_once(['_', ':', '.', '/'])?;
    let is_position = ["B", "I", "E", "L", "S", "U"].contains(&position);
    (is_position && !entity_type.is_empty()).then(|| format!("{position}-{entity_type}"))
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
    fn odd_tags_are_told_with_what_to_write() {
        let told = |tags: &[&str]| {
            let words = tags.iter().map(|_| "Ana");
            odd_tags(&[PretokenizedSentence::tagged(words, tags.iter().copied())])
        };
        assert_eq!(told(&["B-PER", "I-PER", "O", "B-LOC", "O"]), [""; 0]);
        for (tags, expected) in [
            (
                &["B_ORG", "I_ORG", "O", "o"][..],
                "tags that are probably misspelled: `B_ORG` (1 word) for `B-ORG`, `I_ORG` (1 word) for `I-ORG`, `o` (1 word) for `O`; `ner-cli check`",
            ),
            (
                &["B-PER", "I-PER", "0", "0", "O"][..],
                "tags that are probably misspelled: `0` (2 words) for `O`;",
            ),
            (
                &["1", "2", "0", "0"][..],
                "tags that are numbers: 0, 1, 2; each is trained as the name of a type; where they are ids of classes write the names",
            ),
            (
                &["PER", "O", "LOC"][..],
                "tags without a position letter such as B- or I-: LOC, PER; entities that touch",
            ),
        ] {
            let lines = told(tags);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].starts_with(expected), "{lines:?}");
        }
    }

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
