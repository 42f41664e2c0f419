//! Why a scenario file was refused, where, and what to write instead.

use std::fmt;
use std::ops::Range;

/// Why a scenario file was refused.
///
/// Prints as compilers print: the message, the place, the line with a caret under the text at fault, the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    /// The file.
    pub file: String,
    /// Where in the file; `None` when the file as a whole could not be read.
    pub location: Option<Location>,
    /// What is wrong, a lower-case fragment.
    pub message: String,
    /// What to do about it, a lower-case fragment.
    pub remedy: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The line's text.
    pub excerpt: String,
    /// How many characters from the column on are at fault; at least 1.
    pub caret_len: usize,
}

impl Location {
    /// The place of a range of bytes; of a range over several lines, the part on its first one.
    pub(super) fn of(text: &str, span: Range<usize>) -> Location {
        let start = floor(text, span.start);
        let end = floor(text, span.end);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let excerpt = text[line_start..line_end].trim_end_matches('\r');
        let marked_end = end.clamp(start, (line_start + excerpt.len()).max(start));
        Location {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            excerpt: excerpt.to_owned(),
            caret_len: text[start..marked_end].chars().count().max(1),
        }
    }
}

/// The last character boundary at or before `index`.
fn floor(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

impl ScenarioError {
    /// An error about the file as a whole.
    pub(super) fn whole(file: &str, message: impl Into<String>, remedy: impl Into<String>) -> ScenarioError {
        ScenarioError { file: file.to_owned(), location: None, message: message.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Location { line, column, excerpt, caret_len }) = &self.location else {
            return write!(f, "{}\n --> {}\n  = help: {}", self.message, self.file, self.remedy);
        };
        let gutter = line.to_string();
        let margin = " ".repeat(gutter.len());
        // Tabs before the caret are kept: however wide they are shown, the caret stands under its text.
        let indent: String = excerpt.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{}", self.message)?;
        writeln!(f, "{margin}--> {}:{line}:{column}", self.file)?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{gutter} | {excerpt}")?;
        writeln!(f, "{margin} | {indent}{}", "^".repeat(*caret_len))?;
        write!(f, "{margin} = help: {}", self.remedy)
    }
}
