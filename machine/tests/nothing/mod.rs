//! A board without devices.

use stos_machine::chips::board::Devices;

/// Nothing is plugged in.
pub struct Nothing;

impl Devices for Nothing {
    fn read_port(&mut self, _port: u16, _width: u8, _now: u64) -> u32 {
        0
    }
    fn write_port(&mut self, _port: u16, _width: u8, _value: u32, _now: u64) {}
    fn advance(&mut self, _now: u64) -> u64 {
        u64::MAX
    }
    fn lines(&mut self) -> (u16, u16) {
        (0, 0)
    }
    fn has_ended(&self) -> bool {
        false
    }
}
