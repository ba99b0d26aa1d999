//! Why the CPU refuses the instruction at EIP for the sake of a segment: limit, type, privilege level, present bit. What a register
//! holds is looked up in the tables as they are now.

use iced_x86::{Instruction, Mnemonic, Register};
use stos_x86::segments::{Descriptor, DescriptorKind, Load, Refusal, Selector};

use super::descriptor::{describe, segment};
use super::instruction::{Operand, at_eip, mnemonic, operands, selector_in, value};
use super::scene::Scene;

/// What was found out about an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This is refused, a clause.
    Refused(String),
    /// No segment that it uses is a reason.
    Allowed,
    /// Not all of it can be checked.
    Unknown,
}

/// What can be said of the instruction at EIP.
pub fn verdict(scene: &Scene<'_>) -> Verdict {
    let Some(instruction) = at_eip(scene) else { return Verdict::Unknown };
    let name = format!("`{}`", mnemonic(&instruction));
    match check(scene, &instruction) {
        Ok(true) => Verdict::Allowed,
        Ok(false) => Verdict::Unknown,
        Err(clause) => Verdict::Refused(format!("{name} {clause}")),
    }
}

/// Whether all was checked; or what is refused, the rest of a clause about the instruction.
fn check(scene: &Scene<'_>, instruction: &Instruction) -> Result<bool, String> {
    let cs = scene.cpu.selectors.cs;
    if let Ok(code) = segment(scene, cs)
        && !code.holds(scene.cpu.eip, u32::try_from(instruction.len()).unwrap_or(1))
    {
        return Err(format!("at EIP {:#010x} lies past {}", scene.cpu.eip, limit_of("CS", cs, code)));
    }
    let is_known = privileges(scene, instruction)?;
    let Some(operands) = operands(scene, instruction) else { return Ok(false) };
    operands.iter().try_for_each(|operand| access(scene, operand))?;
    let is_near = near_branch(scene, instruction)?;
    let is_loaded = segment_load(scene, instruction)?;
    Ok(far_branch(scene, instruction)? && is_known && is_near && is_loaded)
}

/// Instructions for the kernel alone.
fn privileges(scene: &Scene<'_>, instruction: &Instruction) -> Result<bool, String> {
    let (cpl, iopl) = (scene.cpu.privilege(), scene.cpu.eflags >> 12 & 3);
    match instruction.mnemonic() {
        _ if cpl == 0 => Ok(true),
        Mnemonic::Cli | Mnemonic::Sti if u32::from(cpl) > iopl => {
            Err(format!("needs an IOPL of {cpl} or more at privilege level {cpl}, and EFLAGS has {iopl}"))
        }
        Mnemonic::Cli | Mnemonic::Sti => Ok(true),
        // The I/O permission map may allow it.
        Mnemonic::In
        | Mnemonic::Out
        | Mnemonic::Insb
        | Mnemonic::Insw
        | Mnemonic::Insd
        | Mnemonic::Outsb
        | Mnemonic::Outsw
        | Mnemonic::Outsd => Ok(u32::from(cpl) <= iopl),
        _ if instruction.is_privileged() => {
            Err(format!("is for privilege level 0 alone, and this code has {cpl} (CS {:#x})", scene.cpu.selectors.cs))
        }
        _ => Ok(true),
    }
}

/// An access to memory through a segment register.
fn access(scene: &Scene<'_>, operand: &Operand) -> Result<(), String> {
    let Operand { register, selector, offset, size, writes } = *operand;
    let name = format!("{register:?}");
    let verb = if writes { "writes" } else { "reads" };
    let descriptor =
        segment(scene, selector).map_err(|why| format!("{verb} through {name}, and selector {selector:#x} {why}"))?;
    let (may_read, may_write) = descriptor.access();
    if writes && !may_write || !writes && !may_read {
        return Err(format!(
            "{verb} through {name} {selector:#x}, which does not allow that: {}",
            describe(descriptor)
        ));
    }
    if !descriptor.is_present() {
        return Err(format!("{verb} through {name} {selector:#x}, which is not present"));
    }
    if descriptor.holds(offset, size.max(1)) {
        return Ok(());
    }
    let bytes = if size == 1 { "1 byte".to_owned() } else { format!("{size} bytes") };
    Err(format!("{verb} {bytes} at offset {offset:#x}, outside {}", limit_of(&name, selector, descriptor)))
}

