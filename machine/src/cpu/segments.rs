//! Segment registers (Intel SDM volume 1, section 7.3.14; volume 3A, sections 5.10 and 5.11.4): loading and storing them, and asking what a
//! selector allows.

use iced_x86::{Instruction, Mnemonic, OpKind};
use stos_x86::registers::EFLAGS_VM;
use stos_x86::segments::{Descriptor, DescriptorKind, Selector, SystemType};

use super::operands::{First, Form, Handler, InMemory, Op, Second, Source, Target, size};
use crate::state::core::{CS, Core, DS, ES, Parts, Raised, SS, Shadow};
use crate::state::descriptors::Vectors;
use crate::state::fault::{Fault, Reason};
use crate::state::flags::ZERO;
use crate::state::stack::ESP;
use crate::state::word::Word;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    let is_segment = |register: iced_x86::Register| register.is_segment_register();
    let [first, second] = [instruction.op0_register(), instruction.op1_register()].map(is_segment);
    let is_memory = instruction.op0_kind() == OpKind::Memory;
    let is_16 = |code_size: usize| code_size == 2;
    Some(match instruction.mnemonic() {
        Mnemonic::Mov if first => match instruction.op1_kind() {
            OpKind::Memory => load::<P, InMemory>,
            _ => load::<P, Second>,
        },
        Mnemonic::Mov if second => match (is_memory, size(instruction)) {
            (true, _) => store::<P, InMemory, u16>,
            (_, 2) => store::<P, First, u16>,
            _ => store::<P, First, u32>,
        },
        Mnemonic::Push if first && is_16(pushed(instruction)) => push::<P, u16>,
        Mnemonic::Push if first => push::<P, u32>,
        Mnemonic::Pop if first && is_16(pushed(instruction)) => pop::<P, u16>,
        Mnemonic::Pop if first => pop::<P, u32>,
        Mnemonic::Lds => pointer_handler::<P, DS>(instruction),
        Mnemonic::Les => pointer_handler::<P, ES>(instruction),
        Mnemonic::Lss => pointer_handler::<P, SS>(instruction),
        Mnemonic::Lfs => pointer_handler::<P, 4>(instruction),
        Mnemonic::Lgs => pointer_handler::<P, 5>(instruction),
        Mnemonic::Lar => asking_handler::<P, Rights>(instruction),
        Mnemonic::Lsl => asking_handler::<P, Limit>(instruction),
        Mnemonic::Verr if is_memory => verify::<P, InMemory, false>,
        Mnemonic::Verr => verify::<P, First, false>,
        Mnemonic::Verw if is_memory => verify::<P, InMemory, true>,
        Mnemonic::Verw => verify::<P, First, true>,
        Mnemonic::Arpl if is_memory => adjust_rpl::<P, InMemory>,
        Mnemonic::Arpl => adjust_rpl::<P, First>,
        _ => return None,
    })
}

/// How many bytes a push or pop of a segment register moves.
fn pushed(instruction: &Instruction) -> usize {
    usize::try_from(instruction.stack_pointer_increment().abs()).unwrap_or(0)
}

fn load<P: Parts, S: Source>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if op.first == CS {
        return Err(core.raise(Fault::invalid(Reason::NotHere)));
    }
    let selector = S::get::<P, u16>(core, op)?;
    core.load_segment(op.first, selector as u16)?;
    core.shadow_stack(op.first);
    Ok(())
}

impl<P: Parts> Core<P> {
    /// The instruction after a load of SS is to load ESP, and nothing comes between (volume 3A, section 6.8.3).
    fn shadow_stack(&mut self, segment: u8) {
        if segment == SS {
            self.shadow = Shadow::All;
        }
    }
}

fn store<P: Parts, T: Target, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let selector = core.segments[usize::from(op.second) % 6].selector;
    T::set::<P, W>(core, op, selector.into())
}

fn push<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let selector = core.segments[usize::from(op.first) % 6].selector;
    core.push::<W>(selector.into())
}

fn pop<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let before = core.general[ESP];
    let selector = core.peek::<W>(0)? as u16;
    core.drop_bytes(W::SIZE);
    core.load_segment(op.first, selector).inspect_err(|_| core.general[ESP] = before)?;
    core.shadow_stack(op.first);
    Ok(())
}

fn pointer_handler<P: Parts, const SEGMENT: u8>(instruction: &Instruction) -> Handler<P> {
    if instruction.op0_register().size() == 2 { pointer::<P, u16, SEGMENT> } else { pointer::<P, u32, SEGMENT> }
}

