//! Reads a document through serde, so that every refusal knows where it belongs and what was allowed there.
//!
//! The `toml` crate's own deserializer puts what serde says into one sentence. This one keeps it in parts, the names
//! that were allowed among them, which is what a remedy is made of.

use std::fmt;
use std::ops::Range;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected};
use serde::de::{VariantAccess, Visitor};
use toml::Spanned;
use toml::de::{DeString, DeValue};

use super::document::Document;
use super::error::ScenarioError;
use super::nearest::{quoted, suggestion};

/// One value of a document, with what a person would call it.
#[derive(Clone, Copy)]
pub(super) struct Node<'d> {
    value: &'d Spanned<DeValue<'d>>,
    name: Name<'d>,
}

/// What a person would call a value.
#[derive(Clone, Copy)]
enum Name<'d> {
    File,
    Under(&'d str),
    ItemOf(&'d str),
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::File => f.write_str("the file"),
            Name::Under(key) => write!(f, "`{key}`"),
            Name::ItemOf(key) => write!(f, "an item of `{key}`"),
        }
    }
}

/// Why a value was refused, and where if that is known already.
#[derive(Debug)]
pub(super) struct Fail {
    problem: Problem,
    place: Option<(Range<usize>, String)>,
}

/// What serde found wrong.
#[derive(Debug)]
enum Problem {
    UnknownKey { found: String, known: &'static [&'static str] },
    UnknownVariant { found: String, known: &'static [&'static str] },
    MissingKey(&'static str),
    Unfit { found: String, expected: String },
    Other { message: String, remedy: String },
}

impl Fail {
    /// An error with a message and a remedy of its own; `{name}` in them stands for what the value is called.
    pub(super) fn other(message: impl Into<String>, remedy: impl Into<String>) -> Fail {
        Fail { problem: Problem::Other { message: message.into(), remedy: remedy.into() }, place: None }
    }

    /// Says where, unless something further inside already did.
    fn at(mut self, span: Range<usize>, name: Name<'_>) -> Fail {
        self.place.get_or_insert_with(|| (span, name.to_string()));
        self
    }

    /// The error as a person reads it.
    pub(super) fn into_error(self, document: &Document<'_>) -> ScenarioError {
        let (span, name) = self.place.unwrap_or_else(|| (0..0, Name::File.to_string()));
        let (message, remedy) = match self.problem {
            Problem::UnknownKey { found, known } => {
                (format!("unknown key `{found}`"), suggestion(&found, known.iter().copied(), "known keys"))
            }
            Problem::UnknownVariant { found, known } => {
                (format!("unknown {name}: `{found}`"), suggestion(&found, known.iter().copied(), "known"))
            }
            Problem::MissingKey(missing) => {
                (format!("{name} lacks `{missing}`"), format!("add `{missing} = …` to {name}"))
            }
            Problem::Unfit { found, expected } => (format!("{name} cannot be {found}"), format!("write {expected}")),
            Problem::Other { message, remedy } => (message.replace("{name}", &name), remedy.replace("{name}", &name)),
        };
        document.error(span, message, remedy)
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problem)
    }
}

impl std::error::Error for Fail {}

impl de::Error for Fail {
    fn custom<T: fmt::Display>(message: T) -> Fail {
        Fail::other(message.to_string(), "compare how {name} is written in a scenario that works")
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Fail {
        let problem = Problem::Unfit { found: found_in_words(found), expected: expected_in_words(expected) };
        Fail { problem, place: None }
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Fail {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Fail {
        let found = if length == 0 { "empty".to_owned() } else { format!("an array of {length}") };
        let problem = Problem::Unfit { found, expected: expected_in_words(expected) };
        Fail { problem, place: None }
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Fail {
        Fail { problem: Problem::UnknownVariant { found: found.to_owned(), known }, place: None }
    }

    fn unknown_field(found: &str, known: &'static [&'static str]) -> Fail {
        Fail { problem: Problem::UnknownKey { found: found.to_owned(), known }, place: None }
    }

    fn missing_field(field: &'static str) -> Fail {
        Fail { problem: Problem::MissingKey(field), place: None }
    }
}

/// What stands in the file, in words.
fn found_in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(value) => format!("`{value}`"),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value:?}"),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        other => other.to_string(),
    }
}

/// What serde wanted, in the words of a TOML file.
fn expected_in_words(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    let words = match expected.as_str() {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number from 0 up",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        "a boolean" => "`true` or `false`",
        "a string" => "a text in double quotes",
        "a sequence" => "an array: `[…]`",
        "a map" => "a table: `{ … }`",
        other if other.starts_with("struct") => "a table: `{ … }`",
        // serde says "tuple variant Op::Link with 2 elements" and "a tuple of size 2".
        other if other.contains("tuple") => {
            let length = other.split(' ').find(|word| word.parse::<usize>().is_ok()).unwrap_or("several");
            return format!("an array of {length}");
        }
        other => other,
    };
    words.to_owned()
}

