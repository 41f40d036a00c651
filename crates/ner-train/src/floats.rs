//! Floats as files have them: four bytes each, the lowest first.

pub fn of_bytes(bytes: &[u8]) -> Vec<f32> {
    let floats = bytes.as_chunks::<4>().0.iter();
    floats.map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

pub fn to_bytes(floats: &[f32]) -> Vec<u8> {
    floats.iter().flat_map(|x| x.to_le_bytes()).collect()
}
