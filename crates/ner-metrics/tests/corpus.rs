//! Entity counts of the Spanish corpus of CoNLL-2002, where it is present: it may be used for research only, so it is no
//! part of this repository.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::path::Path;

use ner_metrics::{EntityReport, Mode, Scheme, TokenReport, read_entities};

/// Sentences of the tags in the last column of a file; `None` where the corpus is absent.
fn tags(file: &str) -> Option<Vec<Vec<String>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/conll2002-es");
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        println!("skipped: no {file} in {}", folder.display());
        return None;
    };
    let sentences = text.split("\n\n").map(|sentence| {
        let tags = sentence.lines().filter_map(|line| line.rsplit(' ').next());
        tags.filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect()
    });
    Some(
        sentences
            .filter(|tags: &Vec<String>| !tags.is_empty())
            .collect(),
    )
}

#[test]
fn entities_of_the_three_files() {
    for (file, sentences, tokens, default, strict) in [
        ("esp.train", 8_323, 264_715, 18_798, 18_797),
        ("esp.testa", 1_915, 52_923, 4_352, 4_351),
        ("esp.testb", 1_517, 51_533, 3_559, 3_558),
    ] {
        let Some(gold) = tags(file) else { return };
        assert_eq!(gold.len(), sentences, "{file}");
        let report = EntityReport::new(&gold, &gold, Mode::Default).unwrap();
        assert_eq!(report.micro.support, default, "{file}");
        let report = EntityReport::new(&gold, &gold, Mode::Strict(Scheme::Iob2)).unwrap();
        assert_eq!(report.micro.support, strict, "{file}");
        assert_eq!(
            TokenReport::new(&gold, &gold).unwrap().macro_avg.support,
            tokens,
            "{file}"
        );
        let invalid: usize = gold
            .iter()
            .map(|s| Scheme::Iob2.invalid_transitions(s).unwrap())
            .sum();
        assert_eq!(invalid, 1, "{file}: one I-X after O");
        assert_eq!(Scheme::of_sentences(&gold), Some(Scheme::Iob2), "{file}");
        let read: usize = gold.iter().map(|s| read_entities(s).unwrap().len()).sum();
        assert_eq!(read, default, "{file}");
    }
}

#[test]
fn types_of_testb() {
    let Some(gold) = tags("esp.testb") else {
        return;
    };
    let report = EntityReport::new(&gold, &gold, Mode::Default).unwrap();
    let support: Vec<(&str, usize)> = report
        .per_type
        .iter()
        .map(|row| (row.entity_type.as_str(), row.scores.support))
        .collect();
    assert_eq!(
        support,
        [("LOC", 1_084), ("MISC", 340), ("ORG", 1_400), ("PER", 735)]
    );
}
