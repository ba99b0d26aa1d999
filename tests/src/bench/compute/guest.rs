//! The guests that compute: each a file in C, and how much it does.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::forms::{CODE, ROM_START, image, rom};
use crate::tools::{root, run};

/// Where their sources are.
const SOURCES: &str = "tests/src/bench/compute/guests";
/// What the compiler is told: one CPU for all hosts, and no registers of the FPU or of SIMD, as kernels are compiled.
const FLAGS: [&str; 17] = [
    "-m32",
    "-march=i686",
    "-std=gnu11",
    "-O2",
    "-ffreestanding",
    "-fno-pic",
    "-fno-pie",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-strict-aliasing",
    "-fno-asynchronous-unwind-tables",
    "-mgeneral-regs-only",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-nostdlib",
    "-static",
];
/// And the linker: a file of bytes for 1 MiB.
const LINKING: [&str; 3] = ["-Wl,--build-id=none", "-Wl,-m,elf_i386", "-Wl,--oformat=binary"];

/// A guest.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// Name of its source.
    name: &'static str,
    /// What tables say.
    pub title: &'static str,
    /// How much it does, as its source has it: from 55 to 330 million instructions.
    work: u32,
    /// The same in the quick mode.
    quick: u32,
}

/// All of them.
pub const GUESTS: [Guest; 8] = [
    Guest { name: "sieve", title: "sieve of Eratosthenes", work: 8 << 20, quick: 10_000 },
    Guest { name: "sha256", title: "SHA-256", work: 65_536, quick: 16 },
    Guest { name: "copies", title: "copies, by a loop and by rep movsl", work: 24, quick: 1 },
    Guest { name: "list", title: "linked list", work: 40_000_000, quick: 10_000 },
    Guest { name: "recursion", title: "recursive function", work: 35, quick: 10 },
    Guest { name: "integers", title: "plain integers", work: 25_000_000, quick: 10_000 },
    Guest { name: "pages", title: "page tables that change", work: 12_000, quick: 4 },
    Guest { name: "switches", title: "switches between threads", work: 15_000_000, quick: 1000 },
];

impl Guest {
    /// Compiles it into `folder`.
    ///
    /// # Panics
    /// When there is no compiler that can.
    pub fn compiled(&self, is_quick: bool, folder: &Path) -> Compiled {
        let sources = root().join(SOURCES);
        let path = folder.join(format!("{}.bin", self.name));
        let mut compiler = Command::new("gcc");
        compiler.args(FLAGS).args(LINKING).arg(format!("-Wl,-T,{}", sources.join("guest.ld").display()));
        compiler.arg(format!("-DWORK={}u", if is_quick { self.quick } else { self.work })).arg("-o").arg(&path);
        let compiled = run(compiler.args(["begin.S", &format!("{}.c", self.name)].map(|source| sources.join(source))));
        assert_eq!(compiled.status, Some(0), "{}.c can't be compiled: {}", self.name, compiled.stderr);
        let code = std::fs::read(&path).unwrap();
        Compiled { path, code }
    }
}

/// A guest's code, for 1 MiB.
#[derive(Clone, Debug)]
pub struct Compiled {
    path: PathBuf,
    code: Vec<u8>,
}

impl Compiled {
    fn write(&self, extension: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path.with_extension(extension);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// An image for `stos-run`.
    pub fn image(&self) -> PathBuf {
        self.write("img", &image(&self.code))
    }

    /// A ROM that copies the guest to where it runs.
    pub fn rom(&self) -> PathBuf {
        const COPIER_SIZE: u32 = 25;
        let size = u32::try_from(self.code.len()).unwrap();
        let copier = [
            &[0xfc, 0xbe][..], // cld; mov esi, what follows
            &(ROM_START + COPIER_SIZE).to_le_bytes(),
            &[0xbf], // mov edi, CODE
            &CODE.to_le_bytes(),
            &[0xb9], // mov ecx, size
            &size.to_le_bytes(),
            &[0xf3, 0xa4, 0xb8], // rep movsb; mov eax, CODE
            &CODE.to_le_bytes(),
            &[0xff, 0xe0], // jmp eax
        ];
        self.write("rom", &rom(&[&copier.concat(), &self.code[..]].concat()))
    }
}
