//! The state of the CPU with all that it reaches.

use stos_x86::registers::{CR0_ET, CpuState, GeneralRegisters, Selectors, TableRegister};

use super::begun::Begun;
use super::fault::{Fault, Reason};
use super::flags::Flags;
use super::model_registers::ModelRegisters;
use super::observer::{Control, Executed, Observer};
use super::segment::Hidden;
use super::sse::Sse;
use super::tlb::Tlb;
use super::watched::Watched;
use super::x87::X87;
use crate::bus::Bus;
use crate::code_pages::CodePages;
use crate::memory::Memory;

/// What a machine is made of.
pub trait Parts {
    /// Its chips and devices.
    type Bus: Bus;
    /// Who watches it.
    type Observer: Observer;
}

impl<B: Bus, O: Observer> Parts for (B, O) {
    type Bus = B;
    type Observer = O;
}

/// An exception was raised, and the core has it. Small, so that it is handed on quickly.
#[derive(Clone, Copy, Debug)]
pub struct Raised;

/// Numbers of segment registers in instructions.
pub const ES: u8 = 0;
/// CS.
pub const CS: u8 = 1;
/// SS.
pub const SS: u8 = 2;
/// DS.
pub const DS: u8 = 3;

/// What the CPU does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activity {
    /// It executes instructions.
    #[default]
    Running,
    /// It waits for an interrupt.
    Halted,
    /// It has given up: a third exception has come while a double fault was delivered.
    ShutDown,
}

/// What waits until one more instruction was executed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shadow {
    /// Nothing.
    #[default]
    None,
    /// Interrupts (STI).
    Interrupts,
    /// Interrupts, and what the debug registers and TF ask for (MOV SS, POP SS).
    All,
}

/// The CPU's state.
pub struct Core<P: Parts> {
    /// EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI; then eight that are zero, so that an address without base or index needs no branch.
    pub general: [u32; 16],
    /// The instruction that is executed, or the next one between two.
    pub eip: u32,
    /// Where the one after it is.
    pub next: u32,
    /// EFLAGS.
    pub flags: Flags,
    /// ES, CS, SS, DS, FS and GS.
    pub segments: [Hidden; 6],
    /// LDTR.
    pub ldtr: Hidden,
    /// TR.
    pub tr: Hidden,
    /// GDTR.
    pub gdtr: TableRegister,
    /// IDTR.
    pub idtr: TableRegister,
    /// CR0.
    pub cr0: u32,
    /// CR2.
    pub cr2: u32,
    /// CR3.
    pub cr3: u32,
    /// CR4.
    pub cr4: u32,
    /// The four entries that CR3 leads to with PAE, as they were when it was loaded.
    pub directories: [u64; 4],
    /// DR0 to DR7.
    pub debug: [u32; 8],
    /// The x87 FPU.
    pub x87: X87,
    /// The registers of SSE.
    pub sse: Sse,
    /// Those that have a number only.
    pub model: ModelRegisters,
    /// The current privilege level, 0 to 3: that of SS, or 3 in virtual-8086 mode, or 0 in real mode.
    pub cpl: u8,
    /// The time since the start, in instructions: those that were executed, and what was spent otherwise.
    pub count: u64,
    /// What of that was no instruction: HLT waits for its end, and a port is as slow as its bus.
    pub waited: u64,
    /// The instruction at which the bus wants to be asked.
    pub due: u64,
    /// Where the run is over.
    pub(crate) until: u64,
    /// The block that is executed.
    pub(crate) begun: Begun,
    /// What waits until one more instruction is executed.
    pub shadow: Shadow,
    /// NMIs wait until IRET.
    pub is_nmi_blocked: bool,
    /// The instruction that is executed is to be followed by a trap, as TF was set before it.
    pub is_stepping: bool,
    /// What is watched by debug registers.
    pub watched: Watched,
    /// Debug registers whose data or ports were used, as the low bits of DR6.
    pub met: u32,
    /// What it does.
    pub activity: Activity,
    /// Guest-physical memory.
    pub memory: Memory,
    /// Everything else.
    pub bus: P::Bus,
    /// Who watches.
    pub observer: P::Observer,
    pub(crate) tlb: Tlb,
    pub(crate) code: CodePages,
    /// Before the next instruction there is something to be looked at: the bus, or instructions that have changed.
    pub(crate) has_news: bool,
    pub(crate) raised: Fault,
}

