//! All registers of a CPU.

use stos_x86::registers::{CR0_PG, CpuState, GeneralRegisters, Selectors};

/// The letters of the EFLAGS bits that are set, most significant first (Intel SDM volume 1, section 3.4.3).
fn flag_letters(eflags: u32) -> String {
    const FLAGS: [(u32, &str); 16] = [
        (21, "ID"),
        (20, "VIP"),
        (19, "VIF"),
        (18, "AC"),
        (17, "VM"),
        (16, "RF"),
        (14, "NT"),
        (11, "OF"),
        (10, "DF"),
        (9, "IF"),
        (8, "TF"),
        (7, "SF"),
        (6, "ZF"),
        (4, "AF"),
        (2, "PF"),
        (0, "CF"),
    ];
    let set = FLAGS.iter().filter(|(bit, _)| eflags >> bit & 1 == 1);
    let mut letters: Vec<String> = set.map(|(_, name)| (*name).to_owned()).collect();
    let iopl = eflags >> 12 & 3;
    letters.extend((iopl != 0).then(|| format!("IOPL={iopl}")));
    if letters.is_empty() { "none set".to_owned() } else { letters.join(" ") }
}

/// The registers, line by line.
pub fn registers(cpu: &CpuState) -> Vec<String> {
    let CpuState { general, eip, eflags, selectors, cr0, cr2, cr3, cr4, gdtr, idtr, is_halted: _ } = cpu;
    let GeneralRegisters { eax, ebx, ecx, edx, esi, edi, ebp, esp } = general;
    let Selectors { cs, ds, es, fs, gs, ss, ldtr, tr } = selectors;
    vec![
        format!("EIP {eip:08x}  EFLAGS {eflags:08x} ({})", flag_letters(*eflags)),
        format!("EAX {eax:08x}  EBX {ebx:08x}  ECX {ecx:08x}  EDX {edx:08x}"),
        format!("ESI {esi:08x}  EDI {edi:08x}  EBP {ebp:08x}  ESP {esp:08x}"),
        format!("CR0 {cr0:08x}  CR2 {cr2:08x}  CR3 {cr3:08x}  CR4 {cr4:08x}"),
        format!(
            "CS {cs:04x}  DS {ds:04x}  ES {es:04x}  FS {fs:04x}  GS {gs:04x}  SS {ss:04x}  LDTR {ldtr:04x}  TR {tr:04x}"
        ),
        format!("GDTR {:08x} limit {:04x}  IDTR {:08x} limit {:04x}", gdtr.base, gdtr.limit, idtr.base, idtr.limit),
        format!("paging {}", if cr0 & CR0_PG == 0 { "off" } else { "on" }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_named() {
        assert_eq!(flag_letters(2), "none set");
        assert_eq!(flag_letters(0x0001_0246), "RF IF ZF PF");
        assert_eq!(flag_letters(0x3003), "CF IOPL=3");
    }
}
