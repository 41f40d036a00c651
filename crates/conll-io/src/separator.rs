/// What stands between the columns of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Separator {
    /// Any run of ASCII white space (space, tab, form feed, carriage return); such a run at either
    /// end of a line is dropped. Written as one space.
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
}
