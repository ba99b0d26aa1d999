//! The exceptions and interrupts of a guest, from the machine to those who explain its end.

use stos_machine::pc::Log;
use stos_machine::state::observer::{Cause, Delivery as Delivered};

use crate::backend::Observed;
use crate::machine::{Delivery, Source};

/// Keeps them among what is observed.
pub struct Deliveries(pub Observed);

impl Log for Deliveries {
    fn add(&mut self, delivered: Delivered) {
        let Delivered { vector, error_code, cause, during, second, cpu } = delivered;
        let source = match cause {
            Cause::Exception => Source::Exception,
            Cause::Software => Source::Software,
            Cause::External => Source::Hardware,
        };
        self.0.lock().history.push(Delivery {
            vector: vector.into(),
            error_code: error_code.unwrap_or_default(),
            source,
            during: during.map(u32::from),
            raised: second.map(u32::from),
            eip: cpu.eip,
            cpu,
        });
    }

    fn end(&mut self, vector: u8) {
        self.0.lock().history.end = Some(vector.into());
    }
}
