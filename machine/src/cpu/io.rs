//! Input and output (Intel SDM volume 1, chapter 19).

use iced_x86::{Instruction, Mnemonic, OpKind};

use super::operands::{Handler, Op};
use super::strings::{Step, advance, handler_of};
use crate::bus::Bus;
use crate::state::core::{Core, ES, Parts, Raised};
use crate::state::fault::Use;
use crate::state::observer::{Observer, PortUse};
use crate::state::word::Word;
use crate::time::NANOSECONDS_PER_INSTRUCTION;

/// Numbers of EDX, ESI and EDI.
const EDX: u8 = 2;
const ESI: u8 = 6;
const EDI: u8 = 7;

/// An access to a port takes a microsecond, as on the bus that these devices were made for: kernels wait by writing to one that nobody
/// listens to, or poll one until something is ready.
const PORT_TIME: u64 = 1000 / NANOSECONDS_PER_INSTRUCTION;

/// What executes an instruction of this chapter.
pub fn handler<P: Parts>(instruction: &Instruction) -> Option<Handler<P>> {
    let is_register = |kind: OpKind| kind == OpKind::Register;
    Some(match instruction.mnemonic() {
        Mnemonic::In => match (is_register(instruction.op1_kind()), instruction.op0_register().size()) {
            (true, 1) => input::<P, ByDx, u8>,
            (true, 2) => input::<P, ByDx, u16>,
            (true, _) => input::<P, ByDx, u32>,
            (_, 1) => input::<P, ByNumber, u8>,
            (_, 2) => input::<P, ByNumber, u16>,
            _ => input::<P, ByNumber, u32>,
        },
        Mnemonic::Out => match (is_register(instruction.op0_kind()), instruction.op1_register().size()) {
            (true, 1) => output::<P, ByDx, u8>,
            (true, 2) => output::<P, ByDx, u16>,
            (true, _) => output::<P, ByDx, u32>,
            (_, 1) => output::<P, ByNumber, u8>,
            (_, 2) => output::<P, ByNumber, u16>,
            _ => output::<P, ByNumber, u32>,
        },
        Mnemonic::Insb => handler_of::<P, In, u8>(instruction),
        Mnemonic::Insw => handler_of::<P, In, u16>(instruction),
        Mnemonic::Insd => handler_of::<P, In, u32>(instruction),
        Mnemonic::Outsb => handler_of::<P, Out, u8>(instruction),
        Mnemonic::Outsw => handler_of::<P, Out, u16>(instruction),
        Mnemonic::Outsd => handler_of::<P, Out, u32>(instruction),
        _ => return None,
    })
}

/// Where the port's number is.
trait Port {
    fn of<P: Parts>(core: &Core<P>, op: &Op<P>) -> u16;
}

struct ByDx;
struct ByNumber;

impl Port for ByDx {
    fn of<P: Parts>(core: &Core<P>, _op: &Op<P>) -> u16 {
        Self::number(core)
    }
}

impl ByDx {
    fn number<P: Parts>(core: &Core<P>) -> u16 {
        (u16::register(&core.general, EDX) & 0xffff) as u16
    }
}

impl Port for ByNumber {
    fn of<P: Parts>(_core: &Core<P>, op: &Op<P>) -> u16 {
        (op.immediate & 0xff) as u16
    }
}

impl<P: Parts> Core<P> {
    fn read_port<W: Word>(&mut self, port: u16) -> u32 {
        self.wait(PORT_TIME);
        self.note_port(port, W::SIZE);
        let (width, eip) = (W::SIZE as u8, self.eip);
        let value = self.bus.read_port(port, width, self.count) & W::MASK;
        self.observer.port(PortUse { port, width, is_write: false, value, eip });
        value
    }

    /// What a device has to say afterwards is asked at once.
    fn write_port<W: Word>(&mut self, port: u16, value: u32) {
        self.wait(PORT_TIME);
        self.note_port(port, W::SIZE);
        let (width, eip) = (W::SIZE as u8, self.eip);
        self.bus.write_port(port, width, value, self.count);
        self.observer.port(PortUse { port, width, is_write: true, value: value & W::MASK, eip });
        self.due = self.count;
    }
}

fn input<P: Parts, A: Port, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let port = A::of(core, op);
    core.check_port(port, W::SIZE)?;
    let value = core.read_port::<W>(port);
    W::set_register(&mut core.general, 0, value);
    core.due = core.count;
    Ok(())
}

fn output<P: Parts, A: Port, W: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
    let port = A::of(core, op);
    core.check_port(port, W::SIZE)?;
    core.write_port::<W>(port, W::register(&core.general, 0));
    Ok(())
}

struct In;
struct Out;

impl Step for In {
    fn check<P: Parts, W: Word>(core: &mut Core<P>) -> Result<(), Raised> {
        core.check_port(ByDx::number(core), W::SIZE)
    }

    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, _op: &Op<P>) -> Result<(), Raised> {
        let port = ByDx::number(core);
        core.check_port(port, W::SIZE)?;
        let offset = A::register(&core.general, EDI);
        // A byte that was read from a device is gone, so that it must be known that it can be written.
        let linear = core.linear_to_write(ES, offset, W::SIZE)?;
        let is_user = core.cpl == 3;
        core.translate(linear, Use::Write, is_user)?;
        core.translate(linear.wrapping_add(W::SIZE - 1), Use::Write, is_user)?;
        let value = core.read_port::<W>(port);
        core.store::<W>(ES, offset, value)?;
        advance::<P, W, A>(core, EDI);
        Ok(())
    }
}

impl Step for Out {
    fn check<P: Parts, W: Word>(core: &mut Core<P>) -> Result<(), Raised> {
        core.check_port(ByDx::number(core), W::SIZE)
    }

    fn step<P: Parts, W: Word, A: Word>(core: &mut Core<P>, op: &Op<P>) -> Result<(), Raised> {
        let port = ByDx::number(core);
        core.check_port(port, W::SIZE)?;
        let value = core.load::<W>(op.segment, A::register(&core.general, ESI))?;
        core.write_port::<W>(port, value);
        advance::<P, W, A>(core, ESI);
        Ok(())
    }
}
