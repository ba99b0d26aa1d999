//! Small guests in machine code, and the command run on them.

// Each test file is a program of its own and uses its own part of this. Clippy allows unwrap in test functions, but not in
// what they call.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use stos_image::{
    CR0_ET, CR0_PE, CR4_PSE, Description, EFLAGS_FIXED, EntryState, FaultCatcher, GeneralRegisters, Image, MemoryChunk,
    RunDefaults, Segment, Segments, Symbol, Symbols, TableRegister,
};
use tempfile::TempDir;

/// Where guests begin.
pub const CODE: u32 = 0x10_0000;
/// Where their task state segment lies.
const TSS: u32 = 0x5000;
/// Where their stack begins.
const STACK_TOP: u32 = 0x9000;
const MEMORY_SIZE: u64 = 4 << 20;

/// A guest in the making.
pub struct Guest {
    pub description: Description,
    pub symbols: Symbols,
    pieces: Vec<(u64, Vec<u8>)>,
}

impl Guest {
    /// A guest that executes `code`, unpaged, with flat segments and interrupts off.
    pub fn new(code: &[u8]) -> Self {
        let data = Segment::flat(0x10, Segment::DATA_ACCESS);
        let segments = Segments {
            cs: Segment::flat(0x08, Segment::CODE_ACCESS),
            ds: data.clone(),
            es: data.clone(),
            fs: data.clone(),
            gs: data.clone(),
            ss: data,
            tr: Segment { selector: 0x18, base: TSS, limit: 0x67, access: Segment::BUSY_TSS_ACCESS },
        };
        let description = Description {
            name: "test guest".to_owned(),
            protocol: "none".to_owned(),
            profile: None,
            memory_size: MEMORY_SIZE,
            memory_map: Vec::new(),
            regions: Vec::new(),
            entry: EntryState {
                general: GeneralRegisters { esp: STACK_TOP, ..Default::default() },
                eip: CODE,
                eflags: EFLAGS_FIXED,
                cr0: CR0_PE | CR0_ET,
                cr3: 0x1000,
                cr4: CR4_PSE,
                gdtr: TableRegister::default(),
                idtr: TableRegister::default(),
                segments,
            },
            fault_catcher: None,
            run: RunDefaults::default(),
            inputs: Vec::new(),
            manifest: String::new(),
        };
        Self { description, symbols: Symbols::default(), pieces: vec![(CODE.into(), code.to_vec())] }
    }

    /// With `bytes` at `address`, too.
    pub fn with(mut self, address: u64, bytes: &[u8]) -> Self {
        self.pieces.push((address, bytes.to_vec()));
        self
    }

    /// With a symbol at `address`.
    pub fn with_symbol(mut self, address: u32, size: u32, name: &str) -> Self {
        self.symbols.symbols.push(Symbol { address, size, module: 0, name: name.to_owned() });
        self
    }

    /// With a fault catcher that leaves its record at `record` and writes to `port`.
    pub fn with_fault_catcher(mut self, record: u64, port: u16) -> Self {
        self.description.fault_catcher = Some(FaultCatcher { record: stos_image::PhysAddr(record), port });
        self
    }

    /// With run defaults.
    pub fn with_run(mut self, run: RunDefaults) -> Self {
        self.description.run = run;
        self
    }

    /// The image's bytes.
    pub fn image(self) -> Vec<u8> {
        let pieces: Vec<MemoryChunk<'_>> =
            self.pieces.iter().map(|(start, bytes)| MemoryChunk { start: *start, bytes }).collect();
        let mut file = Vec::new();
        Image::assemble(self.description, &self.symbols, &[], &pieces).unwrap().write_to(&mut file).unwrap();
        file
    }
}

/// Machine code of common pieces.
pub mod code {
    /// `mov dx, PORT; mov esi, ADDRESS; mov ecx, COUNT; rep outsb`: prints a text that the code carries, then goes on.
    pub fn print(port: u16, text: &[u8]) -> Vec<u8> {
        // call over the text; pop esi
        let length = u32::try_from(text.len()).unwrap();
        let mut code = vec![0xe8];
        code.extend(length.to_le_bytes());
        code.extend(text);
        code.push(0x5e);
        code.extend([0xb9]);
        code.extend(length.to_le_bytes());
        code.extend([0x66, 0xba]);
        code.extend(port.to_le_bytes());
        code.extend([0xfc, 0xf3, 0x6e]);
        code
    }

    /// `mov eax, VALUE; mov dx, PORT; out dx, eax`.
    pub fn out32(port: u16, value: u32) -> Vec<u8> {
        let mut code = vec![0xb8];
        code.extend(value.to_le_bytes());
        code.extend([0x66, 0xba]);
        code.extend(port.to_le_bytes());
        code.push(0xef);
        code
    }

