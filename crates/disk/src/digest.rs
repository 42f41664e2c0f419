//! A running digest: equal histories give equal digests, and the first difference changes all that follow.

/// Not cryptographic. It compares runs of one program; nobody attacks it.
#[derive(Clone, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub fn new() -> Self {
        Digest(0x9e37_79b9_7f4a_7c15)
    }

    /// Folds one word in. The multiplier is odd, so no step loses information; the rotation lets high bits reach low ones.
    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
    }

    /// Folds bytes in, eight at a time, and their number, so that a boundary cannot move unnoticed.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }

    pub fn value(&self) -> u64 {
        self.0
    }
}

/// The digest of one piece of bytes alone.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    let mut digest = Digest::new();
    digest.bytes(bytes);
    digest.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_and_boundaries_matter() {
        assert_eq!(of(b"abc"), of(b"abc"));
        assert_ne!(of(b"abc"), of(b"abd"));
        assert_ne!(of(b"abc"), of(b"abc\0"));
        let (mut joined, mut split) = (Digest::new(), Digest::new());
        joined.bytes(b"ab");
        joined.bytes(b"c");
        split.bytes(b"a");
        split.bytes(b"bc");
        assert_ne!(joined.value(), split.value());
    }
}
