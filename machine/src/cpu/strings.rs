//! Strings (Intel SDM volume 1, section 7.3.9) in memory; those of ports are with I/O.

use iced_x86::{Instruction, Mnemonic, OpKind};
use stos_x86::registers::EFLAGS_DF;

use super::arithmetic::subtract;
use super::operands::{Handler, Op};
use crate::state::core::{Core, ES, Parts, Raised};
use crate::state::word::Word;

/// Numbers of ECX, ESI and EDI.
const ECX: u8 = 1;
const ESI: u8 = 6;
const EDI: u8 = 7;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    Some(match instruction.mnemonic() {
        Mnemonic::Movsb => handler_of::<P, Move, u8>(instruction),
        Mnemonic::Movsw => handler_of::<P, Move, u16>(instruction),
        // The same name as an instruction of SSE2 has.
        Mnemonic::Movsd if instruction.op0_kind() != OpKind::Register && instruction.op1_kind() != OpKind::Register => {
            handler_of::<P, Move, u32>(instruction)
        }
        Mnemonic::Stosb => handler_of::<P, Store, u8>(instruction),
        Mnemonic::Stosw => handler_of::<P, Store, u16>(instruction),
        Mnemonic::Stosd => handler_of::<P, Store, u32>(instruction),
        Mnemonic::Lodsb => handler_of::<P, Load, u8>(instruction),
        Mnemonic::Lodsw => handler_of::<P, Load, u16>(instruction),
        Mnemonic::Lodsd => handler_of::<P, Load, u32>(instruction),
        Mnemonic::Scasb => handler_of::<P, Scan, u8>(instruction),
        Mnemonic::Scasw => handler_of::<P, Scan, u16>(instruction),
        Mnemonic::Scasd => handler_of::<P, Scan, u32>(instruction),
        Mnemonic::Cmpsb => handler_of::<P, Compare, u8>(instruction),
        Mnemonic::Cmpsw => handler_of::<P, Compare, u16>(instruction),
        Mnemonic::Cmpsd if instruction.op0_kind() != OpKind::Register => handler_of::<P, Compare, u32>(instruction),
        _ => return None,
    })
}

/// What happens to one element.
pub(crate) trait Step {
    /// REPE and REPNE look at ZF after it.
    const COMPARES: bool = false;

    /// What is checked first, even when there is no element.
    ///
    /// # Errors
    /// Those of ports.
    fn check<P: Parts, W: Word>(_core: &mut Core<P>) -> Result<(), Raised> {
        Ok(())
    }

    /// Does what [`Step::step`] does with up to `most` elements, upwards, where that needs no look at each. Gives how many were done.
    fn many<P: Parts, W: Word>(_core: &mut Core<P>, _op: &Op<P>, _most: u32) -> Option<u32> {
        None
    }

    /// # Errors
    /// Those of memory and ports.
    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised>;
}

struct Move;
struct Store;
struct Load;
struct Scan;
struct Compare;

/// Moves ESI or EDI, of which `A` are the address, past an element.
pub(crate) fn advance<P: Parts, W: Word, A: Word>(core: &mut Core<P>, register: u8) {
    let old = A::register(&core.general, register);
    let new = if core.flags.has(EFLAGS_DF) { old.wrapping_sub(W::SIZE) } else { old.wrapping_add(W::SIZE) };
    A::set_register(&mut core.general, register, new);
}

impl Step for Move {
    fn many<P: Parts, W: Word>(core: &mut Core<P>, op: &Op<P>, most: u32) -> Option<u32> {
        let [esi, edi] = [ESI, EDI].map(|register| u32::register(&core.general, register));
        let (from, readable) = core.elements_to_read::<W>(op.segment, esi)?;
        let (to, writable) = core.elements_to_write::<W>(ES, edi)?;
        // What is written is read again by elements that follow, where it lies a little above.
        let apart = if to > from { (to - from) / W::SIZE } else { u32::MAX };
        let count = most.min(readable).min(writable).min(apart);
        core.memory.copy(from, to, (count * W::SIZE) as usize)?;
        u32::set_register(&mut core.general, ESI, esi.wrapping_add(count * W::SIZE));
        u32::set_register(&mut core.general, EDI, edi.wrapping_add(count * W::SIZE));
        Some(count)
    }

    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
        let value = core.load::<W>(op.segment, A::register(&core.general, ESI))?;
        core.store::<W>(ES, A::register(&core.general, EDI), value)?;
        advance::<P, W, A>(core, ESI);
        advance::<P, W, A>(core, EDI);
        Ok(())
    }
}

