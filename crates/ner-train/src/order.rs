//! Which features make which batch.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// The order of an epoch: a permutation of `0..count` that the seed and the epoch's number decide, or the data's own order.
pub fn epoch_order(count: usize, shuffle: bool, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if shuffle {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(epoch as u64);
        order.shuffle(&mut generator);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_is_its_own_permutation() {
        let first = epoch_order(100, true, 42, 0);
        let second = epoch_order(100, true, 42, 1);
        assert_eq!(first, epoch_order(100, true, 42, 0));
        assert_ne!(first, second);
        assert_ne!(first, epoch_order(100, true, 43, 0));
        for mut order in [first, second] {
            order.sort_unstable();
            assert_eq!(order, (0..100).collect::<Vec<_>>());
        }
        assert_eq!(epoch_order(3, false, 42, 5), [0, 1, 2]);
    }
}
