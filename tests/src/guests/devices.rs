//! Guests that use the devices of a PC, or look at its processor and memory.

use super::guest::Guest;
use super::measured::as_the_page_says;

/// All of them.
pub fn all() -> Vec<Guest> {
    let polled = "keyboard, polled: 1E 9E E0 48 E0 C8 1D 2E AE 9D 1C 9C 10 90\n";
    vec![
        Guest::tiny("rep outsb", "guests/rep_outsb", 0, "rep_outsb: started\nrep outsb to COM1\nrep insb: ok\n")
            .says(&["rep outsb to port 0xE9\n"]),
        Guest::tiny("memory map", "guests/memory_map", 0, MEMORY_MAP),
        // Not more: each byte is an exit of an emulated KVM, which takes a minute for all on a slow machine.
        Guest::flood("much output", 100_000, "").options(&["--timeout", "240s"]),
        Guest::flood("much output at once", 100_000, " flood.rep=1").options(&["--timeout", "240s"]),
        Guest::tiny("processor", "guests/cpuid", 0, CPUID),
        as_the_page_says("examples/guests/hidden.c", Guest::tiny("hidden instructions", "guests/hidden", 0, "")),
        Guest::tiny("echo", "guests/echo", 0, "echo: type, q ends\nhello q\n").input("hello q"),
        Guest::tiny("debug console", "guests/debug_console", 0, "").says(&["debug_console: text on port 0xE9\n"]),
        Guest::tiny("clock", "guests/rtc", 0, "rtc: 2000-01-01 00:00, day 7\nrtc: 640 KiB and 15360 KiB above 1 MiB\n"),
        Guest::tiny("pci", "guests/pci", 0, "pci: no mechanism 1\npci: 0 devices on bus 0\n")
            .never_says(&["looked for PCI"]),
        Guest::tiny(
            "ata",
            "guests/ata",
            0,
            "ata: channel 0, status 00, alternate status 00: no drive\n\
             ata: channel 1, status 00, alternate status 00: no drive\n",
        ),
        Guest::tiny("keyboard at the start", "guests/keyboard_start", 0, "keyboard at the start: 1C FA 1C FA 1C FA\n"),
        Guest::tiny("keyboard by interrupt", "guests/keyboard", 0, "keyboard, interrupts: 2A 23 A3 AA 17 97 10 90\n")
            .options(&["--timeout", "60s", "--keyboard", "ps2"])
            .input("Hiq"),
        Guest::tiny("keyboard by polling", "guests/keyboard", 0, polled)
            .cmdline("poll")
            .options(&["--timeout", "60s", "--keyboard", "ps2"])
            .input("a\u{1b}[A\u{3}\rq"),
        Guest::tiny("screen", "guests/screen", 0, "").says(&[SCREEN]),
        Guest::tiny("screen as expected", "guests/screen", 0, "").options(&[
            "--timeout",
            "60s",
            "--expect",
            "║ screen ║$",
            "--expect",
            "^the last row$",
        ]),
        Guest::tiny("screen without the expected", "guests/screen", 105, "")
            .options(&["--timeout", "60s", "--expect", "^the last row$", "--expect", "║ screen ║$"])
            .says(&["no line of its output matched `║ screen ║$`"])
            .never_says(&["text memory", "CRTC", "graphics"]),
        Guest::tiny("screen with the forbidden", "guests/screen", 105, "")
            .options(&["--timeout", "60s", "--reject", "last row"])
            .says(&["a line of output matches `last row`, which is not to appear: the last row"]),
        Guest::tiny("screen that scrolls by the start address", "guests/console", 104, "")
            .cmdline("console=1")
            .on_kvm(&[0])
            .says(&[
                "screen ---\nconsole: first row\n--- end",
                "there is text in row 26 of the text memory, which is not shown: `console: one row too many`; the guest sets where the \
                 screen begins (CRTC registers 0x0c and 0x0d), which the emulator does not know: see --backend kvm",
            ]),
        Guest::tiny("screen of who asks for the cursor", "guests/console", 104, "")
            .cmdline("console=2")
            .on_kvm(&[0])
            .says(&["the guest uses the cursor's registers (CRTC registers 0x0e and 0x0f), which the emulator does not have: it reads \
                     0xffff there"]),
        Guest::tiny("screen that does not scroll", "guests/console", 104, "")
            .says(&["there is text in row 26 of the text memory, which is not shown: `console: one row too many`; a screen has 25 rows"])
            .never_says(&["CRTC"]),
        Guest::tiny("graphics mode", "guests/graphics", 104, "")
            .says(&["shows text only, 80 columns and 25 rows at 0xb8000"])
            .never_says(&["text memory"]),
        Guest::tiny("graphics memory", "guests/graphics", 104, "").cmdline("memory=1").says(&[
            "the guest has written to 0xa0000, the memory of graphics modes; this machine shows text only, 80 columns and 25 rows at \
             0xb8000",
        ]),
        Guest::tiny("shut down", "guests/shut_down", 104, "shut_down: good night\n")
            .says_on_kvm(&["the guest wrote to a port that shuts other virtual machines down (0x604, 0xb004 or 0x4004); here, 0 written to port \
                     0xf4 ends the run with success"])
            .never_says(&["PCI"]),
        Guest::tiny("pci in vain", "guests/pci", 105, "pci: no mechanism 1\npci: 0 devices on bus 0\n")
            .options(&["--timeout", "60s", "--expect", "network: up"])
            .says_on_kvm(&["the guest looked for PCI (port 0xcf8); this machine has none"])
            .never_says(&["shuts"]),
        Guest::tiny("typewriter", "guests/typewriter", 0, "")
            .options(&["--timeout", "60s", "--keyboard", "ps2", "--screen", "final"])
            .input("hello, keyboard\u{1b}")
            .says(&["screen ---\ntypewriter: type, escape ends\nhello, keyboard\n--- end"]),
    ]
}

/// What is printed of the screen that the screen guest draws.
const SCREEN: &str = "--- the guest's screen ---

  ╔════════╗
  ║ screen ║
  ╚════════╝

  0 1 2 3 4 5 6 7 8 9 A B C D E F


















the last row
--- end of the screen ---
";

/// What CPUID and registers of the model say, on every machine.
const CPUID: &str = "cpuid 0x00000000: 0x00000001 0x756E6547 0x6C65746E 0x49656E69
cpuid 0x00000001: 0x00000600 0x00000800 0x00000000 0x078BFBFD
cpuid 0x40000000: 0x00000000 0x00000000 0x00000000 0x00000000
cpuid 0x40000001: 0x00000000 0x00000000 0x00000000 0x00000000
cpuid 0x80000000: 0x80000001 0x756E6547 0x6C65746E 0x49656E69
cpuid 0x80000001: 0x00000600 0x00000000 0x00000000 0x00000000
msr 0x0000001B: 0x00000000 0xFEE00900
msr 0x000000FE: 0x00000000 0x00000508
msr 0x000001A0: 0x00000000 0x00000001
msr 0x00000277: 0x00070406 0x00070406
";

/// What the memory map printer prints for 16 MiB.
const MEMORY_MAP: &str = "memory_map: 6 segments
0x00000000 0x0009FC00 2
0x0009FC00 0x00000400 2
0x000F0000 0x00010000 2
0x00100000 0x00300000 2
0x00400000 0x00018000 2
0x00418000 0x00BE8000 1
highest 0x01000000
";