impl<P: Parts> Core<P> {
    /// A CPU with these parts, in no state to run: without segments.
    pub fn new(memory: Memory, bus: P::Bus, observer: P::Observer) -> Self {
        let code = CodePages::new(memory.size());
        Self {
            general: [0; 16],
            eip: 0,
            next: 0,
            flags: Flags::default(),
            segments: Default::default(),
            ldtr: Hidden::default(),
            tr: Hidden::default(),
            gdtr: TableRegister::default(),
            idtr: TableRegister::default(),
            cr0: CR0_ET,
            cr2: 0,
            cr3: 0,
            cr4: 0,
            directories: [0; 4],
            // The fixed bits after reset (Intel SDM volume 3A, table 9-1).
            debug: [0, 0, 0, 0, 0, 0, 0xffff_0ff0, 0x400],
            x87: X87::default(),
            sse: Sse::default(),
            model: ModelRegisters::default(),
            cpl: 0,
            count: 0,
            waited: 0,
            due: 0,
            until: u64::MAX,
            begun: Begun::default(),
            shadow: Shadow::None,
            is_nmi_blocked: false,
            is_stepping: false,
            watched: Watched::default(),
            met: 0,
            activity: Activity::Running,
            memory,
            bus,
            observer,
            tlb: Tlb::default(),
            code,
            has_news: false,
            raised: Fault::invalid(Reason::Asked),
        }
    }

    /// As the manual shows it.
    pub fn cpu(&self) -> CpuState {
        let mut general = [0; 8];
        general.copy_from_slice(&self.general[..8]);
        let [es, cs, ss, ds, fs, gs] = self.segments.each_ref().map(|segment| segment.selector);
        CpuState {
            general: GeneralRegisters::from_numbers(general),
            eip: self.eip,
            eflags: self.flags.bits(),
            selectors: Selectors { es, cs, ss, ds, fs, gs, ldtr: self.ldtr.selector, tr: self.tr.selector },
            cr0: self.cr0,
            cr2: self.cr2,
            cr3: self.cr3,
            cr4: self.cr4,
            gdtr: self.gdtr,
            idtr: self.idtr,
            is_halted: self.activity == Activity::Halted,
        }
    }

    /// Lets time pass in which no instruction is executed.
    pub(crate) fn wait(&mut self, time: u64) {
        self.count = self.count.saturating_add(time);
        self.waited = self.waited.saturating_add(time);
    }

    /// How many instructions were executed.
    pub fn executed(&self) -> u64 {
        self.count - self.waited
    }

    /// Tells whoever watches that an instruction begins.
    #[inline]
    pub(crate) fn tell_begin(&mut self, executed: Executed) {
        if P::Observer::SEES_INSTRUCTIONS {
            self.observer.executing(executed);
        }
    }

    /// Tells whoever watches that it has ended.
    #[inline]
    pub(crate) fn tell_end(&mut self, executed: Executed) {
        if P::Observer::SEES_INSTRUCTIONS {
            self.observer.executed(executed, self.next);
        }
    }

    /// Writes a control register.
    pub(crate) fn set_control(&mut self, register: Control, value: u32) {
        let place = match register {
            Control::Cr0 => &mut self.cr0,
            Control::Cr2 => &mut self.cr2,
            Control::Cr3 => &mut self.cr3,
            Control::Cr4 => &mut self.cr4,
        };
        let old = std::mem::replace(place, value);
        self.observer.controlled(register, old, value);
    }

    /// The bus is asked before the next instruction.
    pub(crate) fn ask_bus(&mut self) {
        self.due = self.count;
        self.has_news = true;
    }

    /// Bytes of memory are written to, among which may be instructions.
    pub(crate) fn touch(&mut self, address: u32, size: u32) {
        self.code.touch(address, size);
        self.has_news |= !self.code.changed.is_empty();
    }

    /// Raises an exception.
    #[cold]
    pub(crate) fn raise(&mut self, fault: Fault) -> Raised {
        self.raised = fault;
        Raised
    }
}
