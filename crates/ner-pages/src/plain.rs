//! Text as text.

use maud::Render;

/// Text of a user, which a browser shows as it is, line ends included.
///
/// HTML has no way to write the character NUL; U+FFFD stands for it.
pub struct Plain<'a>(pub &'a str);

impl Render for Plain<'_> {
    fn render_to(&self, buffer: &mut String) {
        for c in self.0.chars() {
            match c {
                '&' => buffer.push_str("&amp;"),
                '<' => buffer.push_str("&lt;"),
                '>' => buffer.push_str("&gt;"),
                '"' => buffer.push_str("&quot;"),
                // Else a parser makes a line feed of it.
                '\r' => buffer.push_str("&#13;"),
                '\0' => buffer.push('\u{fffd}'),
                c => buffer.push(c),
            }
        }
    }
}
