//! What holds of any tags.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashSet;

use ner_metrics::{
    Entity, EntityErrorKind, EntityReport, Mode, OverlapReport, Scheme, TagSet, TokenReport,
    convert, entity_errors, read_entities,
};
use proptest::prelude::*;

type Sentences = Vec<Vec<String>>;

/// `_` is written as a bare letter.
const TYPES: [&str; 4] = ["LOC", "O", "tax-percent", "_"];

fn schemes() -> impl Strategy<Value = Scheme> {
    prop::sample::select(Scheme::ALL.to_vec())
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Default), schemes().prop_map(Mode::Strict)]
}

/// Entities of a sentence, as (type, start, end), and the sentence's length.
fn entities() -> impl Strategy<Value = (Vec<(&'static str, usize, usize)>, usize)> {
    let piece = (0..3_usize, 1..4_usize, prop::sample::select(TYPES.to_vec()));
    let pieces = prop::collection::vec(piece, 0..6);
    (pieces, 0..3_usize).prop_map(|(pieces, rest)| {
        let mut at = 0;
        let entities = pieces
            .into_iter()
            .map(|(gap, length, entity_type)| {
                let start = at + gap;
                at = start + length;
                (entity_type, start, at)
            })
            .collect();
        (entities, at + rest)
    })
}

fn borrowed<'a>(entities: &[(&'a str, usize, usize)]) -> Vec<Entity<'a>> {
    entities
        .iter()
        .map(|&(entity_type, start, end)| Entity {
            entity_type,
            start,
            end,
        })
        .collect()
}

/// The entities of each sentence, last first, in a unit of which `scale` make a token.
fn spans(sentences: &Sentences, scale: usize) -> Vec<Vec<Entity<'_>>> {
    sentences
        .iter()
        .map(|tags| {
            let entities = Mode::Default.entities(tags).unwrap();
            let scaled = entities.into_iter().rev().map(|e| Entity {
                start: e.start * scale,
                end: e.end * scale,
                ..e
            });
            scaled.collect()
        })
        .collect()
}

/// A sentence of random tags with these letters; `X` stands for a type without one.
fn tags_of(letters: &'static str) -> impl Strategy<Value = Vec<String>> {
    let letter = prop::sample::select(letters.as_bytes().to_vec());
    let entity_type = prop::sample::select(TYPES.to_vec());
    let tag = (letter, entity_type).prop_map(|(letter, entity_type)| match (letter, entity_type) {
        (b'O', _) => "O".to_owned(),
        (b'X', _) => format!("X{entity_type}"),
        (letter, "_") => char::from(letter).to_string(),
        (letter, _) => format!("{}-{entity_type}", char::from(letter)),
    });
    prop::collection::vec(tag, 0..12)
}

/// Gold and prediction, of any tags that the mode reads.
fn corpora() -> impl Strategy<Value = (Mode, Sentences, Sentences)> {
    modes().prop_flat_map(|mode| {
        let letters = mode
            .scheme()
            .map_or("BIOESUL", Scheme::prefixes)
            .as_bytes()
            .to_vec();
        let tag = (
            prop::sample::select(letters),
            prop::sample::select(TYPES[..2].to_vec()),
        );
        let tag = tag.prop_map(|(letter, entity_type)| match letter {
            b'O' => "O".to_owned(),
            letter => format!("{}-{entity_type}", char::from(letter)),
        });
        // Half of the predicted tags are gold's, so that there is something correct.
        let pair = (tag.clone(), tag, any::<bool>())
            .prop_map(|(gold, other, equal)| (gold.clone(), if equal { gold } else { other }));
        let sentence = prop::collection::vec(pair, 0..10);
        prop::collection::vec(sentence, 0..6).prop_map(move |sentences| {
            let (gold, pred) = sentences.into_iter().map(|s| s.into_iter().unzip()).unzip();
            (mode, gold, pred)
        })
    })
}

