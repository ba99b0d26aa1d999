//! Files that manifests name: kernels of every kind, modules and archives, each with a manifest that fits it.

use std::io;
use std::path::Path;

use fastrand::Rng;

use super::bench::{Bench, Outcome};
use super::bytes::splice;
use super::case::{Case, Part};
use super::corpus::{Corpus, entered_kernel, flat_kernel, multiboot_kernel};
use super::target::{ChangeBytes, Target};
use super::{boot_header, cpio, elf};
use crate::bzimage::BzImage;
use crate::elf::Elf;

/// What sort of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An ELF file: a kernel of two protocols, or a module.
    Elf,
    /// Linux.
    BzImage,
    /// A kernel with a Multiboot header.
    Multiboot,
    /// A cpio archive.
    Newc,
    /// Any file of which somebody asks what it is.
    Recognise,
}

/// Which of the corpus' cases has the manifest, and which of its parts the file is.
const ELF: &[(usize, Part)] = &[(0, Part::Kernel), (6, Part::Kernel), (0, Part::Module), (7, Part::Kernel)];
const BZIMAGE: &[(usize, Part)] = &[(5, Part::Kernel)];
const MULTIBOOT: &[(usize, Part)] = &[(3, Part::Kernel), (4, Part::Kernel)];
const NEWC: &[(usize, Part)] = &[(0, Part::Archive), (5, Part::Archive)];

/// Files of one kind. A case is a byte that chooses the manifest, and the file.
#[derive(Debug)]
pub struct FileTarget {
    kind: Kind,
    bench: Bench,
    cases: Vec<Case>,
}

impl FileTarget {
    /// Works below `folder`.
    ///
    /// # Errors
    /// When it can't be made, or a fixture can't be read.
    pub fn new(kind: Kind, folder: &Path) -> io::Result<Self> {
        let mut cases = Corpus::load(false)?.cases;
        cases.truncate(Corpus::RIGHT);
        Ok(Self { kind, bench: Bench::new(folder)?, cases })
    }

    fn places(&self) -> &'static [(usize, Part)] {
        match self.kind {
            Kind::Elf | Kind::Recognise => ELF,
            Kind::BzImage => BZIMAGE,
            Kind::Multiboot => MULTIBOOT,
            Kind::Newc => NEWC,
        }
    }

    /// The files to begin with.
    fn files(&self) -> Vec<Vec<u8>> {
        let elf =
            || vec![Elf::kernel().to_bytes(), entered_kernel(), Elf::module("start").to_bytes(), entered_kernel()];
        let multiboot = || vec![multiboot_kernel().to_bytes(), flat_kernel()];
        let linux = || vec![BzImage::kernel().to_bytes(), BzImage { setup_sects: 0, ..BzImage::kernel() }.to_bytes()];
        match self.kind {
            Kind::Elf => elf(),
            Kind::BzImage => linux(),
            Kind::Multiboot => multiboot(),
            Kind::Newc => vec![self.cases[0].part(Part::Archive).clone(); 2],
            Kind::Recognise => {
                let others = ["#!/bin/sh\n", "version: 1\n", "\u{1f}\u{8b}\u{8}", "MZ", "\0asm", ""];
                let others = others.map(|text| text.as_bytes().to_vec());
                [elf(), multiboot(), linux(), others.into(), vec![self.cases[0].part(Part::Archive).clone()]].concat()
            }
        }
    }
}

impl Target for FileTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        let numbered = (0..=u8::MAX).zip(self.files());
        Ok(numbered.map(|(number, file)| [vec![number], file].concat()).collect())
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        let choice = if case.is_empty() { 0 } else { case.remove(0) };
        let (choice, other) = (if rng.u8(..32) == 0 { rng.u8(..) } else { choice }, other.get(1..).unwrap_or_default());
        loop {
            match (rng.u8(..8), self.kind) {
                (0, _) => splice(case, other, rng),
                (1, _) => change(case, rng),
                (2 | 3, Kind::Elf) => elf::change_section(case, rng),
                (_, Kind::Elf) | (2 | 3, Kind::Multiboot | Kind::Recognise) => elf::change_field(case, rng),
                (_, Kind::BzImage) | (4, Kind::Recognise) => boot_header::change_linux(case, rng),
                (_, Kind::Multiboot | Kind::Recognise) => boot_header::change_multiboot(case, rng),
                (_, Kind::Newc) => cpio::change_field(case, rng),
            }
            if rng.u8(..3) != 0 {
                break;
            }
        }
        case.insert(0, choice);
    }

    fn run(&self, case: &[u8]) -> bool {
        let (choice, file) = case.split_first().unwrap_or((&0, &[]));
        if self.kind == Kind::Recognise {
            return self.bench.recognise(file);
        }
        let places = self.places();
        let (number, part) = places[usize::from(*choice) % places.len()];
        let mut case = self.cases[number].clone();
        *case.part_mut(part) = file.to_vec();
        self.bench.run(&case) == Outcome::Packed
    }
}
