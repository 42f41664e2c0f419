//! Reading JSON from outside without losing the digits of an integer.

use serde::de::DeserializeOwned;

/// Why JSON was not read.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON, or not of the expected shape.
    #[error(transparent)]
    Shape(#[from] serde_json::Error),
    /// An integer that would have been read as a float.
    #[error(
        "integer {digits} would become a float at line {line} column {column}: integers go from -2^63 to 2^64 - 1; \
         write a larger one as text, or as a float with a point"
    )]
    Inexact {
        /// The integer as it stands there.
        digits: String,
        /// Its line, from 1.
        line: usize,
        /// Its first column, in bytes from 1.
        column: usize,
    },
}

/// Reads a value that somebody else wrote, refusing integers beyond 64 bits.
///
/// `serde_json` hands these over as floats, and a [`Value`](crate::Value) cannot tell them
/// from floats any more. The same goes for `-0`.
///
/// # Errors
///
/// The text is not JSON, not a `T`, or holds such an integer anywhere outside a string.
pub fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    let value = serde_json::from_slice(json)?;
    match inexact_integer(json) {
        None => Ok(value),
        Some((start, digits)) => {
            let line_start = json[..start].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let line = 1 + json[..start].iter().filter(|byte| **byte == b'\n').count();
            Err(JsonError::Inexact { digits: digits.to_owned(), line, column: start - line_start + 1 })
        }
    }
}

/// The first integer that does not fit 64 bits, and where it starts. Expects valid JSON.
fn inexact_integer(json: &[u8]) -> Option<(usize, &str)> {
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = string_end(json, at),
            b'-' | b'0'..=b'9' => {
                let number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let end = json[at..].iter().position(|byte| !number(byte)).map_or(json.len(), |length| at + length);
                let digits = str::from_utf8(&json[at..end]).expect("numbers are ASCII");
                let float = digits.contains(['.', 'e', 'E']);
                let fits = digits.parse::<i64>().is_ok() || digits.parse::<u64>().is_ok();
                if !float && (!fits || digits == "-0") {
                    return Some((at, digits));
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    None
}

/// Where the string that starts at `start` is over.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < json.len() && json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}
