//! Differences in a part of an outcome, and those that take more than a line to recognise.

use stos_x86::registers::EFLAGS_RF;

use super::{DF, GP, PF, TS};
use crate::case::Case;
use crate::layout::*;
use crate::outcome::Parts;
use crate::supervisor::{CONTROL, GENERAL};

/// The accessed bit, in a descriptor's second word.
const ACCESSED: u32 = 1 << 8;
/// A and D of an entry of a page table.
const PAGE_USED: u32 = 0x60;
/// What the TSS of 16 bits has for registers, but for the last bits, which are the register's number.
const SMALL_REGISTER: u32 = 0xb0;
/// EBX in an outcome, and CR2.
const EBX: usize = GENERAL as usize + 3;
const CR2: usize = CONTROL as usize + 1;

/// Takes over each changed word of the tables that a difference explains: by its address, as it is here, as it is there.
fn take(our: &Parts, their: &mut Parts, explains: impl Fn(u32, u32, u32) -> bool) -> bool {
    let mut has_taken = false;
    let addresses: Vec<u32> = our.changes.keys().chain(their.changes.keys()).copied().collect();
    for at in addresses {
        let word = |parts: &Parts| parts.changes.get(&at).copied().unwrap_or_else(|| our.before(at));
        let (ours, theirs) = (word(our), word(their));
        if ours != theirs && explains(at, ours, theirs) {
            match our.changes.get(&at) {
                Some(word) => their.changes.insert(at, *word),
                None => their.changes.remove(&at),
            };
            has_taken = true;
        }
    }
    has_taken
}

/// Takes over a word of the outcome.
fn take_word(our: &Parts, their: &mut Parts, place: usize, explains: bool) -> bool {
    if explains {
        their.head[place] = our.head[place];
    }
    explains
}

pub fn accessed_segments(_case: &Case, our: &Parts, their: &mut Parts) -> bool {
    let is_descriptor = |at: u32| (GDT..FIFTH_TSS).contains(&at) || (LDT..FOURTH_TSS).contains(&at);
    take(our, their, |at, ours, theirs| is_descriptor(at) && at % 8 == 4 && ours == theirs | ACCESSED)
}

pub fn accessed_pages(_case: &Case, our: &Parts, their: &mut Parts) -> bool {
    let is_fault = [PF, DF].contains(&our.vector());
    let is_entry = |at: u32| (DIRECTORY..TABLE).contains(&at) || (TEST_TABLE..CODE).contains(&at);
    take(our, their, |at, ours, theirs| is_fault && is_entry(at) && (ours ^ theirs) & !PAGE_USED == 0)
}

pub fn upper_halves(_case: &Case, our: &Parts, their: &mut Parts) -> bool {
    let mut has_taken = false;
    for place in GENERAL as usize..GENERAL as usize + 7 {
        let (ours, theirs) = (our.head[place], their.head[place]);
        let is_small = ours & !7 == SMALL_REGISTER && theirs & 0xffff == ours && theirs != ours;
        has_taken |= take_word(our, their, place, is_small);
    }
    has_taken
}

pub fn descriptor_byte(case: &Case, our: &Parts, their: &mut Parts) -> bool {
    let is_write = our.vector() == PF && our.stack(0) & 2 != 0;
    let explains = case.area == "descriptors in pages" && is_write && our.head[CR2] == their.head[CR2] + 1;
    take_word(our, their, CR2, explains)
}

pub fn resume_flag(_case: &Case, our: &Parts, their: &mut Parts) -> bool {
    let is_flags = |at: u32| (TSS..IDT).contains(&at) || (LDT..TSS).contains(&at);
    let mut has_taken = take(our, their, |at, ours, theirs| is_flags(at) && ours ^ theirs == EFLAGS_RF);
    for place in 0..8 {
        if our.stack(place) ^ their.stack(place) == EFLAGS_RF {
            their.set_stack(place, our.stack(place));
            has_taken = true;
        }
    }
    has_taken
}

pub fn external(_case: &Case, our: &Parts, their: &mut Parts) -> bool {
    let is_alike = our.vector() == their.vector() && (TS..=GP).contains(&our.vector());
    let explains = is_alike && our.stack(0) != their.stack(0) && our.stack(0) == their.stack(0) | 1;
    if explains {
        their.set_stack(0, our.stack(0));
    }
    explains
}

pub fn debug_registers(case: &Case, our: &Parts, their: &mut Parts) -> bool {
    let is_status = ["DR4", "DR6"].iter().any(|name| case.text.starts_with(name));
    let reserved = if is_status { 1 << 12 } else { 0xd800 };
    let differ = our.head[EBX] ^ their.head[EBX];
    take_word(our, their, EBX, case.area == "debug registers" && differ != 0 && differ & !reserved == 0)
}

pub fn reads_and_writes(case: &Case, our: &Parts, their: &Parts) -> bool {
    let accesses =
        ["read and write", "exchange", "comparison that fails", "xchg", "xadd", "cmpxchg", "bts", "shld", "arpl"];
    let is_both = accesses.iter().any(|name| case.text.starts_with(name));
    let faults = (our.vector(), their.vector()) == (PF, PF);
    is_both && faults && our.stack(0) & 2 != 0 && their.stack(0) & 2 == 0
}

pub fn wide_addresses(case: &Case, our: &Parts, _their: &Parts) -> bool {
    let entry = our.before(DIRECTORY + (PAGES >> 20) + 4);
    let has_bits = entry & 0x81 == 0x81 && entry & 0x1e_0000 != 0;
    case.area == "large pages" && has_bits && our.vector() == PF && our.stack(0) & 8 != 0
}
