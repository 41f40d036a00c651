//! Line ends of every kind as line feeds, and no leftovers of joined files.

use std::io::{self, Read};

use memchr::memchr3;

use crate::encoding::{Decoder, UTF8_MARK};

/// Ctrl-Z, which programs for CP/M and DOS write at the end of a text file.
pub(crate) const SUBSTITUTE: u8 = b'\x1A';

/// Reads a file as lines that a search for line feeds finds.
///
/// - A run of CRs before a LF belongs to that line end; any other CR is a LF.
/// - Byte-order marks and Ctrl-Zs at the start of a line, behind white space too, are dropped.
/// - Ctrl-Zs at the end of the file are dropped.
/// - The last line ends with a LF.
///
/// A block with nothing to change is handed on as it is.
#[derive(Debug)]
pub(crate) struct PlainLines<R> {
    inner: Decoder<R>,
    /// Changed bytes that wait to be read, from `position` on.
    ready: Vec<u8>,
    position: usize,
    held: Held,
    /// Whether nothing but white space stands before the next byte in its line.
    line_start: bool,
    /// The last byte that was given, LF at the start.
    last: u8,
    ended: bool,
}

/// Bytes whose meaning the next one decides. No more than one of the numbers is above 0.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    /// CRs: a line end of their own, unless a LF follows.
    returns: usize,
    /// Bytes of a byte-order mark at the start of a line.
    mark: usize,
    /// Ctrl-Zs amid a line: text, unless the file ends.
    substitutes: usize,
}

const ONE_RETURN: Held = Held {
    returns: 1,
    mark: 0,
    substitutes: 0,
};

impl<R: Read> PlainLines<R> {
    pub(crate) fn new(inner: Decoder<R>) -> Self {
        Self {
            inner,
            ready: Vec::new(),
            position: 0,
            held: Held::default(),
            line_start: true,
            last: b'\n',
            ended: false,
        }
    }

    fn push(&mut self, byte: u8) {
        self.release(byte);
        match byte {
            b'\r' => self.held.returns += 1,
            SUBSTITUTE if self.line_start => {}
            SUBSTITUTE => self.held.substitutes += 1,
            _ if self.line_start && byte == UTF8_MARK[self.held.mark] => {
                self.held.mark = (self.held.mark + 1) % UTF8_MARK.len();
            }
            _ => {
                self.line_start = byte == b'\n' || self.line_start && is_blank(byte);
                self.ready.push(byte);
            }
        }
    }

    /// Decides about the bytes held, now that the next one is known.
    fn release(&mut self, next: u8) {
        let Held {
            returns,
            mark,
            substitutes,
        } = self.held;
        if returns > 0 && next != b'\r' {
            let line_feeds = if next == b'\n' { 0 } else { returns };
            self.ready.resize(self.ready.len() + line_feeds, b'\n');
            self.held.returns = 0;
            self.line_start = true;
        } else if mark > 0 && next != UTF8_MARK[mark] {
            self.ready.extend_from_slice(&UTF8_MARK[..mark]);
            self.held.mark = 0;
            self.line_start = false;
        } else if substitutes > 0 && next != SUBSTITUTE {
            let length = self.ready.len() + substitutes;
            self.ready.resize(length, SUBSTITUTE);
            self.held.substitutes = 0;
        }
    }

    /// The end of the file: ends the last line.
    fn end(&mut self) {
        self.held.substitutes = 0;
        // As if a line feed came, which is then given only where the line lacks one.
        self.release(b'\n');
        if *self.ready.last().unwrap_or(&self.last) != b'\n' {
            self.ready.push(b'\n');
        }
        self.ended = true;
    }

    /// Number of the first bytes of a block to hand on as they are; those behind them are taken care
    /// of.
    fn take_plain(&mut self, block: &[u8]) -> usize {
        if self.held == ONE_RETURN && block.starts_with(b"\n") {
            self.held = Held::default();
        }
        // A block may end amid a CRLF.
        let (plain, held) = match block.split_last() {
            Some((b'\r', rest)) => (rest, ONE_RETURN),
            _ => (block, Held::default()),
        };
        if self.held != Held::default() || !is_plain(plain) {
            block.iter().for_each(|&byte| self.push(byte));
            return 0;
        }
        if let Some(end) = plain.iter().rposition(|&byte| !is_blank(byte)) {
            self.line_start = plain[end] == b'\n';
        }
        self.held = held;
        plain.len()
    }
}

