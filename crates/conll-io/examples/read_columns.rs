//! Counts sentences, documents, words and tags of a column file: `read_columns train.conll`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::collections::BTreeMap;
use std::error::Error;

use conll_io::{Reader, Sentence};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: read_columns FILE")?;
    let mut reader = Reader::from_path(&path)?;
    let mut sentence = Sentence::new(); // its buffers are used again and again
    let (mut sentences, mut documents, mut words) = (0, 0, 0);
    let mut tags: BTreeMap<String, usize> = BTreeMap::new();
    while reader.read_sentence(&mut sentence)? {
        sentences += 1;
        documents += usize::from(sentence.starts_document());
        words += sentence.len();
        for tag in sentence.tags().into_iter().flatten() {
            *tags.entry(tag.to_owned()).or_default() += 1;
        }
    }
    println!("{sentences} sentences, {documents} document boundaries, {words} words");
    for (tag, count) in tags {
        println!("{count:8} {tag}");
    }
    Ok(())
}
