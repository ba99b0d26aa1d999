//! The one way to write a manifest, which images carry: what two manifests have in common in meaning, they have in common in
//! this form.

use super::description::{Kind, Mapping};
use super::document::Manifest;
use super::keys::MANIFEST;
use super::quantity::digits;
use super::recorded::RecordedPaths;
use super::yaml::{self, Node};
use crate::diagnostics::{Diagnostic, Located, Span};

impl Manifest {
    /// The manifest that means the same by itself and names every input by its recorded path, as YAML. Of its profiles, the
    /// chosen one is left, as a name: its changes have been made.
    ///
    /// # Errors
    /// [`FormatLimit`](crate::diagnostics::Code::FormatLimit) for what YAML can't express; nothing that was read from YAML is.
    pub fn to_yaml(&self) -> Result<String, Diagnostic> {
        yaml::write(&written(self))
    }
}

fn written(manifest: &Manifest) -> Node {
    let paths = RecordedPaths::new(manifest);
    let mut entries = written_entries(&MANIFEST, &manifest.tree.value, &mut paths.all());
    if let Some(name) = &manifest.profile {
        let before = entries.iter().position(|(key, _)| *key == "kernel").unwrap_or(entries.len());
        entries.insert(before, ("profile", Node::Text(name.clone())));
        entries.push(("profiles", mapping([(&**name, mapping([]))])));
    }
    mapping(entries)
}

/// The keys of `node` in the table's order, each in the one form of its value, without those that say nothing. `paths` are the
/// recorded paths in the table's order.
fn written_entries<'a>(
    described: &Mapping,
    node: &Node,
    paths: &mut impl Iterator<Item = &'a str>,
) -> Vec<(&'static str, Node)> {
    let Node::Mapping(entries) = node else { return Vec::new() };
    // With those that are not written.
    let mut all = Vec::new();
    let mut written = Vec::new();
    for key in described.keys {
        let default = key.default.map(|default| default(&all));
        let given = entries.iter().find(|(name, value)| name.value == key.name && value.value != Node::Null);
        let given = given.map(|(_, value)| written_value(key.kind, &value.value, paths));
        let Some(value) = given.or_else(|| default.clone()) else { continue };
        if key.always_written || (Some(&value) != default.as_ref() && !is_empty(&value)) {
            let name = if matches!(key.kind, Kind::Directory) { "path" } else { key.name };
            written.push((name, value.clone()));
        }
        all.push((key.name, value));
    }
    if described.sorted {
        written.sort_by_key(|(name, _)| *name);
    }
    written
}

fn written_value<'a>(kind: Kind, node: &Node, paths: &mut impl Iterator<Item = &'a str>) -> Node {
    match (kind, node) {
        (Kind::Version, _) => Node::Integer(1),
        (Kind::Path | Kind::Directory, _) => paths.next().map_or(Node::Null, |path| Node::Text(path.to_owned())),
        // What is no number is a symbol.
        (Kind::Number { .. } | Kind::AddressOrSymbol, _) => {
            let notation = kind.notation();
            let value = digits(node).and_then(|text| notation.parse(&text).ok());
            value.map_or_else(|| node.clone(), |value| notation.write(value))
        }
        (Kind::Mapping(described), _) => mapping(written_entries(described, node, paths)),
        (Kind::List { of, .. }, Node::Sequence(items)) => {
            let items = items.iter().map(|item| nowhere(written_value(*of, &item.value, paths)));
            Node::Sequence(items.collect())
        }
        _ => node.clone(),
    }
}

/// True for a list or mapping that is as good as none.
fn is_empty(node: &Node) -> bool {
    match node {
        Node::Sequence(items) => items.is_empty(),
        Node::Mapping(entries) => entries.is_empty(),
        _ => false,
    }
}

fn mapping<'a>(entries: impl IntoIterator<Item = (&'a str, Node)>) -> Node {
    Node::Mapping(entries.into_iter().map(|(key, value)| (nowhere(key.to_owned()), nowhere(value))).collect())
}

