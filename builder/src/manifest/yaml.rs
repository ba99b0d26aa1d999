//! YAML as a tree in which every key and value knows where it stands. The only module that knows the YAML library.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, Spanned};

use crate::diagnostics::{Code, Diagnostic, Diagnostics, FileId, Located, Span};

/// A value of a YAML document, as the YAML library types it: the core schema, and `yes`, `no`, `on` and `off` too.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer, decimal or with `0x` or `0o`.
    Integer(i128),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// Anything else that is one value.
    Text(String),
    /// A sequence.
    Sequence(Vec<Located<Node>>),
    /// A mapping, in the order of the document; keys are distinct.
    Mapping(Vec<Entry>),
}

/// A key of a mapping with its value.
pub type Entry = (Located<String>, Located<Node>);

impl Node {
    /// What a person calls this sort of value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number with a fraction",
            Self::Text(_) => "a text",
            Self::Sequence(_) => "a list",
            Self::Mapping(_) => "a mapping",
        }
    }
}

/// Most keys in one mapping. People write a few dozen, and mappings are searched key by key.
const KEYS_LIMIT: usize = 1024;

/// A file's text while its tree is made.
#[derive(Clone, Copy)]
struct Text<'a> {
    file: FileId,
    text: &'a str,
}

/// Parses the one YAML document in `text`, which is that of `file`. A key that a mapping has twice counts as it stands first.
///
/// # Errors
/// [`Code::Syntax`] with the place, after which there is no tree; [`Code::DuplicateKey`] goes into `found`.
pub fn parse(file: FileId, text: &str, found: &mut Diagnostics) -> Result<Located<Node>, Diagnostic> {
    // The library would stop at the first duplicate and not say where the other one is.
    let options = serde_saphyr::options! { duplicate_keys: DuplicateKeyPolicy::PassThrough };
    let text = Text { file, text };
    let spanned: Spanned<Raw> =
        serde_saphyr::from_str_with_options(text.text, options).map_err(|error| text.syntax_error(&error))?;
    Ok(text.locate(spanned, found))
}

/// The YAML document that `node` is.
///
/// # Errors
/// [`Code::FormatLimit`] for what YAML can't express; nothing that was read from YAML is.
pub fn write(node: &Node) -> Result<String, Diagnostic> {
    // A text on one line is found again by whoever searches for it.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    serde_saphyr::to_string_with_options(node, options).map_err(|error| {
        Diagnostic::new(Code::FormatLimit, format!("the manifest can't be written into the image: {error}"))
    })
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Integer(value) => serializer.serialize_i128(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Sequence(items) => serializer.collect_seq(items.iter().map(|item| &item.value)),
            Self::Mapping(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (&key.value, &value.value)))
            }
        }
    }
}

impl Text<'_> {
    fn syntax_error(self, error: &Error) -> Diagnostic {
        let plain = error.without_snippet();
        let at = plain.location().map(|location| self.span_of(location));
        let (message, help) = match plain {
            Error::MultipleDocuments { .. } => {
                ("there is more than one YAML document".to_owned(), "keep one, and take out the `---` lines")
            }
            other => {
                let text = other.to_string();
                // The place is shown by the caret.
                let text = text.split_once(" at line ").map_or(&*text, |(message, _)| message);
                // The library tells of its limits through several of its errors.
                if text.contains("budget breached") {
                    let message =
                        "there are too many values, they are nested too deeply, or aliases stand for too many of them";
                    let help =
                        "a manifest needs some hundred values in a few levels; write them out instead of `*aliases`";
                    (message.to_owned(), help)
                } else {
                    let help = if text.contains("tab") {
                        "indent with spaces; YAML takes no tabs there"
                    } else if text.contains("simple key") {
                        "put a space after the colon: `key: value`"
                    } else {
                        "check indentation, quotes and brackets around this place"
                    };
                    (format!("this is not valid YAML: {text}"), help)
                }
            }
        };
        let diagnostic = Diagnostic::new(Code::Syntax, message).help(help);
        match at {
            Some(span) => diagnostic.at(span, ""),
            None => diagnostic,
        }
    }

    /// The bytes that a location of the YAML library stands for.
    fn span_of(self, location: Location) -> Span {
        let Self { file, text } = self;
        let span = location.span();
        if let (Some(start), Some(length)) = (span.byte_offset(), span.byte_len()) {
            let (start, length) = (usize::try_from(start).unwrap_or(text.len()), usize::try_from(length).unwrap_or(0));
            return Span { file, start, end: start.saturating_add(length) };
        }
        // The scanner's own errors come with line and column, counted in characters, alone.
        let line = usize::try_from(location.line()).unwrap_or(1).max(1);
        let column = usize::try_from(location.column()).unwrap_or(1).max(1);
        let line_start = text.split_inclusive('\n').take(line - 1).map(str::len).sum::<usize>();
        let rest = text.get(line_start..).unwrap_or("");
        let start = line_start + rest.chars().take(column - 1).map(char::len_utf8).sum::<usize>();
        let length = text
            .get(start..)
            .and_then(|rest| rest.chars().next())
            .filter(|&next| next != '\n')
            .map_or(0, char::len_utf8);
        Span { file, start, end: start + length }
    }

    fn locate(self, spanned: Spanned<Raw>, found: &mut Diagnostics) -> Located<Node> {
        let mut span = self.span_of(spanned.referenced);
        let node = match spanned.value {
            Raw::Scalar(node) => node,
            Raw::Sequence(items) => {
                let items: Vec<_> = items.into_iter().map(|item| self.locate(item, found)).collect();
                if let Some(last) = items.last() {
                    span.end = span.end.max(last.span.end);
                }
                Node::Sequence(items)
            }
            Raw::Mapping(entries) => {
                if entries.len() > KEYS_LIMIT {
                    let message =
                        format!("{} keys in one mapping are too many, at most {KEYS_LIMIT} are allowed", entries.len());
                    found.push(Diagnostic::new(Code::OutOfRange, message).at(span, "in the mapping that begins here"));
                }
                let mut kept = Vec::new();
                let mut first_given: HashMap<String, Span> = HashMap::new();
                for (key, value) in entries.into_iter().take(KEYS_LIMIT) {
                    let key = Located::new(key.value, self.span_of(key.referenced));
                    let value = self.locate(value, found);
                    span.end = span.end.max(value.span.end);
                    if let Some(first) = first_given.get(&key.value) {
                        let message = format!("the key `{}` is given twice", key.value.escape_debug());
                        let diagnostic = Diagnostic::new(Code::DuplicateKey, message).at(key.span, "given again");
                        found.push(diagnostic.and_at(*first, "first given here").help("keep one of the two"));
                    } else {
                        first_given.insert(key.value.clone(), key.span);
                        kept.push((key, value));
                    }
                }
                Node::Mapping(kept)
            }
        };
        Located::new(node, span)
    }
}

/// A node as the YAML library hands it over.
enum Raw {
    Scalar(Node),
    Sequence(Vec<Spanned<Raw>>),
    Mapping(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Integer(value.into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Integer(value.into())))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Integer(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Node::Text(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::Sequence(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Mapping(entries))
    }
}
