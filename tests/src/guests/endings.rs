//! Guests that end, or do not, in each of the ways that are no exception, and what is expected of their output.

use super::guest::Guest;
use super::text::Text;

/// All of them.
pub fn all() -> Vec<Guest> {
    let mut guests = vec![
        Guest::tiny("panic port", "guests/panic", 101, "panic: panicking\n").says(&["the guest panicked"]),
        Guest::tiny("halt", "guests/halt", 104, "halt: halting\n").says(&["halted"]),
        Guest::tiny("reset", "guests/reset", 106, "reset: through the keyboard controller\n").says(&["reset"]),
        Guest::tiny("hang", "guests/hang", 124, "hang: looping\n").options(&["--timeout", "2s"]).says(&[
            "stos-run: time limit of 2s reached",
            "; the CPU was at 0xc01",
            "(guests/hang.c:8) each of the 8 times that it was looked at\n",
            "    > 0xc01",
            "  jmp    0xc01",
            " trampoline, which calls the kernel\n",
        ]),
        Guest::tiny("spin lock", "guests/spin_lock", 124, "spin_lock: once\nspin_lock: twice\n")
            .options(&["--timeout", "2s"])
            .says(&["; the CPU was ", "spin_lock", " each of the 8 times that it was looked at"]),
        Guest::tiny("masked halt", "guests/masked_halt", 104, "masked_halt: waiting\n")
            .says(&["HLT before 0xc01", "with interrupts enabled, but the interrupt controllers mask every request"]),
        Guest::tiny("rotated priorities", "guests/priorities", 0, PRIORITIES),
        Guest {
            stdout_on_kvm: Some(Text::With(&["priorities: waiting in the timer's handler\n"], &[])),
            ..Guest::tiny("special mask mode", "guests/priorities", 0, PRIORITIES)
                .cmdline("priorities.special=1")
                // KVM's controllers do not act on the mode.
                .on_kvm(&[0, 124])
                .options(&["--timeout", "20s"])
        },
        Guest::tiny("missing end of interrupt", "guests/missing_eoi", 104, "missing_eoi: waiting for 3 ticks\n")
            .says(&["with interrupts enabled, but IRQ 0 is still in service", "has not sent the end of interrupt"]),
        Guest::tiny("spin until expected", "guests/spin", 0, "spin: started\nLoading complete\n").options(&[
            "--timeout",
            "60s",
            "--expect",
            "^spin: ",
            "--expect",
            "Loading complete",
        ]),
        Guest::tiny("spin without the expected", "guests/spin", 105, "spin: started\nLoading complete\n")
            .options(&["--timeout", "2s", "--expect", "Loading complete", "--expect", "never printed"])
            .says(&["no line of output had matched `never printed`; the CPU was at 0xc01", "(guests/spin.c:"]),
        Guest::tiny("exit without the expected", "guests/exit_status", 105, "exit_status: 0 in 8 bits\n")
            .options(&["--timeout", "60s", "--expect", "never printed"])
            .says(&["never printed"]),
    ];
    guests.extend(statuses());
    guests
}

/// One for each sort of value that can be written to the exit port.
fn statuses() -> Vec<Guest> {
    let cases = [
        ("exit status 0", "exit.status=0", 0, "exit_status: 0 in 8 bits\n"),
        ("exit status 1", "exit.status=1", 1, "exit_status: 1 in 8 bits\n"),
        ("exit status 42", "exit.status=42 exit.width=32", 42, "exit_status: 42 in 32 bits\n"),
        ("exit status 63", "exit.status=63", 63, "exit_status: 63 in 8 bits\n"),
        ("exit status 64", "exit.status=64 exit.width=16", 63, "exit_status: 64 in 16 bits\n"),
        ("exit status 127", "exit.status=127", 63, "exit_status: 127 in 8 bits\n"),
        ("exit status 255", "exit.status=255", 63, "exit_status: 255 in 8 bits\n"),
        ("exit status 128", "exit.status=128", 63, "exit_status: 128 in 8 bits\n"),
        ("exit status 256", "exit.status=256 exit.width=32", 63, "exit_status: 256 in 32 bits\n"),
    ];
    let guest = |(name, words, status, stdout)| Guest::tiny(name, "guests/exit_status", status, stdout).cmdline(words);
    cases.into_iter().map(guest).collect()
}

/// What a guest prints that waits in one interrupt's handler for another.
const PRIORITIES: &str = "priorities: waiting in the timer's handler\npriorities: the clock came through\n";
