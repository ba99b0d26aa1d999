//! The witness: a guest that prints the state in which it is entered, and a sum of its memory, and ends with status 0. Whoever
//! enters it rightly gets the same text.

mod code;

use std::fs;
use std::path::{Path, PathBuf};

use stos_image::{GuestRange, Permissions, Region, RegionKind};
use stos_x86::registers::{CR0_ET, CR0_PE, CR4_PSE, EFLAGS_FIXED, EntryState, GeneralRegisters, TableRegister};
use stos_x86::segments::{Segment, Segments};

use self::code::{CODE, DIGITS, FS, HANDOVER, STACK, code, summed};
use crate::bare::{BareGuest, flat_entry};

/// Where its memory ends.
pub const MEMORY: u32 = 16 << 20;
/// DR7 after a reset (Intel SDM volume 3A, table 11-1).
const DR7_AT_RESET: u32 = 0x400;

/// An image of the witness in `folder`; the sum is that of memory below `end`.
pub fn image(folder: &Path, end: u32) -> PathBuf {
    let path = folder.join("witness.img");
    write_guest(&path, &entry(), &chunks(end));
    path
}

/// Writes the image of a guest in which all but one page below 1 MiB is owned.
pub fn write_guest(path: &Path, entry: &EntryState, chunks: &[(u64, Vec<u8>)]) {
    let region = |start: u32, end: u32| Region {
        range: GuestRange::new(start.into(), (end - start).into()),
        kind: RegionKind::Reserved,
        permissions: Permissions::empty(),
        name: format!("memory from {start:#x}"),
    };
    let mut guest = BareGuest::entered_in(entry.clone());
    guest.description.memory_size = MEMORY.into();
    guest.description.regions = vec![region(0, HANDOVER), region(HANDOVER + 0x1000, 0xa_0000)];
    let guest = chunks.iter().fold(guest, |guest, (start, bytes)| guest.with(*start, bytes));
    fs::write(path, guest.image()).unwrap();
}

/// A state in which no two registers are alike.
fn entry() -> EntryState {
    let flat = flat_entry(CODE);
    let data = Segment::flat(0x18, Segment::DATA_ACCESS);
    EntryState {
        general: GeneralRegisters {
            eax: 0x0a0a_0a0a,
            ebx: 0x0b0b_0b0b,
            ecx: 0x0c0c_0c0c,
            edx: 0x0d0d_0d0d,
            esi: 0x0e0e_0e0e,
            edi: 0x0f0f_0f0f,
            ebp: 0x1a1a_1a1a,
            esp: STACK,
        },
        // Below CS's base, so that the address wraps.
        eip: CODE.wrapping_sub(0x20_0000),
        // CF, DF and IOPL 3.
        eflags: EFLAGS_FIXED | 0x3401,
        cr0: CR0_PE | CR0_ET | 1 << 16,
        cr3: 0x2000,
        cr4: CR4_PSE | 1 << 7,
        gdtr: TableRegister { base: 0x1234_5678, limit: 0x9abf },
        idtr: TableRegister { base: 0x8765_4321, limit: 0x7ff },
        segments: Segments {
            cs: Segment { base: 0x20_0000, ..flat.segments.cs },
            ds: data.clone(),
            es: data,
            fs: Segment { selector: 0x40, base: FS, limit: 0xff, access: 0x4093 },
            gs: Segment::default(),
            tr: Segment { selector: 0x28, ..flat.segments.tr },
            ss: flat.segments.ss,
        },
    }
}

/// What its memory holds, and where; the rest is zero.
pub fn chunks(end: u32) -> Vec<(u64, Vec<u8>)> {
    vec![
        (CODE.into(), code(end).unwrap()),
        (DIGITS.into(), b"0123456789ABCDEF".to_vec()),
        (FS.into(), b"this is FS".to_vec()),
        // Content in a place of each sort: among the firmware's variables, below 1 MiB, in the middle, at the end.
        (0x410, b"variables".to_vec()),
        (0x9_8fff, b"low".to_vec()),
        (0x70_1001, vec![0x5a; 0x3000]),
        (u64::from(MEMORY) - 4, b"last".to_vec()),
    ]
}

/// What it prints when it is entered in its state, with memory as its image has it.
pub fn expected(end: u32) -> String {
    let EntryState { general, eflags, cr0, cr3, cr4, gdtr, idtr, segments, .. } = entry();
    let GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp } = general;
    let Segments { cs, ds, es, fs, gs, ss, tr } = segments;
    let fs_bytes = u32::from_le_bytes(*b"this");
    let pseudo_descriptor = |table: TableRegister| [table.base << 16 | u32::from(table.limit), table.base >> 16];
    let [gdt, idt] = [gdtr, idtr].map(pseudo_descriptor);
    // As the stack grows down: the last that was pushed first.
    let mut words = [gdt, idt].concat();
    words.extend([0, tr.selector.into(), DR7_AT_RESET, cr4, cr3, cr0, fs_bytes]);
    words.extend([ss, gs, fs, es, ds, cs].map(|segment| u32::from(segment.selector)));
    words.extend([eflags, edi, esi, ebp, esp, ebx, edx, ecx, eax]);
    let stack: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut memory = vec![0; MEMORY as usize];
    for (start, bytes) in chunks(end).into_iter().chain([(u64::from(STACK) - stack.len() as u64, stack)]) {
        memory[usize::try_from(start).unwrap()..][..bytes.len()].copy_from_slice(&bytes);
    }
    let mut sum = 0_u32;
    for (start, end) in summed(end) {
        for word in memory[start as usize..end as usize].as_chunks().0 {
            sum = sum.wrapping_add(u32::from_le_bytes(*word)).rotate_left(1);
        }
    }
    words.insert(0, sum);
    words.iter().map(|word| format!("{word:08X} ")).collect::<Vec<_>>().concat()
}
