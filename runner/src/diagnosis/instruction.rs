//! The instruction at fault with its neighbours, and the memory that it uses. AT&T syntax, as `objdump -d`, gdb and the
//! assembly in C sources for gcc have it, so that what is shown can be searched for there.

use iced_x86::{
    Formatter, GasFormatter, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, Register, UsedMemory,
};
use stos_x86::registers::CpuState;

use super::decoded::{Decoded, decode};
use super::descriptor::segment_base;
use super::exception::{BREAKPOINT, OVERFLOW, PAGE_FAULT};
use super::place::symbol;
use super::scene::Scene;
use super::vector::Vector;

/// Instructions that are shown before the one at fault, and after it.
const BEFORE: usize = 4;
const AFTER: usize = 3;
/// Longest instruction (Intel SDM volume 2A, section 2.3.11).
const LONGEST: u32 = 15;
/// Most bytes of a function that are decoded to find the instructions before EIP.
const FUNCTION_LIMIT: u32 = 64 << 10;
/// From here on, the address space belongs to interrupt controllers and firmware (Intel SDM volume 3A, section 11.4.1).
const DEVICES: u32 = 0xfec0_0000;
/// Most accesses of one instruction that are told.
const ACCESSES: usize = 4;

/// The last instructions before EIP. x86 code can't be decoded backwards, so this begins where EIP's function does; what
/// does not meet EIP exactly was decoded wrongly and is not shown.
fn before(scene: &Scene<'_>) -> Vec<Decoded> {
    let eip = scene.cpu.eip;
    let Some((function, offset)) = scene.guest.symbols.find(eip).filter(|(_, offset)| *offset <= FUNCTION_LIMIT) else {
        return Vec::new();
    };
    let bytes = scene.memory.bytes(function.address, offset);
    if bytes.len() != offset as usize {
        return Vec::new();
    }
    let all: Vec<Decoded> = decode(&bytes, function.address).collect();
    // The decoder stops at the end of the bytes: an instruction that goes past EIP is invalid to it.
    let is_whole = |last: &Decoded| last.usual().is_none_or(|last| !last.is_invalid());
    let meets = all.last().is_none_or(|last| is_whole(last) && last.end() == eip);
    if meets { all[all.len().saturating_sub(BEFORE)..].to_vec() } else { Vec::new() }
}

/// The instruction at EIP and those after it, as far as they are mapped.
fn from_eip(scene: &Scene<'_>) -> Vec<Decoded> {
    let eip = scene.cpu.eip;
    let count = LONGEST * (1 + u32::try_from(AFTER).unwrap_or(0));
    let bytes = scene.memory.bytes(eip, count);
    decode(&bytes, eip).take(1 + AFTER).collect()
}

/// The instruction at EIP, if the bytes there are one that a guest's CPU may have.
pub fn at_eip(scene: &Scene<'_>) -> Option<Instruction> {
    let bytes = scene.memory.bytes(scene.cpu.eip, LONGEST);
    let decoded = decode(&bytes, scene.cpu.eip).next();
    decoded.as_ref().and_then(Decoded::usual).filter(|instruction| !instruction.is_invalid()).copied()
}

/// The instruction at EIP, if it is one of vectors that none has.
pub fn vector_at_eip(scene: &Scene<'_>) -> Option<Vector> {
    Vector::decode(&scene.memory.bytes(scene.cpu.eip, LONGEST), scene.cpu.eip)
}

/// The name of an instruction, as its line shows it.
pub fn mnemonic(instruction: &Instruction) -> String {
    let mut text = String::new();
    formatter().format_mnemonic(instruction, &mut text);
    text
}

/// True when the instruction that ends at EIP is these bytes, as far as it can be told.
pub fn follows(scene: &Scene<'_>, bytes: &[u8]) -> bool {
    let length = u32::try_from(bytes.len()).unwrap_or(LONGEST);
    let Some(start) = scene.cpu.eip.checked_sub(length) else { return false };
    // Where the function's beginning is known, they must be an instruction, not the end of one.
    let last = before(scene).last().map(Decoded::address);
    scene.memory.bytes(start, length) == bytes && last.is_none_or(|last| last == start)
}

