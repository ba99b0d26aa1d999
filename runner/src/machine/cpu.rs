//! The state of a CPU that does not run: what a report tells of it, and what a diagnosis begins with.

use kvm_bindings::{kvm_dtable, kvm_regs, kvm_segment, kvm_sregs};
use stos_image::{EFLAGS_IF, FaultRecord, GeneralRegisters, TableRegister};

/// The selectors of the segment registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// CS.
    pub cs: u16,
    /// DS.
    pub ds: u16,
    /// ES.
    pub es: u16,
    /// FS.
    pub fs: u16,
    /// GS.
    pub gs: u16,
    /// SS.
    pub ss: u16,
    /// LDTR.
    pub ldtr: u16,
    /// TR.
    pub tr: u16,
}

/// All registers that a kernel deals with, except those of the FPU and the model-specific ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CpuState {
    /// EAX to ESP.
    pub general: GeneralRegisters,
    /// EIP.
    pub eip: u32,
    /// EFLAGS.
    pub eflags: u32,
    /// The segment registers.
    pub selectors: Selectors,
    /// CR0.
    pub cr0: u32,
    /// CR2: the address of the last page fault.
    pub cr2: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// The global descriptor table.
    pub gdtr: TableRegister,
    /// The interrupt descriptor table.
    pub idtr: TableRegister,
    /// It waits in HLT for an interrupt.
    pub is_halted: bool,
}

