//! Words and their labels as a model sees them: `align_words TOKENIZER_DIR "Marta vive en Albolea."`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;

use subword_align::{SubwordTokenizer, align_labels, words};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(dir), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("usage: align_words TOKENIZER_DIR TEXT".into());
    };
    let tokenizer = SubwordTokenizer::from_dir(&dir, None)?;
    let words: Vec<&str> = words(&text).into_iter().map(|place| &text[place]).collect();
    let encoded = tokenizer.encode_words(&words)?;

    // A corpus would have the labels; here each word's is its index.
    let labels: Vec<u32> = (0..).take(words.len()).collect();
    let aligned = align_labels(&encoded, &labels, None)?;
    for (word, range) in words.iter().zip(encoded.ranges()) {
        for subword in range {
            let piece = tokenizer
                .tokenizer()
                .id_to_token(encoded.ids[subword])
                .unwrap_or_default();
            match aligned[subword] {
                Some(label) => println!("{word}\t{piece}\tlabel {label}"),
                None => println!("\t{piece}\tno loss"),
            }
        }
    }
    Ok(())
}