/// A value that stands in no text.
fn nowhere<T>(value: T) -> Located<T> {
    Located::new(value, Span::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Source;
    use proptest::prelude::*;
    use std::path::Path;

    /// The written form of the manifest that `text` is, as a tree and as YAML.
    fn both(text: &str) -> (Node, String) {
        let source = Source { path: "m.yaml".into(), text: text.to_owned() };
        let manifest = Manifest::from_source(&source, None).unwrap_or_else(|failure| panic!("{text}\n{failure:?}"));
        (written(&manifest), manifest.to_yaml().unwrap())
    }

    fn assert_survives(text: &str) -> String {
        let (before, yaml) = both(text);
        let (after, again) = both(&yaml);
        assert_eq!(after, before, "{yaml}");
        assert_eq!(again, yaml);
        yaml
    }

    #[test]
    fn the_written_form_can_be_read_by_people() {
        let text = "
            version: 1
            name: ministos
            memory: 0x4000000
            kernel: {path: ../examples/kernel.elf, protocol: stos}
            modules:
              - path: ../examples/timer.ko
              - {path: /home/ada/shell.ko, name: shell}
            initramfs: {directory: ./root}
            cmdline: init.mode=all timer.hz=100
            segments: [{start: 0x3000000, size: 1025, kind: reserved}]
            profile: slow
            profiles: {slow: {run: {timeout: 120}}, other: {memory: 32MiB}}
            run: {expect: ['Loading \\w+ complete: yes', 'on'], exit_port: 1281}";
        assert_eq!(
            assert_survives(text),
            r#"version: 1
name: ministos
memory: 64MiB
profile: slow
kernel:
  path: examples/kernel.elf
  protocol: stos
modules:
- path: examples/timer.ko
- path: shell.ko
  name: shell
initramfs:
  path: root.cpio
cmdline: init.mode=all timer.hz=100
segments:
- start: 48MiB
  size: 1025
  kind: reserved
run:
  timeout: 2m
  expect:
  - "Loading \\w+ complete: yes"
  - "on"
  exit_port: "0x501"
profiles:
  slow: {}
"#
        );
    }

    #[test]
    fn an_entry_state_is_written_as_far_as_it_says_something() {
        let text = "{version: 1, name: x, memory: 2MiB, kernel: {path: k, protocol: elf}, entry: {
            registers: {eax: 4660, ebx: 0, esp: 576KiB}, eip: start, paging: {map: [
                {virtual: 3GiB, physical: 0, size: 0x400000, write: true},
                {virtual: 0xB8000, physical: 0xB8000, size: 4KiB, write: false, user: true}]}}}";
        let yaml = assert_survives(text);
        let (_, entry) = yaml.split_once("entry:").unwrap();
        assert_eq!(
            entry,
            r#"
  registers:
    eax: "0x1234"
    esp: "0x90000"
  eip: start
  paging:
    page_size: 4KiB
    segments: virtual
    map:
    - virtual: "0xc0000000"
      physical: "0x0"
      size: 4MiB
      write: true
    - virtual: "0xb8000"
      physical: "0xb8000"
      size: 4KiB
      user: true
"#
        );
        let nothing = "{version: 1, name: x, memory: 2MiB, kernel: {path: k, protocol: elf}, entry: {paging: ~}}";
        assert!(!assert_survives(nothing).contains("entry"));
    }

    #[test]
    fn texts_that_look_like_something_else_survive() {
        let texts =
            ["yes", "y", "null", "~", "0x10", "1_000", "010", "1e3", "0o17", "2026-01-01", "1:30", "=", "<<", "- a"];
        for text in
            texts.iter().chain(&["# a", "a #b", "a: b", "a:", " a ", "{a}", "[a]", "\\", "'", "---", "...", "!a", "&a"])
        {
            let quoted = serde_json::to_string(text).unwrap();
            let manifest = "{version: 1, name: NAME, memory: 16MiB, kernel: {path: k, protocol: stos}}";
            assert_survives(&manifest.replace("NAME", &quoted));
        }
    }

    #[test]
    fn what_has_its_default_is_not_written() {
        let text = "{version: 1, name: x, memory: 16MiB, kernel: {path: k, protocol: stos}, cmdline: '', modules: [],
            run: {exit_port: 0xF4, expect: []}}";
        assert_eq!(assert_survives(text), "version: 1\nname: x\nmemory: 16MiB\nkernel:\n  path: k\n  protocol: stos\n");
    }

    #[test]
    fn the_manifests_of_the_project_survive() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut count = 0;
        for folder in ["manifests", "tests/fixtures/golden", "tests/fixtures/manifests"] {
            for entry in std::fs::read_dir(top.join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|extension| extension == "yaml")
                    && let Ok(manifest) = Manifest::load(&path, None)
                {
                    let yaml = manifest.to_yaml().unwrap();
                    assert_eq!(assert_survives(&yaml), yaml);
                    count += 1;
                }
            }
        }
        assert!(count >= 8, "only {count} manifests can be read");
    }

    proptest! {
        #[test]
        fn every_text_survives(
            name in "[^\\pC\\p{Zl}\\p{Zp}]{1,60}",
            cmdline in "[-?:,#&*!|>'\"%@`{}\\[\\] ~=a-z0-9.]{0,60}|[^\\pC\\p{Zl}\\p{Zp}]{0,300}",
            expect in proptest::collection::vec("[a-zäöü0-9 :#'\"-]{1,100}", 0..4),
            path in "[^/\\pC\\p{Zl}\\p{Zp}]{1,20}(/[^/\\pC\\p{Zl}\\p{Zp}]{1,20}){0,3}",
        ) {
            // YAML's escapes can express any text; the serializer for JSON knows them, too.
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let expect: Vec<String> = expect.iter().map(|text| quoted(text)).collect();
            let (name, path, cmdline) = (quoted(&name), quoted(&path), quoted(&cmdline));
            assert_survives(&format!(
                "{{version: 1, name: {name}, memory: 16MiB, kernel: {{path: {path}, protocol: stos}}, cmdline: {cmdline}, \
                 modules: [{{path: {path}, name: m}}], run: {{expect: [{}]}}}}",
                expect.join(", ")
            ));
        }
    }
}
