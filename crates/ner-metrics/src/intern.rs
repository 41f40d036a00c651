//! Numbers for strings, so that a report compares and counts numbers.

use std::collections::HashMap;

/// Places in the cache in front of the hash map; a corpus has tens of tags.
const CACHE: usize = 64;

/// Gives each distinct string a number, from 0 in order of appearance.
pub(crate) struct Interner<'a> {
    numbers: HashMap<&'a str, usize>,
    names: Vec<&'a str>,
    cache: [Option<(&'a str, usize)>; CACHE],
}

impl<'a> Interner<'a> {
    pub(crate) fn new() -> Self {
        Self {
            numbers: HashMap::new(),
            names: Vec::new(),
            cache: [None; CACHE],
        }
    }

    #[inline]
    pub(crate) fn number(&mut self, name: &'a str) -> usize {
        let place = cache_place(name.as_bytes());
        match self.cache[place] {
            Some((cached, number)) if cached == name => number,
            _ => {
                let number = self.look_up(name);
                self.cache[place] = Some((name, number));
                number
            }
        }
    }

    #[cold]
    fn look_up(&mut self, name: &'a str) -> usize {
        let names = &mut self.names;
        *self.numbers.entry(name).or_insert_with(|| {
            names.push(name);
            names.len() - 1
        })
    }

    /// The strings, by number.
    pub(crate) fn names(&self) -> &[&'a str] {
        &self.names
    }
}

/// Tags of one corpus mostly differ in length, first or third byte (`B-PER`, `I-LOC`); what collides goes to the map.
#[inline]
fn cache_place(name: &[u8]) -> usize {
    let byte = |i: usize| name.get(i).map_or(0, |&b| usize::from(b));
    (byte(0) * 5 + byte(2) * 7 + name.len() * 3) % CACHE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_share_a_place_keep_their_numbers() {
        let mut interner = Interner::new();
        assert_eq!(cache_place(b"B-XA"), cache_place(b"B-XB"));
        for _ in 0..3 {
            assert_eq!(interner.number("B-XA"), 0);
            assert_eq!(interner.number("B-XB"), 1);
            assert_eq!(interner.number(""), 2);
        }
        assert_eq!(interner.names(), ["B-XA", "B-XB", ""]);
    }
}
