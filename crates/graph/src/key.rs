//! Canonical keys: what the outside world calls an entity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Kind;

/// The longest canonical key, in bytes.
pub const KEY_BYTES_MAX: usize = 500;

/// Why a text is not a canonical key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing was given.
    #[error("a canonical key must not be empty")]
    Empty,
    /// Longer than [`KEY_BYTES_MAX`].
    #[error("a canonical key has at most {KEY_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// White space around it, which two people would not see as a difference.
    #[error("a canonical key must not begin or end with white space")]
    Surrounded,
    /// A control character.
    #[error("a canonical key must not contain control characters such as {0:?}")]
    Control(char),
}

/// What the outside world calls an entity: `isbn:9780262533058`, a URL, a name.
///
/// At most one living entity of each kind has a given key. Keys are compared byte for byte, in
/// every store and for ever: nothing here folds case or normalises Unicode, because two places
/// that do it differently take one entity for two. Whoever wants `É` and `e\u{301}` to be the
/// same brings them into one form before. A key is given at creation and never changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CanonicalKey(String);

impl CanonicalKey {
    /// Checks the length (1 to 500 bytes), the ends and the characters.
    pub fn new(text: impl Into<String>) -> Result<CanonicalKey, KeyError> {
        let text = text.into();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.len() > KEY_BYTES_MAX {
            return Err(KeyError::TooLong(text.len()));
        }
        if let Some(control) = text.chars().find(|c| c.is_control()) {
            return Err(KeyError::Control(control));
        }
        if text.trim() != text {
            return Err(KeyError::Surrounded);
        }
        Ok(CanonicalKey(text))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Kind and key in one text, under which a graph keeps them unique: most graphs have
    /// uniqueness of one property alone. No kind has a space, so the first one parts them.
    pub fn qualified(&self, kind: &Kind) -> String {
        format!("{kind} {self}")
    }

    /// Reads what [`qualified`](Self::qualified) wrote; `None` if it did not.
    pub fn from_qualified(text: &str) -> Option<(Kind, CanonicalKey)> {
        let (kind, key) = text.split_once(' ')?;
        Some((Kind::new(kind).ok()?, CanonicalKey::new(key).ok()?))
    }
}

impl fmt::Display for CanonicalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for CanonicalKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<CanonicalKey, KeyError> {
        CanonicalKey::new(text)
    }
}

impl TryFrom<String> for CanonicalKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<CanonicalKey, KeyError> {
        CanonicalKey::new(text)
    }
}

impl From<CanonicalKey> for String {
    fn from(key: CanonicalKey) -> String {
        key.0
    }
}
