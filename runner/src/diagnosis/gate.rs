//! The way of an exception or interrupt to its handler: the entry of the IDT, the segment that it names, the stack, and what is
//! wrong with one of them (Intel SDM volume 3A, sections 6.10 to 6.12).

use std::fmt;

use stos_x86::interrupts::{self, GateKind};
use stos_x86::segments::{Descriptor, DescriptorKind, SystemType};
use stos_x86::tasks::{tss_offset, tss16_offset};

use super::descriptor::{describe, segment};
use super::exception::exception;
use super::place::describe_address;
use super::scene::Scene;
use crate::machine::{Delivery, Source};

/// Words that are pushed: EIP, CS and EFLAGS, then ESP and SS when the privilege level changes, and an error code.
const FRAME: u32 = 3;
const OUTER_FRAME: u32 = 2;
const ERROR_CODE: u32 = 1;

/// The IDT's entry of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The table ends before it.
    PastEnd,
    /// It lies where no memory is.
    NotMapped,
    /// It is there.
    Read(Descriptor),
}

/// An entry and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Its number.
    pub vector: u32,
    /// Its linear address.
    pub address: u32,
    /// What is there.
    pub entry: Entry,
}

/// Why a handler can't be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is about.
    pub subject: Subject,
    /// What that is called, the beginning of a clause.
    pub name: String,
    /// What is wrong with it, the rest of the clause.
    pub fault: String,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.fault)
    }
}

/// What keeps a handler from being called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The entry of the IDT.
    Entry,
    /// The selector in it.
    Selector(u16),
    /// The stack, at this linear address.
    Stack(u32),
    /// The task state segment, which names the stack.
    Task,
}

impl Gate {
    /// The entry for `vector` of the table that IDTR names.
    pub fn new(scene: &Scene<'_>, vector: u32) -> Self {
        let idtr = scene.cpu.idtr;
        let address = idtr.base.wrapping_add(vector.wrapping_mul(8));
        let entry = match scene.memory.bytes(address, 8).try_into() {
            _ if idtr.entry(vector).is_none() => Entry::PastEnd,
            Ok(bytes) => Entry::Read(Descriptor::from_le_bytes(bytes)),
            Err(_) => Entry::NotMapped,
        };
        Self { vector, address, entry }
    }

    /// Where it leads to, when it leads to code.
    pub fn handler(&self) -> Option<u32> {
        let Entry::Read(entry) = self.entry else { return None };
        let gate = interrupts::Gate::decode(entry)?;
        (gate.is_present && gate.kind != GateKind::Task).then_some(gate.offset)
    }

    /// The DPL of a gate that is present.
    pub fn dpl(&self) -> Option<u32> {
        let Entry::Read(entry) = self.entry else { return None };
        interrupts::Gate::decode(entry).filter(|gate| gate.is_present).map(|gate| gate.dpl.into())
    }

    /// Its byte of type and attributes, with another DPL.
    pub fn attributes_with(&self, dpl: u32) -> Option<u8> {
        let Entry::Read(entry) = self.entry else { return None };
        Some(entry.0.to_le_bytes()[5] & !0x60 | u8::try_from(dpl << 5).ok()?)
    }

    /// Bytes of each word that is pushed: gates of 16 bits push words of 16 bits.
    pub fn word_size(&self) -> u32 {
        let Entry::Read(entry) = self.entry else { return 4 };
        match interrupts::Gate::decode(entry).map(|gate| gate.kind) {
            Some(GateKind::Interrupt16 | GateKind::Trap16) => 2,
            _ => 4,
        }
    }

    /// Bytes of EIP, CS and EFLAGS, as they are pushed.
    pub fn frame_size(&self) -> u32 {
        FRAME * self.word_size()
    }

