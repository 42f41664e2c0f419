//! Identifiers, each a type of its own so that one cannot stand in for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest id accepted, in bytes.
const ID_BYTES_MAX: usize = 200;

/// Why a text is not an id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("an id must not be empty")]
    Empty,
    /// Longer than 200 bytes.
    #[error("an id has at most {ID_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
    /// A character that would make dumps or URLs ambiguous.
    #[error("character {0:?} is not allowed in an id: use a-z, A-Z, 0-9 and any of - _ . : /")]
    Character(char),
    /// Not of the form `tx-INCARNATION-SERIAL` with both numbers in plain decimal.
    #[error("{0:?} is not a transaction id: expected tx-INCARNATION-SERIAL, as in tx-3-17")]
    NotATxId(String),
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong(text.len()));
    }
    match text.chars().find(|c| !c.is_ascii_alphanumeric() && !"-_.:/".contains(*c)) {
        Some(c) => Err(IdError::Character(c)),
        None => Ok(()),
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the characters and the length (1 to 200 bytes).
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text)?;
                Ok(Self(text))
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

text_id! {
    /// Names one entity, the same in both stores.
    EntityId
}

text_id! {
    /// The type of an entity (`person`) or of a link (`works_at`).
    Kind
}

/// Names one transaction of one coordinator process.
///
/// The incarnation is a durable counter raised at every start, so the pair is never
/// issued twice without asking a clock or drawing randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TxId {
    /// Which start of the coordinator issued it, from 1.
    pub incarnation: u64,
    /// The position within that start, from 1.
    pub serial: u64,
}

impl fmt::Display for TxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tx-{}-{}", self.incarnation, self.serial)
    }
}

impl FromStr for TxId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let parse = || {
            let (incarnation, serial) = text.strip_prefix("tx-")?.split_once('-')?;
            Some(TxId { incarnation: incarnation.parse().ok()?, serial: serial.parse().ok()? })
        };
        // One id has one text: no leading zeros, no plus sign.
        parse().filter(|id| id.to_string() == text).ok_or_else(|| IdError::NotATxId(text.to_owned()))
    }
}

impl TryFrom<String> for TxId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<TxId> for String {
    fn from(id: TxId) -> String {
        id.to_string()
    }
}
