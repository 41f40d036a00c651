//! How the values of a GGUF tensor are packed.
//!
//! A block of the quantized forms holds 32 weights: a scale `d` (f16), in some a least value `m` (f16), and the weights' numbers `q`. Of 4 and 5
//! bits, byte `j` holds the low four bits of weight `j` in its low half and of weight `j + 16` in its high half; the fifth bits lie together in
//! a u32. Source: `ggml-common.h` and `ggml-quants.c` of <https://github.com/ggml-org/ggml>.

use burn::tensor::{Bytes, DType, f16};

/// Weights in a block of the quantized forms.
const BLOCK: usize = 32;

/// Numbers of the types that are not read, for messages: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.
const OTHERS: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (10, "Q2_K"),
    (11, "Q3_K"),
    (12, "Q4_K"),
    (13, "Q5_K"),
    (14, "Q6_K"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
];

/// A form of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
}

impl Format {
    /// The form of a type's number, or why it is not read.
    pub fn from_number(number: u32) -> Result<Self, String> {
        Ok(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            30 => Self::Bf16,
            _ => {
                let known = OTHERS.iter().find(|(other, _)| *other == number);
                let name = known.map_or_else(|| format!("type {number}"), |(_, n)| (*n).to_owned());
                return Err(format!(
                    "is stored as {name}, which is not read (F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 are)"
                ));
            }
        })
    }

    /// Weights and bytes of a block.
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (BLOCK, 2 + 16),
            Self::Q4_1 => (BLOCK, 2 + 2 + 16),
            Self::Q5_0 => (BLOCK, 2 + 4 + 16),
            Self::Q5_1 => (BLOCK, 2 + 2 + 4 + 16),
            Self::Q8_0 => (BLOCK, 2 + 32),
        }
    }

    /// What the values are once unpacked.
    pub fn dtype(self) -> DType {
        match self {
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
            _ => DType::F32,
        }
    }

    /// Values of whole blocks, as [`dtype`](Self::dtype) has them.
    pub fn unpack(self, packed: Vec<u8>) -> Bytes {
        if self.block().0 == 1 {
            return Bytes::from_bytes_vec(packed);
        }
        let (weights, size) = self.block();
        let mut values = Vec::with_capacity(packed.len() / size * weights);
        for block in packed.chunks_exact(size) {
            values.extend(self.values(block));
        }
        Bytes::from_elems(values)
    }

    /// The weights of one quantized block.
    fn values(self, block: &[u8]) -> [f32; BLOCK] {
        let half = |at: usize| f16::from_le_bytes([block[at], block[at + 1]]).to_f32();
        let number = |at: usize| {
            u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
        };
        let scale = half(0);
        let nibble = |start: usize, weight: usize| {
            let byte = block[start + weight % 16];
            u32::from(if weight < 16 { byte & 15 } else { byte >> 4 })
        };
        std::array::from_fn(|weight| match self {
            Self::Q4_0 => (nibble(2, weight) as f32 - 8.0) * scale,
            Self::Q4_1 => nibble(4, weight) as f32 * scale + half(2),
            Self::Q5_0 => {
                let q = nibble(6, weight) | (number(2) >> weight & 1) << 4;
                (q as f32 - 16.0) * scale
            }
            Self::Q5_1 => {
                let q = nibble(8, weight) | (number(4) >> weight & 1) << 4;
                q as f32 * scale + half(2)
            }
            _ => f32::from(block[2 + weight] as i8) * scale,
        })
    }
}
