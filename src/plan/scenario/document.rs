//! The text of a file with the place of everything in it.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::Spot;
use super::error::{Location, ScenarioError};
use super::reader::Node;

/// A parsed file that still knows where each key and value stands.
pub(super) struct Document<'t> {
    file: &'t str,
    text: &'t str,
    root: Spanned<DeValue<'t>>,
}

impl<'t> Document<'t> {
    /// Parses TOML.
    pub(super) fn parse(file: &'t str, text: &'t str) -> Result<Document<'t>, ScenarioError> {
        let table = DeTable::parse(text).map_err(|error| {
            let span = error.span().unwrap_or(text.len()..text.len());
            ScenarioError {
                file: file.to_owned(),
                location: Some(Location::of(text, span)),
                message: error.message().to_owned(),
                remedy: remedy(error.message()).to_owned(),
            }
        })?;
        let root = Spanned::new(table.span(), DeValue::Table(table.into_inner()));
        Ok(Document { file, text, root })
    }

    /// The scenario's name: the file's, without folder and ending.
    pub(super) fn name(&self) -> String {
        let name = self.file.rsplit(['/', '\\']).next().unwrap_or(self.file);
        name.strip_suffix(".toml").unwrap_or(name).to_owned()
    }

    /// The comment at the top of the file, without its `#`.
    pub(super) fn about(&self) -> String {
        let lines = self.text.lines().map_while(|line| line.strip_prefix('#'));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect::<Vec<_>>().join("\n")
    }

    /// Everything, for serde.
    pub(super) fn node(&self) -> Node<'_> {
        Node::file(&self.root)
    }

    /// The place of everything, to navigate from.
    pub(super) fn root(&self) -> Place<'_> {
        Place { document: self, value: Some(&self.root), span: self.root.span() }
    }

    /// An error about a range of the text.
    pub(super) fn error(
        &self,
        span: Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ScenarioError {
        let location = Some(Location::of(self.text, span));
        ScenarioError { location, ..ScenarioError::whole(self.file, message, remedy) }
    }
}

/// What to do about a mistake in the TOML itself; its parser says what is wrong but not what to write.
fn remedy(message: &str) -> &'static str {
    if message.contains("duplicate key") {
        "keep one of them"
    } else if message.contains("must be quoted") {
        "write a value after `=`; texts stand in double quotes"
    } else if message.contains("unclosed") {
        "close what was opened; every step ends with `},` and the list of steps with `]`"
    } else {
        "write `key = value` lines, and steps a line each: `{ at_ms = 0, client = \"c1\", do = … },`"
    }
}

/// A place in a document, reached by keys and indexes.
///
/// What is not there (a default, say) has the place of what should contain it: an error always has somewhere to point.
#[derive(Clone)]
pub(super) struct Place<'d> {
    document: &'d Document<'d>,
    value: Option<&'d Spanned<DeValue<'d>>>,
    span: Range<usize>,
}

impl<'d> Place<'d> {
    /// The value under a key of this table.
    pub(super) fn key(&self, key: &str) -> Place<'d> {
        self.child(self.table().and_then(|table| table.get(key)))
    }

    /// The item at an index of this array.
    pub(super) fn item(&self, index: usize) -> Place<'d> {
        self.child(self.value.and_then(|value| value.get_ref().as_array()).and_then(|array| array.get(index)))
    }

    /// The key itself, rather than its value.
    pub(super) fn word(&self, key: &str) -> Place<'d> {
        let entry = self.table().and_then(|table| table.get_key_value(key));
        entry.map_or_else(|| self.child(None), |(word, _)| Place { span: word.span(), ..self.child(None) })
    }

    /// The keys of this table.
    pub(super) fn keys(&self) -> impl Iterator<Item = &'d str> {
        self.table().into_iter().flat_map(|table| table.keys()).map(|key| key.get_ref().as_ref())
    }

    /// An error about this place.
    pub(super) fn error(&self, message: impl Into<String>, remedy: impl Into<String>) -> ScenarioError {
        self.document.error(self.span.clone(), message, remedy)
    }

    fn table(&self) -> Option<&'d DeTable<'d>> {
        self.value.and_then(|value| value.get_ref().as_table())
    }

    fn child(&self, value: Option<&'d Spanned<DeValue<'d>>>) -> Place<'d> {
        let span = value.map_or_else(|| self.span.clone(), Spanned::span);
        Place { document: self.document, value, span }
    }
}

impl Spot for Place<'_> {
    fn key(&self, key: &str) -> Self {
        Place::key(self, key)
    }

    fn item(&self, index: usize) -> Self {
        Place::item(self, index)
    }

    fn error(&self, message: impl Into<String>, remedy: impl Into<String>) -> ScenarioError {
        Place::error(self, message, remedy)
    }
}
