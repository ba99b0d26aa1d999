//! FINIT, FCLEX, FLDCW, FSTCW, FSTSW, FFREE, FINCSTP, FDECSTP, FNOP and WAIT.

use iced_x86::{Instruction, Mnemonic, OpKind};
use stos_x86::registers::{CR0_MP, CR0_TS};

use super::index;
use crate::cpu::operands::{Handler, Op};
use crate::state::core::{Core, Parts, Raised};
use crate::state::fault::Fault;
use crate::state::word::Word;
use crate::state::x87::C1;

pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    use Mnemonic as M;
    Some(match instruction.mnemonic() {
        M::Wait => wait,
        M::Fninit => |core, _| {
            core.check_x87()?;
            core.x87.initialize();
            Ok(())
        },
        M::Fnclex => |core, _| {
            core.check_x87()?;
            core.x87.clear_exceptions();
            Ok(())
        },
        M::Fldcw => |core, op| {
            core.wait_for_x87()?;
            let control = core.load::<u16>(op.segment, op.offset(core))?;
            core.x87.set_control((control & 0xffff) as u16);
            Ok(())
        },
        M::Fnstcw => |core, op| {
            core.check_x87()?;
            core.store::<u16>(op.segment, op.offset(core), core.x87.control().into())
        },
        M::Fnstsw if instruction.op0_kind() == OpKind::Memory => |core, op| {
            core.check_x87()?;
            core.store::<u16>(op.segment, op.offset(core), core.x87.status().into())
        },
        M::Fnstsw => |core, _| {
            core.check_x87()?;
            u16::set_register(&mut core.general, 0, core.x87.status().into());
            Ok(())
        },
        M::Ffree => |core, op| {
            core.begin(op)?;
            core.x87.set_conditions(C1, 0);
            core.x87.free(index(op.opcode));
            Ok(())
        },
        M::Ffreep => |core, op| {
            core.begin(op)?;
            core.x87.set_conditions(C1, 0);
            core.x87.free(index(op.opcode));
            core.x87.pop();
            Ok(())
        },
        M::Fincstp => |core, op| turn(core, op, 1),
        M::Fdecstp => |core, op| turn(core, op, 7),
        M::Fnop => |core, op| core.begin(op),
        // What only older coprocessors heeded.
        M::Fneni | M::Fndisi | M::Fnsetpm => |core, _| core.check_x87(),
        _ => return None,
    })
}

fn turn<P: Parts>(core: &mut Core<P>, op: &Op<P>, by: u8) -> Result<(), Raised> {
    core.begin(op)?;
    core.x87.set_conditions(C1, 0);
    core.x87.turn(by);
    Ok(())
}

fn wait<P: Parts>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
    // Intel SDM volume 3A, section 2.5: WAIT heeds TS only with MP.
    if core.cr0 & (CR0_MP | CR0_TS) == CR0_MP | CR0_TS {
        return Err(core.raise(Fault::no_device()));
    }
    core.check_pending()
}
