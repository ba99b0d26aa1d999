//! The commands and answers of the controller, of the keyboard and of the mouse.

/// Controller commands.
pub mod command {
    pub const READ_MODE: u8 = 0x20;
    pub const WRITE_MODE: u8 = 0x60;
    pub const DISABLE_MOUSE: u8 = 0xa7;
    pub const ENABLE_MOUSE: u8 = 0xa8;
    pub const TEST_MOUSE_PORT: u8 = 0xa9;
    pub const SELF_TEST: u8 = 0xaa;
    pub const TEST_KEYBOARD_PORT: u8 = 0xab;
    pub const DISABLE_KEYBOARD: u8 = 0xad;
    pub const ENABLE_KEYBOARD: u8 = 0xae;
    pub const READ_INPUT_PORT: u8 = 0xc0;
    pub const READ_OUTPUT_PORT: u8 = 0xd0;
    pub const WRITE_OUTPUT_PORT: u8 = 0xd1;
    pub const WRITE_KEYBOARD_OUTPUT: u8 = 0xd2;
    pub const WRITE_MOUSE_OUTPUT: u8 = 0xd3;
    pub const WRITE_MOUSE: u8 = 0xd4;
    /// The low half says which output lines are pulsed; a 0 in bit 0 pulses the CPU's reset line.
    pub const PULSE: u8 = 0xf0;
}

/// The keyboard's commands and answers.
pub mod device {
    pub const SET_LEDS: u8 = 0xed;
    pub const ECHO: u8 = 0xee;
    pub const SCAN_CODE_SET: u8 = 0xf0;
    pub const IDENTIFY: u8 = 0xf2;
    pub const SET_RATE: u8 = 0xf3;
    pub const ENABLE: u8 = 0xf4;
    pub const DISABLE: u8 = 0xf5;
    pub const DEFAULTS: u8 = 0xf6;
    pub const RESEND: u8 = 0xfe;
    pub const RESET: u8 = 0xff;

    pub const ACKNOWLEDGE: u8 = 0xfa;
    pub const NOT_UNDERSTOOD: u8 = 0xfe;
    pub const TEST_PASSED: u8 = 0xaa;
    /// A keyboard with 101 or more keys says AB 83, which is AB 41 translated.
    pub const IDENTITY: [u8; 2] = [0xab, 0x83];
    pub const IDENTITY_TRANSLATED: [u8; 2] = [0xab, 0x41];
    /// Scan code set 2, and what translation makes of that number.
    pub const SET_2: u8 = 0x02;
    pub const SET_2_TRANSLATED: u8 = 0x41;
}

/// The mouse's commands and answers; it acknowledges everything else, too.
pub mod mouse {
    pub const STATUS: u8 = 0xe9;
    pub const IDENTIFY: u8 = 0xf2;
    pub const RESET: u8 = 0xff;

    pub const IDENTITY: u8 = 0x00;
    /// Not enabled, no button, resolution 4 per mm, 100 samples a second.
    pub const STATUS_ANSWER: [u8; 3] = [0x00, 0x02, 0x64];
}
