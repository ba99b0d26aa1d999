//! Takes values out of a YAML mapping, and collects what is wrong with it: keys that are missing or unknown, and values that
//! are not what the description of their key says.

use stos_image::is_plain;

use super::description::{Key, Kind, Mapping};
use super::quantity::{NoNumber, digits};
use super::yaml::{Entry, Node};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Span, nearest};

/// What the outermost mapping is called.
pub const ROOT: &str = "the manifest";

/// How characters get into a text that nobody sees.
const INVISIBLE_HELP: &str =
    "type the text again, it probably came along with something copied; a file with such a name must be renamed";

/// A mapping that is being read.
pub struct Fields<'a> {
    /// What the mapping is, for messages: `the manifest`, `kernel`, `modules[1]`.
    what: String,
    span: Span,
    entries: &'a [Entry],
    keys: &'static [Key],
}

impl<'a> Fields<'a> {
    /// Begins to read `node`, which must be a mapping. `example` is what a person could write.
    pub fn new(
        what: &str,
        node: &'a Located<Node>,
        mapping: &Mapping,
        example: &str,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let entries = found.take(entries(what, node, example))?;
        Some(Self { what: what.to_owned(), span: node.span, entries, keys: mapping.keys })
    }

    /// The value of `key`, or `None` when it is not there or nothing.
    pub fn optional(&self, key: &str) -> Option<Field<'a>> {
        let key = self.described(key)?;
        let (_, node) = self.entries.iter().find(|(name, _)| name.value == key.name)?;
        let field = Field { what: self.path(key.name), kind: key.kind, example: key.line(), node };
        Some(field).filter(|_| node.value != Node::Null)
    }

    /// The value of `key`, which must be there.
    pub fn required(&self, key: &str, found: &mut Diagnostics) -> Option<Field<'a>> {
        let value = self.optional(key);
        if value.is_none() {
            let given = self.entries.iter().find(|(name, _)| name.value == key);
            let span = given.or(self.entries.first()).map_or(self.span, |(name, _)| name.span);
            let message = match given {
                Some(_) => format!("`{}` has no value", self.path(key)),
                None => format!("{} has no `{key}`", self.what),
            };
            let example = self.described(key)?.line();
            found.push(Diagnostic::new(Code::MissingKey, message).at(span, "").help(format!("write `{example}`")));
        }
        value
    }

    /// What `read` makes of each item of the list `key`; nothing when it is not there. `many` is what several are called, and
    /// `example` what a person could write for one.
    pub fn list<T>(
        &self,
        key: &str,
        (many, example): (&str, &str),
        mut read: impl FnMut(&Field, &mut Diagnostics) -> Option<T>,
        found: &mut Diagnostics,
    ) -> Vec<T> {
        let items = self.optional(key).map_or_else(Vec::new, |list| list.items(many, example, found));
        items.iter().filter_map(|item| read(item, found)).collect()
    }

    fn described(&self, key: &str) -> Option<&'static Key> {
        let described = self.keys.iter().find(|described| described.name == key);
        debug_assert!(described.is_some(), "{} is asked for `{key}`, which is not described", self.what);
        described
    }

    /// What the mapping is, with `key` behind it.
    fn path(&self, key: &str) -> String {
        if self.what == ROOT { key.to_owned() } else { format!("{}.{key}", self.what) }
    }

    /// Complains of every key that is not described.
    pub fn finish(self, found: &mut Diagnostics) {
        let known: Vec<&str> = self.keys.iter().map(|key| key.name).collect();
        refuse_unknown(&self.what, self.entries, &known, found);
    }
}

/// The keys and values of `node`, which must be a mapping. `example` is what a person could write.
pub fn entries<'a>(what: &str, node: &'a Located<Node>, example: &str) -> Result<&'a [Entry], Diagnostic> {
    match &node.value {
        Node::Mapping(entries) => Ok(entries),
        other => {
            let error = wrong_type(what, "a mapping of keys to values", other, node.span);
            Err(error.help(format!("write `{example}`")))
        }
    }
}

/// Complains of every key that is none of `known`.
pub fn refuse_unknown(what: &str, entries: &[Entry], known: &[&str], found: &mut Diagnostics) {
    for (key, _) in entries.iter().filter(|(key, _)| !known.contains(&&*key.value)) {
        let message = format!("{what} has no key `{}`", key.value.escape_debug());
        let help = match nearest(&key.value, known) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("the keys are {}", list(known)),
        };
        found.push(Diagnostic::new(Code::UnknownKey, message).at(key.span, "unknown key").help(help));
    }
}

/// A value that is being read.
pub struct Field<'a> {
    /// What it is called in messages: `memory`, `modules[1].path`.
    pub what: String,
    /// What it can be.
    pub kind: Kind,
    /// What a person could write.
    pub example: String,
    /// The value.
    pub node: &'a Located<Node>,
}

impl<'a> Field<'a> {
    /// The plain text that it is, within its limits.
    pub fn text(&self, found: &mut Diagnostics) -> Option<Located<String>> {
        let (least, most) = self.kind.text_limits();
        let text = found.take(text(&self.what, self.node))?;
        if least > 0 || !text.value.is_empty() {
            found.take(check_clean(&self.what, &text, most))?;
        }
        Some(text)
    }

