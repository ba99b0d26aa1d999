//! The cases to begin with: every manifest of the fixtures, the hand-made ELF files, and examples that are built.

use std::path::Path;
use std::{fs, io};

use cpio::newc::{Builder, trailer};

use super::case::Case;
use crate::bzimage::BzImage;
use crate::elf::{Content, Elf, Section, Segment, Symbol};
use crate::files::with_extension;
use crate::multiboot::{self, FLAT_HEADER, HEADER};
use crate::{fixtures, tools};

/// Uses all files and every key.
const FULL: &str = "version: 1
name: full
memory: 16MiB
kernel: {path: kernel.elf, protocol: stos}
modules:
  - path: module.ko
  - {path: module.ko, name: second}
initramfs: {path: archive.cpio}
cmdline: a=1 b=\"two words\"
segments:
  - {start: 0xF00000, size: 64KiB, kind: reserved}
  - {start: 0x800000, size: 0x1000, kind: reserved}
run: {timeout: 5s, expect: [\"^Loading complete$\", \"a|b\"], exit_port: 0x501}
";

/// Has its initramfs made.
const WITH_DIRECTORY: &str = "version: 1
name: directory
memory: 64MiB
kernel:
  path: kernel.elf
  protocol: stos
initramfs:
  directory: tree
";

/// A course's manifest, and a student's that stands on it.
const BASE: &str = "version: 1
name: course
memory: 32MiB
kernel: {protocol: stos}
modules: [{path: module.ko}]
cmdline: init.mode=all
run: {timeout: 30s, expect: [first]}
profiles:
  debug: {cmdline+: debug=1, run: {expect+: [traced]}}
";
const STUDENT: &str = "extends: base.yaml
name: student
kernel: {path: kernel.elf}
modules+: [{path: module.ko, name: own}]
run: {expect+: [second]}
profile: debug
profiles:
  debug: {modules+: [{path: module.ko, name: trace}]}
  grading: {cmdline: init.mode=tests, initramfs: ~, modules: ~, run: {timeout: 5s}}
";

/// A Multiboot kernel with everything that it can be given.
const MULTIBOOT: &str = "version: 1
name: multiboot
memory: 4MiB
kernel: {path: kernel.elf, protocol: multiboot}
modules: [{path: module.ko, cmdline: \"a b\"}, {path: archive.cpio, name: files}]
cmdline: x=1
segments: [{start: 3MiB, size: 4KiB, kind: reserved}]
";

/// Linux with a first program.
const LINUX: &str = "version: 1
name: linux
memory: 64MiB
kernel: {path: kernel.elf, protocol: linux}
initramfs: {path: archive.cpio}
cmdline: console=ttyS0
";

/// Without a boot protocol, and all that the manifest can then say.
const ENTRY: &str = "version: 1
name: entry
memory: 2MiB
kernel: {path: kernel.elf, protocol: elf}
entry:
  registers: {eax: 0x1234, ebx: 4KiB, ecx: 1, edx: 2, esi: 3, edi: 4, ebp: 5, esp: 0x180000}
  eip: start
  paging:
    page_size: 4KiB
    segments: virtual
    map:
      - {virtual: 0xB8000, physical: 0xB8000, size: 4KiB, write: true}
      - {virtual: 0x180000, physical: 0x17F000, size: 8KiB, write: true, user: true}
allow: [W0007]
";

/// The same with pages of the other size.
const BIG_PAGES: &str = "version: 1
name: big-pages
memory: 8MiB
kernel: {path: kernel.elf, protocol: elf}
entry:
  eip: 0x100004
  paging: {page_size: 4MiB, segments: none, map: [{virtual: 0, physical: 0, size: 8MiB, write: true}]}
";

/// The cases to begin with.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The [`Corpus::RIGHT`] ones, then others.
    pub cases: Vec<Case>,
}

impl Corpus {
    /// How many of the first cases have nothing wrong with them.
    pub const RIGHT: usize = 8;

    /// Makes and reads them. Without `examples` it is the same on every machine; with them, kernels and modules of the
    /// examples take part as far as they are built.
    ///
    /// # Errors
    /// When a fixture can't be read.
    pub fn load(examples: bool) -> io::Result<Self> {
        let (kernel, module, archive) = (Elf::kernel().to_bytes(), Elf::module("start").to_bytes(), archive()?);
        let with = |manifest: &[u8]| Case::new(manifest, kernel.clone(), module.clone(), archive.clone());
        let student = with(STUDENT.as_bytes()).on(BASE);
        let other = |manifest: &str, kernel: Vec<u8>| Case::new(manifest, kernel, module.clone(), archive.clone());
        let mut cases = vec![with(FULL.as_bytes()), with(WITH_DIRECTORY.as_bytes()), student];
        cases.push(other(MULTIBOOT, multiboot_kernel().to_bytes()));
        cases.push(other(MULTIBOOT, flat_kernel()));
        cases.push(other(LINUX, BzImage::kernel().to_bytes()));
        cases.push(other(ENTRY, entered_kernel()));
        cases.push(other(BIG_PAGES, entered_kernel()));
        let folder = fixtures::folder();
        let folders = [tools::root().join("manifests"), folder.join("golden"), folder.join("manifests")];
        for path in folders.iter().flat_map(|folder| with_extension(folder, "yaml")) {
            cases.push(with(own_names(&fs::read_to_string(path)?).as_bytes()).on(BASE));
        }
        for kernel in kernels() {
            cases.push(Case::new(FULL, kernel, module.clone(), archive.clone()));
        }
        if examples {
            let folder = tools::root().join("examples");
            for name in ["ministos/timer.ko", "ministos/shell.ko", "ministos/init.ko"] {
                if let Ok(module) = fs::read(folder.join(name)) {
                    cases.push(Case::new(FULL, kernel.clone(), module, archive.clone()));
                }
            }
            // A small kernel with debug information, and a large one.
            for name in ["guests/halt.elf", "ministos/kernel.elf"] {
                if let Ok(kernel) = fs::read(folder.join(name)) {
                    cases.push(Case::new(FULL, kernel, module.clone(), archive.clone()));
                }
            }
        }
        Ok(Self { cases })
    }

    /// Writes every case into `folder`, one file each.
    ///
    /// # Errors
    /// When one can't be written.
    pub fn write_to(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        for (index, case) in self.cases.iter().enumerate() {
            fs::write(folder.join(format!("seed-{index:03}")), case.encode())?;
        }
        Ok(())
    }
}

/// Puts the names of a case's files in the place of those that the manifest names.
fn own_names(manifest: &str) -> String {
    let mut text = String::new();
    for line in manifest.replace("../golden/", "").split_inclusive('\n') {
        let mut rest = line;
        for (key, name) in [("path: ", "file"), ("directory: ", "tree"), ("extends: ", "base.yaml")] {
            if let Some((before, after)) = rest.split_once(key) {
                let end = after.find([',', '}', ' ', '\n']).unwrap_or(after.len());
                let extension = Path::new(&after[..end]).extension().unwrap_or_default();
                let name = match extension.to_str() {
                    _ if name != "file" => name,
                    Some("elf") => "kernel.elf",
                    Some("ko") => "module.ko",
                    Some("cpio") => "archive.cpio",
                    _ => "missing",
                };
                text.push_str(before);
                text.push_str(key);
                text.push_str(name);
                rest = &after[end..];
            }
        }
        text.push_str(rest);
    }
    text
}

/// A Multiboot kernel as an ELF file.
pub fn multiboot_kernel() -> Elf {
    let header = Content { name: ".multiboot", kind: 1, flags: 0, info: 0, bytes: multiboot::bytes(&HEADER) };
    Elf { contents: vec![header], ..Elf::low_kernel() }
}

/// A Multiboot kernel that is no ELF file.
pub fn flat_kernel() -> Vec<u8> {
    [multiboot::bytes(&FLAT_HEADER), vec![0xf4; 32]].concat()
}

/// A kernel that is entered as a manifest says.
pub fn entered_kernel() -> Vec<u8> {
    Elf { symbols: vec![Symbol::function("start", 0x10_0004)], ..Elf::low_kernel() }.to_bytes()
}

/// Kernels beside the plain one: some that are refused, and some that come close to it.
fn kernels() -> Vec<Vec<u8>> {
    let code = Segment::new(0xc010_0000, 5, &[0xf4; 16]);
    let mut zeroed = code.clone();
    zeroed.memory_size = 0x20_0000;
    let many: Vec<Segment> =
        (0..8).map(|index| Segment { vaddr: 0xc010_0000 + index * 0x1000, ..code.clone() }).collect();
    let symbols = [("a", 0xc010_0000), ("b", 0xc010_0000), ("", 0xffff_ffff)];
    let symbols = symbols.map(|(name, value)| Symbol::function(name, value)).to_vec();
    let bss = vec![Section::bss(0xc010_0010, 0x10_0000)];
    vec![
        Elf { segments: vec![zeroed], sections: bss, ..Elf::kernel() }.to_bytes(),
        Elf { segments: many, ..Elf::kernel() }.to_bytes(),
        Elf { segments: vec![code.clone(), Segment::new(0xc00b_8000, 6, &[1; 16])], ..Elf::kernel() }.to_bytes(),
        Elf { segments: Vec::new(), ..Elf::kernel() }.to_bytes(),
        Elf { symbols, ..Elf::kernel() }.to_bytes(),
    ]
}

/// An archive of two files.
fn archive() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, content) in [("init", &b"#!/bin/sh\n"[..]), ("etc/motd", b"hello\n")] {
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let mut writer = Builder::new(name).mode(0o100_644).write(bytes, size);
        io::Write::write_all(&mut writer, content)?;
        bytes = writer.finish()?;
    }
    trailer(bytes)
}
