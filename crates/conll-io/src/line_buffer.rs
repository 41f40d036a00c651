//! A block of a file, in which lines are found and split into columns.

use std::io::{self, Read};

use crate::Separator;
use crate::sentence::Span;

const BLOCK: usize = 64 * 1024;
/// Bytes that are searched at once: one bit each.
const CHUNK: usize = 64;

/// A block of a file in which whole lines are found and split, kept from a mark on.
///
/// The text that is read must end with a line feed (as [`PlainLines`](crate::plain_lines::PlainLines)
/// sees to).
#[derive(Debug)]
pub(crate) struct LineBuffer<R> {
    inner: R,
    block: Vec<u8>,
    /// Bytes before the mark may be dropped; all spans are relative to it.
    mark: usize,
    /// Start of the next line.
    next: usize,
    /// End of what was read into the block.
    filled: usize,
    /// The chunk at hand, and its candidates not yet looked at (see [`candidates`]).
    chunk: usize,
    chunk_end: usize,
    candidates: u64,
    found_odd: bool,
}

impl<R: Read> LineBuffer<R> {
    pub(crate) fn new(inner: R) -> Self {
        let block = vec![0; BLOCK];
        Self {
            inner,
            block,
            mark: 0,
            next: 0,
            filled: 0,
            chunk: 0,
            chunk_end: 0,
            candidates: 0,
            found_odd: false,
        }
    }

    /// Whether there was a control character but DEL, or a space, that is no separator and no line
    /// end.
    pub(crate) fn found_odd(&self) -> bool {
        self.found_odd
    }

    /// Sets the mark at the start of the next line.
    pub(crate) fn set_mark(&mut self) {
        self.mark = self.next;
    }

    /// The bytes from the mark on; all spans lie in it.
    pub(crate) fn marked(&self) -> &[u8] {
        &self.block[self.mark..self.filled]
    }

    /// The next line without its end (LF and the CRs before it), or `None` at the end of the file.
    ///
    /// Its columns are appended to `columns`; a blank line has none. Every byte at which a line is
    /// cut is ASCII, so that in UTF-8 text each span begins and ends on a character.
    // A call a line would take a tenth of the time of reading.
    #[inline(always)]
    pub(crate) fn next_line(
        &mut self,
        separator: Separator,
        columns: &mut Vec<Span>,
    ) -> io::Result<Option<Span>> {
        let skip_empty = separator == Separator::Whitespace;
        let separators = separator.bytes();
        let before = columns.len();
        let start = self.next - self.mark;
        let mut column = start;
        loop {
            let marked = &self.block[self.mark..self.filled];
            // The chunk may begin before the mark, but its candidates left do not.
            let chunk = self.chunk.wrapping_sub(self.mark);
            let mut candidates = self.candidates;
            while candidates != 0 {
                let here = chunk.wrapping_add(candidates.trailing_zeros() as usize);
                candidates &= candidates - 1;
                let byte = marked[here];
                if byte == b'\n' {
                    self.candidates = candidates;
                    self.next = self.mark + here + 1;
                    let mut end = here;
                    while end > start && marked[end - 1] == b'\r' {
                        end -= 1;
                    }
                    if column < end || !skip_empty {
                        columns.push(Span { start: column, end });
                    }
                    if !skip_empty && is_blank(&marked[start..end]) {
                        columns.truncate(before);
                    }
                    return Ok(Some(Span { start, end }));
                }
                // Candidates are no greater than a space, and it is less than 64.
                if separators >> byte & 1 != 0 {
                    if column < here || !skip_empty {
                        columns.push(Span {
                            start: column,
                            end: here,
                        });
                    }
                    column = here + 1;
                } else {
                    self.found_odd |= byte != b'\r';
                }
            }
            if !self.next_chunk()? {
                return Ok(None);
            }
        }
    }

    /// Gives back the line that was read last.
    pub(crate) fn unread(&mut self, line: Span) {
        self.next = self.mark + line.start;
        self.chunk_end = self.next;
        self.candidates = 0;
    }

