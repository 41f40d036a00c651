//! What a GGUF file says of its tensors.
//!
//! Every count and length is held against what is left of the file before anything is allocated for it.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::blocks::Format;

const MAGIC: &[u8; 4] = b"GGUF";
const VERSIONS: [u32; 2] = [2, 3];
const DEFAULT_ALIGNMENT: u64 = 32;
/// Dimensions that a tensor can have.
const MOST_DIMENSIONS: u32 = 4;
/// Arrays within arrays that are followed.
const DEEPEST_ARRAY: usize = 4;

/// Numbers of the types of metadata that are no plain number of fixed size.
const STRING: u32 = 8;
const ARRAY: u32 = 9;

pub struct Header {
    pub architecture: Option<String>,
    pub tensors: Vec<TensorInfo>,
    /// Where the tensors' data begins.
    pub data: u64,
}

pub struct TensorInfo {
    pub name: String,
    /// Rows first, as the hub has it; the file has the innermost dimension first.
    pub shape: Vec<usize>,
    pub format: Format,
    /// From the beginning of the data.
    pub offset: u64,
    /// Bytes in the file.
    pub bytes: usize,
}

impl Header {
    /// Reads what stands before the data, and checks that all the data is there.
    pub fn read(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        let length = file.metadata().map_err(|e| e.to_string())?.len();
        let mut input = Input {
            file: BufReader::new(file),
            position: 0,
            length,
        };
        if input.array::<4>()? != *MAGIC {
            return Err("no GGUF file: it does not begin with `GGUF`".to_owned());
        }
        let version = input.u32()?;
        if !VERSIONS.contains(&version) {
            return Err(format!(
                "GGUF of version {version}; versions 2 and 3, little-endian, can be read"
            ));
        }
        let tensor_count = input.u64()?;
        let metadata_count = input.u64()?;
        let mut architecture = None;
        let mut alignment = DEFAULT_ALIGNMENT;
        for _ in 0..metadata_count {
            let key = input.string()?;
            let kind = input.u32()?;
            match (key.as_str(), kind) {
                ("general.architecture", STRING) => architecture = Some(input.string()?),
                ("general.alignment", 4) => alignment = u64::from(input.u32()?), // 4: a u32
                _ => input.skip_value(kind, 0)?,
            }
        }
        if !alignment.is_power_of_two() {
            return Err(format!(
                "its data is aligned to {alignment}, which is no power of two"
            ));
        }
        let mut tensors = Vec::new();
        for _ in 0..tensor_count {
            tensors.push(input.tensor()?);
        }
        let data = input.position.next_multiple_of(alignment);
        for tensor in &tensors {
            let end = data.checked_add(tensor.offset);
            let end = end.and_then(|start| start.checked_add(tensor.bytes as u64));
            if end.is_none_or(|end| end > length) {
                return Err(format!(
                    "ends before the data of tensor `{}` does",
                    tensor.name
                ));
            }
        }
        Ok(Self {
            architecture,
            tensors,
            data,
        })
    }
}

/// The file from its beginning.
struct Input {
    file: BufReader<File>,
    position: u64,
    length: u64,
}

impl Input {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        self.file
            .read_exact(&mut bytes)
            .map_err(|_| "ends within its header".to_owned())?;
        self.position += N as u64;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes that are left, or an error where they are fewer than `count`.
    fn available(&self, count: u64) -> Result<u64, String> {
        if count > self.length - self.position {
            return Err(format!(
                "names {count} bytes at offset {}, which are more than the file has",
                self.position
            ));
        }
        Ok(count)
    }

    fn string(&mut self) -> Result<String, String> {
        let length = self.u64()?;
        let length = self.available(length)?;
        let mut bytes = vec![0; length as usize];
        self.file
            .read_exact(&mut bytes)
            .map_err(|e| e.to_string())?;
        self.position += length;
        String::from_utf8(bytes)
            .map_err(|_| format!("the name at offset {} is not UTF-8", self.position - length))
    }

    fn skip(&mut self, count: u64) -> Result<(), String> {
        let count = self.available(count)?;
        let step = i64::try_from(count).map_err(|e| e.to_string())?;
        self.file.seek_relative(step).map_err(|e| e.to_string())?;
        self.position += count;
        Ok(())
    }

    /// Passes over a value of metadata.
    fn skip_value(&mut self, kind: u32, depth: usize) -> Result<(), String> {
        match kind {
            STRING => {
                let length = self.u64()?;
                self.skip(length)
            }
            ARRAY if depth < DEEPEST_ARRAY => {
                let kind = self.u32()?;
                let count = self.u64()?;
                if let Some(width) = width(kind) {
                    let bytes = count.checked_mul(width);
                    return self.skip(bytes.unwrap_or(u64::MAX));
                }
                (0..count).try_for_each(|_| self.skip_value(kind, depth + 1))
            }
            _ => match width(kind) {
                Some(width) => self.skip(width),
                None => Err(format!(
                    "unknown type {kind} of metadata before offset {}",
                    self.position
                )),
            },
        }
    }

    fn tensor(&mut self) -> Result<TensorInfo, String> {
        let name = self.string()?;
        let dimensions = self.u32()?;
        if dimensions > MOST_DIMENSIONS {
            return Err(format!("tensor `{name}` has {dimensions} dimensions"));
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.u64()?);
        }
        let format = self.u32()?;
        let format = Format::from_number(format).map_err(|why| format!("tensor `{name}` {why}"))?;
        let (weights, size) = format.block();
        let innermost = shape.first().copied().unwrap_or(1);
        if !innermost.is_multiple_of(weights as u64) {
            return Err(format!(
                "rows of tensor `{name}` have {innermost} weights, which are no whole blocks of {weights}"
            ));
        }
        let elements = shape
            .iter()
            .try_fold(1_u64, |n, &dimension| n.checked_mul(dimension));
        let bytes = elements.and_then(|n| (n / weights as u64).checked_mul(size as u64));
        let bytes = bytes
            .filter(|&bytes| bytes <= self.length)
            .ok_or_else(|| format!("tensor `{name}` of shape {shape:?} is larger than the file"))?;
        Ok(TensorInfo {
            shape: shape
                .iter()
                .rev()
                .map(|&dimension| dimension as usize)
                .collect(),
            format,
            offset: self.u64()?,
            bytes: bytes as usize,
            name,
        })
    }
}

/// Bytes of a plain value of metadata: numbers and truth values by the numbers of their types.
fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
