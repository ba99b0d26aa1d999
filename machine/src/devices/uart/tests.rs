//! The promises of the UART.

use super::Uart;
use super::registers::{
    DATA, DATA_READY, DLAB, ENABLE_LINE_STATUS, ENABLE_RECEIVED, ENABLE_TRANSMITTER, FIFO_CLEAR_RECEIVED, FIFO_ENABLE,
    INTERRUPT_ENABLE, INTERRUPT_IDENTIFICATION, LINE_CONTROL, LINE_STATUS, LOOPBACK, MODEM_CONTROL, MODEM_STATUS, OUT2,
    PENDING_LINE_STATUS, PENDING_NONE, PENDING_RECEIVED, PENDING_TRANSMITTER,
};

#[test]
fn the_transmitter_is_always_ready() {
    let mut uart = Uart::default();
    assert_eq!(uart.read(LINE_STATUS), 0x60);
    assert_eq!(uart.write(DATA, b'x'), Some(b'x'));
    assert_eq!(uart.read(LINE_STATUS), 0x60);
}

#[test]
fn each_received_byte_interrupts_a_driver_that_reads_one_at_a_time() {
    let mut uart = Uart::default();
    uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED);
    uart.receive(b"abc");
    for byte in *b"abc" {
        assert_eq!(uart.wire.take_rises(), 1);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_RECEIVED);
        assert_eq!(uart.read(DATA), byte);
    }
    assert_eq!(uart.wire.take_rises(), 0);
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_NONE);
}

#[test]
fn a_driver_with_fifos_can_read_until_nothing_is_ready() {
    let mut uart = Uart::default();
    uart.write(INTERRUPT_IDENTIFICATION, FIFO_ENABLE);
    uart.receive(&[7; 40]);
    let mut count = 0;
    while uart.read(LINE_STATUS) & DATA_READY != 0 {
        assert_eq!(uart.read(DATA), 7);
        count += 1;
    }
    assert_eq!(count, 40);
}

#[test]
fn received_data_comes_before_an_empty_transmitter() {
    let mut uart = Uart::default();
    uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED | ENABLE_TRANSMITTER);
    uart.receive(b"a");
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_RECEIVED);
    uart.read(DATA);
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_TRANSMITTER);
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_NONE);
}

#[test]
fn a_driver_that_sends_by_interrupt_gets_one_per_byte() {
    let mut uart = Uart::default();
    uart.write(INTERRUPT_ENABLE, ENABLE_TRANSMITTER);
    assert_eq!(uart.wire.take_rises(), 1);
    for _ in 0..3 {
        uart.write(DATA, b'x');
        assert_eq!(uart.wire.take_rises(), 1);
    }
}

#[test]
fn nothing_interrupts_that_is_not_enabled() {
    let mut uart = Uart::default();
    uart.receive(b"a");
    uart.write(DATA, b'x');
    assert_eq!(uart.wire.take_rises(), 0);
}

#[test]
fn loopback_gives_back_what_is_sent() {
    let mut uart = Uart::default();
    uart.write(MODEM_CONTROL, 0x1e);
    assert_eq!(uart.write(DATA, 0xae), None);
    assert_eq!(uart.read(DATA), 0xae);
    assert_eq!(uart.read(MODEM_STATUS), 0xd0);
}

#[test]
fn the_divisor_hides_behind_dlab() {
    let mut uart = Uart::default();
    uart.write(LINE_CONTROL, DLAB);
    assert_eq!(uart.write(DATA, 3), None);
    assert_eq!(uart.read(DATA), 3);
    uart.write(LINE_CONTROL, 3);
    assert_eq!(uart.write(DATA, 3), Some(3));
}

/// A UART with FIFOs that ask for service at `trigger`, bits 6 and 7 of FIFO control.
fn with_fifos(trigger: u8) -> Uart {
    let mut uart = Uart::default();
    uart.write(INTERRUPT_IDENTIFICATION, FIFO_ENABLE | FIFO_CLEAR_RECEIVED | trigger << 6);
    uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED | ENABLE_LINE_STATUS);
    uart
}

