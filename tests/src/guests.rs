//! Guests for end-to-end tests: what each is packed from, how it is run, what it must print and how it must end.

mod elf;
mod multiboot;
mod triple_faults;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::hostile;
use crate::tools::{Run, root, run, tool};

/// Stands before the report in what a run prints on standard error.
pub const REPORT_MARK: &str = "--- report\n";

/// One run of one guest.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Name of the case.
    pub name: &'static str,
    /// The kernel below `examples/`; `.elf` is left out.
    pub kernel: &'static str,
    /// Its boot protocol.
    pub protocol: &'static str,
    /// Guest memory.
    pub memory: &'static str,
    /// Further lines of the manifest.
    pub lines: String,
    /// Options of `stos-run`.
    pub options: &'static [&'static str],
    /// What the guest reads from its serial port.
    pub input: &'static str,
    /// The exit status that the run must have.
    pub status: i32,
    /// The statuses that it may have on KVM instead, where the machine is another there or processors differ. What is printed
    /// may differ then, too.
    pub on_kvm: &'static [i32],
    /// What the run must print on standard output.
    pub stdout: Text,
    /// What standard error must contain.
    pub stderr: &'static [&'static str],
    /// What it must contain, too, where an emulator is installed for a second run.
    pub explained: &'static [&'static str],
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this machine, which has an emulator.
    Here,
    /// In a nested VM, which has none.
    Nested,
}

/// What the flood guest prints when it is to print `bytes` bytes.
pub fn flood(bytes: usize) -> String {
    let mut state = 1_u32;
    let letter = |column: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        // Six bits, from the space on.
        if column.is_multiple_of(64) { '\n' } else { char::from(b' ' + state.to_be_bytes()[0] / 4) }
    };
    (1..=bytes).map(letter).collect()
}

/// What a text must be.
#[derive(Clone, Debug)]
pub enum Text {
    /// Exactly this.
    Exactly(&'static str),
    /// As many bytes of [`flood`].
    Flood(usize),
    /// Each of the first in this order, and none of the second anywhere.
    With(&'static [&'static str], &'static [&'static str]),
}

impl Guest {
    /// A tiny guest that prints exactly `stdout` and ends with `status`.
    pub(crate) fn tiny(name: &'static str, kernel: &'static str, status: i32, stdout: &'static str) -> Self {
        Self {
            name,
            kernel,
            protocol: "stos",
            memory: "16MiB",
            lines: String::new(),
            options: &["--timeout", "60s"],
            input: "",
            status,
            on_kvm: &[],
            stdout: Text::Exactly(stdout),
            stderr: &[],
            explained: &[],
        }
    }

    /// A guest that prints `bytes` bytes of [`flood`] and succeeds; `words` follow in its command line.
    pub fn flood(name: &'static str, bytes: usize, words: &str) -> Self {
        let stdout = Text::Flood(bytes);
        Self { stdout, ..Self::tiny(name, "guests/flood", 0, "").cmdline(&format!("flood.bytes={bytes}{words}")) }
    }

    /// ministos with its modules and its initramfs, and with `cmdline`.
    fn ministos(name: &'static str, cmdline: &str, status: i32, with: &'static [&'static str]) -> Self {
        let examples = root().join("examples/ministos").display().to_string();
        let module = |module| format!("  - path: {examples}/{module}.ko\n");
        let modules: String = ["timer", "shell", "init"].map(module).concat();
        let lines = format!("cmdline: {cmdline}\ninitramfs: {{directory: {examples}/initramfs}}\nmodules:\n{modules}");
        let stdout = Text::With(with, &["FAILED"]);
        Self { lines, stdout, ..Self::tiny(name, "ministos/kernel", status, "") }
    }

    pub(crate) fn options(self, options: &'static [&'static str]) -> Self {
        Self { options, ..self }
    }

    pub(crate) fn cmdline(self, words: &str) -> Self {
        Self { lines: format!("{}cmdline: {words}\n", self.lines), ..self }
    }