impl<R: Read> Read for PlainLines<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            let waiting = &self.ready[self.position..];
            let mut count = waiting.len().min(out.len());
            if count > 0 {
                out[..count].copy_from_slice(&waiting[..count]);
                self.position += count;
            } else if self.ended {
                return Ok(0);
            } else {
                self.ready.clear();
                self.position = 0;
                count = self.inner.read(out)?;
                if count == 0 {
                    self.end();
                    continue;
                }
                count = self.take_plain(&out[..count]);
                if count == 0 {
                    continue;
                }
            }
            self.last = out[count - 1];
            return Ok(count);
        }
    }
}

/// Whether there is nothing to change in a block (`false` for some such blocks too).
fn is_plain(block: &[u8]) -> bool {
    // Bytes that are looked at at once, so that there is no early end among them.
    const LANES: usize = 64;
    let Some(first) = memchr3(b'\r', SUBSTITUTE, UTF8_MARK[0], block) else {
        return true;
    };
    let odd = |byte: u8, next: u8| {
        (byte == b'\r') & (next != b'\n')
            | (byte == UTF8_MARK[0]) & (next == UTF8_MARK[1])
            | (byte == SUBSTITUTE)
    };
    let any_odd = |(bytes, followers): (&[u8], &[u8])| {
        let pairs = bytes.iter().zip(followers);
        pairs.fold(false, |found, (&byte, &next)| found | odd(byte, next))
    };
    let rest = &block[first..];
    let last = rest[rest.len() - 1];
    let mut pairs = rest.chunks(LANES).zip(rest[1..].chunks(LANES));
    !odd(last, 0) && last != UTF8_MARK[0] && !pairs.any(any_odd)
}

/// White space that does not end a line.
fn is_blank(byte: u8) -> bool {
    byte != b'\n' && byte.is_ascii_whitespace()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::Encoding;

    /// Gives blocks of the lengths told, over and over.
    struct Blocks<'a> {
        text: &'a [u8],
        lengths: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    }

    impl Read for Blocks<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let length = *self.lengths.next().unwrap();
            let count = length.min(out.len()).min(self.text.len());
            out[..count].copy_from_slice(&self.text[..count]);
            self.text = &self.text[count..];
            Ok(count)
        }
    }

    fn plain(text: &str, lengths: &[usize]) -> String {
        let blocks = Blocks {
            text: text.as_bytes(),
            lengths: lengths.iter().cycle(),
        };
        let mut plain = String::new();
        PlainLines::new(Decoder::new(blocks, Encoding::Utf8))
            .read_to_string(&mut plain)
            .unwrap();
        // The CR of a CRLF may stay.
        plain.replace("\r\n", "\n")
    }

    /// The same by text replacement, on the whole file.
    fn expected(text: &str) -> String {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut text = text.trim_end_matches('\x1a').to_owned();
        while text.contains("\r\n") {
            text = text.replace("\r\n", "\n");
        }
        let text = text.replace('\r', "\n");
        let mut plain = String::new();
        for line in text.split_terminator('\n') {
            let mut leftovers = true;
            for c in line.chars() {
                leftovers &= matches!(c, ' ' | '\t' | '\x0c' | '\u{feff}' | '\x1a');
                if !(leftovers && matches!(c, '\u{feff}' | '\x1a')) {
                    plain.push(c);
                }
            }
            plain.push('\n');
        }
        plain
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 5_000,
            rng_seed: RngSeed::Fixed(42),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn blocks_change_nothing(
            pieces in vec(
                select(&["a", "ñ", "\u{fb01}", " ", "\t", "\n", "\n", "\r\n", "\r", "\u{feff}", "\x1a", "\0"][..]),
                0..40,
            ),
            lengths in vec(1_usize..12, 1..4),
        ) {
            let text = pieces.concat();
            // Blank lines at the end have no meaning, and CRs there are one line end.
            let trim = |text: String| text.trim_end_matches('\n').to_owned();
            prop_assert_eq!(trim(plain(&text, &lengths)), trim(expected(&text)), "{:?}", text);
            prop_assert!(plain(&(text + "a"), &lengths).ends_with("a\n"));
        }
    }

    #[test]
    fn what_is_odd_is_found_at_every_place() {
        for odd in ["\r", "\x1a", "\u{feff}", "\r\r\n"] {
            for length in 0..80 {
                for place in 0..=length {
                    for others in ["a", "\r\n"] {
                        let (before, after) = (others.repeat(place), others.repeat(length - place));
                        let text = [&before, odd, "a", &after].concat();
                        assert!(!is_plain(text.as_bytes()), "{text:?}");
                        let text = [before, after].concat();
                        assert!(is_plain(text.as_bytes()), "{text:?}");
                    }
                }
            }
        }
        for cut in [&b"\r\na\xEF"[..], b"\r\na\xEF\xBB", b"\r", b"\xEF"] {
            assert!(!is_plain(cut), "{cut:?}");
        }
    }
}
