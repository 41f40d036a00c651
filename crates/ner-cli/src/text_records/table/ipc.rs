//! Arrow's IPC format, message by message: streams, and files, which are a stream between a first line and an index that is not needed here.

use std::io::{BufRead, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result, anyhow, ensure};
use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::Message;
use arrow_ipc::reader::StreamDecoder;

use super::super::open::open as open_bytes;
use super::Parts;

/// How a file begins; a stream begins with a message.
const MAGIC: &[u8] = b"ARROW1\0\0";
/// How it ends.
const MAGIC_AT_END: &[u8] = b"ARROW1";
/// What stands before the length of a message since Arrow 0.15.
const CONTINUATION: &[u8] = &[0xff; 4];
/// How a stream ends.
const END: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];
/// Bytes that say how long a packed buffer is unpacked.
const LENGTH: usize = 8;
/// What is wrong with a part of a file.
const CUT: &str = "ends too early; was it copied whole?";

pub fn open(path: &Path, done: &Arc<AtomicU64>) -> Result<Parts> {
    let mut input = open_bytes(path, done)?;
    let is_file = input.fill_buf()?.starts_with(MAGIC);
    if is_file {
        input.consume(MAGIC.len());
    }
    let mut messages = Messages {
        input,
        is_file,
        decoder: StreamDecoder::new(),
        buffer: Buffer::default(),
        ended: false,
    };
    let first = messages.next_batch()?;
    let schema = messages.decoder.schema();
    let schema = schema.context("is no Arrow file and no Arrow stream")?;
    let rest = std::iter::from_fn(move || messages.next_batch().transpose());
    Ok((schema, Box::new(first.into_iter().map(Ok).chain(rest))))
}

/// Messages under way. Memory is taken for the bytes that are there, not for those that a damaged file promises.
struct Messages {
    input: Box<dyn BufRead>,
    /// Files say where they end; a stream may just end.
    is_file: bool,
    decoder: StreamDecoder,
    /// What the decoder has not taken yet.
    buffer: Buffer,
    ended: bool,
}

impl Messages {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.decoder.decode(&mut self.buffer)? {
                return Ok(Some(batch));
            }
            if self.ended {
                return Ok(None);
            }
            let message = self.message()?;
            self.ended = message.is_none();
            // A message without a body is decoded when something follows it.
            self.buffer = message.unwrap_or_else(|| END.to_vec()).into();
        }
    }

    /// The next message with its length before it; none at the end.
    fn message(&mut self) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        if !self.is_file && self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        self.read(4, &mut bytes)?;
        if bytes == CONTINUATION {
            self.read(4, &mut bytes)?;
        }
        let start = bytes.len();
        let size = bytes
            .last_chunk::<4>()
            .map_or(0, |size| u32::from_le_bytes(*size));
        if size == 0 {
            self.check_index()?;
            return Ok(None);
        }
        self.read(size.into(), &mut bytes)?;
        let body = bytes.len();
        let length = u64::try_from(header(&bytes[start..])?.bodyLength())?;
        self.read(length, &mut bytes)?;
        check_lengths(header(&bytes[start..body])?, &bytes[body..])?;
        Ok(Some(bytes))
    }

    /// A file that is cut in its index is cut all the same, though all rows are there.
    fn check_index(&mut self) -> Result<()> {
        let mut index = Vec::new();
        if self.is_file {
            self.input.read_to_end(&mut index)?;
            ensure!(index.ends_with(MAGIC_AT_END), CUT);
        }
        Ok(())
    }

    /// Reads so many bytes more.
    fn read(&mut self, count: u64, bytes: &mut Vec<u8>) -> Result<()> {
        let read = self.input.by_ref().take(count).read_to_end(bytes)?;
        ensure!(read as u64 == count, CUT);
        Ok(())
    }
}

fn header(bytes: &[u8]) -> Result<Message<'_>> {
    arrow_ipc::root_as_message(bytes)
        .map_err(|error| anyhow!("is no Arrow file and no Arrow stream, or a damaged one: {error}"))
}

/// Fails where packed buffers say that they have more bytes than there is memory for: a decoder that believed them would end the program.
fn check_lengths(message: Message<'_>, body: &[u8]) -> Result<()> {
    let dictionary = message.header_as_dictionary_batch();
    let of_dictionary = dictionary.and_then(|dictionary| dictionary.data());
    let Some(batch) = message.header_as_record_batch().or(of_dictionary) else {
        return Ok(());
    };
    if batch.compression().is_none() {
        return Ok(());
    }
    for buffer in batch.buffers().into_iter().flatten() {
        let start = usize::try_from(buffer.offset())?;
        let length = body
            .get(start..)
            .and_then(|rest| rest.first_chunk::<LENGTH>());
        // -1 says that it is not packed.
        let length = length.map_or(0, |length| i64::from_le_bytes(*length).max(0));
        let room = Vec::<u8>::new().try_reserve_exact(usize::try_from(length)?);
        room.map_err(|_| anyhow!("is damaged: it says that {length} bytes are packed in it"))?;
    }
    Ok(())
}
