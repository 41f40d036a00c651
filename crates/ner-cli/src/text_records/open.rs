//! Files and pipes as bytes, unpacked where they are packed.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;

use crate::paths;

/// How gzip files begin (RFC 1952).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// How Zstandard frames begin (RFC 8878).
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A file, or stdin for `-`. What is packed is told by its first bytes, not by its name. `done` counts the bytes as they lie in the file.
pub fn open(path: &Path, done: &Arc<AtomicU64>) -> Result<Box<dyn BufRead>> {
    let in_file = || path.display().to_string();
    let source: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(paths::open(path)?)
    };
    let mut input = BufReader::new(Counted {
        source,
        done: Arc::clone(done),
    });
    let start = input.fill_buf().with_context(in_file)?;
    Ok(if start.starts_with(GZIP) {
        Box::new(BufReader::new(MultiGzDecoder::new(input)))
    } else if start.starts_with(ZSTD) {
        let unpacked = zstd::stream::read::Decoder::with_buffer(input).with_context(in_file)?;
        Box::new(BufReader::new(unpacked))
    } else {
        Box::new(input)
    })
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    done: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.done.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
