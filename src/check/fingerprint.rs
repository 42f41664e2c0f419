//! Telling two failures apart, and one failure again.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Identifies a kind of failure across seeds, shrinking and unrelated changes of the code.
///
/// The 64-bit FNV-1a hash of the property, a zero byte and the checker's key. It is fixed for ever, since stored
/// capsules hold it. Written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(u64);

impl Fingerprint {
    /// The fingerprint of a violation of `property` of the kind `key`.
    pub fn of(property: &str, key: &str) -> Self {
        let bytes = property.bytes().chain([0]).chain(key.bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u64::from_str_radix(text, 16).map(Self)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Takes out of a text what differs from run to run, so that it can serve as a key.
///
/// Every quoted string becomes `""`, every word with a digit in it (numbers, ids, times, hashes) becomes `#`, and
/// runs of blanks become one.
pub fn normalise(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let taken = if first == '"' {
            out.push_str("\"\"");
            quoted_len(rest)
        } else if is_word(first) {
            let word = rest.split(|c| !is_word(c)).next().unwrap_or(rest);
            out.push_str(if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
            word.len()
        } else if first.is_whitespace() {
            out.push(' ');
            rest.len() - rest.trim_start().len()
        } else {
            out.push(first);
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    out
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The length in bytes of the quoted string `text` begins with, both quotes included.
fn quoted_len(text: &str) -> usize {
    let mut escaped = false;
    for (index, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // Published test vectors of the 64-bit variant, through a property that ends where the separator begins.
        assert_eq!(Fingerprint::of("", "").to_string(), "af63bd4c8601b7df");
        assert_eq!(Fingerprint::of("durability", "lost-row").to_string().len(), 16);
    }

    #[test]
    fn property_and_key_are_kept_apart() {
        assert_ne!(Fingerprint::of("ab", "c"), Fingerprint::of("a", "bc"));
    }

    #[test]
    fn text_and_json_round_trip() {
        let fingerprint = Fingerprint::of("atomicity", "orphan");
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
        let json = serde_json::to_string(&fingerprint).unwrap();
        assert_eq!(json, format!("\"{fingerprint}\""));
        assert_eq!(serde_json::from_str::<Fingerprint>(&json).unwrap(), fingerprint);
    }

    #[test]
    fn what_varies_from_run_to_run_is_taken_out() {
        for (text, normal) in [
            ("tx 17 lost entity e-93 at 120 ms", "tx # lost entity e-# at # ms"),
            ("tx 4  lost entity e-1 at 9ms", "tx # lost entity e-# at #"),
            (r#"Put { key: "a", value: "say \"7\" {" }"#, r#"Put { key: "", value: "" }"#),
            ("Write(Some(3))", "Write(Some(#))"),
            ("id 7f3a9b2c-0e41-4d1b-9f00-d0c5a1b2e3f4", "id #-#-#-#-#"),
            ("unclosed \"quote 7", "unclosed \"\""),
            ("größer als 5 µs", "größer als # µs"),
        ] {
            assert_eq!(normalise(text), normal);
        }
    }
}
