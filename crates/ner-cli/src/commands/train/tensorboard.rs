//! Scalars in TensorBoard's event files.
//!
//! A file is a sequence of TFRecords (<https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details>), each an `Event`
//! of TensorFlow's `event.proto` in the protocol buffers' wire format (<https://protobuf.dev/programming-guides/encoding>).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

/// Directory of event files in that of a run.
pub const DIR: &str = "tensorboard";

/// An event file being written.
pub struct EventFile {
    file: File,
    path: PathBuf,
}

impl EventFile {
    /// A new file in this directory. TensorBoard then forgets what other files there hold of steps after `after`.
    pub fn create(dir: &Path, after: Option<usize>) -> Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let name = format!(
            "events.out.tfevents.{}.{}.ner-cli",
            now().as_secs(),
            std::process::id()
        );
        let path = dir.join(name);
        let file = File::create(&path).with_context(|| path.display().to_string())?;
        let mut events = Self { file, path };
        let mut version = Message::new(0);
        version.bytes(3, b"brain.Event:2"); // file_version
        events.append(&version.0)?;
        if let Some(step) = after {
            let mut start = Message::new(step + 1);
            start.bytes(7, &[0x08, 1]); // session_log { status: START }
            events.append(&start.0)?;
        }
        Ok(events)
    }

    /// Appends the scalars of one step.
    pub fn write(&mut self, step: usize, scalars: &[(&str, f64)]) -> Result<()> {
        let mut summary = Message::default();
        for (tag, value) in scalars {
            let mut scalar = Message::default();
            scalar.bytes(1, tag.as_bytes()); // tag
            scalar.0.push(2 << 3 | 5); // simple_value, 32 bits
            scalar.0.extend((*value as f32).to_le_bytes());
            summary.bytes(1, &scalar.0); // value
        }
        let mut event = Message::new(step);
        event.bytes(5, &summary.0); // summary
        self.append(&event.0)
    }

    fn append(&mut self, event: &[u8]) -> Result<()> {
        self.file
            .write_all(&record(event))
            .with_context(|| self.path.display().to_string())
    }
}

fn now() -> std::time::Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Length, its checksum, the data, their checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [
        &length[..],
        &masked_checksum(&length).to_le_bytes(),
        data,
        &masked_checksum(data).to_le_bytes(),
    ]
    .concat()
}

fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

/// A message in the wire format.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    /// An `Event` of this step and moment.
    fn new(step: usize) -> Self {
        let mut event = Self::default();
        event.0.push(1 << 3 | 1); // wall_time, 64 bits
        event.0.extend(now().as_secs_f64().to_le_bytes());
        event.0.push(2 << 3); // step
        event.varint(step as u64);
        event
    }

    fn bytes(&mut self, field: u8, value: &[u8]) {
        self.0.push(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_carry_the_checksums_of_the_format() {
        // From the CRC-32C of RFC 3720, B.4: 32 zero bytes.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        let record = record(b"abc");
        assert_eq!(record[..8], [3, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(&record[12..15], b"abc");
        assert_eq!(record.len(), 8 + 4 + 3 + 4);
    }

    #[test]
    fn numbers_take_seven_bits_a_byte() {
        let mut message = Message::default();
        message.varint(300); // the example of the format's own description
        assert_eq!(message.0, [0xac, 0x02]);
    }

    #[test]
    fn an_event_holds_its_scalars() {
        let dir = tempfile::tempdir().unwrap();
        let mut events = EventFile::create(dir.path(), Some(4)).unwrap();
        events.write(5, &[("loss", 0.5)]).unwrap();
        let bytes = std::fs::read(&events.path).unwrap();
        let ends = |tail: &[u8]| bytes[..bytes.len() - 4].ends_with(tail);
        assert!(ends(b"\x10\x05\x2a\x0d\x0a\x0b\x0a\x04loss\x15\0\0\0\x3f"));
    }
}
