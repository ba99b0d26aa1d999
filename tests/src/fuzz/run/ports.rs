//! Programs that use the ports of a machine: any access to any device, while time passes and the other ends send.

use std::io;
use std::time::Duration;

use fastrand::Rng;
use stos_run::fuzzing::Ports;

use crate::fuzz::bytes::splice;
use crate::fuzz::input::{Input, Words};
use crate::fuzz::plain::assert_plain;
use crate::fuzz::target::{ChangeBytes, Target};

/// Most steps of a program.
const STEPS: usize = 1000;
/// Most accesses of one instruction.
const REPEATED: usize = 16;
/// Ports behind which there is something, and some behind which there is nothing.
const PORTS: [u16; 40] = [
    0x3f8, 0x3f9, 0x3fa, 0x3fb, 0x3fc, 0x3fd, 0x3fe, 0x3ff, 0x60, 0x64, 0x70, 0x71, 0x92, 0xe9, 0x505, 0xf4, 0xf5,
    0xf8, 0x80, 0x3c0, 0x3c1, 0x3c2, 0x3c4, 0x3c5, 0x3c6, 0x3cc, 0x3ce, 0x3cf, 0x3d4, 0x3d5, 0x3da, 0x1f0, 0x1f7,
    0x3f6, 0x170, 0xcf8, 0x604, 0xffff, 0x20, 0x40,
];

/// All devices.
#[derive(Clone, Copy, Debug)]
pub struct PortsTarget;

impl Target for PortsTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        // Each port read and written; drivers that set up the serial port, the keyboard, the clock and the cursor.
        let each: Vec<Vec<u8>> =
            PORTS.map(|port| [write(port, &[0]), read(port, 1), write(port, &[1, 0xff])].concat()).into();
        let serial = [(0x3fb, 0x80), (0x3f8, 1), (0x3f9, 0), (0x3fb, 3), (0x3fa, 0xc7), (0x3fc, 0x1b), (0x3f8, 0x41)];
        let serial = serial.map(|(port, value)| write(port, &[value])).concat();
        let keyboard =
            [(0x64, 0xa7), (0x64, 0x20), (0x64, 0x60), (0x60, 0x47), (0x60, 0xff), (0x64, 0xd4), (0x60, 0xf4)];
        let keyboard = keyboard.map(|(port, value)| [write(port, &[value]), read(0x60, 1)].concat()).concat();
        let clock = [(0x0b, 0x72), (0x0a, 0x26), (0x0c, 0), (0x0b, 0x80), (8, 2), (7, 0x31), (0x0b, 2), (0x32, 0x20)];
        let clock = clock.map(|(index, value)| [write(0x70, &[index]), write(0x71, &[value]), read(0x71, 1)].concat());
        let cursor = [write(0x3d4, &[0x0e]), write(0x3d5, &[7]), write(0x3d4, &[0x0c, 0xff])].concat();
        let around =
            [vec![2, 200], vec![3, 3], b"abc".to_vec(), vec![4, 0x1e, 1], read(0x60, 1), read(0x3f8, 4)].concat();
        let mut programs = each;
        programs.extend([serial, keyboard, clock.concat(), cursor, around]);
        let begin = |program: Vec<u8>| {
            let mut words = Words::default();
            words.bytes(&0xf4_u16.to_le_bytes()).bytes(&0xf8_u16.to_le_bytes()).word(0x386d_4380).bytes(&[16]);
            words.bytes(&program).take()
        };
        Ok(programs.into_iter().map(begin).collect())
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        let port = rng.choice(PORTS).unwrap_or(0);
        let more = match rng.u8(..8) {
            0 | 1 => return change(case, rng),
            2 => return splice(case, other, rng),
            3 => read(port, rng.u8(..)),
            4 => vec![2, rng.u8(..)],
            5 => vec![4, rng.u8(..), rng.u8(..)],
            6 => write(port, &[rng.u8(..), rng.u8(..)]),
            _ => write(port, &[rng.u8(..)]),
        };
        let at = rng.usize(..=case.len());
        case.splice(at..at, more);
    }

    fn run(&self, case: &[u8]) -> bool {
        let mut input = Input::new(case);
        let (exit_port, fault_port) = (input.half(), input.half());
        let (start, memory) = (u64::from(input.word()) << (exit_port & 8), u64::from(input.byte()) << 20);
        let mut ports = Ports::new(exit_port, (fault_port != 0).then_some(fault_port), start, memory);
        let mut is_over = false;
        for _ in 0..STEPS {
            if input.is_empty() {
                break;
            }
            is_over |= step(&mut ports, &mut input);
        }
        let mut text = input.rest().to_vec();
        text.resize(0x8000, 0);
        ports.tell(&text).iter().filter(|line| !line.is_empty()).for_each(|line| assert_plain(line));
        assert!(ports.take_output() <= STEPS * REPEATED * 4, "more was printed than written");
        // A line can rise once for each byte that is sent or read, and for each second that passes.
        let _ = ports.interrupts();
        !is_over
    }
}

/// One step; true when it ends the run.
fn step(ports: &mut Ports, input: &mut Input<'_>) -> bool {
    let kind = input.byte();
    // Widths that a processor has.
    let width = 1 << ((kind >> 4) % 3);
    match kind & 7 {
        0 => {
            let (port, count) = (input.half(), input.byte());
            ports.read(port, width, &mut vec![0; width * (usize::from(count) % REPEATED)]);
        }
        1 => {
            let (port, count) = (input.half(), input.byte());
            let data = input.bytes(width * (usize::from(count) % REPEATED));
            return ports.write(port, width, &data[..data.len() - data.len() % width]);
        }
        2 => ports.pass(Duration::from_micros(1) * 2_u32.pow(u32::from(input.byte()) % 32)),
        3 => {
            let count = input.byte();
            ports.send(input.bytes(count.into()));
        }
        4 => {
            let (code, flags) = (input.byte(), input.byte());
            ports.press(code, flags & 1 != 0, flags & 2 != 0);
        }
        _ => {}
    }
    false
}

fn read(port: u16, count: u8) -> Vec<u8> {
    [&[0][..], &port.to_le_bytes(), &[count]].concat()
}

/// Writes of a byte each.
fn write(port: u16, values: &[u8]) -> Vec<u8> {
    let count = u8::try_from(values.len()).unwrap_or(u8::MAX);
    [&[1][..], &port.to_le_bytes(), &[count], values].concat()
}