    pub(crate) fn says(self, stderr: &'static [&'static str]) -> Self {
        Self { stderr, ..self }
    }

    fn explained(self, explained: &'static [&'static str]) -> Self {
        Self { explained, ..self }
    }

    fn input(self, input: &'static str) -> Self {
        Self { input, ..self }
    }

    fn memory(self, memory: &'static str) -> Self {
        Self { memory, ..self }
    }

    /// Packs the guest into `folder`; returns the image.
    ///
    /// # Panics
    /// When it can't be packed.
    pub fn pack(&self, folder: &Path) -> PathBuf {
        let mut kernel = root().join("examples").join(self.kernel);
        if kernel.extension().is_none() {
            kernel.set_extension("elf");
        }
        assert!(kernel.is_file(), "{} is missing: run `make -C examples`", kernel.display());
        let file_name = self.name.replace(' ', "-");
        let manifest = folder.join(&file_name).with_extension("yaml");
        let text = format!(
            "version: 1\nname: {:?}\nmemory: {}\nkernel: {{path: {}, protocol: {}}}\n{}",
            self.name,
            self.memory,
            kernel.display(),
            self.protocol,
            self.lines
        );
        let image = manifest.with_extension("img");
        assert!(fs::write(&manifest, text).is_ok(), "can't write {}", manifest.display());
        let packed = run(tool("stos-pack").arg(&manifest).arg("-o").arg(&image));
        assert_eq!(packed.status, Some(0), "{}: {}", self.name, packed.stderr);
        image
    }

    /// Whether paging stays off, so that a KVM that can't page in 32 bits runs the guest, too.
    pub fn is_unpaged(&self) -> bool {
        self.protocol == "elf" && !self.lines.contains("paging")
    }

    /// Runs `image` on a backend of this machine; its report is added to standard error, after [`REPORT_MARK`].
    ///
    /// # Panics
    /// When `stos-run` can't be started.
    pub fn run(&self, backend: &str, image: &Path) -> Run {
        let report = image.with_extension("json");
        let mut command = tool("stos-run");
        command.args(["--backend", backend, "--report"]).arg(&report).args(self.options).arg(image);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.spawn().and_then(|mut child| {
            // A guest that ends before it has read all closes the pipe; that is its right.
            let _ = child.stdin.take().map(|mut stdin| stdin.write_all(self.input.as_bytes()));
            child.wait_with_output()
        });
        match output {
            Ok(output) => {
                let run = Run::from(output);
                let report = fs::read_to_string(report).unwrap_or_default();
                Run { stderr: run.stderr + REPORT_MARK + &report, ..run }
            }
            Err(error) => panic!("{command:?}: {error}"),
        }
    }

    /// Compares a run on `backend`, in `place`, with what it must be.
    ///
    /// # Errors
    /// Says what differs, with everything that the run printed.
    pub fn check(&self, backend: &str, found: &Run, place: Place) -> Result<(), String> {
        let mut wrong = Vec::new();
        let right = if backend == "emulated" || self.on_kvm.is_empty() { &[self.status] } else { self.on_kvm };
        if !found.status.is_some_and(|status| right.contains(&status)) {
            wrong.push(format!("status {:?}, expected {right:?}", found.status));
        }
        match &self.stdout {
            Text::Exactly(expected) if found.stdout != *expected => {
                wrong.push(format!("expected exactly {expected:?}"));
            }
            Text::Exactly(_) => {}
            Text::Flood(bytes) => {
                if found.stdout != flood(*bytes) {
                    let length = found.stdout.len();
                    return Err(format!("{length} bytes that are not the {bytes} printed\n{}", found.stderr));
                }
            }
            Text::With(expected, forbidden) => {
                let mut rest = &*found.stdout;
                for text in *expected {
                    match rest.split_once(text) {
                        Some((_, after)) => rest = after,
                        None => wrong.push(format!("{text:?} is missing, or out of order")),
                    }
                }
                let seen = forbidden.iter().filter(|text| found.stdout.contains(**text));
                wrong.extend(seen.map(|text| format!("{text:?} must not appear")));
            }
        }
        let of_second_run = match place {
            _ if self.explained.is_empty() => &[],
            Place::Here => self.explained,
            Place::Nested => NOT_EXPLAINED,
        };
        let silent = self.stderr.iter().chain(of_second_run).filter(|text| !found.stderr.contains(**text));
        wrong.extend(silent.map(|text| format!("{text:?} is missing on standard error")));
        if wrong.is_empty() {
            return Ok(());
        }
        let (stdout, stderr) = (&found.stdout, &found.stderr);
        Err(format!("{}\n--- standard output\n{stdout}\n--- standard error\n{stderr}", wrong.join("\n")))
    }
}

/// What is said where there is no emulator for a second run.
const NOT_EXPLAINED: &[&str] = &[
    "triple fault: an exception ",
    " found no handler, and neither did the double fault after it\n",
    "  which exceptions led to this would be seen in a second run, but no emulator is installed: ",
];

