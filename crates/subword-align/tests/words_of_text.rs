//! Words of running text against those of a corpus: every sentence is joined to text and cut again. Skipped where the corpus is
//! absent; `cargo test -p subword-align --test words_of_text -- --nocapture` prints the figures.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod common;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::ops::Range;

use common::root;
use subword_align::{join_words, words};

/// Differences that a report lists.
const LISTED: usize = 20;
/// Sentences of a text of several.
const PARAGRAPH: usize = 8;

/// A sentence of a column file: words and IOB2 tags.
type Sentence = Vec<(String, String)>;

/// The sentences of a file, first and last column, or nothing where it is absent.
fn read(file: &str) -> Option<Vec<Sentence>> {
    let path = root().join("../shared/data").join(file);
    let Ok(text) = fs::read_to_string(&path) else {
        eprintln!("skipped: no corpus at {}", path.display());
        return None;
    };
    let row = |line: &str| {
        let mut columns = line.split_whitespace();
        let word = columns.next().unwrap().to_owned();
        (word, columns.next_back().unwrap_or("O").to_owned())
    };
    let lines: Vec<&str> = text.lines().collect();
    let sentences = lines
        .split(|line| line.trim().is_empty())
        .filter(|sentence| !sentence.is_empty());
    Some(
        sentences
            .map(|sentence| sentence.iter().map(|line| row(line)).collect())
            .collect(),
    )
}

/// Whether a word is a slip of the corpus: a word or number with a mark glued to it that elsewhere is a token of its own, as in
/// `hoy,`, `(o`, `Agricultura.` or `19.`.
///
/// A full stop is not glued to initials and abbreviations, which the cut leaves whole, to words with stops inside
/// (`HID.CANTABR.`), and to up to three capitals (`FC.`).
fn is_glued_slip(word: &str) -> bool {
    let core = word.trim_matches(|c: char| !c.is_alphanumeric());
    let Some((before, after)) = word.split_once(core).filter(|_| !core.is_empty()) else {
        return false;
    };
    if (before, after) == ("", ".") {
        let is_number = core
            .chars()
            .all(|c| c.is_numeric() || matches!(c, '.' | ','));
        let is_short = core.chars().count() <= 3 && core.chars().all(char::is_uppercase);
        let is_whole = words(&format!("{word} x")).len() == 2;
        return is_number || !(is_short || is_whole || core.contains('.'));
    }
    word != core
        && ["", "(", ",", "\""].contains(&before)
        && ["", ",", ":", ";", ")", "\"", "),"].contains(&after)
}

/// What a corpus's words are against those of the cut.
#[derive(Default)]
struct Figures {
    texts: usize,
    exact: usize,
    /// Texts that differ and hold a slip of the corpus.
    excused: usize,
    words: usize,
    /// Words of the corpus that are no words of the cut.
    differing: usize,
    entities: usize,
    /// Entities that do not begin and end where words of the cut do.
    out_of_reach: Vec<String>,
    differences: HashMap<(String, String), usize>,
}

impl Figures {
    fn of(texts: &[Sentence]) -> Self {
        let mut figures = Self::default();
        for text in texts {
            figures.add(text);
        }
        figures
    }

    fn add(&mut self, sentence: &Sentence) {
        let tokens: Vec<&str> = sentence.iter().map(|(word, _)| word.as_str()).collect();
        let joined = join_words(&tokens);
        let (gold, cut) = (&joined.words, words(&joined.text));
        self.texts += 1;
        self.words += gold.len();
        if *gold == cut {
            self.exact += 1;
        } else {
            self.excused += usize::from(tokens.iter().any(|token| is_glued_slip(token)));
            self.differing += gold
                .iter()
                .filter(|word| {
                    cut.binary_search_by_key(&(word.start, word.end), |w| (w.start, w.end))
                        .is_err()
                })
                .count();
            self.add_differences(&joined.text, gold, &cut);
        }
        for entity in entities(sentence) {
            let (start, end) = (gold[entity.start].start, gold[entity.end - 1].end);
            self.entities += 1;
            let reached = cut.iter().any(|word| word.start == start)
                && cut.iter().any(|word| word.end == end);
            if !reached {
                self.out_of_reach.push(joined.text[start..end].to_owned());
            }
        }
    }