impl Step for Store {
    fn many<P: Parts, W: Word>(core: &mut Core<P>, _op: &Op<P>, most: u32) -> Option<u32> {
        let edi = u32::register(&core.general, EDI);
        let (to, writable) = core.elements_to_write::<W>(ES, edi)?;
        let count = most.min(writable);
        let element = W::register(&core.general, 0).to_le_bytes();
        core.memory.fill(to, count as usize, element.get(..W::SIZE as usize)?)?;
        u32::set_register(&mut core.general, EDI, edi.wrapping_add(count * W::SIZE));
        Some(count)
    }

    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
        core.store::<W>(ES, A::register(&core.general, EDI), W::register(&core.general, 0))?;
        advance::<P, W, A>(core, EDI);
        Ok(())
    }
}

impl Step for Load {
    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
        let value = core.load::<W>(op.segment, A::register(&core.general, ESI))?;
        W::set_register(&mut core.general, 0, value);
        advance::<P, W, A>(core, ESI);
        Ok(())
    }
}

impl Step for Scan {
    const COMPARES: bool = true;

    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
        let right = core.load::<W>(ES, A::register(&core.general, EDI))?;
        subtract::<W>(&mut core.flags, W::register(&core.general, 0), right, 0);
        advance::<P, W, A>(core, EDI);
        Ok(())
    }
}

impl Step for Compare {
    const COMPARES: bool = true;

    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
        // In this order on processors of today, as their page faults show.
        let right = core.load::<W>(ES, A::register(&core.general, EDI))?;
        let left = core.load::<W>(op.segment, A::register(&core.general, ESI))?;
        subtract::<W>(&mut core.flags, left, right, 0);
        advance::<P, W, A>(core, ESI);
        advance::<P, W, A>(core, EDI);
        Ok(())
    }
}

/// No prefix, REP or REPE, REPNE.
const ONCE: u8 = 0;
const WHILE_EQUAL: u8 = 1;
const WHILE_DIFFERENT: u8 = 2;

/// The handler for the prefix and the address size of a string instruction.
pub(crate) fn handler_of<P: Parts, S: Step, W: Word>(instruction: &Instruction) -> Handler<P> {
    let is_short = instruction
        .op_kinds()
        .any(|kind| matches!(kind, OpKind::MemorySegSI | OpKind::MemorySegDI | OpKind::MemoryESDI));
    let repeats = if instruction.has_rep_prefix() {
        WHILE_EQUAL
    } else if instruction.has_repne_prefix() {
        WHILE_DIFFERENT
    } else {
        ONCE
    };
    match (repeats, is_short) {
        (ONCE, false) => once::<P, S, W, u32>,
        (ONCE, true) => once::<P, S, W, u16>,
        (WHILE_EQUAL, false) => repeat::<P, S, W, u32, true>,
        (WHILE_EQUAL, true) => repeat::<P, S, W, u16, true>,
        (_, false) => repeat::<P, S, W, u32, false>,
        (_, true) => repeat::<P, S, W, u16, false>,
    }
}

fn once<P: Parts, S: Step, W: Word, A: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    S::step::<P, W, A>(core, op)
}

/// Elements up to the last one, or to when the bus wants to be asked or the run is over: then the instruction is executed again, for
/// the rest. Each element takes the time of an instruction.
fn repeat<P: Parts, S: Step, W: Word, A: Word, const EQUAL: bool>(
    core: &mut Core<P>,
    op: &Op<P>,
) -> Result<(), Raised> {
    S::check::<P, W>(core)?;
    let end = core.next;
    let mut count = A::register(&core.general, ECX);
    if count == 0 {
        return Ok(());
    }
    // A fault in the middle leaves the registers as they are there, and the instruction to be executed again.
    core.next = core.eip;
    let until = core.until;
    let may_be_many = A::BITS == 32 && !core.flags.has(EFLAGS_DF) && !core.is_stepping;
    loop {
        if may_be_many {
            // All but the one that may be the last of this time.
            let time = core.due.min(until).saturating_sub(core.count).saturating_sub(1);
            let most = u64::from(count - 1).min(time) as u32;
            let done = S::many::<P, W>(core, op, most).unwrap_or(0);
            count -= done;
            core.count += u64::from(done);
            A::set_register(&mut core.general, ECX, count);
        }
        S::step::<P, W, A>(core, op)?;
        count = count.wrapping_sub(1) & A::MASK;
        A::set_register(&mut core.general, ECX, count);
        if count == 0 || S::COMPARES && core.flags.zero() != EQUAL {
            core.next = end;
            return Ok(());
        }
        // What it may have written over is itself: then it is read anew, wherever a run happens to end.
        if core.count + 1 >= core.due.min(until) || core.is_stepping || core.met != 0 || core.has_news {
            return Ok(());
        }
        core.count += 1;
    }
}
