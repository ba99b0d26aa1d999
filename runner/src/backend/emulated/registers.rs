//! The registers as QEMU's monitor and its log print them.

use stos_x86::registers::{CpuState, GeneralRegisters, Selectors, TableRegister};

/// The value in the first word `name=value` of `text`.
pub fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

/// Reads registers as QEMU's monitor and log print them for 32-bit CPUs. `HLT` need not be there.
pub fn cpu_state(text: &str) -> Option<CpuState> {
    let field = |name: &str| u32::from_str_radix(field(text, name)?, 16).ok();
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
            let values = line.trim_end().strip_prefix(name)?.trim_start().strip_prefix('=')?.split_ascii_whitespace();
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
    Some(CpuState {
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
        assert_eq!(cpu_state(QEMU), Some(state()));
        assert_eq!(cpu_state("nothing here"), None);
        assert_eq!(cpu_state(&QEMU.replace("GDT=", "")), None);
    }
}
