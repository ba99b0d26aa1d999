//! The local APIC where `IA32_APIC_BASE` puts it (Intel SDM volume 3A, section 11.4).

use stos_machine::chips::board::Board;
use stos_machine::machine::{Machine, Stop};
use stos_machine::memory::Memory;
use stos_x86::registers::{CR0_PE, EntryState};
use stos_x86::segments::{Segment, Segments};

use crate::guest::Nobody;
use crate::nothing::Nothing;

const VERSION: u32 = 0x5_0014;

/// After `IA32_APIC_BASE` was loaded with each of these: the word at `address`, and whether CPUID tells of an APIC.
fn after(bases: &[u32], address: u32) -> (u32, bool) {
    let mut code = Vec::new();
    for base in bases {
        // MOV ECX, 0x1b; MOV EAX, base; XOR EDX, EDX; WRMSR; and a use of the place where it was.
        code.extend([&[0xb9, 0x1b, 0, 0, 0, 0xb8][..], &base.to_le_bytes(), &[0x31, 0xd2, 0x0f, 0x30, 0xa1]].concat());
        code.extend(0xfee0_0030_u32.to_le_bytes());
    }
    // MOV EAX, [address]; MOV ESI, EAX; MOV EAX, 1; CPUID; HLT.
    code.extend([&[0xa1][..], &address.to_le_bytes(), &[0x89, 0xc6, 0xb8, 1, 0, 0, 0, 0x0f, 0xa2, 0xf4]].concat());
    let segments = Segments::new(
        Segment::flat(8, Segment::CODE_ACCESS),
        Segment::flat(16, Segment::DATA_ACCESS),
        Segment::default(),
    );
    let entry = EntryState { cr0: CR0_PE, segments, eip: 0x1000, eflags: 2, ..EntryState::default() };
    let mut memory = Memory::new(0x2000);
    memory.load(0x1000, &code).unwrap();
    let mut machine: Machine<(Board<Nothing>, Nobody)> = Machine::new(&entry, memory, Board::new(Nothing), Nobody);
    assert_eq!(machine.run(1000), Stop::HaltedForGood);
    (machine.core.general[6], machine.core.general[2] & 1 << 9 != 0)
}

#[test]
fn the_apic_is_where_its_base_says() {
    assert_eq!(after(&[], 0xfee0_0030), (VERSION, true));
    assert_eq!(after(&[0xfed0_0900], 0xfed0_0030), (VERSION, true));
    assert_eq!(after(&[0xfed0_0900], 0xfee0_0030), (u32::MAX, true));
    assert_eq!(after(&[0xfed0_0900, 0xfee0_0900], 0xfee0_0030), (VERSION, true));
}

#[test]
fn without_its_enable_bit_there_is_none() {
    assert_eq!(after(&[0xfee0_0100], 0xfee0_0030), (u32::MAX, false));
    assert_eq!(after(&[0xfee0_0100, 0xfee0_0900], 0xfee0_0030), (VERSION, true));
}