/// Every guest: they run on the emulated backend and on a KVM that can page.
pub fn all() -> Vec<Guest> {
    let loading_complete = &["Boot memory map:", "This is ministos booting (i386) !", "Loading complete"];
    let mut guests = vec![
        Guest::ministos("ministos", "init.mode=all timer.hz=100", 0, loading_complete),
        Guest::ministos("ministos in 3 GiB", "init.mode=all timer.hz=100", 0, loading_complete).memory("3GiB"),
        Guest::ministos(
            "ministos at 1000 Hz",
            "init.mode=all timer.hz=1000",
            0,
            &["timer: 1000 Hz", "Loading complete"],
        ),
        Guest::ministos("ministos shell", "init.mode=tests shell.interactive=1", 7, &["Loading complete", "etc/motd"])
            .input("ls\nexit 7\n"),
        Guest::ministos("ministos without a mode", "timer.hz=100", 101, &["Kernel panic: init mode required"])
            .says(&["the guest panicked"]),
        Guest::tiny("panic port", "guests/panic", 101, "panic: panicking\n").says(&["the guest panicked"]),
        Guest::tiny("halt", "guests/halt", 104, "halt: halting\n").says(&["halted"]),
        Guest::tiny("reset", "guests/reset", 106, "reset: through the keyboard controller\n").says(&["reset"]),
        Guest::tiny("hang", "guests/hang", 124, "hang: looping\n").options(&["--timeout", "2s"]).says(&[
            "time limit of 2s reached; the CPU was at 0xc01",
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
        Guest::tiny("rep outsb", "guests/rep_outsb", 0, "rep_outsb: started\nrep outsb to COM1\nrep insb: ok\n")
            .says(&["rep outsb to port 0xE9\n"]),
        Guest::tiny("memory map", "guests/memory_map", 0, MEMORY_MAP),
        // Not more: each byte is an exit of an emulated KVM.
        Guest::flood("much output", 100_000, ""),
        Guest::flood("much output at once", 100_000, " flood.rep=1"),
        Guest::tiny("processor", "guests/cpuid", 0, CPUID),
        Guest::ministos("ministos on the host's processor", "init.mode=all timer.hz=100", 0, loading_complete)
            .options(&["--timeout", "60s", "--cpu", "host"])
            .says(&["stos-run: the guest's CPU is "]),
        Guest::tiny("echo", "guests/echo", 0, "echo: type, q ends\nhello q\n").input("hello q"),
        Guest::tiny("debug console", "guests/debug_console", 0, "").says(&["debug_console: text on port 0xE9\n"]),
    ];
    guests.extend(multiboot::all());
    guests.extend(elf::all());
    guests.extend(exceptions());
    guests.extend(triple_faults::all());
    guests.extend(exit_statuses());
    guests.extend(devices());
    guests.extend(hostile::all());
    guests
}

/// Guests that die of an exception before they have an IDT, and one that ends without any, with what the diagnosis must say.
fn exceptions() -> Vec<Guest> {
    vec![
        Guest::tiny("early page fault", "guests/early_fault", 102, "early_fault: reading 0xDEAD0000\n").says(&[
            "#PF (page fault) at 0xc01",
            "(kernel_main+0x",
            "(guests/early_fault.c:8)",
            ": supervisor read of 0xdead0000: no page is mapped there\n",
            "  error code 0x0: P 0 (not present), W/R 0 (read), U/S 0 (supervisor), ",
            "  page directory entry 890 at 0x1de8 = 0x00000000: not present\n",
            "  mapped are 0x00000000-0x003fffff, 0xc0000000-0xc03fffff, 0xff400000-0xff7fffff\n",
            "    > 0xc01",
            "    it reads 4 bytes at 0xdead0000",
            ": the address that faulted\n",
            " trampoline, which calls the kernel\n",
            "CR2 dead0000",
        ]),
        Guest::tiny("early division by zero", "guests/divide", 102, "divide: 1 / 0\n")
            .says(&["#DE (divide error)", "meaning: a division by zero", "> 0xc01", "  div    %"]),
        Guest::tiny("null write", "guests/null_write", 102, "null_write: 42 to NULL\n").says(&[
            "#PF (page fault) at 0xc01",
            "(guests/null_write.c:6) before the kernel had its own IDT: supervisor write to 0x00000000",
            "  page directory entry 0 at 0x1000 = 0x00000000: not present\n",
            "  mapped are 0xc0000000-0xc03fffff, ",
            "  hint: a NULL pointer was used\n",
            "    it writes 4 bytes at 0x00000000 = E",
            " kernel_main+0x",
            "(guests/null_write.c:17)\n",
        ]),
        Guest::tiny("null call", "guests/null_call", 102, "null_call: calling NULL\n").says(&[
            "#PF (page fault) at 0x00000000 before the kernel had its own IDT: supervisor instruction fetch from 0x00000000",
            "  hint: EIP 0x00000000 is not mapped: the call of a function pointer that is NULL; called from 0xc01",
            " run+0x",
            "(guests/null_call.c:6)\n",
            " kernel_main+0x",
        ]),
        Guest::tiny("bad stack", "guests/bad_stack", 102, "bad_stack: pushing at 0xDEAD0000\n").says(&[
            "#DF (double fault) at 0xc01",
            "(guests/bad_stack.c:8)",
            ": the stack is bad (0xdeacfffc below ESP 0xdead0000 is not mapped), so an exception could not be delivered\n",
            "  page directory entry 890 at 0x1de8 = 0x00000000: not present\n",
            "  hint: the stack is bad: ESP is 0xdead0000",
            "  push   $0x2a\n",
            "    it writes 4 bytes at 0xdeacfffc = ESP 0xdead0000 - 0x4\n",
        ]),
        Guest::tiny("stack overflow", "guests/stack_overflow", 102, "stack_overflow: recursing\n").says(&[
            "#DF (double fault) at 0xc01",
            "(depth+0x",
            "  hint: stack overflow: the stack has grown down to ESP 0xff4000",
            " times more, up to #",
            ": recursion\n",
            " recurse+0x",
            " kernel_main+0x",
        ]),
        Guest::tiny("bad selector", "guests/bad_selector", 102, "bad_selector: 0x38 to DS\n").says(&[
            "#GP (general protection) at 0xc01",
            ": through selector 0x38 (entry 7 of the GDT)\n",
            "  error code 0x38: EXT 0 (by the program), IDT 0 (no), TI 0 (GDT), index 7: entry 7 of the GDT\n",
            "  the GDT at 0xc0002000 has 6 entries (limit 0x2f); entry 7 lies past its end\n",
            "    0x0028  32-bit task state segment, free, base 0xc0002180, limit 0x00000067, DPL 0, present\n",
            ",%ds\n",
        ]),
        Guest::tiny("invalid opcode", "guests/invalid_opcode", 102, "invalid_opcode: ud2\n").says(&[
            "#UD (invalid opcode) at 0xc01",
            "(guests/invalid_opcode.c:8)",
            "    > 0xc01",
            "  ud2\n",
        ]),
        Guest::tiny("kernel returns", "guests/kernel_return", 104, "kernel_return: returning\n")
            .says(&["the kernel's entry function returned, which a kernel must never do"]),
    ]
}

/// Guests that use the devices of a PC.
fn devices() -> Vec<Guest> {
    let polled = "keyboard, polled: 1E 9E E0 48 E0 C8 1D 2E AE 9D 1C 9C 10 90\n";
    vec![
        Guest::tiny("clock", "guests/rtc", 0, "rtc: 2000-01-01 00:00, day 7\nrtc: 640 KiB and 15360 KiB above 1 MiB\n"),
        Guest::tiny("pci", "guests/pci", 0, "pci: no mechanism 1\npci: 0 devices on bus 0\n"),
        Guest::tiny(
            "ata",
            "guests/ata",
            0,
            "ata: channel 0, status 00, alternate status 00: no drive\n\
             ata: channel 1, status 00, alternate status 00: no drive\n",
        ),
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
            .says(&["no line of its output matched `║ screen ║$`"]),
        Guest::tiny("screen with the forbidden", "guests/screen", 105, "")
            .options(&["--timeout", "60s", "--reject", "last row"])
            .says(&["a line of output matches `last row`, which is not to appear: the last row"]),
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

/// What CPUID says, on every machine.
const CPUID: &str = "cpuid 0x00000000: 0x00000001 0x756E6547 0x6C65746E 0x49656E69
cpuid 0x00000001: 0x00000600 0x00000800 0x00000000 0x078BFBFD
cpuid 0x80000000: 0x80000001 0x756E6547 0x6C65746E 0x49656E69
cpuid 0x80000001: 0x00000600 0x00000000 0x00000000 0x00000000
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

/// A guest for each sort of value that can be written to the exit port.
fn exit_statuses() -> Vec<Guest> {
    let cases: [(&str, &str, i32, &str); 9] = [
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
