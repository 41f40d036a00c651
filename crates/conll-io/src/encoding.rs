//! The encodings of files: bytes in, UTF-8 out.

use std::io::{self, Read};
use std::str;

use memchr::memchr;

use crate::ErrorKind;

/// How a file's bytes stand for characters.
///
/// A UTF-8 byte-order mark at the start of a file is dropped, and says that the file is UTF-8
/// whatever was asked for (as in the WHATWG Encoding Standard's "decode").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// UTF-8.
    #[default]
    Utf8,
    /// ISO-8859-1: each byte is the code point of that number. (Not Windows-1252, which differs
    /// in 0x80 to 0x9F.)
    Latin1,
}

/// U+FEFF, the byte-order mark, in UTF-8.
pub(crate) const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
const UTF16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];
const LATIN1_BLOCK: usize = 16 * 1024;

/// An error where `head`, the start of a file, says that the file is UTF-16.
pub(crate) fn refuse_utf16(head: &[u8]) -> io::Result<()> {
    if UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) {
        let message = "the text is UTF-16 (it starts with that encoding's byte-order mark): \
                       convert it to UTF-8";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(())
}

/// Reads a file as UTF-8 (which it does not check), without the byte-order mark at its start.
#[derive(Debug)]
pub(crate) struct Decoder<R> {
    inner: R,
    encoding: Encoding,
    /// Decoded bytes that wait to be read, from `position` on.
    ready: Vec<u8>,
    position: usize,
    started: bool,
}

impl<R: Read> Decoder<R> {
    pub(crate) fn new(inner: R, encoding: Encoding) -> Self {
        Self {
            inner,
            encoding,
            ready: Vec::new(),
            position: 0,
            started: false,
        }
    }

    /// Looks for a byte-order mark.
    fn start(&mut self) -> io::Result<()> {
        let mut head = [0; UTF8_MARK.len()];
        let mut filled = 0;
        while filled < head.len() {
            match read_some(&mut self.inner, &mut head[filled..])? {
                0 => break,
                count => filled += count,
            }
        }
        let head = &head[..filled];
        refuse_utf16(head)?;
        if head == UTF8_MARK {
            self.encoding = Encoding::Utf8;
        } else {
            self.make_ready(head);
        }
        self.started = true;
        Ok(())
    }

    fn make_ready(&mut self, bytes: &[u8]) {
        self.ready.clear();
        self.position = 0;
        match self.encoding {
            Encoding::Utf8 => self.ready.extend_from_slice(bytes),
            Encoding::Latin1 => {
                for &byte in bytes {
                    if byte.is_ascii() {
                        self.ready.push(byte);
                    } else {
                        // The two-byte form of UTF-8: 110xxxxx 10xxxxxx.
                        self.ready.extend([0xC0 | byte >> 6, 0x80 | byte & 0x3F]);
                    }
                }
            }
        }
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        if !self.started {
            self.start()?;
        }
        if self.position == self.ready.len() && self.encoding == Encoding::Latin1 {
            let mut block = [0; LATIN1_BLOCK];
            let count = read_some(&mut self.inner, &mut block)?;
            self.make_ready(&block[..count]);
        }
        let waiting = &self.ready[self.position..];
        let mut count = waiting.len().min(out.len());
        if count > 0 {
            out[..count].copy_from_slice(&waiting[..count]);
            self.position += count;
        } else if self.encoding == Encoding::Utf8 {
            count = read_some(&mut self.inner, out)?;
        }
        Ok(count)
    }
}

/// A line as text: UTF-8 without NULs.
pub(crate) fn line_text(line: &[u8]) -> Result<&str, ErrorKind> {
    if memchr(0, line).is_some() {
        return Err(ErrorKind::Nul);
    }
    str::from_utf8(line).map_err(|error| {
        let byte = line[error.valid_up_to()];
        ErrorKind::InvalidUtf8 { byte }
    })
}

/// One read, begun again where a signal interrupted it.
pub(crate) fn read_some(reader: &mut impl Read, out: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(out) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
