//! What guests do to ports.

use super::*;
use crate::backend::Observed;
use crate::watch::{Expectations, Matcher, pump};
use proptest::prelude::*;
use std::sync::mpsc::channel;

#[derive(Debug)]
struct NoLine;

impl InterruptLine for NoLine {
    fn set(&self, _: bool) {}
}

type Clock = fn() -> Duration;

struct Fixture {
    bus: PortBus<NoLine, Clock>,
    output: Arc<OutputPipe>,
}

impl Fixture {
    fn new() -> Self {
        let output = Arc::new(OutputPipe::default());
        let devices = Devices {
            serial: Arc::new(SerialPort::new(Serial::new(NoLine))),
            keyboard: Arc::new(KeyboardPort::new(Keyboard::new(NoLine))),
            vga: Vga::default(),
            rtc: Rtc::new(rtc::FIXED_START, 16 << 20, (|| Duration::ZERO) as Clock),
            output: Arc::clone(&output),
            exit_port: 0xf4,
            fault_port: Some(0xf8),
        };
        Self { bus: PortBus::new(devices), output }
    }

    fn read<const N: usize>(&mut self, port: u16, width: usize) -> [u8; N] {
        let mut data = [0x55; N];
        self.bus.read(port, width, &mut data);
        data
    }

    /// What came out of the serial port and out of the debug console.
    fn printed(self) -> (Vec<u8>, Vec<u8>) {
        let (events, _receiver) = channel();
        let (mut serial, mut debug) = (Vec::new(), Vec::new());
        self.output.finish();
        pump(
            &self.output,
            &mut serial,
            &mut debug,
            Matcher::new(Expectations::default()),
            &Observed::default(),
            &events,
        );
        (serial, debug)
    }
}

#[test]
fn the_exit_port_takes_the_whole_width() {
    let mut bus = Fixture::new().bus;
    assert_eq!(bus.write(0xf4, 1, &[0]), Some(Request::Exit(0)));
    assert_eq!(bus.write(0xf4, 2, &[0, 1]), Some(Request::Exit(0x100)));
    assert_eq!(bus.write(0xf4, 4, &[0, 0, 0, 0x80]), Some(Request::Exit(0x8000_0000)));
    assert_eq!(bus.write(0xf7, 1, &[7]), Some(Request::Exit(7)));
    assert_eq!(bus.write(0xf6, 2, &[7, 0]), Some(Request::Exit(7)));
    assert_eq!(bus.write(0xf5, 2, &[7, 0]), None, "not aligned");
    assert_eq!(bus.write(0xf2, 4, &[0, 0, 7, 0]), None, "begins before");
}

#[test]
fn a_repeated_write_ends_at_its_first_request() {
    let mut bus = Fixture::new().bus;
    assert_eq!(bus.write(0xf4, 1, &[7, 8, 9]), Some(Request::Exit(7)));
    assert_eq!(bus.write(0xf4, 2, &[7, 0, 9, 9]), Some(Request::Exit(7)));
}

#[test]
fn a_repeated_write_prints_every_byte() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.bus.write(ports::COM1, 1, b"hello "), None);
    assert_eq!(fixture.bus.write(ports::DEBUG_CONSOLE, 1, b"there"), None);
    assert_eq!(fixture.printed(), (b"hello ".to_vec(), b"there".to_vec()));
}

#[test]
fn a_wide_access_reaches_one_port_per_byte() {
    let mut fixture = Fixture::new();
    // Data and interrupt enable; then scratch, and nothing beyond it.
    assert_eq!(fixture.bus.write(ports::COM1, 2, b"A\x01B\x01"), None);
    assert_eq!(fixture.bus.write(ports::COM1 + 7, 1, &[0x5a]), None);
    assert_eq!(fixture.read::<4>(ports::COM1 + 7, 2), [0x5a, 0xff, 0x5a, 0xff]);
    assert_eq!(fixture.printed(), (b"AB".to_vec(), Vec::new()));
}

