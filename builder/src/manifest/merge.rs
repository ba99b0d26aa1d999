//! Lays one mapping over another: a manifest over the one that it extends, a profile over its manifest.

use super::description::{Key, Kind};
use super::keys::MANIFEST;
use super::yaml::{Entry, Node};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, Located};

/// The mapping of profiles: what is in each of them is laid over the manifest later.
const PROFILES: &str = "profiles";

/// `base` with `over` on top: mappings are merged key by key, any other value of `over` replaces that of `base`, `key: ~`
/// takes a key away, and `key+` adds to a list or, with a space between, to the command line.
pub fn merge(base: Located<Node>, over: Located<Node>, found: &mut Diagnostics) -> Located<Node> {
    match (base.value, over.value) {
        (Node::Mapping(mut entries), Node::Mapping(added)) => {
            let below = Layer { prefix: "", last: false };
            below.lay(&mut entries, added, found);
            Located::new(Node::Mapping(entries), over.span)
        }
        (_, over_value) => Located::new(over_value, over.span),
    }
}

/// `node` with every `key+` that has nothing to be added to turned into `key`; those of profiles stay.
pub fn settle(node: Located<Node>, found: &mut Diagnostics) -> Located<Node> {
    let Node::Mapping(added) = node.value else { return node };
    let mut entries = Vec::new();
    Layer { prefix: "", last: true }.lay(&mut entries, added, found);
    Located::new(Node::Mapping(entries), node.span)
}

/// Where in the manifest two mappings are being merged.
#[derive(Clone, Copy)]
struct Layer<'a> {
    /// Key of the mapping in the manifest or in the profile; empty for the outermost one.
    prefix: &'a str,
    /// Whether no further layer follows.
    last: bool,
}