/// The limit of a segment, with what may be wrong with it.
fn limit_of(name: &str, selector: u16, descriptor: Descriptor) -> String {
    let limit = descriptor.limit();
    let base = match descriptor.base() {
        0 => String::new(),
        base => format!(" (its base is {base:#x})"),
    };
    let what = match descriptor.kind() {
        DescriptorKind::Data { expand_down: true, .. } => {
            return format!(
                "the segment in {name} {selector:#x}, which expands down: its offsets are those above {limit:#x}{base}"
            );
        }
        _ if limit == Descriptor::LARGEST_IN_BYTES => {
            "; its granularity bit (G, bit 55) is 0, so that counts bytes, not pages of 4 KiB"
        }
        _ => "",
    };
    format!("the limit {limit:#x} of the segment in {name} {selector:#x}{base}{what}")
}

fn near_branch(scene: &Scene<'_>, instruction: &Instruction) -> Result<bool, String> {
    let is_direct = instruction.is_jmp_short_or_near() || instruction.is_call_near();
    let is_indirect = instruction.is_jmp_near_indirect() || instruction.is_call_near_indirect();
    let cs = scene.cpu.selectors.cs;
    let target = if is_direct {
        Some(instruction.near_branch32())
    } else if is_indirect {
        let register = instruction.op0_register();
        if register == Register::None {
            let pointer = operands(scene, instruction).and_then(|operands| operands.first().copied());
            pointer.and_then(|pointer| scene.memory.word(pointer.linear(scene)))
        } else {
            value(scene, register).and_then(|value| u32::try_from(value).ok())
        }
    } else if instruction.mnemonic() == Mnemonic::Ret {
        scene.memory.word(scene.cpu.general.esp)
    } else {
        return Ok(true);
    };
    match (target, segment(scene, cs)) {
        (Some(target), Ok(code)) if !code.holds(target, 1) => {
            Err(format!("goes to {target:#010x}, past {}", limit_of("CS", cs, code)))
        }
        (Some(_), Ok(_)) => Ok(true),
        _ => Ok(false),
    }
}

/// A segment register that is loaded with a selector. LDTR and TR are left out.
fn segment_load(scene: &Scene<'_>, instruction: &Instruction) -> Result<bool, String> {
    let register = instruction.op0_register();
    let pointer = |at: u32| {
        let pointer = operands(scene, instruction)?.first()?.linear(scene).wrapping_add(at);
        scene.memory.word(pointer)
    };
    #[allow(clippy::cast_possible_truncation, reason = "a selector has 16 bits")]
    let (register, selector) = match instruction.mnemonic() {
        Mnemonic::Mov if register.is_segment_register() => {
            let from = instruction.op1_register();
            let selector =
                if from == Register::None { pointer(0) } else { value(scene, from).map(|value| value as u32) };
            (register, selector)
        }
        Mnemonic::Pop if register.is_segment_register() => (register, scene.memory.word(scene.cpu.general.esp)),
        Mnemonic::Lds => (Register::DS, pointer(4)),
        Mnemonic::Les => (Register::ES, pointer(4)),
        Mnemonic::Lfs => (Register::FS, pointer(4)),
        Mnemonic::Lgs => (Register::GS, pointer(4)),
        Mnemonic::Lss => (Register::SS, pointer(4)),
        Mnemonic::Ltr | Mnemonic::Lldt => return Ok(false),
        _ => return Ok(true),
    };
    #[allow(clippy::cast_possible_truncation, reason = "a selector has 16 bits")]
    let Some(selector) = selector.map(|selector| selector as u16) else { return Ok(false) };
    let load = if register == Register::SS { Load::Stack } else { Load::Data };
    let takes = match load {
        Load::Stack => "SS takes data that can be written".to_owned(),
        _ => format!("{register:?} takes data, or code that can be read"),
    };
    if load == Load::Data && Selector(selector).is_null() {
        return Ok(true);
    }
    let found =
        loaded(scene, load, selector, &takes).map_err(|why| format!("loads {register:?} with selector {why}"))?;
    Ok(found.is_some())
}

