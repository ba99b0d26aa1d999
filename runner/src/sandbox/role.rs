//! What a thread is for.

/// What a thread is for, and so what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Watches over a run, explains its end and writes the files.
    Main,
    /// Takes the signals that end a run.
    Signals,
    /// Executes the guest on KVM.
    Vcpu,
    /// Writes what the guest prints.
    Output,
    /// Reads what is typed, and hands it to the guest.
    Input,
    /// Talks to the clients of a socket or a pseudo-terminal.
    Clients,
    /// Draws the screen.
    Screen,
    /// Reads what the emulator writes, and watches it.
    Emulator,
}

impl Role {
    /// All of them.
    #[cfg(test)]
    pub const ALL: [Self; 8] =
        [Self::Main, Self::Signals, Self::Vcpu, Self::Output, Self::Input, Self::Clients, Self::Screen, Self::Emulator];

    /// What it is called in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Main => "main",
            Self::Signals => "signals",
            Self::Vcpu => "vcpu",
            Self::Output => "output",
            Self::Input => "input",
            Self::Clients => "clients",
            Self::Screen => "screen",
            Self::Emulator => "emulator",
        }
    }

    /// Its bit in a set of roles.
    pub const fn bit(self) -> u16 {
        1 << self as u8
    }
}
