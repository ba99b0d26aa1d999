//! Takes values out of a YAML mapping, and collects what is wrong with it: keys that are missing, unknown or of the wrong
//! type.

use super::quantity::QuantityError;
use super::yaml::Node;
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located, Span, nearest};

/// A mapping that is being read. Every key that is asked for counts as known; [`Fields::finish`] complains of the others.
pub struct Fields<'a> {
    /// What the mapping is, for messages: `the manifest`, `kernel`, `modules[1]`.
    what: String,
    span: Span,
    entries: &'a [(Located<String>, Located<Node>)],
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Begins to read `node`, which must be a mapping. `example` is what a person could write.
    pub fn new(
        what: impl Into<String>,
        node: &'a Located<Node>,
        example: &str,
        found: &mut Diagnostics,
    ) -> Option<Self> {
        let what = what.into();
        match &node.value {
            Node::Mapping(entries) => Some(Self { what, span: node.span, entries, known: Vec::new() }),
            other => {
                let error = wrong_type(&what, "a mapping of keys to values", other, node.span);
                found.push(error.help(format!("write `{example}`")));
                None
            }
        }
    }

    /// The value of `key`, or `None` when it is not there or nothing.
    pub fn optional(&mut self, key: &'static str) -> Option<&'a Located<Node>> {
        self.known.push(key);
        let entry = self.entries.iter().find(|(name, _)| name.value == key);
        entry.map(|(_, value)| value).filter(|value| value.value != Node::Null)
    }

    /// The value of `key`, which must be there. `example` is what a person could write.
    pub fn required(&mut self, key: &'static str, example: &str, found: &mut Diagnostics) -> Option<&'a Located<Node>> {
        let value = self.optional(key);
        if value.is_none() {
            let given = self.entries.iter().find(|(name, _)| name.value == key);
            let span = given.or(self.entries.first()).map_or(self.span, |(name, _)| name.span);
            let message = match given {
                Some(_) => format!("`{}` has no value", self.path(key)),
                None => format!("{} has no `{key}`", self.what),
            };
            found.push(Diagnostic::new(Code::MissingKey, message).at(span, "").help(format!("write `{example}`")));
        }
        value
    }

    /// What the mapping is, with `key` behind it.
    pub fn path(&self, key: &str) -> String {
        if self.what == ROOT { key.to_owned() } else { format!("{}.{key}", self.what) }
    }

    /// Complains of every key that nobody asked for.
    pub fn finish(self, found: &mut Diagnostics) {
        for (key, _) in self.entries.iter().filter(|(key, _)| !self.known.contains(&&*key.value)) {
            let message = format!("{} has no key `{}`", self.what, key.value.escape_debug());
            let help = match nearest(&key.value, &self.known) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the keys are {}", list(&self.known)),
            };
            found.push(Diagnostic::new(Code::UnknownKey, message).at(key.span, "unknown key").help(help));
        }
    }
}

/// What the outermost mapping is called.
pub const ROOT: &str = "the manifest";

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

/// Refuses an empty or overlong text and control characters.
pub fn check_clean(what: &str, text: &Located<String>, limit: usize) -> Result<(), Diagnostic> {
    let error = |message: String, label: &str| Err(Diagnostic::new(Code::BadText, message).at(text.span, label));
    if text.value.is_empty() {
        return error(format!("{what} is empty"), "needs at least one character");
    }
    if text.value.len() > limit {
        let length = text.value.len();
        return error(format!("{what} is {length} bytes long, at most {limit} are allowed"), "too long");
    }
    match text.value.chars().find(|character| character.is_control()) {
        Some(bad) => {
            error(format!("{what} contains the control character `{}`", bad.escape_debug()), "not allowed here")
        }
        None => Ok(()),
    }
}

/// The truth value that `node` is.
pub fn boolean(what: &str, node: &Located<Node>) -> Result<bool, Diagnostic> {
    match &node.value {
        Node::Bool(value) => Ok(*value),
        other => Err(wrong_type(what, "`true` or `false`", other, node.span)),
    }
}

/// The items of a list. `example` is what a person could write.
pub fn sequence<'a>(what: &str, node: &'a Located<Node>, example: &str) -> Result<&'a [Located<Node>], Diagnostic> {
    match &node.value {
        Node::Sequence(items) => Ok(items),
        other => Err(wrong_type(what, "a list", other, node.span).help(format!("write `{example}`"))),
    }
}

/// The number that `node` is, by itself or through `parse`.
pub fn quantity<E: std::fmt::Display>(
    what: &str,
    node: &Located<Node>,
    wanted: &str,
    parse: impl Fn(&str) -> Result<u64, E>,
) -> Result<Located<u64>, Diagnostic> {
    let value = match &node.value {
        Node::Text(text) => parse(text).map_err(|error| error.to_string()),
        // A plain integer means the same as its digits, so that `timeout: 10` and `timeout: "10"` agree.
        Node::Integer(number) => parse(&number.to_string()).map_err(|error| error.to_string()),
        other => return Err(wrong_type(what, wanted, other, node.span)),
    };
    let bad = |reason| {
        Diagnostic::new(Code::BadNumber, format!("{what}: {reason}")).at(node.span, format!("must be {wanted}"))
    };
    value.map(|value| Located::new(value, node.span)).map_err(bad)
}

/// Adds what unit was probably meant.
pub fn with_unit_help(
    result: Result<Located<u64>, Diagnostic>,
    node: &Located<Node>,
    parse: impl Fn(&str) -> Result<u64, QuantityError>,
) -> Result<Located<u64>, Diagnostic> {
    result.map_err(|diagnostic| match &node.value {
        Node::Text(text) => match parse(text) {
            Err(QuantityError::UnknownUnit { unit, meant: Some(meant), .. }) => {
                let number = text.trim_end().trim_end_matches(&*unit).trim_end().to_owned();
                diagnostic.help(format!("did you mean `{number}{meant}`?"))
            }
            Err(QuantityError::Fraction { meant: Some(meant), .. }) => diagnostic.help(format!("write `{meant}`")),
            _ => diagnostic,
        },
        _ => diagnostic,
    })
}
