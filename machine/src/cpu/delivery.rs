//! Which event is delivered, and what becomes of one that can't be (Intel SDM volume 3A, sections 6.8 to 6.15).

use stos_x86::interrupts::{DOUBLE_FAULT, ExceptionClass, NMI, PAGE_FAULT, exception};
use stos_x86::registers::{EFLAGS_RF, EFLAGS_VM};

use super::interrupts::Origin;
use crate::state::core::{Activity, Core, Parts, Raised};
use crate::state::fault::{Fault, Reason};
use crate::state::observer::{Cause, Delivery, Observer};

/// What is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An exception, by what has raised it.
    Exception(Fault),
    /// An interrupt of a device.
    External(u8),
    /// An interrupt that can't be masked.
    Nmi,
}

/// What was tried before.
#[derive(Clone, Copy, Default)]
struct Before {
    /// What could not be delivered.
    vector: Option<u8>,
    /// The exception that made a double fault of it.
    second: Option<u8>,
}

/// Exceptions that are classes of their own for double faults (volume 3A, table 6-4).
const fn is_contributory(vector: u8) -> bool {
    matches!(vector, 0 | 10..=13)
}

impl<P: Parts> Core<P> {
    /// Delivers an event; what goes wrong is delivered in its place, up to the triple fault.
    pub fn deliver(&mut self, event: Event) {
        self.activity = Activity::Running;
        if event == Event::Exception(Fault::debug()) || event == Event::Exception(Fault::breakpoint()) {
            self.allow_debug_access();
        }
        let mut before = Before::default();
        let mut current = match event {
            Event::Exception(fault) => fault,
            Event::External(_) | Event::Nmi => {
                let vector = if let Event::External(vector) = event { vector } else { NMI };
                self.is_nmi_blocked |= event == Event::Nmi;
                let origin = Origin { vector, error_code: None, is_software: false, external: 1 };
                if self.attempt(origin, Cause::External, self.flags.bits(), before).is_ok() {
                    return;
                }
                before.vector = Some(vector);
                self.raised.clone()
            }
        };
        loop {
            let Fault { vector, error_code, .. } = current;
            let is_fault = match exception(vector).class {
                ExceptionClass::Fault => true,
                ExceptionClass::FaultOrTrap => current.reason == Reason::Breakpoint,
                _ => false,
            };
            // So that the instruction is not stopped again where a debug register has stopped it (volume 3A, section 17.3.1.1).
            let pushed = self.flags.bits() | if is_fault { EFLAGS_RF } else { 0 };
            let origin = Origin { vector, error_code, is_software: false, external: 1 };
            self.observer.raised(&current, self.eip);
            if self.attempt(origin, Cause::Exception, pushed, before).is_ok() {
                return;
            }
            let next = self.raised.clone();
            if vector == DOUBLE_FAULT {
                self.activity = Activity::ShutDown;
                self.observer.gave_up(next.vector);
                return;
            }
            let is_double = is_contributory(vector) && is_contributory(next.vector)
                || vector == PAGE_FAULT && (next.vector == PAGE_FAULT || is_contributory(next.vector));
            before = Before { vector: Some(vector), second: is_double.then_some(next.vector) };
            current = if is_double { Fault::double(vector, next.vector) } else { next };
        }
    }

    fn attempt(&mut self, origin: Origin, cause: Cause, pushed_flags: u32, before: Before) -> Result<(), Raised> {
        self.tell(origin, cause, before);
        self.enter(origin, self.eip, pushed_flags)
    }

    fn tell(&mut self, Origin { vector, error_code, .. }: Origin, cause: Cause, before: Before) {
        if self.observer.sees_deliveries() {
            let Before { vector: during, second } = before;
            let cpu = self.cpu();
            self.observer.delivering(Delivery { vector, error_code, cause, during, second, cpu });
        }
    }

    /// INT n, INT3, INTO: goes through the gate at once.
    ///
    /// # Errors
    /// What the gate, the segments and the stack refuse, or virtual-8086 mode.
    pub(super) fn software_interrupt(&mut self, vector: u8, checks_iopl: bool) -> Result<(), Raised> {
        if checks_iopl && self.flags.has(EFLAGS_VM) && self.flags.iopl() < 3 {
            return Err(self.raise(Fault::protection(Reason::Io(None))));
        }
        let origin = Origin { vector, error_code: None, is_software: true, external: 0 };
        let back = self.next;
        self.tell(origin, Cause::Software, Before::default());
        self.enter(origin, back, self.flags.bits())?;
        self.next = self.eip;
        // TF was cleared before the instruction's end (volume 3B, section 17.3.1.4).
        self.is_stepping = false;
        Ok(())
    }
}