fn pointer<P: Parts, W: Word, const SEGMENT: u8>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let offset = op.offset(core);
    let value = core.load::<W>(op.segment, offset)?;
    let selector = core.load::<u16>(op.segment, offset.wrapping_add(W::SIZE))?;
    core.load_segment(SEGMENT, selector as u16)?;
    W::set_register(&mut core.general, op.first, value);
    Ok(())
}

/// What LAR and LSL give of a descriptor, if it is one of which they tell.
trait Asked {
    fn of(descriptor: Descriptor) -> Option<u32>;
}

struct Rights;
struct Limit;

impl Asked for Rights {
    fn of(descriptor: Descriptor) -> Option<u32> {
        use SystemType::{CallGate16, CallGate32, Ldt, TaskGate};
        let tells = match descriptor.system_type() {
            None => true,
            Some(kind) => kind.is_tss() || matches!(kind, Ldt | CallGate16 | CallGate32 | TaskGate),
        };
        tells.then_some((descriptor.0 >> 32) as u32 & 0x00f0_ff00)
    }
}

impl Asked for Limit {
    fn of(descriptor: Descriptor) -> Option<u32> {
        let tells = match descriptor.system_type() {
            None => true,
            Some(kind) => kind.is_tss() || kind == SystemType::Ldt,
        };
        tells.then(|| descriptor.limit())
    }
}

fn asking_handler<P: Parts, A: Asked>(instruction: &Instruction) -> Handler<P> {
    match (Form::of(instruction), instruction.op0_register().size()) {
        (Form::FromMemory, 2) => ask::<P, A, InMemory, u16>,
        (Form::FromMemory, _) => ask::<P, A, InMemory, u32>,
        (_, 2) => ask::<P, A, Second, u16>,
        _ => ask::<P, A, Second, u32>,
    }
}

impl<P: Parts> Core<P> {
    /// The descriptor of a selector, if it leads to one that code at this privilege may know of.
    fn visible(&mut self, selector: u16) -> Result<Option<Descriptor>, Raised> {
        if !self.is_protected() {
            return Err(self.raise(Fault::invalid(Reason::NotHere)));
        }
        let before = self.raised.clone();
        let Ok(found) = self.find(selector, Vectors::DATA) else {
            if self.raised.vector == stos_x86::interrupts::PAGE_FAULT {
                return Err(Raised);
            }
            self.raised = before;
            return Ok(None);
        };
        let descriptor = found.descriptor;
        let is_conforming = matches!(descriptor.kind(), DescriptorKind::Code { conforming: true, .. });
        let privilege = u32::from(self.cpl).max(Selector(selector).rpl().into());
        Ok((is_conforming || descriptor.dpl() >= privilege).then_some(descriptor))
    }

    fn set_zero(&mut self, is_set: bool) {
        self.flags.set_status(ZERO, if is_set { ZERO } else { 0 });
    }
}

fn ask<P: Parts, A: Asked, S: Source, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if !core.is_protected() {
        return Err(core.raise(Fault::invalid(Reason::NotHere)));
    }
    let selector = S::get::<P, u16>(core, op)? as u16;
    let answer = core.visible(selector)?.and_then(A::of);
    if let Some(value) = answer {
        W::set_register(&mut core.general, op.first, value & W::MASK);
    }
    core.set_zero(answer.is_some());
    Ok(())
}

fn verify<P: Parts, S: Source, const WRITES: bool>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if !core.is_protected() {
        return Err(core.raise(Fault::invalid(Reason::NotHere)));
    }
    let selector = S::get::<P, u16>(core, op)? as u16;
    let visible = core.visible(selector)?;
    let allows = visible.is_some_and(|descriptor| {
        let (readable, writable) = descriptor.access();
        if WRITES { writable } else { readable }
    });
    core.set_zero(allows);
    Ok(())
}

fn adjust_rpl<P: Parts, T: Target>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    if !core.is_protected() || core.flags.has(EFLAGS_VM) {
        return Err(core.raise(Fault::invalid(Reason::NotHere)));
    }
    let rpl = u16::register(&core.general, op.second) & 3;
    T::update::<P, u16>(core, op, |core, selector| {
        core.set_zero(selector & 3 < rpl);
        if selector & 3 < rpl { selector & !3 | rpl } else { selector }
    })
}