    /// The entry itself, with the bytes that it has in memory.
    pub fn describe(&self, scene: &Scene<'_>) -> String {
        let Self { vector, address, entry } = self;
        let limit = scene.cpu.idtr.limit;
        match entry {
            Entry::PastEnd => format!("entry {vector} would be at {address:#010x}: past the IDT's limit {limit:#x}"),
            Entry::NotMapped => format!("entry {vector} would be at {address:#010x}, which is not mapped"),
            Entry::Read(entry) => {
                let bytes: Vec<String> = entry.0.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
                let meaning = if entry.0 == 0 { "not present: all zeros".to_owned() } else { describe(*entry) };
                let handler = self.handler().map(|handler| match scene.guest.symbols.find(handler) {
                    Some(_) => format!("; the handler is {}", describe_address(scene.guest.symbols, handler)),
                    None => String::new(),
                });
                let handler = handler.unwrap_or_default();
                format!("entry {vector} at {address:#010x} = {}: {meaning}{handler}", bytes.join(" "))
            }
        }
    }

    /// Why the CPU can't call a handler through this entry.
    pub fn obstacle(&self, scene: &Scene<'_>, delivery: &Delivery) -> Option<Obstacle> {
        let privilege = scene.cpu.privilege().into();
        let name = format!("IDT entry {}", self.vector);
        let entry = match self.usable_entry(scene, privilege, delivery.source) {
            Ok(entry) => entry,
            Err(fault) => return Some(Obstacle { subject: Subject::Entry, name, fault }),
        };
        let (selector, _) = entry.target();
        let refused = |why: String| {
            let fault = format!("names selector {selector:#x}, {why}");
            Some(Obstacle { subject: Subject::Selector(selector), name: name.clone(), fault })
        };
        let target = match segment(scene, selector) {
            Ok(target) => target,
            Err(why) => return refused(format!("which {why}")),
        };
        if entry.system_type() == Some(SystemType::TaskGate) {
            let is_free = target.system_type().is_some_and(SystemType::is_available_tss) && target.is_present();
            return if is_free {
                None
            } else {
                refused(format!("which is no task that is free: {}", describe(target)))
            };
        }
        let DescriptorKind::Code { conforming, .. } = target.kind() else {
            return refused(format!("which is no code segment: {}", describe(target)));
        };
        if !target.is_present() {
            return refused("whose segment is not present".to_owned());
        }
        if target.dpl() > privilege {
            return refused(format!("whose DPL {} has fewer privileges than the code before it", target.dpl()));
        }
        stack_obstacle(scene, delivery, target.dpl() < privilege && !conforming, self.word_size())
    }

    /// The entry, unless something is wrong with it alone, as the end of a sentence.
    fn usable_entry(&self, scene: &Scene<'_>, privilege: u32, source: Source) -> Result<Descriptor, String> {
        let entry = match self.entry {
            Entry::PastEnd => return Err(format!("lies past the IDT's limit {:#x}", scene.cpu.idtr.limit)),
            Entry::NotMapped => return Err(format!("at {:#010x} is not mapped", self.address)),
            Entry::Read(Descriptor(0)) => return Err("is not present".to_owned()),
            Entry::Read(entry) => entry,
        };
        match entry.system_type() {
            Some(kind) if kind == SystemType::TaskGate || kind.is_interrupt_or_trap_gate() => {}
            Some(_) => return Err(format!("is no gate: its type is {:#x}", entry.type_code())),
            None => return Err("is no gate: its S bit is set, as in a descriptor of code or data".to_owned()),
        }
        if source == Source::Software && entry.dpl() < privilege {
            return Err(format!("has DPL {}, which forbids `int` at privilege level {privilege}", entry.dpl()));
        }
        if entry.is_present() { Ok(entry) } else { Err("is not present".to_owned()) }
    }
}

/// True when the CPU pushes an error code for the handler.
fn has_error_code(delivery: &Delivery) -> bool {
    delivery.source == Source::Exception && exception(delivery.vector).error_code.is_pushed()
}

/// Why the CPU can't push a frame of words of so many bytes for a handler.
fn stack_obstacle(scene: &Scene<'_>, delivery: &Delivery, is_inner: bool, word_size: u32) -> Option<Obstacle> {
    let code = if has_error_code(delivery) { ERROR_CODE } else { 0 };
    let (name, top, words) = if is_inner {
        match inner_stack(scene) {
            Ok((name, top)) => (name, top, FRAME + OUTER_FRAME + code),
            Err(why) => {
                let (name, fault) =
                    ("the TSS, which has the kernel's stack,".to_owned(), format!("can't be read: {why}"));
                return Some(Obstacle { subject: Subject::Task, name, fault });
            }
        }
    } else {
        ("ESP", scene.cpu.general.esp, FRAME + code)
    };
    let mut pushed = (1..=words).map(|word| top.wrapping_sub(word * word_size));
    let (address, why) = pushed.find_map(|address| Some((address, scene.refuses_write(address)?)))?;
    let fault = format!("is bad: {address:#010x} below {name} {top:#010x} {why}");
    Some(Obstacle { subject: Subject::Stack(address), name: "the stack".to_owned(), fault })
}