/// An access to memory through FS or GS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentAccess {
    /// `fs` or `gs`.
    pub register: &'static str,
    /// What the register holds.
    pub selector: u16,
    /// The offset, when no register is part of it.
    pub displacement: Option<u32>,
    /// The linear address.
    pub address: u32,
}

/// The access through FS or GS that the instruction at EIP makes, if it makes one.
pub fn segment_access(scene: &Scene<'_>) -> Option<SegmentAccess> {
    let instruction = at_eip(scene)?;
    let (register, selector) = match instruction.segment_prefix() {
        Register::FS => ("fs", scene.cpu.selectors.fs),
        Register::GS => ("gs", scene.cpu.selectors.gs),
        _ => return None,
    };
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(&instruction).used_memory();
    let memory = used.iter().find(|memory| memory.segment() == instruction.segment_prefix())?;
    let is_plain = memory.base() == Register::None && memory.index() == Register::None;
    #[allow(clippy::cast_possible_truncation, reason = "displacements have 32 bits in 32-bit code")]
    let displacement = is_plain.then_some(memory.displacement() as u32);
    Some(SegmentAccess { register, selector, displacement, address: address(scene, memory)? })
}

fn formatter() -> GasFormatter {
    let mut formatter = GasFormatter::new();
    let options = formatter.options_mut();
    options.set_uppercase_hex(false);
    options.set_small_hex_numbers_in_decimal(false);
    options.set_first_operand_char_index(7);
    formatter
}

fn format(formatter: &mut GasFormatter, scene: &Scene<'_>, decoded: &Decoded) -> String {
    let instruction = match decoded {
        Decoded::Usual(instruction) => instruction,
        Decoded::Vector(vector) => return vector.line(),
    };
    let mut text = String::new();
    formatter.format(instruction, &mut text);
    let target = u32::try_from(instruction.near_branch_target()).ok().filter(|&target| target != 0);
    match target.and_then(|target| symbol(scene.guest.symbols, target)) {
        Some(name) => format!("{text} <{}>", name.strip_suffix("+0x0").unwrap_or(&name)),
        None => text,
    }
}

/// The listing around EIP, the instruction at fault marked, and what that one uses of memory.
pub fn listing(scene: &Scene<'_>) -> Vec<String> {
    let before = before(scene);
    let after = from_eip(scene);
    // `int3` and `into` are over when the CPU reports them to a handler.
    let is_trap = matches!(scene.vector, BREAKPOINT | OVERFLOW)
        && before
            .last()
            .and_then(Decoded::usual)
            .is_some_and(|last| matches!(last.mnemonic(), Mnemonic::Int3 | Mnemonic::Into | Mnemonic::Int));
    let marked = if is_trap { before.len() - 1 } else { before.len() };
    let instructions: Vec<Decoded> = before.into_iter().chain(after).collect();
    let mut formatter = formatter();
    let mut lines: Vec<String> = instructions
        .iter()
        .enumerate()
        .map(|(index, instruction)| {
            let mark = if index == marked { '>' } else { ' ' };
            format!("{mark} {:#010x}  {}", instruction.address(), format(&mut formatter, scene, instruction))
        })
        .collect();
    let fault = instructions.get(marked).and_then(Decoded::usual);
    lines.extend(fault.into_iter().flat_map(|instruction| accesses(scene, instruction)));
    lines
}

/// An access to memory through a segment register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operand {
    /// The segment register.
    pub register: Register,
    /// What it holds.
    pub selector: u16,
    /// The offset into the segment.
    pub offset: u32,
    /// How many bytes, 0 where that is not known.
    pub size: u32,
    /// It writes, maybe after reading.
    pub writes: bool,
}

/// What a segment register holds.
pub fn selector_in(scene: &Scene<'_>, register: Register) -> u16 {
    let selectors = &scene.cpu.selectors;
    match register {
        Register::CS => selectors.cs,
        Register::ES => selectors.es,
        Register::FS => selectors.fs,
        Register::GS => selectors.gs,
        Register::SS => selectors.ss,
        _ => selectors.ds,
    }
}

