//! Devices for guests of which nothing is known.

use fastrand::Rng;
use stos_machine::chips::board::Devices;
use stos_machine::difference::{Differ, Difference};

/// Devices that answer anything, and interrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noise(pub Rng);

impl Devices for Noise {
    fn read_port(&mut self, _port: u16, _width: u8, _now: u64) -> u32 {
        self.0.u32(..)
    }
    fn write_port(&mut self, _port: u16, _width: u8, _value: u32, _now: u64) {}
    fn advance(&mut self, now: u64) -> u64 {
        now + self.0.u64(1..1000)
    }
    fn lines(&mut self) -> (u16, u16) {
        (self.0.u16(..), self.0.u16(..))
    }
    fn has_ended(&self) -> bool {
        false
    }
}

impl Differ for Noise {
    fn differ(&self, other: &Self, found: &mut Vec<Difference>) {
        if self != other {
            let [left, right] = [self, other].map(|noise| format!("{noise:?}"));
            found.push(Difference { what: "noise".to_owned(), left, right });
        }
    }
}
