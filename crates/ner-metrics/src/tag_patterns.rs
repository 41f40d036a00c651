//! Patterns over two neighboring tags, and their compiled lookup.

/// The position letter of a tag, as far as any rule tells letters apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prefix {
    I,
    O,
    B,
    E,
    S,
    U,
    L,
    Dot,
    Other,
}

const PREFIXES: usize = 9;

impl Prefix {
    pub(crate) fn from_char(letter: char) -> Self {
        u8::try_from(letter).map_or(Self::Other, Self::from_byte)
    }

    const fn from_byte(letter: u8) -> Self {
        match letter {
            b'I' => Self::I,
            b'O' => Self::O,
            b'B' => Self::B,
            b'E' => Self::E,
            b'S' => Self::S,
            b'U' => Self::U,
            b'L' => Self::L,
            b'.' => Self::Dot,
            _ => Self::Other,
        }
    }
}

/// What a pattern asks of the types of the two tags.
#[derive(Clone, Copy)]
pub(crate) enum Types {
    Any,
    Same,
    Different,
}

/// Previous letters, current letters, condition on the types. `*` is every letter, `?` every letter without a name.
pub(crate) type Pattern = (&'static str, &'static str, Types);

/// When an entity starts at, goes on over, or has ended before the current tag.
pub(crate) struct Patterns {
    pub(crate) start: &'static [Pattern],
    pub(crate) inside: &'static [Pattern],
    pub(crate) end: &'static [Pattern],
}

/// What happens between two neighboring tags: a set of bits.
#[derive(Clone, Copy)]
pub(crate) struct Step(u8);

impl Step {
    const START: u8 = 1;
    const INSIDE: u8 = 2;
    const END: u8 = 4;

    pub(crate) fn starts(self) -> bool {
        self.0 & Self::START != 0
    }

    pub(crate) fn is_inside(self) -> bool {
        self.0 & Self::INSIDE != 0
    }

    pub(crate) fn ends(self) -> bool {
        self.0 & Self::END != 0
    }
}

/// [`Patterns`] as one lookup: `[previous letter][letter][types are equal]`.
pub(crate) struct Rules([[[u8; 2]; PREFIXES]; PREFIXES]);

impl Rules {
    pub(crate) const fn compile(patterns: &Patterns) -> Self {
        let table = [[[0; 2]; PREFIXES]; PREFIXES];
        let table = mark(table, patterns.start, Step::START);
        let table = mark(table, patterns.inside, Step::INSIDE);
        Self(mark(table, patterns.end, Step::END))
    }

    #[inline]
    pub(crate) fn step(&self, previous: Prefix, current: Prefix, same_type: bool) -> Step {
        Step(self.0[previous as usize][current as usize][usize::from(same_type)])
    }
}

const fn mark(
    mut table: [[[u8; 2]; PREFIXES]; PREFIXES],
    patterns: &[Pattern],
    bit: u8,
) -> [[[u8; 2]; PREFIXES]; PREFIXES] {
    let mut i = 0;
    while i < patterns.len() {
        let (previous, current, types) = patterns[i];
        let (previous, current) = (letters(previous), letters(current));
        let mut p = 0;
        while p < PREFIXES {
            let mut c = 0;
            while c < PREFIXES {
                if previous[p] && current[c] {
                    if !matches!(types, Types::Same) {
                        table[p][c][0] |= bit;
                    }
                    if !matches!(types, Types::Different) {
                        table[p][c][1] |= bit;
                    }
                }
                c += 1;
            }
            p += 1;
        }
        i += 1;
    }
    table
}

const fn letters(set: &str) -> [bool; PREFIXES] {
    let mut member = [false; PREFIXES];
    let set = set.as_bytes();
    let mut i = 0;
    while i < set.len() {
        if set[i] == b'*' {
            member = [true; PREFIXES];
        } else {
            member[Prefix::from_byte(set[i]) as usize] = true;
        }
        i += 1;
    }
    member
}