impl CpuState {
    /// The state that KVM gives.
    #[allow(clippy::cast_possible_truncation, reason = "outside 64-bit mode, these registers have 32 bits")]
    pub fn from_kvm(regs: &kvm_regs, sregs: &kvm_sregs, is_halted: bool) -> Self {
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
        Self {
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

    /// Reads registers as QEMU's monitor and log print them for 32-bit CPUs. `HLT` need not be there.
    pub fn from_qemu(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let word = text.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))?;
            u32::from_str_radix(word, 16).ok()
        };
        let general = GeneralRegisters {
            eax: field("EAX")?,
            ebx: field("EBX")?,
            ecx: field("ECX")?,
            edx: field("EDX")?,
            esi: field("ESI")?,
            edi: field("EDI")?,
            ebp: field("EBP")?,
            esp: field("ESP")?,
        };
        // Such as `CS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]` and `GDT=     c0002000 0000002f`.
        let words = |name: &str| {
            let content = |line: &str| {
                let values =
                    line.trim_end().strip_prefix(name)?.trim_start().strip_prefix('=')?.split_ascii_whitespace();
                Some(values.map_while(|word| u32::from_str_radix(word, 16).ok()).collect::<Vec<u32>>())
            };
            text.lines().find_map(content)
        };
        let selector = |name: &str| u16::try_from(*words(name)?.first()?).ok();
        let selectors = Selectors {
            cs: selector("CS")?,
            ds: selector("DS")?,
            es: selector("ES")?,
            fs: selector("FS")?,
            gs: selector("GS")?,
            ss: selector("SS")?,
            ldtr: selector("LDT")?,
            tr: selector("TR")?,
        };
        let table = |name: &str| match words(name)?[..] {
            [base, limit] => Some(TableRegister { base, limit: u16::try_from(limit).ok()? }),
            _ => None,
        };
        Some(Self {
            general,
            eip: field("EIP")?,
            eflags: field("EFL")?,
            selectors,
            cr0: field("CR0")?,
            cr2: field("CR2")?,
            cr3: field("CR3")?,
            cr4: field("CR4")?,
            gdtr: table("GDT")?,
            idtr: table("IDT")?,
            is_halted: field("HLT").is_some_and(|halted| halted != 0),
        })
    }

    /// The state in which the fault catcher found the CPU.
    pub fn from_record(record: &FaultRecord) -> Self {
        let FaultRecord { eip, eflags, cr0, cr2, cr3, cr4, .. } = *record;
        let general = GeneralRegisters {
            eax: record.eax,
            ebx: record.ebx,
            ecx: record.ecx,
            edx: record.edx,
            esi: record.esi,
            edi: record.edi,
            ebp: record.ebp,
            esp: record.esp,
        };
        // The catcher stores these with zeros above them; a guest that has written over the record may have put anything.
        let low = |value: u32| u16::try_from(value & 0xffff).unwrap_or(0);
        let selectors = Selectors {
            cs: low(record.cs),
            ds: low(record.ds),
            es: low(record.es),
            fs: low(record.fs),
            gs: low(record.gs),
            ss: low(record.ss),
            ldtr: low(record.ldtr),
            tr: low(record.tr),
        };
        let gdtr = TableRegister { base: record.gdtr_base, limit: low(record.gdtr_limit) };
        let idtr = TableRegister { base: record.idtr_base, limit: low(record.idtr_limit) };
        Self { general, eip, eflags, selectors, cr0, cr2, cr3, cr4, gdtr, idtr, is_halted: false }
    }

    /// The state as the record of an exception with this vector and error code.
    pub fn to_record(&self, vector: u32, error_code: u32) -> FaultRecord {
        let Self { general, eip, eflags, selectors, cr0, cr2, cr3, cr4, gdtr, idtr, is_halted: _ } = self;
        FaultRecord {
            magic: stos_image::FAULT_MAGIC,
            vector,
            error_code,
            eip: *eip,
            cs: selectors.cs.into(),
            eflags: *eflags,
            eax: general.eax,
            ecx: general.ecx,
            edx: general.edx,
            ebx: general.ebx,
            esp: general.esp,
            ebp: general.ebp,
            esi: general.esi,
            edi: general.edi,
            cr0: *cr0,
            cr2: *cr2,
            cr3: *cr3,
            cr4: *cr4,
            ds: selectors.ds.into(),
            es: selectors.es.into(),
            fs: selectors.fs.into(),
            gs: selectors.gs.into(),
            ss: selectors.ss.into(),
            gdtr_base: gdtr.base,
            gdtr_limit: gdtr.limit.into(),
            idtr_base: idtr.base,
            idtr_limit: idtr.limit.into(),
            ldtr: selectors.ldtr.into(),
            tr: selectors.tr.into(),
        }
    }

    /// The privilege level of the code that it executes: 0 is the kernel's, 3 the user's.
    pub fn privilege(&self) -> u16 {
        self.selectors.cs % 4
    }

    /// True when it takes interrupts.
    pub fn takes_interrupts(&self) -> bool {
        self.eflags & EFLAGS_IF != 0
    }

    /// True when it waits for an interrupt that it will not take.
    pub fn is_halted_for_good(&self) -> bool {
        self.is_halted && !self.takes_interrupts()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QEMU: &str = "\r\nCPU#0\r\nEAX=00000001 EBX=00000002 ECX=00000003 EDX=00000004\r\n\
        ESI=00000005 EDI=00000006 EBP=00000007 ESP=00000008\r\n\
        EIP=00100003 EFL=00000206 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\r\n\
        ES =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\r\n\
        CS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]\r\n\
        SS =0018 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\r\n\
        DS =0020 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\r\n\
        FS =0028 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\r\n\
        GS =0030 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\r\n\
        LDT=0038 00000000 00000000 00008200 DPL=0 LDT\r\n\
        TR =0040 c0002180 00000067 00008b00 DPL=0 TSS32-busy\r\n\
        GDT=     c0002000 0000002f\r\nIDT=     c0002300 000000ff\r\n\
        CR0=80000011 CR2=deadbeef CR3=00001000 CR4=00000010\r\n\
        DR0=00000000 DR1=00000000 DR2=00000000 DR3=00000000 \r\nDR6=ffff0ff0 DR7=00000400\r\nEFER=0000000000000000\r\n";

    fn state() -> CpuState {
        CpuState {
            general: GeneralRegisters { eax: 1, ebx: 2, ecx: 3, edx: 4, esi: 5, edi: 6, ebp: 7, esp: 8 },
            eip: 0x10_0003,
            eflags: 0x206,
            selectors: Selectors { cs: 8, ds: 0x20, es: 0x10, fs: 0x28, gs: 0x30, ss: 0x18, ldtr: 0x38, tr: 0x40 },
            cr0: 0x8000_0011,
            cr2: 0xdead_beef,
            cr3: 0x1000,
            cr4: 0x10,
            gdtr: TableRegister { base: 0xc000_2000, limit: 0x2f },
            idtr: TableRegister { base: 0xc000_2300, limit: 0xff },
            is_halted: true,
        }
    }

    #[test]
    fn the_emulators_text_is_read() {
        assert_eq!(CpuState::from_qemu(QEMU), Some(state()));
        assert_eq!(CpuState::from_qemu("nothing here"), None);
        assert_eq!(CpuState::from_qemu(&QEMU.replace("GDT=", "")), None);
    }

    #[test]
    fn a_record_holds_all_of_it() {
        let record = state().to_record(14, 2);
        assert_eq!((record.vector, record.error_code), (14, 2));
        assert_eq!(CpuState::from_record(&record), CpuState { is_halted: false, ..state() });
    }

    #[test]
    fn only_a_halt_that_takes_no_interrupts_is_for_good() {
        assert!(!state().is_halted_for_good());
        assert!(CpuState { eflags: 2, ..state() }.is_halted_for_good());
        assert!(!CpuState { eflags: 2, is_halted: false, ..state() }.is_halted_for_good());
    }
}
