//! The CPU's state as a value: all that decides what it does next, apart from memory and bus.

use stos_x86::registers::TableRegister;

use super::core::{Activity, Core, Parts, Shadow};
use super::flags::Flags;
use super::model_registers::ModelRegisters;
use super::segment::Hidden;
use super::sse::Sse;
use super::tlb::Tlb;
use super::watched::Watched;
use super::x87::X87;
use crate::difference::{Differ, Difference, compare};

/// The state between two instructions. Fields are those of [`Core`].
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    general: [u32; 16],
    eip: u32,
    flags: Flags,
    segments: [Hidden; 6],
    ldtr: Hidden,
    tr: Hidden,
    gdtr: TableRegister,
    idtr: TableRegister,
    cr0: u32,
    cr2: u32,
    cr3: u32,
    cr4: u32,
    directories: [u64; 4],
    debug: [u32; 8],
    x87: X87,
    sse: Sse,
    model: ModelRegisters,
    cpl: u8,
    count: u64,
    waited: u64,
    due: u64,
    shadow: Shadow,
    is_nmi_blocked: bool,
    is_stepping: bool,
    watched: Watched,
    met: u32,
    activity: Activity,
    tlb: Tlb,
}

impl<P: Parts> Core<P> {
    /// The state of the CPU.
    pub(crate) fn save(&self) -> Saved {
        // Every field is named, so that no new one is forgotten. What is not kept lives during an instruction only, or is not the CPU's.
        let Self {
            general,
            eip,
            next: _,
            begun: _,
            flags,
            segments,
            ldtr,
            tr,
            gdtr,
            idtr,
            cr0,
            cr2,
            cr3,
            cr4,
            directories,
            debug,
            x87,
            sse,
            model,
            cpl,
            count,
            waited,
            due,
            until: _,
            shadow,
            is_nmi_blocked,
            is_stepping,
            watched,
            met,
            activity,
            memory: _,
            bus: _,
            observer: _,
            tlb,
            code: _,
            has_news: _,
            raised: _,
        } = self;
        Saved {
            general: *general,
            eip: *eip,
            flags: *flags,
            segments: segments.clone(),
            ldtr: ldtr.clone(),
            tr: tr.clone(),
            gdtr: *gdtr,
            idtr: *idtr,
            cr0: *cr0,
            cr2: *cr2,
            cr3: *cr3,
            cr4: *cr4,
            directories: *directories,
            debug: *debug,
            x87: x87.clone(),
            sse: sse.clone(),
            model: model.clone(),
            cpl: *cpl,
            count: *count,
            waited: *waited,
            due: *due,
            shadow: *shadow,
            is_nmi_blocked: *is_nmi_blocked,
            is_stepping: *is_stepping,
            watched: *watched,
            met: *met,
            activity: *activity,
            tlb: tlb.clone(),
        }
    }

    /// Brings the CPU into a state.
    pub(crate) fn restore(&mut self, saved: &Saved) {
        let saved = saved.clone();
        self.general = saved.general;
        self.eip = saved.eip;
        self.flags = saved.flags;
        self.segments = saved.segments;
        (self.ldtr, self.tr) = (saved.ldtr, saved.tr);
        (self.gdtr, self.idtr) = (saved.gdtr, saved.idtr);
        (self.cr0, self.cr2, self.cr3, self.cr4) = (saved.cr0, saved.cr2, saved.cr3, saved.cr4);
        self.directories = saved.directories;
        self.debug = saved.debug;
        (self.x87, self.sse, self.model) = (saved.x87, saved.sse, saved.model);
        self.cpl = saved.cpl;
        (self.count, self.waited, self.due) = (saved.count, saved.waited, saved.due);
        self.shadow = saved.shadow;
        self.is_nmi_blocked = saved.is_nmi_blocked;
        self.is_stepping = saved.is_stepping;
        (self.watched, self.met) = (saved.watched, saved.met);
        self.activity = saved.activity;
        self.tlb = saved.tlb;
    }
}

impl Saved {
    /// The time since the start, in instructions.
    pub(crate) const fn time(&self) -> u64 {
        self.count
    }
}

impl Differ for Saved {
    fn differ(&self, other: &Self, found: &mut Vec<Difference>) {
        const GENERAL: [&str; 8] = ["EAX", "ECX", "EDX", "EBX", "ESP", "EBP", "ESI", "EDI"];
        const SEGMENTS: [&str; 6] = ["ES", "CS", "SS", "DS", "FS", "GS"];
        for (at, name) in GENERAL.iter().enumerate() {
            compare(found, name, &self.general[at], &other.general[at]);
        }
        for (at, name) in SEGMENTS.iter().enumerate() {
            compare(found, name, &self.segments[at], &other.segments[at]);
        }
        compare(found, "EIP", &self.eip, &other.eip);
        compare(found, "EFLAGS", &self.flags.bits(), &other.flags.bits());
        compare(found, "LDTR", &self.ldtr, &other.ldtr);
        compare(found, "TR", &self.tr, &other.tr);
        compare(found, "GDTR", &self.gdtr, &other.gdtr);
        compare(found, "IDTR", &self.idtr, &other.idtr);
        compare(found, "CR0", &self.cr0, &other.cr0);
        compare(found, "CR2", &self.cr2, &other.cr2);
        compare(found, "CR3", &self.cr3, &other.cr3);
        compare(found, "CR4", &self.cr4, &other.cr4);
        compare(found, "page-directory-pointer entries", &self.directories, &other.directories);
        compare(found, "debug registers", &self.debug, &other.debug);
        compare(found, "x87 FPU", &self.x87, &other.x87);
        compare(found, "SSE registers", &self.sse, &other.sse);
        compare(found, "model-specific registers", &self.model, &other.model);
        compare(found, "CPL", &self.cpl, &other.cpl);
        compare(found, "time", &self.count, &other.count);
        compare(found, "time without instructions", &self.waited, &other.waited);
        compare(found, "when the bus is asked", &self.due, &other.due);
        compare(found, "interrupt shadow", &self.shadow, &other.shadow);
        compare(found, "NMIs blocked", &self.is_nmi_blocked, &other.is_nmi_blocked);
        compare(found, "trap after the instruction", &self.is_stepping, &other.is_stepping);
        compare(found, "watched by debug registers", &self.watched, &other.watched);
        compare(found, "debug registers met", &self.met, &other.met);
        compare(found, "activity", &self.activity, &other.activity);
        self.tlb.differ(&other.tlb, found);
    }
}