    /// The value that the word stands for.
    pub fn word<T: Copy>(&self, words: &[(&'static str, T)], found: &mut Diagnostics) -> Option<Located<T>> {
        let text = found.take(text(&self.what, self.node))?;
        if let Some((_, value)) = words.iter().find(|(name, _)| *name == text.value) {
            return Some(Located::new(*value, text.span));
        }
        let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
        let message = format!("{} can't be `{}`", self.what, text.value.escape_debug());
        let help = match nearest(&text.value, &names) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("it can be {}", list(&names)),
        };
        found.push(Diagnostic::new(Code::UnknownWord, message).at(text.span, "").help(help));
        None
    }

    /// The truth value that it is.
    pub fn flag(&self, found: &mut Diagnostics) -> Option<bool> {
        let value = match &self.node.value {
            Node::Bool(value) => Ok(*value),
            other => Err(wrong_type(&self.what, "`true` or `false`", other, self.node.span)),
        };
        found.take(value)
    }

    /// The number that it is, in bytes or milliseconds where it has a unit. Its range is for the caller to check.
    pub fn number(&self, found: &mut Diagnostics) -> Option<Located<u64>> {
        let notation = self.kind.notation();
        let text = found.take(self.digits(notation.wanted))?;
        let value = notation
            .parse(&text)
            .map_err(|NoNumber { reason, help }| Diagnostic { help, ..self.bad_number(&reason, notation.wanted) });
        Some(Located::new(found.take(value)?, self.node.span))
    }

    /// The text of the number that it is. `wanted` is what a person could write.
    pub fn digits(&self, wanted: &str) -> Result<String, Diagnostic> {
        let Located { value, span } = self.node;
        digits(value).ok_or_else(|| wrong_type(&self.what, wanted, value, *span))
    }

    /// A number that is wrong for `reason`.
    pub fn bad_number(&self, reason: &str, wanted: &str) -> Diagnostic {
        let message = format!("{}: {reason}", self.what);
        Diagnostic::new(Code::BadNumber, message).at(self.node.span, format!("must be {wanted}"))
    }

    /// The mapping that it is.
    pub fn mapping(&self, found: &mut Diagnostics) -> Option<Fields<'a>> {
        let Kind::Mapping(mapping) = self.kind else { return None };
        Fields::new(&self.what, self.node, mapping, &self.example, found)
    }

    /// The items of the list that it is. `many` is what several are called, and `example` what a person could write for one.
    pub fn items(&self, many: &str, example: &str, found: &mut Diagnostics) -> Vec<Field<'a>> {
        let Kind::List { of, most } = self.kind else { return Vec::new() };
        let Node::Sequence(items) = &self.node.value else {
            let error = wrong_type(&self.what, "a list", &self.node.value, self.node.span);
            found.push(error.help(format!("write `{}`", self.example)));
            return Vec::new();
        };
        if items.len() > most {
            let message = format!("{} {many} are too many, at most {most} are allowed", items.len());
            found.push(Diagnostic::new(Code::OutOfRange, message).at(self.node.span, ""));
        }
        let field = |(index, node)| Field {
            what: format!("{}[{index}]", self.what),
            kind: *of,
            example: example.to_owned(),
            node,
        };
        items.iter().enumerate().map(field).collect()
    }
}

/// `` `a`, `b` and `c` ``.
pub fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

fn wrong_type(what: &str, wanted: &str, found: &Node, span: Span) -> Diagnostic {
    let message = format!("{what} must be {wanted}, not {}", found.kind());
    Diagnostic::new(Code::WrongType, message).at(span, format!("this is {}", found.kind()))
}

/// The text that `node` is. Numbers and booleans must be quoted to be texts.
pub fn text(what: &str, node: &Located<Node>) -> Result<Located<String>, Diagnostic> {
    match &node.value {
        Node::Text(text) => Ok(Located::new(text.clone(), node.span)),
        other @ (Node::Bool(_) | Node::Integer(_) | Node::Float(_)) => {
            Err(wrong_type(what, "a text", other, node.span).help("put it in quotes"))
        }
        other => Err(wrong_type(what, "a text", other, node.span)),
    }
}

/// A text that can be shown on a terminal and has 1 to `limit` bytes.
pub fn clean_text(what: &str, node: &Located<Node>, limit: usize) -> Result<Located<String>, Diagnostic> {
    let text = text(what, node)?;
    check_clean(what, &text, limit)?;
    Ok(text)
}

/// Refuses an empty or overlong text, and characters that terminals obey or nobody sees.
pub fn check_clean(what: &str, text: &Located<String>, limit: usize) -> Result<(), Diagnostic> {
    let error = |message: String, label: &str| Err(Diagnostic::new(Code::BadText, message).at(text.span, label));
    if text.value.is_empty() {
        return error(format!("{what} is empty"), "needs at least one character");
    }
    if text.value.len() > limit {
        let length = text.value.len();
        return error(format!("{what} is {length} bytes long, at most {limit} are allowed"), "too long");
    }
    match text.value.chars().find(|&character| !is_plain(character)) {
        Some(bad) if bad.is_control() => {
            error(format!("{what} contains the control character `{}`", bad.escape_debug()), "not allowed here")
        }
        Some(bad) => {
            let message = format!("{what} contains the invisible character `{}`", bad.escape_unicode());
            error(message, "not allowed here").map_err(|error| error.help(INVISIBLE_HELP))
        }
        None => Ok(()),
    }
}
