//! Generators for this crate's property tests.

use proptest::collection::vec;
use proptest::prelude::*;

use stos_x86::registers::{
    CR0_ET, CR0_PE, EFLAGS_FIXED, EFLAGS_RESERVED, EFLAGS_VM, EntryState, GeneralRegisters, TableRegister,
};
use stos_x86::segments::{Segment, Segments};

use crate::*;

/// Text that the format accepts as a name.
pub fn any_name() -> impl Strategy<Value = String> {
    "[a-zäπ .:_-]{1,20}"
}

prop_compose! {
    fn any_segment()(selector: u16, base: u32, pages in 0_u32..=0xf_ffff, access in 0_u16..0x100) -> Segment {
        Segment { selector, base, limit: pages << 12 | 0xfff, access: access | 0xc000 }
    }
}

prop_compose! {
    fn any_entry()(
        registers in any::<[u32; 9]>(),
        eflags: u32,
        cr4 in 0..=CR4_ALLOWED,
        tables in any::<[(u32, u16); 2]>(),
        segments in vec(any_segment(), 7),
    ) -> EntryState {
        let [eax, ebx, ecx, edx, esi, edi, ebp, esp, eip] = registers;
        let table = |(base, limit)| TableRegister { base, limit };
        let [mut cs, ds, es, fs, gs, ss, mut tr]: [Segment; 7] = segments.try_into().unwrap();
        cs.access |= 0x98;
        tr.selector &= !4;
        tr.access = tr.access & !0x9f | Segment::BUSY_TSS_ACCESS;
        EntryState {
            general: GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp },
            eip,
            eflags: eflags & !(EFLAGS_RESERVED | EFLAGS_VM) | EFLAGS_FIXED,
            cr0: CR0_PE | CR0_ET,
            cr3: 0x1000,
            cr4,
            gdtr: table(tables[0]),
            idtr: table(tables[1]),
            segments: Segments { cs, ds, es, fs, gs, ss, tr },
        }
    }
}

prop_compose! {
    /// Inputs in guest memory and in the inputs section, alternately.
    fn any_inputs()(
        inputs in vec((any_name(), "[a-zäπ][a-zäπ .:_-]{0,9}(/[a-z]{1,5}){0,2}", vec(1_u64..0x1000, 0..5), any::<bool>(), any::<[u8; 32]>()), 0..4),
    ) -> Vec<Input> {
        let mut offset = 0;
        let mut inputs_of = |(key, path, sizes, kept_first, digest): (String, String, Vec<u64>, bool, [u8; 32])| {
            let mut kept = kept_first;
            let content = sizes.iter().map(|&size| {
                kept = !kept;
                if kept {
                    return Content::Memory(GuestRange::new(size, size));
                }
                offset += size;
                Content::Kept { offset: offset - size, size }
            });
            let content = content.collect();
            Input { key, path, size: sizes.iter().sum(), digest: Digest(digest), content }
        };
        inputs.into_iter().map(&mut inputs_of).collect()
    }
}

prop_compose! {
    /// Valid symbols of an image without modules.
    pub fn any_symbols()(
        symbols in vec((any::<u32>(), any::<u32>(), any_name()), 0..20),
        files in vec(any_name(), 0..6),
        lines in vec((any::<u32>(), 0_u32..6, 0_u32..100), 0..40),
    ) -> Symbols {
        let symbols = symbols.into_iter().map(|(address, size, name)| Symbol { address, size, module: 0, name });
        let lines = lines.into_iter().map(|(address, file, line)| Line { address, file, line });
        Symbols::new(symbols.collect()).with_lines(&files, lines.collect())
    }
}

/// How many bytes of the inputs of `description` are in the inputs section.
pub fn kept_size(description: &Description) -> u64 {
    let parts = description.inputs.iter().flat_map(|input| &input.content);
    parts.filter(|part| matches!(part, Content::Kept { .. })).map(Content::size).sum()
}

prop_compose! {
    /// A valid description of a guest with 1 MiB of memory and a region per 16 KiB.
    pub fn any_description()(
        name in any_name(),
        protocol in any_name(),
        profile in proptest::option::of(any_name()),
        regions in vec((any_name(), 1_u64..0x4000, 0_u8..8), 0..64),
        entry in any_entry(),
        catcher in proptest::option::of((0_u64..0xf_ff00, 0x600_u16..0xc00)),
        timeout_ms in proptest::option::of(1_u64..100_000),
        expect in vec(any_name(), 0..4),
        exit_port in 0x1000_u16..=0xfffc,
        inputs in any_inputs(),
        manifest in "[a-zäπ :\n]{0,200}",
    ) -> Description {
        let kinds = [RegionKind::Kernel, RegionKind::Module, RegionKind::Stack, RegionKind::Reserved];
        Description {
            name,
            protocol,
            profile,
            memory_size: 1 << 20,
            memory_map: vec![MapRange { range: GuestRange::new(0, 1 << 20), kind: MapKind::Available }],
            regions: (0..)
                .zip(regions)
                .map(|(index, (name, size, permissions))| Region {
                    range: GuestRange::new(index * 0x4000, size),
                    kind: kinds[usize::try_from(index).unwrap() % kinds.len()],
                    permissions: Permissions::from_bits_retain(permissions),
                    name,
                })
                .collect(),
            entry,
            fault_catcher: catcher.map(|(record, port)| FaultCatcher { record: PhysAddr(record), port }),
            run: RunDefaults { timeout_ms, expect, exit_port },
            inputs,
            manifest,
        }
    }
}

prop_compose! {
    /// Metadata that decodes, though its extents need not keep the rules.
    pub fn any_metadata()(description in any_description(), extents in vec((any::<u64>(), any::<u64>()), 0..8)) -> Metadata {
        Metadata { description, extents: extents.into_iter().map(|(start, size)| GuestRange::new(start, size)).collect() }
    }
}