    /// `mov al, VALUE; mov dx, PORT; out dx, al`.
    pub fn out8(port: u16, value: u8) -> Vec<u8> {
        let mut code = vec![0xb0, value, 0x66, 0xba];
        code.extend(port.to_le_bytes());
        code.push(0xee);
        code
    }

    /// Ends with this status.
    pub fn exit(value: u32) -> Vec<u8> {
        [out32(0xf4, value), HALT.to_vec()].concat()
    }

    /// `cli; hlt` for ever.
    pub const HALT: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfc];
    /// `jmp` to itself.
    pub const SPIN: [u8; 2] = [0xeb, 0xfe];
    /// `ud2`, which finds no handler in an empty IDT.
    pub const CRASH: [u8; 2] = [0x0f, 0x0b];
    /// COM1.
    pub const COM1: u16 = 0x3f8;

    /// Prints to COM1.
    pub fn say(text: &str) -> Vec<u8> {
        print(COM1, text.as_bytes())
    }

    /// Echoes bytes from COM1 until `q`, then ends with 0.
    pub const ECHO: [u8; 34] = [
        0x66, 0xba, 0xfd, 0x03, // mov dx, 0x3fd
        0xec, // in al, dx
        0xa8, 0x01, // test al, 1
        0x74, 0xf7, // jz back
        0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
        0xec, // in al, dx
        0xee, // out dx, al
        0x3c, b'q', // cmp al, 'q'
        0x75, 0xed, // jne back
        0x31, 0xc0, // xor eax, eax
        0x66, 0xba, 0xf4, 0x00, // mov dx, 0xf4
        0xef, // out dx, eax
        0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4,
    ];

    /// Prints `count` times 64 KiB of `x`, and a line at the end.
    pub fn flood(count: u32) -> Vec<u8> {
        let mut body = vec![0xb9, 0x00, 0x00, 0x01, 0x00]; // mov ecx, 65536
        body.extend([0x66, 0xba, 0xf8, 0x03, 0xb0, b'x']); // mov dx, 0x3f8; mov al, 'x'
        body.extend([0xee, 0xe2, 0xfd]); // out dx, al; loop
        body.extend([0x4d, 0x75, 0_u8.wrapping_sub(body.len().to_le_bytes()[0] + 3)]); // dec ebp; jnz
        let mut code = vec![0xbd];
        code.extend(count.to_le_bytes());
        code.extend(body);
        code.extend(say("\nend\n"));
        code.extend(exit(0));
        code
    }
}

/// The backends that can run unpaged guests here. One that can't is named with its reason.
pub fn backends() -> Vec<&'static str> {
    let mut backends = vec!["emulated"];
    match fs::File::options().read(true).write(true).open("/dev/kvm") {
        Ok(_) => backends.push("kvm"),
        Err(error) => eprintln!("skipped on kvm: /dev/kvm: {error}"),
    }
    backends
}

/// An image in a directory that goes away with it.
pub struct ImageFile {
    directory: TempDir,
}

impl ImageFile {
    pub fn new(bytes: &[u8]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("guest.img"), bytes).unwrap();
        Self { directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("guest.img")
    }
}

/// The command with `arguments`, its standard streams piped.
pub fn command(arguments: &[&str], image: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stos-run"));
    command.args(arguments).arg(image).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            status: output.status.code().unwrap_or_else(|| panic!("killed: {}", output.status)),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

/// Starts `guest` on `backend`.
pub fn start(backend: &str, arguments: &[&str], image: &ImageFile) -> Child {
    let arguments = [&["--backend", backend][..], arguments].concat();
    command(&arguments, &image.path()).stdin(Stdio::piped()).spawn().unwrap()
}

/// Runs `image` on `backend` with `input` on standard input. A time limit keeps a broken runner from hanging the tests.
pub fn run_with_input(backend: &str, arguments: &[&str], image: &[u8], input: &[u8]) -> Ended {
    let image = ImageFile::new(image);
    let limit: &[&str] = if arguments.contains(&"--timeout") { &[] } else { &["--timeout", "60s"] };
    let mut child = start(backend, &[arguments, limit].concat(), &image);
    // A guest that ends before it reads closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap().into()
}

/// Runs `image` on `backend`.
pub fn run(backend: &str, arguments: &[&str], image: &[u8]) -> Ended {
    run_with_input(backend, arguments, image, b"")
}

/// Runs the guest that executes the pieces of `code`, on every backend, and asserts that it ends with `status`.
pub fn assert_status(code: &[Vec<u8>], arguments: &[&str], status: i32) -> Vec<Ended> {
    let image = Guest::new(&code.concat()).image();
    backends()
        .into_iter()
        .map(|backend| {
            let ended = run(backend, arguments, &image);
            assert_eq!(ended.status, status, "{backend}: {ended:?}");
            ended
        })
        .collect()
}
