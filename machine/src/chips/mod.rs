//! The chips of the PC's board, each as its data sheet has it. They know no clock but the one that they are told.

pub mod board;
pub mod interrupt_controller;
pub mod interrupt_controllers;
pub mod io_apic;
pub mod local_apic;
pub mod local_timer;
pub mod timer;
pub mod timer_counter;
pub mod vectors;
