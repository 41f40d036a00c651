//! The marks and abbreviations that [`super::unicode`] cuts words by.

/// Whether a character separates words and belongs to none: `White_Space` of Unicode (no-break and ideographic spaces and line
/// ends are among it), the zero-width space U+200B and the byte order mark U+FEFF.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

/// Marks that close a clause, a bracket or a quotation: no space stands before them.
pub(crate) fn is_closing(c: char) -> bool {
    is_closing_bracket(c) || matches!(c, '.' | ',' | ';' | ':' | '?' | '!' | '…')
}

/// Marks that close a bracket or a quotation.
pub(super) fn is_closing_bracket(c: char) -> bool {
    matches!(c, ')' | ']' | '}' | '»' | '›' | '”' | '’')
}

/// Marks that open a bracket, a quotation, a question or an exclamation: no space stands after them.
pub(crate) fn is_opening(c: char) -> bool {
    matches!(
        c,
        '(' | '[' | '{' | '¿' | '¡' | '«' | '‹' | '“' | '„' | '‚' | '‘'
    )
}

/// Quotation marks that open and close alike.
pub(crate) fn is_straight_quote(c: char) -> bool {
    matches!(c, '"' | '\'')
}

/// Apostrophes, straight and curly.
pub(super) fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '’')
}

/// Marks that make one word of what touches them on both sides: `franco-belga`, `km/h`, `I+D`, `R&B`, `ana@correo.es`, `sub'21`.
pub(super) fn is_joiner(c: char) -> bool {
    is_apostrophe(c) || matches!(c, '-' | '\u{2010}' | '\u{2011}' | '/' | '&' | '+' | '@')
}

/// Signs of numbers: `-3`, `+7,76`.
pub(super) fn is_sign(c: char) -> bool {
    matches!(c, '+' | '-' | '−' | '±')
}

/// Marks that belong to the number before them: `77%`, `20°`.
pub(super) fn is_number_suffix(c: char) -> bool {
    matches!(c, '%' | '‰' | '°')
}

/// Raised and lowered digits and fractions, which belong to the word before them: `km²`, `1½`.
pub(super) fn is_raised(c: char) -> bool {
    matches!(c, '¹' | '²' | '³' | '⁰'..='₉' | '¼'..='¾')
}

/// Marks that are one word where they are repeated: `--`, `!!!`, `====`. Full stops are so from three on.
pub(super) fn is_repeatable(c: char) -> bool {
    is_apostrophe(c)
        || matches!(
            c,
            '.' | '-' | '=' | '*' | '+' | '~' | '#' | '!' | '?' | '¡' | '¿' | '`'
        )
        || matches!(c, '…' | '–' | '—' | '•' | '·')
}

/// Abbreviations whose full stop belongs to them, in the case that they have in the middle of a sentence: `sr` stands for `Sr`
/// too. They are Spanish and English ones that stand beside names and numbers. None of them is a usual word, so that a
/// sentence that ends in a word is cut before its full stop. Single letters and `EE.UU.` need no table.
const ABBREVIATIONS: [&[&str]; 6] = [
    TITLES,
    ENGLISH_TITLES,
    NAMES,
    ADDRESSES,
    REFERENCES,
    MEASURES,
];

const TITLES: &[&str] = &[
    "sr", "sra", "sres", "sras", "srta", "dr", "dra", "dres", "dña", "prof", "profa", "lic", "ing",
    "arq", "gral", "cnel", "tte", "sgto", "mons", "fr", "sto", "sta", "st", "ste", "ud", "uds",
    "vd", "vds", "excmo", "excma", "ilmo", "ilma",
];
const ENGLISH_TITLES: &[&str] = &[
    "mr", "mrs", "messrs", "Ms", "jr", "Gen", "Col", "Lt", "Sgt", "Gov", "Sen", "Rep", "Rev", "Hon",
];
/// Parts of names of firms, clubs, places and states.
const NAMES: &[&str] = &[
    "At", "Cía", "Hnos", "Bros", "Inc", "Ltd", "Ltda", "Corp", "Co", "Mt", "Ft", "EE", "UU", "FF",
    "RR", "HH", "JJ",
];
const ADDRESSES: &[&str] = &[
    "av", "avda", "ctra", "pza", "urb", "apdo", "tel", "telf", "tfno", "tlf", "dpto", "depto",
    "edif",
];
const REFERENCES: &[&str] = &[
    "núm", "núms", "pág", "págs", "párr", "vol", "vols", "pp", "arts", "caps", "figs", "ej", "cf",
    "cfr", "ibid", "vs", "etc",
];
const MEASURES: &[&str] = &[
    "kg", "km", "cm", "mm", "mg", "ml", "hrs", "min", "seg", "máx", "mín", "pts", "pta", "ptas",
    "aprox",
];

/// Abbreviations that are words too, or words of another language: their full stop belongs to them before a number only
/// (`No. 5`, `art. 14`).
const ABBREVIATIONS_BEFORE_NUMBERS: &[&str] =
    &["no", "nos", "art", "cap", "fig", "sec", "ed", "op"];

/// Bytes of the longest abbreviation: longer words before a full stop need no second look.
pub(super) const LONGEST_ABBREVIATION: usize = 6;

/// Whether the full stop after a word that something follows belongs to it. `number` tells that a number follows.
pub(super) fn is_abbreviation(word: &str, number: bool) -> bool {
    let is_in = |table: &[&str]| table.iter().any(|entry| is_case_of(word, entry));
    ABBREVIATIONS.into_iter().any(is_in) || (number && is_in(ABBREVIATIONS_BEFORE_NUMBERS))
}

/// Whether a word is the entry, or the entry with its first letter in upper case. All entries begin with an ASCII letter.
fn is_case_of(word: &str, entry: &str) -> bool {
    let (word, entry) = (word.as_bytes(), entry.as_bytes());
    word.len() == entry.len()
        && word[1..] == entry[1..]
        && (word[0] == entry[0] || word[0] == entry[0].to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_what_the_search_expects() {
        let mut sorted = [&ABBREVIATIONS.concat(), ABBREVIATIONS_BEFORE_NUMBERS].concat();
        assert!(
            sorted
                .iter()
                .all(|entry| entry.len() <= LONGEST_ABBREVIATION)
        );
        assert!(
            sorted
                .iter()
                .all(|entry| entry.starts_with(|c: char| c.is_ascii_alphabetic()))
        );
        sorted.sort_unstable();
        assert!(
            sorted.windows(2).all(|pair| pair[0] != pair[1]),
            "an entry stands twice"
        );
    }
}
