//! Guest memory while it is being filled: the bytes, who claims them, and which of them come from a file.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use stos_image::{GuestRange, Permissions, RegionKind};

use super::claims::{Claim, Claims};
use super::guest::{OwnedBytes, OwnedChunk};
use crate::input::{Load, Loaded};
use crate::kernel::HIGH_MEMORY;
use crate::kernel::elf::{KernelElf, at_addresses_of};
use crate::manifest::Manifest;

/// Guest memory while it is being filled.
#[derive(Default)]
pub struct Memory {
    /// The bytes.
    pub chunks: Vec<OwnedChunk>,
    /// Who claims which of them.
    pub claims: Claims,
    /// Which of them come from a file.
    pub loads: Vec<Load>,
}

impl Memory {
    /// Empty memory in which the ranges that the manifest reserves are claimed, so that nothing of ours is put there.
    pub fn new(manifest: &Manifest) -> Self {
        let claims = Claims::new(manifest.kernel.protocol.value.link_address());
        let mut memory = Self { claims, ..Self::default() };
        for (index, segment) in manifest.segments.iter().enumerate() {
            memory.claims.add_claim(Claim {
                range: segment.value,
                kind: RegionKind::Reserved,
                permissions: Permissions::empty(),
                name: format!("segments[{index}]"),
                span: Some(segment.span),
                parts: Vec::new(),
            });
        }
        memory
    }

    /// Puts `bytes` at `start`, which somebody claims.
    pub fn put(&mut self, start: u32, bytes: impl Into<Bytes>) {
        self.chunks.push(OwnedChunk { start, bytes: OwnedBytes::Here(bytes.into()) });
    }

    /// Puts `bytes` at `start` and claims what they take.
    pub fn put_named(&mut self, start: u32, bytes: Vec<u8>, kind: RegionKind, permissions: Permissions, name: &str) {
        self.claims.add(start, bytes.len() as u64, kind, permissions, name, None);
        self.put(start, bytes);
    }

    /// Puts bytes of a file at `start`, and remembers that they are there. What stays in its file is put there whole, on a page.
    pub fn put_file(&mut self, start: u32, loaded: &Loaded, file: Range<usize>) {
        let part = || loaded.file.bytes.get(file.clone());
        let here = || OwnedBytes::Here(part().map_or_else(Bytes::new, |part| loaded.file.bytes.slice_ref(part)));
        let bytes = loaded.file.stored.as_ref().map_or_else(here, |stored| OwnedBytes::Stored(Arc::clone(stored)));
        self.chunks.push(OwnedChunk { start, bytes });
        self.loads.push(Load { key: loaded.key.clone(), file, start });
    }

    /// Puts a whole file at `start` and claims what it takes.
    pub fn put_whole_file(
        &mut self,
        start: u32,
        loaded: &Loaded,
        kind: RegionKind,
        permissions: Permissions,
        name: &str,
    ) {
        let size = loaded.file.size();
        self.claims.add(start, size, kind, permissions, name, None);
        self.put_file(start, loaded, 0..usize::try_from(size).unwrap_or(usize::MAX));
    }

    /// Loads every segment of an ELF kernel to its physical address; returns the end of the last, at least 1 MiB.
    pub fn load_kernel(&mut self, kernel: &KernelElf, loaded: &Loaded) -> u32 {
        let mut kernel_end = HIGH_MEMORY;
        for segment in &kernel.segments {
            let start = segment.paddr;
            kernel_end = kernel_end.max(start + segment.memory_size);
            self.put_file(start, loaded, segment.file.clone());

            // Sections name the parts of the segment; what lies between them is the segment's own.
            let sections = at_addresses_of(&kernel.sections, segment);
            let sections = sections.filter(|section| section.segment == Some(segment.index));
            let parts = sections.map(|section| {
                let start = start + (section.vaddr - segment.vaddr);
                (format!("kernel {}", section.name), GuestRange::new(start.into(), section.size.into()))
            });
            self.claims.add_claim(Claim {
                range: segment.physical(),
                kind: RegionKind::Kernel,
                permissions: segment.permissions,
                name: format!("kernel segment {}", segment.index),
                span: loaded.file.place,
                parts: parts.collect(),
            });
        }
        kernel_end
    }
}