/// The accesses to memory that an instruction makes; `None` when an address can't be computed.
pub fn operands(scene: &Scene<'_>, instruction: &Instruction) -> Option<Vec<Operand>> {
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(instruction).used_memory().iter();
    used.filter(|memory| !matches!(memory.access(), OpAccess::None | OpAccess::NoMemAccess))
        .map(|memory| {
            let value =
                |register: Register| if register.is_segment_register() { Some(0) } else { value(scene, register) };
            #[allow(clippy::cast_possible_truncation, reason = "offsets wrap at 4 GiB")]
            let offset = memory.virtual_address(0, |register, _, _| value(register))? as u32;
            let register = memory.segment();
            let writes = !matches!(memory.access(), OpAccess::Read | OpAccess::CondRead);
            let size = u32::try_from(memory.memory_size().size()).unwrap_or(0);
            Some(Operand { register, selector: selector_in(scene, register), offset, size, writes })
        })
        .collect()
}

/// The value of a register of 32 or 16 bits; of a segment register, its base.
pub fn value(scene: &Scene<'_>, register: Register) -> Option<u64> {
    let CpuState { general, selectors, .. } = &scene.cpu;
    let segment = |selector| segment_base(scene, selector);
    let value = match register.full_register32() {
        Register::EAX => general.eax,
        Register::ECX => general.ecx,
        Register::EDX => general.edx,
        Register::EBX => general.ebx,
        Register::ESP => general.esp,
        Register::EBP => general.ebp,
        Register::ESI => general.esi,
        Register::EDI => general.edi,
        Register::CS => segment(selectors.cs),
        Register::DS => segment(selectors.ds),
        Register::ES => segment(selectors.es),
        Register::FS => segment(selectors.fs),
        Register::GS => segment(selectors.gs),
        Register::SS => segment(selectors.ss),
        _ => return None,
    };
    Some(u64::from(if register.is_gpr16() { value & 0xffff } else { value }))
}

/// How an address comes about, unless the instruction names it: ` = EAX 0xdead0000 + 0x4`.
fn formula(scene: &Scene<'_>, memory: &UsedMemory) -> String {
    let segment = value(scene, memory.segment()).filter(|&base| base != 0);
    let terms = [
        segment.map(|base| format!("{:?} base {base:#010x}", memory.segment())),
        value(scene, memory.base()).map(|base| format!("{:?} {base:#010x}", memory.base())),
        value(scene, memory.index()).map(|index| format!("{:?} {index:#010x} * {}", memory.index(), memory.scale())),
    ];
    let terms: Vec<String> = terms.into_iter().flatten().collect();
    #[allow(clippy::cast_possible_truncation, reason = "displacements have 32 bits in 32-bit code")]
    let displacement = memory.displacement() as u32;
    match (displacement.cast_signed(), terms.join(" + ")) {
        (_, terms) if terms.is_empty() => String::new(),
        (0, terms) => format!(" = {terms}"),
        (signed @ -0xfff..0, terms) => format!(" = {terms} - {:#x}", signed.unsigned_abs()),
        (_, terms) => format!(" = {terms} + {displacement:#x}"),
    }
}

/// The linear address of an access.
fn address(scene: &Scene<'_>, memory: &UsedMemory) -> Option<u32> {
    let address = memory.virtual_address(0, |register, _, _| value(scene, register))?;
    #[allow(clippy::cast_possible_truncation, reason = "linear addresses wrap at 4 GiB")]
    Some(address as u32)
}

