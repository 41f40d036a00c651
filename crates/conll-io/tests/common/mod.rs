//! What tests of several readers share.

use conll_io::{Error, Sentence, SentenceSource, Sentences};

/// Sentences as `line:token/tag line:token/tag | line:token/tag`, `#` before one that starts a
/// document; or the error.
pub fn shown(source: impl SentenceSource) -> Result<String, String> {
    let show = |sentence: Sentence| {
        let word = |i| match sentence.tag(i) {
            Some(tag) => format!("{}:{}/{tag}", sentence.line(i), sentence.token(i)),
            None => format!("{}:{}", sentence.line(i), sentence.token(i)),
        };
        let start = sentence.starts_document().then(|| "#".to_owned());
        let words = start.into_iter().chain((0..sentence.len()).map(word));
        words.collect::<Vec<_>>().join(" ")
    };
    let sentences: Result<Vec<Sentence>, Error> = Sentences::new(source).collect();
    let sentences = sentences.map_err(|error| error.to_string())?;
    let shown: Vec<String> = sentences.into_iter().map(show).collect();
    Ok(shown.join(" | "))
}
