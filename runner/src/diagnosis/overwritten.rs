//! What a guest has overwritten although its image says that nobody writes there: code and constants of the kernel, the
//! initramfs and modules, and the tables and the code of the boot pages as long as the CPU uses them.

use stos_image::{GuestRange, Permissions, Region, RegionKind};
use stos_x86::registers::CpuState;
use stos_x86::segments::Descriptor;

use super::exception::NO_VECTOR;
use super::instruction::at_eip;
use super::module_code::ModuleCode;
use super::page_walk::linear;
use super::pattern::Pattern;
use super::place::{describe_address, shorten};
use super::scene::{Guest, Scene};
use super::sections::indented;
use crate::machine::{Change, Machine};

/// The protocol of kernels that unpack themselves and patch their code: nothing of them stays as it was.
const LINUX: &str = "linux";
/// Most bytes of a change that are looked at.
const LOOKED_AT: u64 = 64 << 10;
/// Most regions that are told.
const TOLD: usize = 6;
/// Bytes that are taken for an instruction where there is none.
const NO_INSTRUCTION: u64 = 4;

/// `out %al,(%dx)`, `cli` and `hlt`.
const OUT_CLI_HLT: [u8; 3] = [0xee, 0xfa, 0xf4];

/// What a run ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// The instruction at EIP, which could not be executed.
    Fault,
    /// The fault catcher, or maybe.
    Catcher,
    /// Anything else.
    Other,
}

/// Overwritten memory in words.
#[derive(Clone, Debug, Default)]
pub struct Overwritten {
    clause: String,
    details: String,
}

impl Overwritten {
    /// Compares memory with the image; `cpu` is the CPU at the end, where it is known. `None` when all that is to stay as it
    /// was has stayed so, or when there is nothing to compare with any more.
    pub fn find(machine: &Machine, cpu: Option<&CpuState>, last: Last) -> Option<Self> {
        let guest = Guest::from(machine);
        // Without a CPU, addresses are told as if there was no paging.
        let scene = guest.scene(cpu.unwrap_or(&CpuState::default()), NO_VECTOR, 0);
        let mut watched = watched(machine, &scene, cpu.is_some(), last);
        if !watched.is_empty() && last == Last::Fault {
            watched.extend(cpu.and_then(|_| instruction(&scene)));
        }
        let modules = ModuleCode::find(machine, &scene);
        watched.extend(modules.iter().map(|module| module.region().clone()));
        let changes = machine.changes(watched, |address, was, is| {
            is_set_by_cpu(&scene, address, was, is) || modules.iter().any(|module| module.may_change(address))
        })?;
        Self::new(&scene, cpu, &changes)
    }

    fn new(scene: &Scene<'_>, cpu: Option<&CpuState>, changes: &[Change]) -> Option<Self> {
        let first = changes.first()?;
        let (name, verb) = (shorten(&first.region.name), if changes.len() == 1 { "was" } else { "were" });
        let more = match changes {
            [_, second] => format!(" and {}", shorten(&second.region.name)),
            [_, _, ..] => format!(" and {} other regions", changes.len() - 1),
            _ => String::new(),
        };
        let clause = format!("{name}{more} {verb} overwritten");
        let mut lines = vec!["overwritten:".to_owned()];
        for change in changes.iter().take(TOLD) {
            lines.extend(describe(scene, change).into_iter().map(|line| format!("  {line}")));
        }
        if let Some(more @ 1..) = changes.len().checked_sub(TOLD) {
            lines.push(format!("  and {more} regions more"));
        }
        lines.extend(cpu.and_then(|_| stack_hint(scene, changes)));
        Some(Self { clause, details: indented(&lines) })
    }

    /// What was overwritten, as a clause.
    pub fn clause(&self) -> &str {
        &self.clause
    }

    /// What there is to say beyond that: whole lines, each ended.
    pub fn details(&self) -> &str {
        &self.details
    }
}

/// True when there still are the instructions with which the image's fault catcher ends a run.
pub fn can_catcher_stop(machine: &Machine) -> bool {
    let size = |region: &Region| usize::try_from(region.range.size).ok();
    let code = machine.catcher().and_then(|region| machine.memory.read_many(region.range.start.0, size(region)?));
    code.is_some_and(|code| code.windows(OUT_CLI_HLT.len()).any(|bytes| bytes == OUT_CLI_HLT))
}

