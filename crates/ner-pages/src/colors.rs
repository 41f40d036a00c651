//! Which type has which color.

/// Colors of `style.css`, after Okabe and Ito (2008, <https://jfly.uni-koeln.de/color/>): people who do not see red and green tell them apart.
const COLORS: usize = 7;

/// Types in the order of their colors. The usual ones have theirs from the start, so that pages look alike.
pub struct Palette(Vec<String>);

impl Palette {
    pub fn new() -> Self {
        Self(["PER", "LOC", "ORG", "MISC"].map(str::to_owned).into())
    }

    /// The class of a label's color: a tag's is that of its type. Where there are more types than colors, some share one.
    pub fn class(&mut self, label: &str) -> String {
        let name = match label.split_once('-') {
            Some((position, name)) if position.chars().count() == 1 => name,
            _ => label,
        };
        let known = self.0.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        });
        format!("c{}", number % COLORS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_keeps_its_color() {
        let mut palette = Palette::new();
        let of = ["LOC", "GPE", "B-LOC", "I-GPE", "DATE", "GPE", "work-of-art"];
        let classes = of.map(|label| palette.class(label));
        assert_eq!(classes, ["c1", "c4", "c1", "c4", "c5", "c4", "c6"]);
        assert_eq!(palette.class("an eighth"), "c0");
    }
}
