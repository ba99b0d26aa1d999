//! The one way to write a manifest, which images carry: what two manifests have in common in meaning, they have in common in
//! this form.

use std::collections::BTreeMap;

use stos_image::{DEFAULT_EXIT_PORT, GeneralRegisters};

use super::document::{
    Document, EntryDocument, InitramfsDocument, KernelDocument, MapDocument, ModuleDocument, PagingDocument, Quantity,
    RunDocument, SegmentDocument,
};
use super::entry::{PAGE_SIZES, SEGMENT_MAPPINGS};
use super::recorded::RecordedPaths;
use super::{Eip, Entry, Manifest, MapEntry, Module, Paging, Segment};
use crate::diagnostics::{Code, Diagnostic};

impl From<&Manifest> for Document {
    /// The manifest that means the same by itself and names every input by its recorded path. Of its profiles, the chosen one
    /// is left, as a name: its changes have been made.
    fn from(manifest: &Manifest) -> Self {
        let paths = RecordedPaths::new(manifest);
        let modules = manifest.modules.iter().zip(&paths.modules).map(|(module, path)| module_document(module, path));
        let run = RunDocument {
            timeout: manifest.run.timeout_ms.map(duration),
            expect: manifest.run.expect.clone(),
            exit_port: Some(manifest.run.exit_port)
                .filter(|port| *port != DEFAULT_EXIT_PORT)
                // Ports are known by their hexadecimal numbers.
                .map(|port| Quantity::Text(format!("{port:#x}"))),
        };
        Self {
            version: 1,
            name: manifest.name.value.clone(),
            memory: size(manifest.memory.value),
            profile: manifest.profile.clone(),
            kernel: KernelDocument { path: paths.kernel, protocol: manifest.kernel.protocol.value.name() },
            modules: modules.collect(),
            initramfs: paths.initramfs.map(|path| InitramfsDocument { path }),
            cmdline: manifest.cmdline.value.clone(),
            entry: manifest
                .entry
                .as_ref()
                .map(|entry| entry_document(&entry.value))
                .filter(|entry| *entry != EntryDocument::default()),
            segments: manifest.segments.iter().map(|segment| segment_document(segment.value)).collect(),
            run: Some(run).filter(|run| *run != RunDocument::default()),
            profiles: manifest.profile.iter().map(|name| (name.clone(), BTreeMap::new())).collect(),
        }
    }
}

impl Document {
    /// The manifest as YAML.
    ///
    /// # Errors
    /// [`Code::FormatLimit`] for what YAML can't express; nothing that was read from YAML is.
    pub fn to_yaml(&self) -> Result<String, Diagnostic> {
        // A text on one line is found again by whoever searches for it.
        let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
        serde_saphyr::to_string_with_options(self, options).map_err(|error| {
            Diagnostic::new(Code::FormatLimit, format!("the manifest can't be written into the image: {error}"))
        })
    }
}

fn module_document(module: &Module, path: &str) -> ModuleDocument {
    let file_name = path.rsplit('/').next().unwrap_or(path);
    let name = Some(module.name.clone()).filter(|name| name != file_name);
    // A text that says the name says nothing.
    let cmdline = module.cmdline.as_ref().map(|cmdline| cmdline.value.clone()).filter(|text| *text != module.name);
    ModuleDocument { path: path.to_owned(), name, cmdline }
}

fn segment_document(segment: Segment) -> SegmentDocument {
    SegmentDocument { start: size(segment.start), size: size(segment.size), kind: "reserved" }
}

fn entry_document(entry: &Entry) -> EntryDocument {
    let Entry { registers, esp, eip, paging } = entry;
    let GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp: _ } = registers;
    let general = [("eax", eax), ("ebx", ebx), ("ecx", ecx), ("edx", edx), ("esi", esi), ("edi", edi), ("ebp", ebp)];
    let general = general.into_iter().filter(|(_, value)| **value != 0).map(|(name, value)| (name, address(*value)));
    EntryDocument {
        registers: general.chain(esp.as_ref().map(|esp| ("esp", address(esp.value)))).collect(),
        eip: eip.as_ref().map(|eip| match &eip.value {
            Eip::Address(value) => address(*value),
            Eip::Symbol(name) => Quantity::Text(name.clone()),
        }),
        paging: paging.as_ref().map(paging_document),
    }
}

fn paging_document(paging: &Paging) -> PagingDocument {
    let page_size = PAGE_SIZES.iter().find(|(_, size)| *size == paging.page_size);
    let segments = SEGMENT_MAPPINGS.iter().find(|(_, segments)| *segments == paging.segments);
    PagingDocument {
        page_size: page_size.map_or("", |(name, _)| name),
        segments: segments.map_or("", |(name, _)| name),
        map: paging.map.iter().map(|entry| map_document(entry.value)).collect(),
    }
}

fn map_document(entry: MapEntry) -> MapDocument {
    let MapEntry { start, physical, size: bytes, write, user } = entry;
    MapDocument { start: address(start), physical: address(physical), size: size(bytes), write, user }
}

/// Addresses and what is in registers are known by their hexadecimal numbers.
fn address(value: u32) -> Quantity {
    Quantity::Text(format!("{value:#x}"))
}

/// Bytes in the largest unit that divides them.
fn size(bytes: u64) -> Quantity {
    with_unit(bytes, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]).unwrap_or(Quantity::Number(bytes))
}

/// A time in the largest unit that divides it.
fn duration(milliseconds: u64) -> Quantity {
    let in_unit = with_unit(milliseconds, &[(60_000, "m"), (1000, "s")]);
    in_unit.unwrap_or_else(|| Quantity::Text(format!("{milliseconds}ms")))
}

fn with_unit(value: u64, units: &[(u64, &str)]) -> Option<Quantity> {
    let (factor, unit) = units.iter().find(|(factor, _)| value > 0 && value.is_multiple_of(*factor))?;
    Some(Quantity::Text(format!("{}{unit}", value / factor)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Source;
    use proptest::prelude::*;
    use std::path::Path;

    /// The manifest that `text` is, as document and as YAML.
    fn document(text: &str) -> (Document, String) {
        let source = Source { path: "m.yaml".into(), text: text.to_owned() };
        let manifest = Manifest::from_source(&source, None).unwrap_or_else(|failure| panic!("{text}\n{failure:?}"));
        let document = Document::from(&manifest);
        let yaml = document.to_yaml().unwrap();
        (document, yaml)
    }

    fn assert_survives(text: &str) -> String {
        let (before, yaml) = document(text);
        let (after, again) = document(&yaml);
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
                    let yaml = Document::from(&manifest).to_yaml().unwrap();
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
            name in "\\PC{1,60}",
            cmdline in "[-?:,#&*!|>'\"%@`{}\\[\\] ~=a-z0-9.]{0,60}|\\PC{0,300}",
            expect in proptest::collection::vec("[a-zäöü0-9 :#'\"-]{1,100}", 0..4),
            path in "[^/\\pC]{1,20}(/[^/\\pC]{1,20}){0,3}",
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
