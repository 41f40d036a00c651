//! seqeval's report of two column files with the same words, and how near the misses are: `score_files gold.conll predicted.conll`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;

use ner_metrics::{EntityReport, Mode, OverlapReport, OverlapScheme, Result, read_entities};

/// The last column of each line, by sentence. The crate `conll-io` reads all that column files may hold.
fn tags(text: &str) -> Vec<Vec<&str>> {
    let mut sentences = vec![Vec::new()];
    for line in text.lines() {
        match (line.split_whitespace().next_back(), sentences.last_mut()) {
            (Some(tag), Some(sentence)) => sentence.push(tag),
            _ => sentences.push(Vec::new()),
        }
    }
    sentences
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [gold, predicted] = &paths[..] else {
        return Err("usage: score_files GOLD PREDICTED".into());
    };
    let (gold, predicted) = (
        std::fs::read_to_string(gold)?,
        std::fs::read_to_string(predicted)?,
    );
    let (gold, predicted) = (tags(&gold), tags(&predicted));
    print!(
        "{}",
        EntityReport::new(&gold, &predicted, Mode::Default)?.to_text(4)
    );

    let gold = gold
        .iter()
        .map(|tags| read_entities(tags))
        .collect::<Result<Vec<_>>>()?;
    let predicted = predicted
        .iter()
        .map(|tags| read_entities(tags))
        .collect::<Result<Vec<_>>>()?;
    let near = OverlapReport::new(&gold, &predicted)?;
    for scheme in OverlapScheme::ALL {
        println!("{:9} F1 {:.4}", scheme.name(), near.overall.get(scheme).f1);
    }
    Ok(())
}