/// The regions that nobody is to write to.
fn watched(machine: &Machine, scene: &Scene<'_>, is_cpu_known: bool, last: Last) -> Vec<Region> {
    let description = machine.image.description();
    if description.protocol == LINUX {
        return Vec::new();
    }
    let uses = |base: u32| is_cpu_known && scene.region(base).is_some_and(|region| region.kind == RegionKind::BootCode);
    let (uses_idt, uses_gdt) = (uses(scene.cpu.idtr.base) || last == Last::Catcher, uses(scene.cpu.gdtr.base));
    let is_watched = |region: &&Region| {
        let is_writable = region.permissions.contains(Permissions::WRITE);
        match region.kind {
            RegionKind::Kernel | RegionKind::Initramfs => !is_writable,
            // Tables and catcher are of no use any more once the kernel has its own.
            RegionKind::BootCode if is_writable => uses_gdt && is_gdt(scene, region),
            RegionKind::BootCode => uses_idt,
            _ => false,
        }
    };
    scene.guest.regions.iter().filter(is_watched).cloned().collect()
}

/// The bytes of the instruction at EIP, where the image does not have them as read-only: a kernel may change its code, but
/// that the instruction is another one is worth knowing when it is the one at fault.
fn instruction(scene: &Scene<'_>) -> Option<Region> {
    let start = scene.memory.physical(scene.cpu.eip)?;
    let region = scene.region_at(start).filter(|region| region.kind == RegionKind::Kernel)?;
    let size = at_eip(scene).map_or(NO_INSTRUCTION, |instruction| instruction.len() as u64);
    let range = GuestRange::new(start, size.min(region.range.end() - start));
    let name = format!("the instruction at EIP, in {},", region.name);
    // What executes data has lost its way, or was led there by its page tables: data is written to rightly.
    let is_changeable = region.permissions.contains(Permissions::WRITE | Permissions::EXECUTE);
    is_changeable.then(|| Region { range, name, ..region.clone() })
}

/// True for the region with the descriptor table that the CPU uses.
fn is_gdt(scene: &Scene<'_>, region: &Region) -> bool {
    scene.region(scene.cpu.gdtr.base) == Some(region)
}

/// True when a byte of the descriptor table differs only in what the CPU sets by itself: that a segment was used, or a task is
/// in use.
fn is_set_by_cpu(scene: &Scene<'_>, address: u64, was: u8, is: u8) -> bool {
    let base = scene.memory.physical(scene.cpu.gdtr.base);
    let offset = base.and_then(|base| address.checked_sub(base)).filter(|offset| offset % 8 == 5);
    let in_table = offset.is_some_and(|offset| offset <= scene.cpu.gdtr.limit.into());
    in_table && (was ^ is) & !Descriptor::set_by_cpu(was) == 0
}

/// A region, what of it has changed, and what is there now.
fn describe(scene: &Scene<'_>, change: &Change) -> Vec<String> {
    let Change { region, range, count, was } = change;
    // By the same mapping, one that gives either of them a name.
    let (start, end) = (range.start.0, range.end() - 1);
    let start_at = linear(scene, start).filter(|&address| is_named(scene, address));
    let start_at = start_at.or_else(|| {
        let end_at = linear(scene, end).filter(|&address| is_named(scene, address))?;
        end_at.checked_sub(u32::try_from(end - start).ok()?)
    });
    let start_at = start_at.or_else(|| linear(scene, start));
    let place = |physical: u64| match start_at.zip(u32::try_from(physical - start).ok()) {
        Some((address, offset)) => describe_address(scene.guest.symbols, address.wrapping_add(offset)),
        None => format!("physical {physical:#x}"),
    };
    let bytes = match count {
        1 => "1 byte".to_owned(),
        _ => format!("{count} of {} bytes", region.range.size),
    };
    let last = if range.size > 1 { format!(" to {}", place(end)) } else { String::new() };
    vec![
        format!("{}: {bytes}, {}{last}", shorten(&region.name), place(start)),
        format!("  {}", pattern(scene, change).describe(was)),
    ]
}

fn pattern(scene: &Scene<'_>, change: &Change) -> Pattern {
    let (start, size) = (change.range.start.0, change.range.size.min(LOOKED_AT));
    let bytes = |start: u64, size: u64| {
        usize::try_from(size).ok().and_then(|size| scene.guest.memory.read_many(start, size)).unwrap_or_default()
    };
    // A word may have kept its first bytes.
    let aligned = (start & !3).max(change.region.range.start.0);
    match Pattern::of(scene, &bytes(aligned, size + (start - aligned))) {
        stack @ Pattern::Stack { .. } => stack,
        _ => Pattern::of(scene, &bytes(start, size)),
    }
}

fn is_named(scene: &Scene<'_>, address: u32) -> bool {
    scene.guest.symbols.find(address).is_some()
}

