//! How names and values print: on one line, unambiguous, with nothing invisible.

use std::fmt;
use std::io;

use serde::Serialize;
use serde_json::ser::Formatter;

use crate::{Properties, Value};

/// A property value, or the properties of an element, as compact JSON.
pub(crate) fn json<T: Printable + ?Sized>(value: &T) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Visible);
    value.serialize(&mut serializer).expect("values and texts serialise, and memory takes all writes");
    String::from_utf8(bytes).expect("serde_json writes UTF-8")
}

/// What always has a JSON form: the types here have text keys and finite numbers.
pub(crate) trait Printable: Serialize {}

impl Printable for Value {}
impl Printable for Properties {}
impl Printable for str {}

/// A name as it stands where it consists of the characters of an id, else as a JSON string.
///
/// A name that prints bare has no space and no quote in it, so words can be told apart.
pub(crate) struct Word<'a>(pub &'a str);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
        if !self.0.is_empty() && self.0.chars().all(bare) { f.write_str(self.0) } else { f.write_str(&json(self.0)) }
    }
}

/// Compact JSON in which characters that do not show, or that break or turn a line around,
/// are escaped too.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, hidden)) = rest.char_indices().find(|(_, c)| hides(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + hidden.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// A list of our own: the standard library's grows with Unicode, and with it the hash of a
/// dump would change from one toolchain to the next.
fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            // Spaces, joiners, line ends and marks of direction.
            | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{205f}'..='\u{206f}'
            // Variation selectors and tags.
            | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}')
}