/// A line for each access to memory that an instruction makes, with the address that it computes.
fn accesses(scene: &Scene<'_>, instruction: &Instruction) -> Vec<String> {
    let mut factory = InstructionInfoFactory::new();
    let used = factory.info(instruction).used_memory();
    let lines = used.iter().filter_map(|memory| {
        let verb = match memory.access() {
            OpAccess::Read | OpAccess::CondRead => "reads",
            OpAccess::Write | OpAccess::CondWrite => "writes",
            OpAccess::ReadWrite | OpAccess::ReadCondWrite => "reads and writes",
            OpAccess::None | OpAccess::NoMemAccess => return None,
        };
        let address = address(scene, memory)?;
        let size = u32::try_from(memory.memory_size().size()).unwrap_or(0);
        let bytes = match size {
            0 => "memory".to_owned(),
            1 => "1 byte".to_owned(),
            _ => format!("{size} bytes"),
        };
        let is_fault = scene.vector == PAGE_FAULT && scene.cpu.cr2.wrapping_sub(address) < size.max(1);
        let is_nowhere = address < DEVICES && scene.guest.symbols.beyond_memory(address).is_some();
        let mark = match (is_fault, is_nowhere) {
            (true, _) => ": the address that faulted",
            (false, true) => ", where no memory is: reads give ones, writes are lost",
            (false, false) => "",
        };
        Some(format!("it {verb} {bytes} at {address:#010x}{}{mark}", formula(scene, memory)))
    });
    lines.take(ACCESSES).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    fn lines(case: &Case) -> String {
        listing(&case.scene()).join("\n")
    }

    /// `push %ebp; mov %esp,%ebp; mov 0x4(%eax,%ebx,2),%ecx; call 0x5000; ret`
    const CODE: [u8; 13] = [0x55, 0x89, 0xe5, 0x8b, 0x4c, 0x58, 0x04, 0xe8, 0xf4, 0x3f, 0, 0, 0xc3];

    fn case(eip: u32) -> Case {
        let record = FaultRecord { vector: 14, eip, eax: 0x1000, ebx: 0x20, cr2: 0x1045, ..FaultRecord::default() };
        Case::new(record).with(0x1000, &CODE).with_symbol(0x1000, 13, "main").with_symbol(0x5000, 1, "print")
    }

    #[test]
    fn the_instruction_is_shown_with_its_neighbours_and_its_access() {
        let text = lines(&case(0x1003));
        let expected = "  0x00001000  push   %ebp\n\
                        \x20 0x00001001  mov    %esp,%ebp\n\
                        > 0x00001003  mov    0x4(%eax,%ebx,2),%ecx\n\
                        \x20 0x00001007  call   0x00005000 <print>\n\
                        \x20 0x0000100c  ret";
        assert!(text.starts_with(expected), "{text}");
        assert!(
            text.ends_with(
                "it reads 4 bytes at 0x00001044 = EAX 0x00001000 + EBX 0x00000020 * 2 + 0x4: the address that faulted"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_access_beyond_memory_is_told() {
        let access = |eax| {
            let mut case = case(0x1003);
            (case.record.eax, case.record.cr2) = (eax, 0);
            lines(&case).lines().last().unwrap_or_default().to_owned()
        };
        assert!(access(0x30_0000).ends_with("+ 0x4, where no memory is: reads give ones, writes are lost"));
        assert!(access(0x10_0000).ends_with("+ 0x4"));
        assert!(access(0xfee0_0000).ends_with("+ 0x4"), "a device is there");
    }

    #[test]
    fn a_push_writes_below_the_stack_pointer() {
        let mut case = case(0x1000);
        case.record.esp = 0xdead_0000;
        assert!(lines(&case).contains("it writes 4 bytes at 0xdeacfffc = ESP 0xdead0000 - 0x4"), "{}", lines(&case));
    }

    #[test]
    fn what_is_decoded_wrongly_before_eip_is_not_shown() {
        assert!(lines(&case(0x1004)).starts_with("> 0x00001004"));
        let mut nameless = case(0x1003);
        nameless.symbols = stos_image::Symbols::default();
        assert!(lines(&nameless).starts_with("> 0x00001003"));
    }

    #[test]
    fn a_trap_marks_the_instruction_that_is_over() {
        let marked = |eip, vector| {
            // Two bytes of `nop`, then `int3`.
            let mut case = case(eip).with(0x1000, &[0x90, 0x90, 0xcc]);
            case.record.vector = vector;
            lines(&case).lines().find(|line| line.starts_with('>')).unwrap_or_default().to_owned()
        };
        assert_eq!(marked(0x1003, 3), "> 0x00001002  int3");
        assert_eq!(marked(0x1002, 3), "> 0x00001002  int3", "a log has the address of the instruction itself");
        assert!(marked(0x1003, 6).starts_with("> 0x00001003"));
    }

    #[test]
    fn nothing_is_shown_of_what_is_not_mapped() {
        assert_eq!(lines(&case(0xffff_0000)), "");
    }
}