/// All entities of a corpus with the sentence they stand in.
fn all_entities(mode: Mode, sentences: &Sentences) -> HashSet<(usize, Entity<'_>)> {
    sentences
        .iter()
        .enumerate()
        .flat_map(|(i, tags)| {
            mode.entities(tags)
                .unwrap()
                .into_iter()
                .map(move |e| (i, e))
        })
        .collect()
}

proptest! {
    /// Every entity is right, or in one error, and the errors are what their kinds say.
    #[test]
    fn errors_and_right_predictions_are_all_entities((gold, _) in entities(), (predicted, _) in entities()) {
        let (gold, predicted) = (borrowed(&gold), borrowed(&predicted));
        let errors = entity_errors(&gold, &predicted);
        let right = gold.iter().filter(|entity| predicted.contains(entity)).count();
        let of_gold = errors.iter().filter_map(|error| error.gold);
        prop_assert_eq!(of_gold.clone().count() + right, gold.len());
        prop_assert!(of_gold.clone().all(|entity| gold.contains(&entity) && !predicted.contains(&entity)));
        let of_predicted = errors.iter().filter_map(|error| error.predicted);
        prop_assert_eq!(of_predicted.clone().count() + right, predicted.len());
        for error in &errors {
            match (error.gold, error.predicted) {
                (Some(gold), Some(found)) => {
                    prop_assert!(gold.start < found.end && found.start < gold.end);
                    let same = (gold.entity_type == found.entity_type, (gold.start, gold.end) == (found.start, found.end));
                    prop_assert_eq!(error.kind, match same {
                        (false, true) => EntityErrorKind::WrongType,
                        (true, false) => EntityErrorKind::WrongBoundary,
                        _ => EntityErrorKind::WrongTypeAndBoundary,
                    });
                    prop_assert_ne!(same, (true, true));
                }
                (gold, found) => prop_assert_eq!(error.kind, if found.is_none() {
                    prop_assert!(gold.is_some());
                    EntityErrorKind::Missed
                } else {
                    EntityErrorKind::Spurious
                }),
            }
        }
        let report = OverlapReport::new(&[gold], &[predicted]).unwrap();
        prop_assert_eq!(report.overall.strict.correct, right);
    }

    #[test]
    fn a_report_counts_the_sets_of_entities((mode, gold, pred) in corpora()) {
        let report = EntityReport::new(&gold, &pred, mode).unwrap();
        let (gold, pred) = (all_entities(mode, &gold), all_entities(mode, &pred));
        let types: HashSet<&str> = gold.union(&pred).map(|(_, e)| e.entity_type).collect();
        prop_assert_eq!(report.per_type.len(), types.len());
        for row in &report.per_type {
            let of_type = |(_, e): &&(usize, Entity<'_>)| e.entity_type == row.entity_type;
            prop_assert_eq!(row.scores.support, gold.iter().filter(of_type).count());
            prop_assert_eq!(row.predicted, pred.iter().filter(of_type).count());
            prop_assert_eq!(row.correct, gold.intersection(&pred).filter(of_type).count());
        }
        prop_assert_eq!(report.micro.support, gold.len());
    }

    #[test]
    fn token_counts_are_those_of_a_plain_count((_, gold, pred) in corpora()) {
        let report = TokenReport::new(&gold, &pred).unwrap();
        let pairs: Vec<(&String, &String)> = gold.iter().flatten().zip(pred.iter().flatten()).collect();
        for row in &report.per_tag {
            prop_assert_eq!(row.scores.support, pairs.iter().filter(|(g, _)| **g == row.tag).count());
            prop_assert_eq!(row.predicted, pairs.iter().filter(|(_, p)| **p == row.tag).count());
            let correct = pairs.iter().filter(|(g, p)| g == p && **g == row.tag).count();
            prop_assert_eq!(row.correct, correct);
        }
        prop_assert_eq!(report.macro_avg.support, pairs.len());
    }

    #[test]
    fn the_order_of_sentences_does_not_matter((mode, gold, pred) in corpora(), seed in any::<u64>()) {
        let mut order: Vec<usize> = (0..gold.len()).collect();
        order.sort_by_key(|&i| seed.rotate_left(u32::try_from(i * 11).unwrap()) % 97);
        let shuffled = |side: &Sentences| order.iter().map(|&i| side[i].clone()).collect::<Vec<_>>();
        let report = EntityReport::new(&gold, &pred, mode).unwrap();
        prop_assert_eq!(report, EntityReport::new(&shuffled(&gold), &shuffled(&pred), mode).unwrap());
        let report = TokenReport::new(&gold, &pred).unwrap();
        prop_assert_eq!(report, TokenReport::new(&shuffled(&gold), &shuffled(&pred)).unwrap());
    }

    #[test]
    fn a_prediction_that_is_gold_scores_one((mode, gold, _) in corpora()) {
        let report = EntityReport::new(&gold, &gold, mode).unwrap();
        for row in &report.per_type {
            prop_assert_eq!((row.scores.precision, row.scores.recall, row.scores.f1), (1.0, 1.0, 1.0));
        }
        if report.micro.support > 0 {
            prop_assert_eq!((report.micro.f1, report.macro_avg.f1, report.weighted.f1), (1.0, 1.0, 1.0));
        }
        let tokens = TokenReport::new(&gold, &gold).unwrap();
        prop_assert!(tokens.accuracy == 1.0 || tokens.per_tag.is_empty());
    }

    #[test]
    fn entities_survive_encoding((entities, tokens) in entities(), scheme in schemes()) {
        let entities = borrowed(&entities);
        let tags = scheme.encode(&entities, tokens).unwrap();
        prop_assert!(scheme.is_valid(&tags));
        prop_assert_eq!(&scheme.decode(&tags).unwrap(), &entities);
        // seqeval's strict reading agrees on well-formed tags, but for IOE1, which it does not read in full.
        if scheme != Scheme::Ioe1 {
            prop_assert_eq!(&scheme.entities(&tags).unwrap(), &entities);
        }
    }

    #[test]
    fn conversion_there_and_back_changes_nothing(
        (entities, tokens) in entities(), from in schemes(), to in schemes(),
    ) {
        let tags = from.encode(&borrowed(&entities), tokens).unwrap();
        let there = convert(&tags, from, to).unwrap();
        prop_assert_eq!(convert(&there, to, from).unwrap(), tags);
    }

    #[test]
    fn valid_decodable_and_rewritten_to_itself_are_one_thing(
        (mode, gold, _) in corpora(),
    ) {
        let Some(scheme) = mode.scheme() else { return Ok(()) };
        for tags in &gold {
            let valid = scheme.is_valid(tags);
            prop_assert_eq!(valid, scheme.invalid_transitions(tags).unwrap() == 0);
            prop_assert_eq!(valid, scheme.decode(tags).is_ok());
            prop_assert_eq!(valid, convert(tags, scheme, scheme).as_ref() == Ok(tags));

            let table = scheme.legal_transitions(tags).unwrap();
            let steps = (1..tags.len()).filter(|&i| !table.allows(i - 1, i)).count();
            let ends = tags.last().is_some_and(|_| !table.end()[tags.len() - 1]);
            let starts = tags.first().is_some_and(|_| !table.start()[0]);
            prop_assert_eq!(
                scheme.invalid_transitions(tags).unwrap(),
                steps + usize::from(starts) + usize::from(ends)
            );
        }
    }

    #[test]
    fn read_entities_are_those_of_the_scheme_where_tags_are_well_formed(
        (entities, tokens) in entities(), scheme in schemes(),
    ) {
        let entities = borrowed(&entities);
        let tags = scheme.encode(&entities, tokens).unwrap();
        prop_assert_eq!(&read_entities(&tags).unwrap(), &entities);
        prop_assert_eq!(&scheme.decode(&tags).unwrap(), &entities);
    }

    /// seqeval knows no `U` and no `L`; see `where_seqeval_reads_other_entities`.
    #[test]
    fn read_entities_are_seqevals_in_all_schemes_but_bilou(tags in tags_of("BIOES")) {
        prop_assert_eq!(read_entities(&tags).unwrap(), Mode::Default.entities(&tags).unwrap());
    }

    #[test]
    fn each_token_that_is_not_outside_is_in_one_entity(tags in tags_of("BIOESULMX")) {
        let entities = read_entities(&tags).unwrap();
        let mut covered = vec![false; tags.len()];
        for entity in &entities {
            prop_assert!(entity.start < entity.end);
            for token in entity.start..entity.end {
                prop_assert!(!covered[token], "token {} is in two entities", token);
                covered[token] = true;
                let alone = read_entities(&tags[token..=token]).unwrap();
                prop_assert_eq!(alone[0].entity_type, entity.entity_type);
            }
        }
        let inside: Vec<bool> = tags.iter().map(|tag| tag != "O").collect();
        prop_assert_eq!(covered, inside);
        prop_assert!(entities.is_sorted_by_key(|entity| entity.start));
    }

    #[test]
    fn a_set_of_tags_reads_what_tags_alone_give(tags in tags_of("BIOESULMX")) {
        let distinct: HashSet<&String> = tags.iter().collect();
        let labels: Vec<&String> = distinct.into_iter().collect();
        let set = TagSet::new(&labels).unwrap();
        let number = |tag: &String| labels.iter().position(|label| *label == tag).unwrap();
        let numbers: Vec<usize> = tags.iter().map(number).collect();
        let entities = read_entities(&tags).unwrap();
        prop_assert_eq!(&set.entities(&numbers), &entities);

        for (token, pair) in numbers.windows(2).enumerate() {
            let joined = entities.iter().any(|e| e.start <= token && token + 1 < e.end);
            prop_assert_eq!(set.continues(pair[0], pair[1]), joined);
        }
        for (label, text) in labels.iter().enumerate() {
            let further = set.continuation(label);
            prop_assert_eq!(set.entity_type(further), set.entity_type(label));
            prop_assert_eq!(set.continuation(further), further);
            let letter = text.split('-').next().unwrap();
            let closes = ["E", "S", "L", "U"].contains(&letter);
            let opens_only = letter == "B" && further == label;
            prop_assert_eq!(set.continues(label, further), letter != "O" && !closes && !opens_only, "{}", text);
        }
    }

    #[test]
    fn the_scheme_of_a_corpus_is_the_one_it_was_written_in(
        sentences in prop::collection::vec(entities(), 1..8), scheme in schemes(),
    ) {
        let corpus: Vec<Vec<String>> = sentences
            .iter()
            .map(|(entities, tokens)| scheme.encode(&borrowed(entities), *tokens).unwrap())
            .collect();
        let letters: HashSet<char> = corpus.iter().flatten().filter_map(|tag| tag.chars().next()).collect();
        let expected = match scheme {
            _ if sentences.iter().all(|(entities, _)| entities.is_empty()) => None,
            // Nothing tells these two apart where no entity touches one of its type.
            Scheme::Ioe1 if !letters.contains(&'E') => Some(Scheme::Iob1),
            _ => Some(scheme),
        };
        prop_assert_eq!(Scheme::of_sentences(&corpus), expected);
    }

    #[test]
    fn reports_of_entities_are_those_of_their_tags((_, gold, pred) in corpora()) {
        let of_tags = EntityReport::new(&gold, &pred, Mode::Default).unwrap();
        for scale in [1, 7] {
            let report = EntityReport::from_entities(&spans(&gold, scale), &spans(&pred, scale)).unwrap();
            prop_assert_eq!(report.mode, None);
            prop_assert_eq!(EntityReport { mode: of_tags.mode, ..report }, of_tags.clone());
        }
    }
}