    /// Counts the shortest stretches between common boundaries that the two cut in different ways.
    fn add_differences(&mut self, text: &str, gold: &[Range<usize>], cut: &[Range<usize>]) {
        let (mut g, mut c) = (0, 0);
        while g < gold.len() && c < cut.len() {
            let (from_gold, from_cut) = (g, c);
            while gold[g].end != cut[c].end {
                if gold[g].end < cut[c].end {
                    g += 1;
                } else {
                    c += 1;
                }
            }
            (g, c) = (g + 1, c + 1);
            let show = |words: &[Range<usize>]| {
                words
                    .iter()
                    .map(|word| &text[word.clone()])
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let pair = (show(&gold[from_gold..g]), show(&cut[from_cut..c]));
            if pair.0 != pair.1 {
                *self.differences.entry(pair).or_default() += 1;
            }
        }
    }

    fn within_reach(&self) -> usize {
        self.entities - self.out_of_reach.len()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.exact as f64 / self.texts as f64;
        writeln!(
            f,
            "{} of {} texts cut exactly ({share:.2}%)",
            self.exact, self.texts
        )?;
        writeln!(
            f,
            "  {} of the other {} hold a slip of the corpus",
            self.excused,
            self.texts - self.exact
        )?;
        writeln!(f, "  {} of {} words differ", self.differing, self.words)?;
        writeln!(
            f,
            "  {} of {} entities within reach",
            self.within_reach(),
            self.entities
        )?;
        for entity in &self.out_of_reach {
            writeln!(f, "    out of reach: {entity}")?;
        }
        let mut differences: Vec<_> = self.differences.iter().collect();
        differences.sort_by_key(|&(pair, count)| (std::cmp::Reverse(count), pair));
        for ((gold, cut), count) in differences.into_iter().take(LISTED) {
            writeln!(f, "    {count:4}  {gold}  ->  {cut}")?;
        }
        Ok(())
    }
}

/// Ranges of words that are entities, by IOB2 tags.
fn entities(sentence: &Sentence) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, (_, tag)) in sentence.iter().enumerate() {
        match found.last_mut() {
            Some(last) if tag.starts_with("I-") && last.end == at => last.end = at + 1,
            _ if tag != "O" => found.push(at..at + 1),
            _ => {}
        }
    }
    found
}

/// Every few sentences as one text.
fn paragraphs(sentences: &[Sentence]) -> Vec<Sentence> {
    sentences
        .chunks(PARAGRAPH)
        .map(<[Sentence]>::concat)
        .collect()
}

fn measure(file: &str) -> Option<Figures> {
    let figures = Figures::of(&read(file)?);
    eprintln!("{file}: {figures}");
    Some(figures)
}

#[test]
fn words_of_the_development_file_are_those_of_the_corpus() {
    let Some(figures) = measure("conll2002-es/esp.testa") else {
        return;
    };
    assert_eq!((figures.texts, figures.entities), (1915, 4352));
    assert!(
        figures.exact >= 1805,
        "{} sentences cut exactly",
        figures.exact
    );
    assert_eq!(figures.within_reach(), figures.entities);
    // All but three of the others hold a slip of the corpus itself.
    assert!(
        figures.exact + figures.excused >= 1912,
        "{} excused",
        figures.excused
    );
}

/// An initial or an abbreviation before the end of a sentence has another sentence after it here.
#[test]
fn several_sentences_are_cut_as_one_is() {
    let Some(sentences) = read("conll2002-es/esp.testa") else {
        return;
    };
    let (alone, together) = (
        Figures::of(&sentences),
        Figures::of(&paragraphs(&sentences)),
    );
    eprintln!("paragraphs: {together}");
    assert!(
        together.differing <= alone.differing + 2,
        "{} words differ",
        together.differing
    );
}

#[test]
fn the_training_file_is_cut_as_well() {
    let Some(figures) = measure("conll2002-es/esp.train") else {
        return;
    };
    assert!(
        figures.exact >= 7790,
        "{} sentences cut exactly",
        figures.exact
    );
    assert_eq!(figures.within_reach(), figures.entities);
}

/// Text of another kind, by another tokenizer: no rule was chosen on it.
#[test]
fn words_of_encyclopedia_articles() {
    let Some(figures) = measure("wikineural-es/sample.conll") else {
        return;
    };
    assert!(
        figures.exact * 100 >= figures.texts * 96,
        "{} sentences cut exactly",
        figures.exact
    );
    assert_eq!(figures.within_reach(), figures.entities);
}

#[test]
fn slips_are_told_from_abbreviations() {
    for slip in [
        "hoy,",
        "Cultura.",
        "19.",
        "(o",
        "al.",
        "\"sol\"",
        "lunes:",
        "(mañana),",
    ] {
        assert!(is_glued_slip(slip), "{slip}");
    }
    for word in [
        "J.", "kg.", "EE.UU.", "hoy", ".", "3.500", "'92", "-", "d'Or", "77%",
    ] {
        assert!(!is_glued_slip(word), "{word}");
    }
}
