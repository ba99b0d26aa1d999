//! The registers in the form in which KVM takes and gives them.

use kvm_bindings::{kvm_dtable, kvm_fpu, kvm_regs, kvm_segment, kvm_sregs};
use stos_x86::registers::{CpuState, EntryState, GeneralRegisters, Selectors, TableRegister};
use stos_x86::segments::Segment;

/// x87 control word after FNINIT: all exceptions masked, extended precision.
const FPU_CONTROL: u16 = 0x37f;
/// MXCSR after reset: all exceptions masked.
const MXCSR: u32 = 0x1f80;
/// Segment type of a local descriptor table (Intel SDM volume 3A, table 3-2).
const TYPE_LDT: u8 = 2;

/// The general registers, EIP and EFLAGS.
pub fn general(entry: &EntryState) -> kvm_regs {
    let GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp } = entry.general;
    kvm_regs {
        rax: eax.into(),
        rbx: ebx.into(),
        rcx: ecx.into(),
        rdx: edx.into(),
        rsi: esi.into(),
        rdi: edi.into(),
        rbp: ebp.into(),
        rsp: esp.into(),
        rip: entry.eip.into(),
        rflags: entry.eflags.into(),
        ..Default::default()
    }
}

/// Control registers, descriptor tables and segments, on top of those in `reset`.
pub fn system(entry: &EntryState, reset: &kvm_sregs) -> kvm_sregs {
    let segments = &entry.segments;
    kvm_sregs {
        cs: segment(&segments.cs),
        ds: segment(&segments.ds),
        es: segment(&segments.es),
        fs: segment(&segments.fs),
        gs: segment(&segments.gs),
        ss: segment(&segments.ss),
        tr: segment(&segments.tr),
        ldt: kvm_segment { type_: TYPE_LDT, unusable: 1, ..Default::default() },
        gdt: table(entry.gdtr),
        idt: table(entry.idtr),
        cr0: entry.cr0.into(),
        cr2: 0,
        cr3: entry.cr3.into(),
        cr4: entry.cr4.into(),
        efer: 0,
        ..*reset
    }
}

/// The FPU as FNINIT leaves it.
pub fn fpu() -> kvm_fpu {
    kvm_fpu { fcw: FPU_CONTROL, mxcsr: MXCSR, ..Default::default() }
}

fn table(register: TableRegister) -> kvm_dtable {
    kvm_dtable { base: register.base.into(), limit: register.limit, ..Default::default() }
}

fn segment(segment: &Segment) -> kvm_segment {
    let bits = |from: u32, count: u32| {
        let value = segment.access >> from & ((1 << count) - 1);
        value.to_le_bytes()[0]
    };
    let present = bits(7, 1);
    kvm_segment {
        base: segment.base.into(),
        limit: segment.limit,
        selector: segment.selector,
        type_: bits(0, 4),
        s: bits(4, 1),
        dpl: bits(5, 2),
        present,
        avl: bits(12, 1),
        l: bits(13, 1),
        db: bits(14, 1),
        g: bits(15, 1),
        unusable: 1 - present,
        ..Default::default()
    }
}

/// The state that KVM gives.
#[allow(clippy::cast_possible_truncation, reason = "outside 64-bit mode, these registers have 32 bits")]
pub fn cpu_state(regs: &kvm_regs, sregs: &kvm_sregs, is_halted: bool) -> CpuState {
    let general = GeneralRegisters {
        eax: regs.rax as u32,
        ebx: regs.rbx as u32,
        ecx: regs.rcx as u32,
        edx: regs.rdx as u32,
        esi: regs.rsi as u32,
        edi: regs.rdi as u32,
        ebp: regs.rbp as u32,
        esp: regs.rsp as u32,
    };
    let selector = |segment: &kvm_segment| segment.selector;
    let selectors = Selectors {
        cs: selector(&sregs.cs),
        ds: selector(&sregs.ds),
        es: selector(&sregs.es),
        fs: selector(&sregs.fs),
        gs: selector(&sregs.gs),
        ss: selector(&sregs.ss),
        ldtr: selector(&sregs.ldt),
        tr: selector(&sregs.tr),
    };
    let table = |table: &kvm_dtable| TableRegister { base: table.base as u32, limit: table.limit };
    CpuState {
        general,
        eip: regs.rip as u32,
        eflags: regs.rflags as u32,
        selectors,
        cr0: sregs.cr0 as u32,
        cr2: sregs.cr2 as u32,
        cr3: sregs.cr3 as u32,
        cr4: sregs.cr4 as u32,
        gdtr: table(&sregs.gdt),
        idtr: table(&sregs.idt),
        is_halted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_bits_are_taken_apart() {
        let code = segment(&Segment::flat(8, Segment::CODE_ACCESS));
        assert_eq!((code.type_, code.s, code.dpl, code.present), (0xb, 1, 0, 1));
        assert_eq!((code.avl, code.l, code.db, code.g, code.unusable), (0, 0, 1, 1, 0));
        let task = segment(&Segment { selector: 0x18, base: 0x3000, limit: 0x67, access: Segment::BUSY_TSS_ACCESS });
        assert_eq!((task.type_, task.s, task.present, task.db, task.g), (0xb, 0, 1, 0, 0));
    }

    #[test]
    fn an_absent_segment_is_unusable() {
        assert_eq!(segment(&Segment::default()).unusable, 1);
    }
}
