//! What stands between columns.

/// What stands between the columns of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Separator {
    /// Any run of ASCII white space (space, tab, form feed); such a run at either end of a line is
    /// dropped. Written as one space.
    #[default]
    Whitespace,
    /// Exactly one space: two in a row have an empty column between them.
    Space,
    /// Exactly one tab: two in a row have an empty column between them.
    Tab,
}

impl Separator {
    /// The character that is written between columns.
    pub const fn as_char(self) -> char {
        match self {
            Self::Whitespace | Self::Space => ' ',
            Self::Tab => '\t',
        }
    }

    /// The bytes between columns, and the carriage return of a CRLF: bit `i` stands for byte `i`.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::Whitespace => 1 << b' ' | 1 << b'\t' | 1 << b'\x0C' | 1 << b'\r',
            Self::Space => 1 << b' ',
            Self::Tab => 1 << b'\t',
        }
    }
}