/// The segment that a selector names, when it can be loaded for that; `None` for a gate or a task, which is not followed. Else
/// why not, a clause that begins with the selector.
fn loaded(scene: &Scene<'_>, load: Load, selector: u16, takes: &str) -> Result<Option<Descriptor>, String> {
    let descriptor = segment(scene, selector).map_err(|why| format!("{selector:#x}, which {why}"))?;
    let is_gate = descriptor.system_type().is_some_and(|system| system.is_tss() || system.is_task_or_call_gate());
    if is_gate && load == Load::Code {
        return Ok(None);
    }
    let cpl = scene.cpu.privilege();
    match load.refusal(descriptor, Selector(selector), cpl) {
        None => Ok(Some(descriptor)),
        Some(Refusal::Type) => Err(format!("{selector:#x}, and {takes}: that one is {}", describe(descriptor))),
        Some(Refusal::NotPresent) => Err(format!("{selector:#x}, whose segment is not present")),
        Some(Refusal::Privilege) => Err(format!(
            "{selector:#x}, which privilege levels forbid: DPL {}, RPL {}, and the code has {cpl}",
            descriptor.dpl(),
            Selector(selector).rpl()
        )),
    }
}

/// A jump, call or return to another segment.
fn far_branch(scene: &Scene<'_>, instruction: &Instruction) -> Result<bool, String> {
    let esp = scene.cpu.general.esp;
    let words = |at: u32| Some((scene.memory.word(at)?, scene.memory.word(at.wrapping_add(4))?));
    let (load, verb, target) = if instruction.is_jmp_far() || instruction.is_call_far() {
        let target = (instruction.far_branch32(), u32::from(instruction.far_branch_selector()));
        (Load::Code, "goes", Some(target))
    } else if instruction.is_jmp_far_indirect() || instruction.is_call_far_indirect() {
        let pointer = operands(scene, instruction).and_then(|operands| operands.first().copied());
        (Load::Code, "goes", pointer.and_then(|pointer| words(pointer.linear(scene))))
    } else if matches!(instruction.mnemonic(), Mnemonic::Iretd | Mnemonic::Retf) {
        (Load::Return, "returns", words(esp))
    } else {
        return Ok(!matches!(instruction.mnemonic(), Mnemonic::Iret | Mnemonic::Sysexit | Mnemonic::Sysenter));
    };
    let Some((offset, selector)) = target else { return Ok(false) };
    #[allow(clippy::cast_possible_truncation, reason = "a selector has 16 bits")]
    let selector = selector as u16;
    let takes = "CS takes code";
    let Some(code) = loaded(scene, load, selector, takes).map_err(|why| format!("{verb} to selector {why}"))? else {
        return Ok(false);
    };
    if !code.holds(offset, 1) {
        return Err(format!("{verb} to {selector:#x}:{offset:#010x}, past {}", limit_of("CS", selector, code)));
    }
    // With fewer privileges, SS and the data segments change, too.
    Ok(load == Load::Code || Selector(selector).rpl() == scene.cpu.privilege())
}