/// The stack that a task state segment has for the kernel, and what it is called there; or else why it can't be read.
fn inner_stack(scene: &Scene<'_>) -> Result<(&'static str, u32), String> {
    let tr = scene.cpu.selectors.tr;
    let tss = segment(scene, tr).map_err(|why| format!("TR {tr:#x} {why}"))?;
    let is_16_bit = matches!(tss.system_type(), Some(SystemType::AvailableTss16 | SystemType::BusyTss16));
    let (name, offset) =
        if is_16_bit { ("the TSS's SP0", tss16_offset::SP0) } else { ("the TSS's ESP0", tss_offset::ESP0) };
    let place = tss.base().wrapping_add(offset);
    let top = scene.memory.word(place).ok_or_else(|| format!("{place:#010x} is not mapped"))?;
    Ok((name, if is_16_bit { top & 0xffff } else { top }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;
    use stos_x86::registers::CpuState;
    use stos_x86::segments::Segment;

    const IDT: u32 = 0xc000_3000;
    const GDT: u32 = 0xc000_2000;

    /// A CPU with a GDT (code, data, a task state segment) and with an IDT of 15 entries, zeros all.
    fn case() -> Case {
        let record = FaultRecord {
            cs: 8,
            esp: 0xc010_0000,
            gdtr_base: GDT,
            gdtr_limit: 0x2f,
            idtr_base: IDT,
            idtr_limit: 0x77,
            tr: 0x20,
            ..FaultRecord::default()
        };
        let flat = |access| Segment::flat(0, access).descriptor().to_le_bytes();
        Case::paged(record)
            .with(0x2008, &flat(Segment::CODE_ACCESS))
            .with(0x2010, &flat(Segment::DATA_ACCESS))
            .with(0x2020, &0xc000_8900_4000_0067_u64.to_le_bytes())
    }

    /// The same with a gate at `vector`.
    fn with_gate(vector: u64, gate: u64) -> Case {
        case().with(0x3000 + vector * 8, &gate.to_le_bytes())
    }

    fn delivery(vector: u32, source: Source) -> Delivery {
        Delivery { vector, error_code: 0, source, during: None, raised: None, eip: 0, cpu: CpuState::default() }
    }

    fn obstacle(case: &Case, vector: u32) -> Option<String> {
        let gate = Gate::new(&case.scene(), vector);
        gate.obstacle(&case.scene(), &delivery(vector, Source::Exception)).map(|obstacle| obstacle.to_string())
    }

    /// An interrupt gate to selector 8.
    const GOOD: u64 = 0xc010_8e00_0008_1000;

    #[test]
    fn a_good_gate_has_no_obstacle() {
        let case = with_gate(14, GOOD).with_symbol(0xc010_1000, 0x10, "handler");
        assert_eq!(obstacle(&case, 14), None);
        let gate = Gate::new(&case.scene(), 14);
        assert_eq!(gate.handler(), Some(0xc010_1000));
        assert_eq!(
            gate.describe(&case.scene()),
            "entry 14 at 0xc0003070 = 00 10 08 00 00 8e 10 c0: 32-bit interrupt gate to 0x0008:0xc0101000, DPL 0, present; \
             the handler is 0xc0101000 (handler+0x0)"
        );
    }

    #[test]
    fn what_is_wrong_with_an_entry_is_told() {
        let told = |case: &Case, vector| obstacle(case, vector).unwrap();
        assert_eq!(told(&case(), 14), "IDT entry 14 is not present");
        assert_eq!(told(&case(), 15), "IDT entry 15 lies past the IDT's limit 0x77");
        assert_eq!(told(&with_gate(14, GOOD & !(1 << 47)), 14), "IDT entry 14 is not present");
        assert_eq!(told(&with_gate(14, GOOD & !(0xf << 40) | 2 << 40), 14), "IDT entry 14 is no gate: its type is 0x2");
        assert!(told(&with_gate(14, GOOD | 1 << 44), 14).contains("its S bit is set"));
        let elsewhere = |idtr_base| {
            let mut case = case();
            case.record.idtr_base = idtr_base;
            told(&case, 3)
        };
        assert_eq!(elsewhere(0xdead_0000), "IDT entry 3 at 0xdead0018 is not mapped");
    }

    #[test]
    fn what_is_wrong_with_the_segment_is_told() {
        let told = |selector: u64| obstacle(&with_gate(14, GOOD & !0xffff_0000 | selector << 16), 14).unwrap();
        assert_eq!(told(0x38), "IDT entry 14 names selector 0x38, which lies past the GDT's limit 0x2f");
        assert_eq!(told(0), "IDT entry 14 names selector 0x0, which is the null selector");
        assert_eq!(told(0x1c), "IDT entry 14 names selector 0x1c, which is in the LDT, and there is none");
        assert!(told(0x10).starts_with("IDT entry 14 names selector 0x10, which is no code segment: data, writable"));
    }

    #[test]
    fn what_is_wrong_with_the_stack_is_told() {
        let mut case = with_gate(14, GOOD);
        case.record.esp = 0xdead_0000;
        assert_eq!(obstacle(&case, 14).unwrap(), "the stack is bad: 0xdeacfffc below ESP 0xdead0000 is not mapped");
        // From user mode, the stack is that of the task state segment, which here is zero.
        case.record.cs = 0x1b;
        assert_eq!(
            obstacle(&case, 14).unwrap(),
            "the stack is bad: 0xfffffffc below the TSS's ESP0 0x00000000 is not mapped"
        );
        assert_eq!(obstacle(&case.with_words(0x4004, &[0xc010_0000]), 14), None);
    }

    #[test]
    fn a_gate_of_16_bits_pushes_words_of_16_bits() {
        // Four words of two bytes fit above the page that is not mapped, four of four do not.
        let case = |gate: u64| {
            let mut case = with_gate(14, gate);
            case.record.esp = 0xc000_0008;
            case
        };
        assert_eq!(obstacle(&case(GOOD & !(0xf << 40) | 6 << 40), 14), None);
        assert!(obstacle(&case(GOOD), 14).unwrap().contains("0xbffffffc below ESP 0xc0000008 is not mapped"));
        let narrow = case(GOOD & !(0xf << 40) | 7 << 40);
        let gate = Gate::new(&narrow.scene(), 14);
        assert_eq!((gate.word_size(), gate.frame_size(), Gate::new(&narrow.scene(), 3).frame_size()), (2, 6, 12));
        // From user mode, with a TSS of 16 bits: its SP0 is at offset 2.
        let mut user = with_gate(14, GOOD)
            .with(0x2020, &0xc000_8300_4000_002b_u64.to_le_bytes())
            .with_words(0x4000, &[0x1234_0000, 0xffff_5678]);
        user.record.cs = 0x1b;
        assert_eq!(
            obstacle(&user, 14).unwrap(),
            "the stack is bad: 0x00001230 below the TSS's SP0 0x00001234 is not mapped"
        );
    }

    #[test]
    fn user_code_may_not_use_every_gate() {
        let mut case = with_gate(14, GOOD).with_words(0x4004, &[0xc010_0000]);
        case.record.cs = 0x1b;
        let gate = Gate::new(&case.scene(), 14);
        let told = gate.obstacle(&case.scene(), &delivery(14, Source::Software)).unwrap();
        assert_eq!(told.to_string(), "IDT entry 14 has DPL 0, which forbids `int` at privilege level 3");
    }

    #[test]
    fn task_gates_are_followed_to_their_task() {
        assert_eq!(obstacle(&with_gate(8, 0x0000_8500_0020_0000), 8), None);
        let told = obstacle(&with_gate(8, 0x0000_8500_0008_0000), 8).unwrap();
        assert!(told.starts_with("IDT entry 8 names selector 0x8, which is no task that is free: 32-bit code"));
    }
}