#[test]
fn ports_without_a_device_read_all_ones_and_are_counted() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.read::<4>(0xcfc, 4), [0xff; 4]);
    assert_eq!(fixture.read::<2>(0xffff, 2), [0xff; 2]);
    assert_eq!(fixture.bus.write(0xcf8, 4, &[0, 0, 0, 0x80]), None);
    // Two accesses, as of `rep insb`.
    assert_eq!(fixture.read::<2>(0x3f4, 1), [0xff; 2]);
    let access = |port, width, is_write| PortAccess { port, width, is_write };
    let expected = vec![
        (access(0x3f4, 1, false), 2),
        (access(0xcf8, 4, true), 1),
        (access(0xcfc, 4, false), 1),
        (access(0xffff, 2, false), 1),
    ];
    assert_eq!(fixture.bus.log().unknown(), (expected, 0));
}

#[test]
fn known_ports_answer_and_are_not_counted() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.read::<1>(ports::DEBUG_CONSOLE, 1), [0xe9]);
    assert_eq!(fixture.read::<1>(ports::PVPANIC, 1), [1]);
    assert_eq!(fixture.read::<1>(ports::KEYBOARD_COMMAND, 1), [0x1c]);
    assert_eq!(fixture.read::<1>(ports::SYSTEM_CONTROL_A, 1), [2]);
    // No drive on either channel.
    assert_eq!(fixture.read::<2>(0x1f0, 2), [0; 2]);
    assert_eq!(fixture.read::<1>(0x376, 1), [0]);
    // Index and data of the clock in one access: the day of January the first.
    assert_eq!(fixture.bus.write(ports::RTC_INDEX, 1, &[7]), None);
    assert_eq!(fixture.read::<2>(ports::RTC_INDEX, 2), [0xff, 1]);
    // Index and data of the CRTC in one access.
    assert_eq!(fixture.bus.write(0x3d4, 2, &[0x0f, 0x50]), None);
    assert_eq!(fixture.read::<2>(0x3d4, 2), [0x0f, 0x50]);
    assert_eq!(fixture.bus.log().unknown(), (Vec::new(), 0));
}

#[test]
fn the_last_post_code_is_remembered() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.bus.log().post_code(), None);
    assert_eq!(fixture.bus.write(ports::POST_CODE, 1, &[0x11, 0x2a]), None);
    assert_eq!(fixture.bus.log().post_code(), Some(0x2a));
    assert_eq!(fixture.read::<1>(ports::POST_CODE, 1), [0xff]);
}

#[test]
fn requests_are_recognised() {
    let mut bus = Fixture::new().bus;
    assert_eq!(bus.write(ports::PVPANIC, 1, &[1]), Some(Request::Panic));
    assert_eq!(bus.write(ports::PVPANIC, 1, &[2]), None);
    assert_eq!(bus.write(ports::KEYBOARD_COMMAND, 1, &[0xfe]), Some(Request::Reset));
    assert_eq!(bus.write(ports::KEYBOARD_COMMAND, 1, &[0xd1]), None);
    assert_eq!(bus.write(ports::KEYBOARD_DATA, 1, &[0xfe]), Some(Request::Reset));
    assert_eq!(bus.write(ports::SYSTEM_CONTROL_A, 1, &[3]), Some(Request::Reset));
    assert_eq!(bus.write(ports::SYSTEM_CONTROL_A, 1, &[2]), None);
    assert_eq!(bus.write(0xf8, 1, &[14]), Some(Request::FaultRecorded(14)));
}

proptest! {
    #[test]
    fn no_sequence_of_accesses_does_harm(
        accesses in prop::collection::vec(
            (prop_oneof![any::<u16>(), 0x60..0x93_u16, 0x3c0..=0x3ff_u16], 0..3_u32, prop::option::of(any::<[u8; 8]>())),
            0..400,
        )
    ) {
        let mut bus = Fixture::new().bus;
        for (port, width, written) in accesses {
            let width = 1 << width;
            match written {
                Some(data) => _ = bus.write(port, width, &data),
                None => bus.read(port, width, &mut [0; 8]),
            }
        }
    }
}
