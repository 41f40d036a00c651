//! Entities of texts by a fine-tuned model: `tag_text MODEL_DIR "Ana vive en Lima." …`.
#![allow(clippy::print_stdout, reason = "an example shows what it finds")]

use std::error::Error;

use ner_tagger::Tagger;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments
        .next()
        .ok_or("usage: tag_text MODEL_DIR TEXT...")?;
    let texts: Vec<String> = arguments.collect();
    let tagger = Tagger::from_dir(dir)?;
    for (text, entities) in texts.iter().zip(tagger.entities_of(&texts)?) {
        println!("{text}");
        for entity in entities {
            let (start, end) = (entity.start, entity.end);
            println!(
                "  {} {start}..{end} {:.3} {}",
                entity.entity, entity.score, entity.word
            );
        }
    }
    Ok(())
}
