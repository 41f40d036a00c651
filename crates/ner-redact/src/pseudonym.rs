//! Other names for the same things.

use std::collections::HashSet;

use crate::{
    Key, names,
    recognize::{card, iban, spanish},
};

/// Tries before giving up on another name, which takes an entity of marks only.
const TRIES: u64 = 200;

/// What a type is about.
#[derive(Clone, Copy)]
enum Kind {
    Person,
    Place,
    Organisation,
    Email,
    Url,
    Ip,
    /// An identifier: the check that its pseudonym must fail, so that it is nobody's.
    Number(fn(&str) -> bool),
}

impl Kind {
    fn of(entity_type: &str) -> Self {
        match entity_type.to_ascii_uppercase().as_str() {
            "PER" | "PERSON" => Kind::Person,
            "LOC" | "LOCATION" | "GPE" => Kind::Place,
            "ORG" | "ORGANIZATION" | "ORGANISATION" => Kind::Organisation,
            "EMAIL_ADDRESS" | "EMAIL" => Kind::Email,
            "URL" => Kind::Url,
            "IP_ADDRESS" => Kind::Ip,
            "CREDIT_CARD" => Kind::Number(card::holds),
            "IBAN_CODE" => Kind::Number(iban::holds),
            "ES_NIF" | "ES_NIE" => Kind::Number(spanish::holds),
            _ => Kind::Number(|_| false),
        }
    }

    /// A label of its own, so that one text of two kinds has two pseudonyms.
    fn label(self) -> &'static [u8] {
        match self {
            Kind::Person => b"person",
            Kind::Place => b"place",
            Kind::Organisation => b"organisation",
            Kind::Email => b"email",
            Kind::Url => b"url",
            Kind::Ip => b"ip",
            Kind::Number(_) => b"number",
        }
    }

    fn is_name(self) -> bool {
        matches!(self, Kind::Person | Kind::Place | Kind::Organisation)
    }

    fn draw(self, draw: &mut Draw, original: &str) -> String {
        let name = match self {
            Kind::Person => names::person(draw),
            Kind::Place => names::place(draw),
            Kind::Organisation => names::organisation(draw),
            Kind::Email => names::email(draw),
            Kind::Url => names::url(draw),
            Kind::Ip => names::ip(draw, original),
            Kind::Number(_) => names::same_shape(draw, original),
        };
        let capitals =
            original.chars().any(char::is_uppercase) && original.to_uppercase() == original;
        if capitals && self.is_name() && original.chars().count() > 1 {
            return name.to_uppercase();
        }
        name
    }
}

/// Draws that follow from a key and what they are for.
pub(crate) struct Draw {
    key: Key,
    seed: [u8; 32],
    block: [u8; 32],
    used: usize,
    blocks: u64,
}

impl Draw {
    fn new(key: &Key, parts: &[&[u8]]) -> Self {
        Self {
            key: key.clone(),
            seed: key.mac(parts),
            block: [0; 32],
            used: 32,
            blocks: 0,
        }
    }

    fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.block = self.key.mac(&[&self.seed, &self.blocks.to_le_bytes()]);
            (self.used, self.blocks) = (0, self.blocks + 1);
        }
        self.used += 1;
        self.block[self.used - 1]
    }

    /// A number below a bound of at most 2³², as evenly as 40 bits allow.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let bits = (0..5).fold(0, |bits, _| bits << 8 | u64::from(self.byte()));
        bits % bound
    }

    pub(crate) fn one_of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let place = self.below(list.len() as u64);
        usize::try_from(place).map_or("", |place| list[place])
    }

    /// One of so many characters from this one on.
    pub(crate) fn symbol(&mut self, first: u8, count: u64) -> char {
        u8::try_from(self.below(count)).map_or('0', |offset| char::from(first + offset))
    }
}

/// Where a pseudonym comes from.
pub(crate) enum Source<'a> {
    /// A secret and the text: the same in every document.
    Key(&'a Key),
    /// The place among the document's different entities, which says nothing of the text. Words in the document's entities and pseudonyms given before
    /// are avoided.
    Document {
        ordinal: usize,
        words: &'a HashSet<String>,
        given: &'a HashSet<String>,
    },
}

/// Another name of the same kind: never the original, nor, in names, one of its words.
pub(crate) fn pseudonym(source: &Source, entity_type: &str, original: &str) -> String {
    let kind = Kind::of(entity_type);
    let own: HashSet<String> = words(original).collect();
    let fits = |name: &String| {
        let known = |word: String| {
            own.contains(&word)
                || matches!(source, Source::Document { words, .. } if words.contains(&word))
        };
        let familiar = kind.is_name() && words(name).any(known);
        let given = matches!(source, Source::Document { given, .. } if given.contains(name));
        let somebodys = matches!(kind, Kind::Number(holds) if holds(name));
        !familiar && !given && !somebodys && !name.contains(original)
    };
    (0..TRIES)
        .map(|attempt| kind.draw(&mut draws(source, kind, original, attempt), original))
        .find(fits)
        .unwrap_or_else(|| placeholder(entity_type, original))
}

fn draws(source: &Source, kind: Kind, original: &str, attempt: u64) -> Draw {
    let attempt = attempt.to_le_bytes();
    match source {
        Source::Key(key) => Draw::new(key, &[kind.label(), original.as_bytes(), &attempt]),
        Source::Document { ordinal, .. } => {
            let ordinal = (*ordinal as u64).to_le_bytes();
            Draw::new(&Key::public(), &[kind.label(), &ordinal, &attempt])
        }
    }
}

/// For what has no letter or digit to change.
fn placeholder(entity_type: &str, original: &str) -> String {
    let name = format!("<{entity_type}>");
    if name == original {
        format!("[{entity_type}]")
    } else {
        name
    }
}

/// The words of a name in small letters.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}