impl Layer<'_> {
    fn path(self, key: &str) -> String {
        if self.prefix.is_empty() { key.to_owned() } else { format!("{}.{key}", self.prefix) }
    }

    /// What is known of `key`.
    fn described(self, key: &str) -> Option<&'static Key> {
        MANIFEST.find(&self.path(key))
    }

    /// The key that `key` adds to, if it adds to one.
    fn addition(self, key: &str) -> Option<&str> {
        key.strip_suffix('+').filter(|name| self.described(name).is_some_and(|key| key.addition.is_some()))
    }

    fn lay(self, base: &mut Vec<Entry>, over: Vec<Entry>, found: &mut Diagnostics) {
        let (added, plain): (Vec<Entry>, Vec<Entry>) =
            over.into_iter().partition(|(key, _)| self.addition(&key.value).is_some());
        for (key, value) in plain {
            base.retain(|(other, _)| self.addition(&other.value) != Some(&key.value));
            self.put(base, key, value, found);
        }
        for (key, value) in added {
            let Some(name) = self.addition(&key.value) else { continue };
            let slot = base.iter_mut().find(|(other, _)| other.value == name || other.value == key.value);
            match slot {
                Some((_, slot)) => self.append(name, slot, value, found),
                None if self.last => base.push((Located::new(name.to_owned(), key.span), value)),
                None => base.push((key, value)),
            }
        }
    }

    fn put(self, base: &mut Vec<Entry>, key: Located<String>, value: Located<Node>, found: &mut Diagnostics) {
        let path = self.path(&key.value);
        let inner = match self.prefix {
            PROFILES => Layer { prefix: "", last: false },
            _ => Layer { prefix: &path, last: self.last },
        };
        // Of keys that exclude each other, the new one is not to join the old one.
        let whole =
            matches!(self.described(&key.value), Some(Key { kind: Kind::Mapping(mapping), .. }) if mapping.exclusive);
        let mut slot = base.iter_mut().find(|(other, _)| other.value == key.value);
        let node = match value.value {
            Node::Mapping(entries) if !whole => {
                let mut merged = match &mut slot {
                    Some((_, Located { value: Node::Mapping(old), .. })) => std::mem::take(old),
                    _ => Vec::new(),
                };
                inner.lay(&mut merged, entries, found);
                Node::Mapping(merged)
            }
            other => other,
        };
        let entry = (key, Located::new(node, value.span));
        match slot {
            Some(slot) => *slot = entry,
            None => base.push(entry),
        }
    }

    fn append(self, name: &str, slot: &mut Located<Node>, value: Located<Node>, found: &mut Diagnostics) {
        let path = self.path(name);
        let text = self.described(name).filter(|key| matches!(key.kind, Kind::Text { .. }));
        match (&mut slot.value, value.value) {
            (Node::Null, added) => *slot = Located::new(added, value.span),
            (_, Node::Null) => {}
            (Node::Sequence(items), Node::Sequence(added)) => items.extend(added),
            (Node::Text(words), Node::Text(added)) if text.is_some() => {
                *words = if words.is_empty() { added } else { format!("{words} {added}") };
                slot.span = value.span;
            }
            (old, added) => {
                let (wanted, example) = match text {
                    Some(key) => ("two texts", key.example),
                    None => ("two lists", "[...]"),
                };
                let message = format!("`{path}+` needs {wanted}, but it adds {} to {}", added.kind(), old.kind());
                let diagnostic = Diagnostic::new(Code::WrongType, message);
                let diagnostic = diagnostic.at(value.span, "added here").and_at(slot.span, "to this");
                found.push(diagnostic.help(format!("write `{name}+: {example}`")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::FileId;
    use crate::manifest::yaml;

    fn tree(text: &str) -> Located<Node> {
        yaml::parse(FileId::default(), text, &mut Diagnostics::default()).unwrap()
    }

    /// The node as flow YAML without places.
    fn shown(node: &Node) -> String {
        match node {
            Node::Mapping(entries) => {
                let entries = entries.iter().map(|(key, value)| format!("{}: {}", key.value, shown(&value.value)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
            }
            Node::Sequence(items) => {
                format!("[{}]", items.iter().map(|item| shown(&item.value)).collect::<Vec<_>>().join(", "))
            }
            Node::Text(text) => text.clone(),
            Node::Null => "~".to_owned(),
            other => format!("{other:?}"),
        }
    }

    fn merged(base: &str, over: &str) -> String {
        let mut found = Diagnostics::default();
        let both = merge(tree(base), tree(over), &mut found);
        let settled = settle(both, &mut found);
        assert_eq!(found.list, Vec::new());
        shown(&settled.value)
    }

    #[test]
    fn mappings_are_merged_and_other_values_replaced() {
        let base = "{kernel: {path: a, protocol: stos}, modules: [x], cmdline: one}";
        assert_eq!(
            merged(base, "{kernel: {path: b}, modules: [z], cmdline: ~}"),
            "{kernel: {path: b, protocol: stos}, modules: [z], cmdline: ~}"
        );
    }

    #[test]
    fn a_plus_adds_to_lists_and_to_the_command_line() {
        let base = "{modules: [x], cmdline: one, run: {expect: [a]}}";
        assert_eq!(
            merged(base, "{modules+: [z], cmdline+: two, run: {expect+: [b]}, segments+: [s]}"),
            "{modules: [x, z], cmdline: one two, run: {expect: [a, b]}, segments: [s]}"
        );
        assert_eq!(merged("{}", "{modules+: [z], modules: [x]}"), "{modules: [x, z]}");
    }

    #[test]
    fn one_of_two_exclusive_keys_replaces_the_other() {
        assert_eq!(merged("{initramfs: {path: a}}", "{initramfs: {directory: b}}"), "{initramfs: {directory: b}}");
    }

    #[test]
    fn what_profiles_add_is_kept_until_one_is_chosen() {
        let base = "{profiles: {debug: {modules+: [x], cmdline: one}}}";
        assert_eq!(
            merged(base, "{profiles: {debug: {modules+: [z], cmdline: two}}}"),
            "{profiles: {debug: {cmdline: two, modules+: [x, z]}}}"
        );
        assert_eq!(
            merged(base, "{profiles: {debug: {modules: [z]}}}"),
            "{profiles: {debug: {cmdline: one, modules: [z]}}}"
        );
    }

    #[test]
    fn a_plus_at_another_key_is_left_for_the_reader_to_refuse() {
        assert_eq!(merged("{memory: 1MiB}", "{memory+: 2MiB}"), "{memory: 1MiB, memory+: 2MiB}");
    }

    #[test]
    fn what_can_not_be_added_is_an_error() {
        let mut found = Diagnostics::default();
        merge(tree("{modules: text}"), tree("{modules+: [z]}"), &mut found);
        assert_eq!(found.list[0].code, Code::WrongType);
        assert_eq!(found.list[0].message, "`modules+` needs two lists, but it adds a list to a text");
    }
}
