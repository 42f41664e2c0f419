//! Randomness that is split by purpose.
//!
//! A stream's key is the seed, a label that names the purpose, and an instance: the operation, power cut or file that the
//! draw belongs to. There is no state to share, so no draw can shift another.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A stream of draws for one purpose.
pub(crate) struct Draws(ChaCha8Rng);

impl Draws {
    /// `label` has at most 16 bytes.
    pub fn new(seed: u64, label: &str, instance: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..8 + label.len()].copy_from_slice(label.as_bytes());
        key[24..].copy_from_slice(&instance.to_le_bytes());
        Draws(ChaCha8Rng::from_seed(key))
    }

    /// A number from 0 to `max`, both included.
    pub fn up_to(&mut self, max: usize) -> usize {
        // The high half of the product: a bias of max / 2^64, which no run is long enough to see.
        ((u128::from(self.0.next_u64()) * (max as u128 + 1)) >> 64) as usize
    }

    /// True once in `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.up_to(n - 1) == 0
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_label_and_instance_and_repeat_otherwise() {
        let first = |seed, label, instance| Draws::new(seed, label, instance).up_to(usize::MAX - 1);
        assert_eq!(first(1, "a", 1), first(1, "a", 1));
        assert_ne!(first(1, "a", 1), first(2, "a", 1));
        assert_ne!(first(1, "a", 1), first(1, "b", 1));
        assert_ne!(first(1, "a", 1), first(1, "a", 2));
    }

    #[test]
    fn up_to_reaches_both_ends_and_nothing_beyond() {
        let mut draws = Draws::new(3, "ends", 0);
        let mut seen = [0; 4];
        for _ in 0..400 {
            seen[draws.up_to(3)] += 1;
        }
        assert!(seen.iter().all(|count| *count > 50), "uneven: {seen:?}");
        assert_eq!(draws.up_to(0), 0);
    }
}