impl<'d> Node<'d> {
    /// The whole file.
    pub(super) fn file(value: &'d Spanned<DeValue<'d>>) -> Node<'d> {
        Node { value, name: Name::File }
    }

    fn under(key: &'d str, value: &'d Spanned<DeValue<'d>>) -> Node<'d> {
        Node { value, name: Name::Under(key) }
    }

    fn located(self, fail: Fail) -> Fail {
        fail.at(self.value.span(), self.name)
    }

    /// Visits what stands here; refusals are not located yet.
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        match self.value.get_ref() {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Integer(digits) => {
                if let Ok(number) = i64::from_str_radix(digits.as_str(), digits.radix()) {
                    visitor.visit_i64(number)
                } else if let Ok(number) = u64::from_str_radix(digits.as_str(), digits.radix()) {
                    visitor.visit_u64(number)
                } else {
                    Err(Fail::other("{name} does not fit into 64 bits", "write a smaller number"))
                }
            }
            DeValue::Float(digits) => match digits.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => visitor.visit_f64(number),
                _ => Err(Fail::other("{name} is not a finite number", "write a finite number")),
            },
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Datetime(_) => {
                Err(Fail::other("{name} cannot be a date", "write times as numbers of milliseconds, or quote the text"))
            }
            DeValue::Array(items) => {
                let name = match self.name {
                    Name::Under(key) | Name::ItemOf(key) => Name::ItemOf(key),
                    Name::File => Name::File,
                };
                visitor.visit_seq(Items { items: items.iter(), name })
            }
            DeValue::Table(_) => visitor.visit_map(Entries::of(self)),
        }
    }
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Fail;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        self.visit(visitor).map_err(|fail| self.located(fail))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fail> {
        visitor.visit_some(self).map_err(|fail| self.located(fail))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fail> {
        visitor.visit_newtype_struct(self).map_err(|fail| self.located(fail))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fail> {
        if !self.value.get_ref().is_table() {
            let message = format!("{{name}} cannot be {}", article(self.value.get_ref()));
            return Err(self.located(Fail::other(message, format!("write a table with the keys {}", quoted(fields)))));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fail> {
        let chosen = match self.value.get_ref() {
            DeValue::String(name) => Ok(Chosen { name, span: self.value.span(), outer: self.name, payload: None }),
            DeValue::Table(table) => match table.iter().next() {
                Some((name, value)) if table.len() == 1 => {
                    let payload = Some(Node::under(name.get_ref(), value));
                    Ok(Chosen { name: name.get_ref(), span: name.span(), outer: self.name, payload })
                }
                _ => Err(format!("{{name}} has {} names and takes exactly one", table.len())),
            },
            other => Err(format!("{{name}} cannot be {}", article(other))),
        };
        let chosen = chosen
            .map_err(|message| self.located(Fail::other(message, format!("write one of {}", quoted(variants)))))?;
        visitor.visit_enum(chosen).map_err(|fail| self.located(fail))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier ignored_any
    }
}

/// The kind of a value with its article.
fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The items of an array.
struct Items<'d, I> {
    items: I,
    name: Name<'d>,
}

impl<'de, 'd, I: Iterator<Item = &'d Spanned<DeValue<'d>>>> SeqAccess<'de> for Items<'d, I> {
    type Error = Fail;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fail> {
        self.items.next().map(|value| seed.deserialize(Node { value, name: self.name })).transpose()
    }
}

/// The entries of a table in the order of the file, so that the first mistake is the one that is told.
struct Entries<'d> {
    entries: std::vec::IntoIter<(&'d Spanned<DeString<'d>>, &'d Spanned<DeValue<'d>>)>,
    value: Option<Node<'d>>,
}

impl<'d> Entries<'d> {
    fn of(node: Node<'d>) -> Entries<'d> {
        let mut entries: Vec<_> = node.value.get_ref().as_table().into_iter().flatten().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        Entries { entries: entries.into_iter(), value: None }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fail;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fail> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some(Node::under(key.get_ref(), value));
        let read = seed.deserialize(StrDeserializer::new(key.get_ref()));
        read.map(Some).map_err(|fail: Fail| fail.at(key.span(), Name::Under(key.get_ref())))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fail> {
        match self.value.take() {
            Some(node) => seed.deserialize(node),
            None => unreachable!("serde asks for a value only after its key"),
        }
    }
}

/// The variant of an enum: a name alone, or a name with what belongs to it.
struct Chosen<'d> {
    name: &'d str,
    span: Range<usize>,
    outer: Name<'d>,
    payload: Option<Node<'d>>,
}

impl<'d> Chosen<'d> {
    /// What belongs to the variant; `fields` is how to write it.
    fn payload(&self, fields: &str) -> Result<Node<'d>, Fail> {
        self.payload.ok_or_else(|| {
            let message = format!("`{}` needs more than its name", self.name);
            Fail::other(message, format!("write `{{ {} = {fields} }}`", self.name))
                .at(self.span.clone(), Name::Under(self.name))
        })
    }
}

impl<'de, 'd> EnumAccess<'de> for Chosen<'d> {
    type Error = Fail;
    type Variant = Chosen<'d>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Chosen<'d>), Fail> {
        let variant = seed.deserialize(StrDeserializer::new(self.name));
        match variant.map_err(|fail: Fail| fail.at(self.span.clone(), self.outer)) {
            Ok(variant) => Ok((variant, self)),
            Err(fail) => Err(fail),
        }
    }
}

impl<'de> VariantAccess<'de> for Chosen<'_> {
    type Error = Fail;

    fn unit_variant(self) -> Result<(), Fail> {
        match self.payload {
            Some(node) if node.value.get_ref().as_table().is_none_or(|table| !table.is_empty()) => {
                let message = format!("`{}` takes nothing", self.name);
                Err(node.located(Fail::other(message, format!("write `\"{}\"`", self.name))))
            }
            _ => Ok(()),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fail> {
        seed.deserialize(self.payload("…")?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fail> {
        self.payload("[…]")?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fail> {
        let written = fields.iter().map(|field| format!("{field} = …")).collect::<Vec<_>>().join(", ");
        self.payload(&format!("{{ {written} }}"))?.deserialize_struct("", fields, visitor)
    }
}
