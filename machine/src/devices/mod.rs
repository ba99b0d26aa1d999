//! The devices of the PC beside the chips of its board, each as its data sheet has it: values that know no clock but the one that they are
//! told, and have no outside but what is handed to them and what they hand back.

pub mod i8042;
pub mod peripherals;
pub mod port_log;
pub mod ports;
pub mod reach;
pub mod rtc;
pub mod uart;
pub mod vga;
pub mod wire;