/// That a stack lies over what was overwritten, when the registers and what is there agree.
fn stack_hint(scene: &Scene<'_>, changes: &[Change]) -> Option<String> {
    let esp = scene.cpu.general.esp;
    let physical = scene.memory.physical(esp)?;
    let is_stack = |region: &Region| region.kind == RegionKind::Stack;
    if scene.region_at(physical).is_some_and(is_stack) {
        return None;
    }
    let change = changes
        .iter()
        .find(|change| physical < change.range.end() && matches!(pattern(scene, change), Pattern::Stack { .. }))?;
    Some(format!(
        "hint: the stack lies over {}: ESP is {esp:#010x}. It has grown too far down (a recursion, a large local array), or ESP was \
         never set to memory that is free",
        shorten(&change.region.name)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    /// A kernel at 1 MiB, mapped at 0xC0100000, and a stack above it.
    fn case(esp: u32) -> Case {
        Case::paged(FaultRecord { esp, eip: 0xc010_0010, ..FaultRecord::default() })
            .with_region(0x10_0000, 0x1000, RegionKind::Kernel, 5, "kernel .text")
            .with_region(0x10_1000, 0x1000, RegionKind::Kernel, 4, "kernel .rodata")
            .with_region(0x18_0000, 0x1000, RegionKind::Stack, 6, "kernel stack")
            .with_symbol(0xc010_0000, 0x100, "depth")
    }

    fn change(case: &Case, start: u64, size: u64) -> Change {
        let region = case.scene().region_at(start).unwrap().clone();
        Change { region, range: GuestRange::new(start, size), count: size, was: vec![0x55, 0x89] }
    }

    fn told(case: &Case, changes: &[Change]) -> Option<Overwritten> {
        let scene = case.scene();
        Overwritten::new(&scene, Some(&scene.cpu), changes)
    }

    #[test]
    fn nothing_is_told_of_nothing() {
        assert!(told(&case(0xc018_1000), &[]).is_none());
    }

    #[test]
    fn regions_are_told_with_their_symbols_and_what_is_there() {
        let case = case(0xc018_0800).with(0x10_0010, b"good morning").with(0x10_1004, &[1]);
        let text = change(&case, 0x10_0010, 12);
        let one = told(&case, std::slice::from_ref(&text)).unwrap();
        assert_eq!(one.clause(), "kernel .text was overwritten");
        assert_eq!(
            one.details(),
            "  overwritten:\n    kernel .text: 12 of 4096 bytes, 0xc0100010 (depth+0x10) to 0xc010001b (depth+0x1b)\n      \
             it holds the text \"good morning\" now\n"
        );
        let two = told(&case, &[text, change(&case, 0x10_1004, 1)]).unwrap();
        assert_eq!(two.clause(), "kernel .text and kernel .rodata were overwritten");
        assert!(
            two.details().ends_with("kernel .rodata: 1 byte, 0xc0101004\n      it is 01 now, and was 55 89\n"),
            "{}",
            two.details()
        );
    }

    #[test]
    fn a_stack_is_blamed_when_it_lies_there() {
        let words = [0xc010_0020, 0, 0xc010_0020, 7];
        let hint = |esp: u32| {
            let case = case(esp).with_words(0x10_0080, &words);
            let told = told(&case, &[change(&case, 0x10_0080, 16)]).unwrap();
            assert!(told.details().contains("it holds 2 addresses inside functions now, 2 of them in `depth`"));
            told.details().contains("hint: the stack lies over kernel .text: ESP is ")
        };
        assert!(hint(0xc010_0084) && hint(0xc010_0004));
        assert!(!hint(0xc018_0800), "ESP is where it belongs");
        assert!(!hint(0xc015_0000), "ESP is above what was overwritten");
        let data = case(0xc010_0084).with(0x10_0080, b"good morning");
        assert!(
            !told(&data, &[change(&data, 0x10_0080, 12)]).unwrap().details().contains("hint"),
            "no stack wrote this"
        );
    }

    #[test]
    fn the_instruction_at_fault_is_looked_at_where_code_may_change() {
        let case = Case::paged(FaultRecord { eip: 0xc010_0010, ..FaultRecord::default() })
            .with(0x10_0010, &[0x0f, 0x0b])
            .with_region(0x10_0000, 0x1000, RegionKind::Kernel, 7, "kernel .text");
        let window = instruction(&case.scene()).unwrap();
        assert_eq!(
            (window.range, &*window.name),
            (GuestRange::new(0x10_0010, 2), "the instruction at EIP, in kernel .text,")
        );
        assert!(instruction(&self::case(0).scene()).is_none(), "all of it is watched");
        let mut data = case;
        data.regions[0].permissions.remove(Permissions::EXECUTE);
        assert!(instruction(&data.scene()).is_none(), "data is no instruction");
    }
}