#[test]
fn the_usual_self_test_reads_its_own_byte_whatever_waits() {
    for fifos in [0, 0xc7] {
        let mut uart = Uart::default();
        uart.receive(&[b'i'; 100]);
        uart.write(INTERRUPT_IDENTIFICATION, fifos);
        uart.write(MODEM_CONTROL, 0x1e);
        assert_eq!(uart.read(LINE_STATUS) & DATA_READY, 0);
        uart.write(DATA, 0xae);
        assert_eq!(uart.read(DATA), 0xae, "{fifos:#x}");
        assert_eq!(uart.read(LINE_STATUS) & DATA_READY, 0);
    }
}

#[test]
fn leaving_loopback_goes_on_where_the_other_end_was() {
    let mut uart = Uart::default();
    uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED);
    uart.receive(b"ab");
    uart.write(MODEM_CONTROL, LOOPBACK);
    uart.receive(b"c");
    uart.wire.take_rises();
    uart.write(MODEM_CONTROL, OUT2);
    for byte in *b"abc" {
        assert_eq!(uart.wire.take_rises(), 1);
        assert_eq!(uart.read(LINE_STATUS) & DATA_READY, DATA_READY);
        assert_eq!(uart.read(DATA), byte);
    }
}

#[test]
fn a_byte_that_was_looped_back_and_not_read_stays_in_front() {
    let mut uart = Uart::default();
    uart.write(INTERRUPT_IDENTIFICATION, 0xc7);
    uart.receive(b"abc");
    uart.write(MODEM_CONTROL, LOOPBACK);
    uart.write(DATA, 1);
    uart.write(DATA, 2);
    uart.write(MODEM_CONTROL, 0);
    assert_eq!(uart.read(DATA), 1);
    uart.write(MODEM_CONTROL, LOOPBACK);
    uart.write(MODEM_CONTROL, 0);
    assert_eq!([(); 4].map(|()| uart.read(DATA)), [2, b'a', b'b', b'c']);
}

#[test]
fn the_trigger_level_tells_service_from_a_time_out() {
    let mut uart = with_fifos(1);
    uart.receive(b"abc");
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0xcc);
    uart.receive(b"d");
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), 0xc4);
    for left in (0..4).rev() {
        assert_eq!(uart.wire.take_rises(), 1, "{left}");
        uart.read(DATA);
        assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), if left == 0 { 0xc1 } else { 0xcc });
    }
    assert_eq!(uart.wire.take_rises(), 0);
}

#[test]
fn a_driver_with_fifos_that_reads_one_byte_per_interrupt_gets_all() {
    for trigger in 0..4 {
        let mut uart = with_fifos(trigger);
        uart.receive(&[7; 40]);
        for left in 0..40 {
            assert_eq!(uart.wire.take_rises(), 1, "{trigger} {left}");
            assert_eq!(uart.read(DATA), 7);
        }
        assert_eq!(uart.wire.take_rises(), 0);
    }
}

#[test]
fn what_has_no_room_is_an_overrun_until_the_line_status_is_read() {
    let mut uart = Uart::default();
    uart.write(MODEM_CONTROL, LOOPBACK);
    uart.write(INTERRUPT_ENABLE, ENABLE_RECEIVED | ENABLE_LINE_STATUS);
    uart.write(DATA, 1);
    uart.write(DATA, 2);
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_LINE_STATUS);
    assert_eq!(uart.read(LINE_STATUS), 0x63);
    assert_eq!(uart.read(INTERRUPT_IDENTIFICATION), PENDING_RECEIVED);
    assert_eq!(uart.read(LINE_STATUS), 0x61);
    assert_eq!(uart.read(DATA), 2, "the register holds the last byte");

    let mut uart = with_fifos(3);
    uart.write(MODEM_CONTROL, LOOPBACK);
    (0..17).for_each(|byte| _ = uart.write(DATA, byte));
    assert_eq!(uart.read(LINE_STATUS), 0x63);
    (0..16).for_each(|byte| assert_eq!(uart.read(DATA), byte, "the FIFO holds the first ones"));
    assert_eq!(uart.read(LINE_STATUS), 0x60);
}
