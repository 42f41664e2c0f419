//! Checksums of records.
//!
//! SQLite keeps none of its database pages, so a flipped bit in one is read as data: another
//! state of a transaction, another outcome. Each record therefore carries a checksum over all
//! of its fields, its keys included. It is meant for media, not for adversaries: 64 bits of
//! SHA-256, which this crate computes anyway, cost some microseconds a record and miss a
//! damaged one in 2^64.

use sha2::{Digest, Sha256};

/// A checksum over fields; lengths and absence count, so that no two lists of fields look the
/// same.
pub(super) struct Checksum(Sha256);

impl Checksum {
    /// Of a record of this table.
    pub(super) fn of(table: &str) -> Checksum {
        Checksum(Sha256::new()).text(Some(table))
    }

    pub(super) fn text(mut self, field: Option<&str>) -> Checksum {
        match field {
            None => self.0.update([0]),
            Some(text) => {
                self.0.update([1]);
                self.0.update((text.len() as u64).to_le_bytes());
                self.0.update(text.as_bytes());
            }
        }
        self
    }

    pub(super) fn number(mut self, field: Option<u64>) -> Checksum {
        match field {
            None => self.0.update([0]),
            Some(number) => {
                self.0.update([2]);
                self.0.update(number.to_le_bytes());
            }
        }
        self
    }

    /// As a column keeps it.
    pub(super) fn value(self) -> i64 {
        let digest = self.0.finalize();
        i64::from_le_bytes(digest[..8].try_into().expect("SHA-256 has 32 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_each_other() {
        let sums = [
            Checksum::of("t").text(Some("ab")).text(Some("c")),
            Checksum::of("t").text(Some("a")).text(Some("bc")),
            Checksum::of("t").text(Some("abc")).text(None),
            Checksum::of("t").text(None).text(Some("abc")),
            Checksum::of("t").number(None).number(Some(7)),
            Checksum::of("t").number(Some(7)).number(None),
            Checksum::of("u").text(Some("ab")).text(Some("c")),
        ];
        let distinct: std::collections::BTreeSet<i64> = sums.into_iter().map(Checksum::value).collect();
        assert_eq!(distinct.len(), 7);
    }
}
