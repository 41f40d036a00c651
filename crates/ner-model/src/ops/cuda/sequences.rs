//! Where the sequences of a batch lie, in the device's memory.

use burn::tensor::{Device, Tensor};
use cubecl_runtime::client::Client;
use cubecl_runtime::server::Handle;

use super::TILE;
use super::buffers::uploaded;

/// Sequences end to end, as the kernels of attention read them.
#[derive(Clone, Debug)]
pub struct Sequences {
    /// Where each begins and, behind the last, where that ends: `i32`.
    pub boundaries: Handle,
    /// Where the squares of attention weights of each sequence begin, in elements: `i64`.
    pub offsets: Handle,
    pub count: usize,
    pub rows: usize,
    pub longest: usize,
    /// Elements of all squares.
    pub squares: usize,
}

impl Sequences {
    pub fn new(boundaries: &[usize], heads: usize, device: &Device) -> Self {
        let client = client_of(device);
        let lengths = boundaries.windows(2).map(|pair| pair[1] - pair[0]);
        let mut squares = 0_usize;
        let mut offsets = Vec::with_capacity(boundaries.len());
        for length in lengths.clone() {
            offsets.push(squares as i64);
            squares += heads * length.next_multiple_of(TILE).pow(2);
        }
        let ends: Vec<i32> = boundaries.iter().map(|&end| end as i32).collect();
        Self {
            boundaries: uploaded(&client, &ends),
            offsets: uploaded(&client, &offsets),
            count: boundaries.len() - 1,
            rows: boundaries.last().copied().unwrap_or(0),
            longest: lengths.max().unwrap_or(0),
            squares,
        }
    }
}

/// CubeCL's client of a device.
pub fn client_of(device: &Device) -> Client {
    let probe = Tensor::<1>::empty([1], &device.clone().inner());
    super::primitive(probe).client
}