impl Operand {
    /// Its linear address.
    fn linear(self, scene: &Scene<'_>) -> u32 {
        segment(scene, selector_in(scene, self.register)).map_or(0, Descriptor::base).wrapping_add(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    const CODE: u64 = 0x00cf_9a00_0000_ffff;
    const DATA: u64 = 0x00cf_9200_0000_ffff;

    /// Code at 0x1000 with a GDT of: null, code, data, a fourth entry, code of user mode.
    fn case(code: &[u8], fourth: u64) -> Case {
        let record = FaultRecord {
            vector: 13,
            eip: 0x1000,
            esp: 0x8000,
            cs: 0x08,
            ss: 0x10,
            ds: 0x18,
            ebx: 0x9000,
            gdtr_base: 0x2000,
            gdtr_limit: 0x27,
            ..FaultRecord::default()
        };
        let gdt = [0, CODE, DATA, fourth, CODE | 0x6000_0000_0000].map(u64::to_le_bytes).concat();
        Case::new(record).with(0x1000, code).with(0x2000, &gdt)
    }

    fn told(code: &[u8], fourth: u64) -> String {
        match verdict(&case(code, fourth).scene()) {
            Verdict::Refused(clause) => clause,
            other => format!("{other:?}"),
        }
    }

    /// `mov (%ebx),%eax` and `mov %eax,(%ebx)`.
    const READ: [u8; 2] = [0x8b, 0x03];
    const WRITE: [u8; 2] = [0x89, 0x03];

    #[test]
    fn accesses_are_checked_against_limit_and_type() {
        assert_eq!(told(&READ, DATA), "Allowed");
        assert_eq!(
            told(&READ, 0x0040_9200_0000_8fff),
            "`mov` reads 4 bytes at offset 0x9000, outside the limit 0x8fff of the segment in DS 0x18"
        );
        assert_eq!(
            told(&READ, 0x0040_9600_0000_9fff),
            "`mov` reads 4 bytes at offset 0x9000, outside the segment in DS 0x18, which expands down: its offsets are those \
             above 0x9fff"
        );
        assert!(
            told(&WRITE, DATA & !(1 << 41))
                .starts_with("`mov` writes through DS 0x18, which does not allow that: data, read-only")
        );
        assert!(told(&WRITE, CODE).starts_with("`mov` writes through DS 0x18, which does not allow that: 32-bit code"));
        assert_eq!(told(&READ, DATA & !(1 << 47)), "`mov` reads through DS 0x18, which is not present");
        let mut null = case(&READ, DATA);
        null.record.ds = 0;
        assert_eq!(
            verdict(&null.scene()),
            Verdict::Refused("`mov` reads through DS, and selector 0x0 is the null selector".to_owned())
        );
    }

    #[test]
    fn branches_are_checked() {
        // `ljmp $0x18,$0x123456`, `jmp *%ebx`, and the limit of CS.
        let far = [0xea, 0x56, 0x34, 0x12, 0, 0x18, 0];
        assert_eq!(told(&far, CODE), "Allowed");
        assert_eq!(
            told(&far, CODE & !(0x00ff << 48) | 0x0040 << 48),
            "`ljmp` goes to 0x18:0x00123456, past the limit 0xffff of the segment in CS 0x18"
        );
        assert!(
            told(&far, DATA).starts_with("`ljmp` goes to selector 0x18, and CS takes code: that one is data, writable")
        );
        assert_eq!(told(&far, CODE & !(1 << 47)), "`ljmp` goes to selector 0x18, whose segment is not present");
        assert_eq!(told(&far, 0x0000_8900_0000_0067), "Unknown", "a task is not followed");
        let mut near = case(&[0xff, 0xe3], CODE & !(0x00ff << 48) | 0x0040 << 48);
        (near.record.cs, near.record.ebx) = (0x18, 0x12_3456);
        let Verdict::Refused(clause) = verdict(&near.scene()) else { panic!("it is refused") };
        assert_eq!(clause, "`jmp` goes to 0x00123456, past the limit 0xffff of the segment in CS 0x18");
        // `iret` to user mode leaves more to check.
        let back = |cs| case(&[0xcf], DATA).with_words(0x8000, &[0x1000, cs, 2]);
        assert_eq!(verdict(&back(8).scene()), Verdict::Allowed);
        assert_eq!(verdict(&back(0x23).scene()), Verdict::Unknown);
        let Verdict::Refused(clause) = verdict(&back(0x20).scene()) else { panic!("it is refused") };
        assert_eq!(
            clause,
            "`iret` returns to selector 0x20, which privilege levels forbid: DPL 3, RPL 0, and the code has 0"
        );
    }

    #[test]
    fn loads_are_checked() {
        // `mov %bx,%ss` and `mov %bx,%ds`.
        let load = |code: &[u8], selector| {
            let mut case = case(code, DATA);
            case.record.ebx = selector;
            match verdict(&case.scene()) {
                Verdict::Refused(clause) => clause,
                other => format!("{other:?}"),
            }
        };
        let (to_ss, to_ds) = ([0x8e, 0xd3], [0x8e, 0xdb]);
        assert_eq!(
            (load(&to_ss, 0x10), load(&to_ds, 0x10), load(&to_ds, 0)),
            ("Allowed".into(), "Allowed".into(), "Allowed".into())
        );
        assert!(
            load(&to_ss, 8).starts_with("`mov` loads SS with selector 0x8, and SS takes data that can be written: ")
        );
        assert_eq!(load(&to_ss, 0), "`mov` loads SS with selector 0x0, which is the null selector");
        assert_eq!(load(&to_ds, 0x38), "`mov` loads DS with selector 0x38, which lies past the GDT's limit 0x27");
    }

    #[test]
    fn what_is_for_the_kernel_alone_is_told() {
        let user = |code: &[u8]| {
            let mut case = case(code, DATA | 0x6000_0000_0000);
            (case.record.cs, case.record.ds, case.record.ss) = (0x23, 0x1b, 0x1b);
            match verdict(&case.scene()) {
                Verdict::Refused(clause) => clause,
                other => format!("{other:?}"),
            }
        };
        assert_eq!(user(&[0xf4]), "`hlt` is for privilege level 0 alone, and this code has 3 (CS 0x23)");
        assert_eq!(user(&[0xfa]), "`cli` needs an IOPL of 3 or more at privilege level 3, and EFLAGS has 0");
        assert_eq!((user(&[0xec]), user(&[0x90])), ("Unknown".into(), "Allowed".into()));
    }
}