    /// Finds the candidates of the next chunk; `false` at the end of the file.
    fn next_chunk(&mut self) -> io::Result<bool> {
        if self.chunk_end == self.filled && !self.fill()? {
            return Ok(false);
        }
        self.chunk = self.chunk_end;
        let rest = &self.block[self.chunk..self.filled];
        if let Some(chunk) = rest.first_chunk() {
            self.chunk_end += CHUNK;
            self.candidates = candidates(chunk);
        } else {
            let mut chunk = [u8::MAX; CHUNK];
            chunk[..rest.len()].copy_from_slice(rest);
            self.chunk_end = self.filled;
            self.candidates = candidates(&chunk);
        }
        Ok(true)
    }

    /// Reads more; `false` at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        if self.filled == self.block.len() {
            if self.mark > 0 {
                self.block.copy_within(self.mark..self.filled, 0);
                self.next -= self.mark;
                self.filled -= self.mark;
                self.chunk_end -= self.mark;
                self.mark = 0;
            } else {
                self.block.resize(2 * self.block.len(), 0);
            }
        }
        let count = self.inner.read(&mut self.block[self.filled..])?;
        self.filled += count;
        Ok(count > 0)
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// The bytes up to U+0020 of a chunk, all ASCII white space among them: bit `i` stands for byte
/// `i`.
///
/// Eight bytes are compared at once in the eight lanes of a `u64`; lines are so short that a search
/// byte by byte would spend most of its time on mispredicted ends of columns.
fn candidates(chunk: &[u8; CHUNK]) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    /// A lane of 7 bits gets its high bit set by this sum where it is greater than a space.
    const BEYOND_SPACE: u64 = u64::from_ne_bytes([0x7F - b' '; 8]);
    /// Brings the lowest bits of eight lanes together in the highest lane.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut bits = 0;
    for (i, lanes) in chunk.as_chunks().0.iter().enumerate() {
        let lanes = u64::from_le_bytes(*lanes);
        let beyond = ((lanes & !HIGH) + BEYOND_SPACE) | lanes;
        let up_to_space = (!beyond & HIGH) >> 7;
        bits |= (up_to_space.wrapping_mul(GATHER) >> 56) << (8 * i);
    }
    bits
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    /// The columns of a line, as the standard library splits it.
    fn plain(separator: Separator, line: &str) -> Vec<&str> {
        if separator == Separator::Whitespace || is_blank(line.as_bytes()) {
            line.split_ascii_whitespace().collect()
        } else {
            line.split(separator.as_char()).collect()
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 1_000,
            rng_seed: RngSeed::Fixed(42),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn lines_are_split_as_by_the_standard_library(
            text in "([a-zñ]{0,9}[ \t\r\n\x0B\x0C\x00]{0,2}){0,60}\n",
        ) {
            for separator in [Separator::Whitespace, Separator::Space, Separator::Tab] {
                let mut lines = LineBuffer::new(text.as_bytes());
                let mut found = Vec::new();
                let mut spans = Vec::new();
                while lines.next_line(separator, &mut spans).unwrap().is_some() {
                    let column = |span: Span| &text[span.start..span.end];
                    found.push(spans.drain(..).map(column).collect::<Vec<_>>());
                }
                let expected: Vec<Vec<&str>> = text
                    .split_terminator('\n')
                    .map(|line| plain(separator, line.trim_end_matches('\r')))
                    .collect();
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn candidates_are_the_bytes_up_to_space_in_every_lane() {
        for byte in 0..=u8::MAX {
            for place in 0..CHUNK {
                for others in [b'a', u8::MAX, b'!'] {
                    let mut chunk = [others; CHUNK];
                    chunk[place] = byte;
                    let expected = if byte <= b' ' { 1 << place } else { 0 };
                    assert_eq!(
                        candidates(&chunk),
                        expected,
                        "byte {byte} at {place} among {others}"
                    );
                }
            }
        }
        assert_eq!(candidates(&[b' '; CHUNK]), u64::MAX);
    }
}
