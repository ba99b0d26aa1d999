//! Counts the instructions of packing, of starting a run and of the embedded machine, and compares them with recorded ones.
//!
//!     count-instructions PACK RUN             fails when a count is more than 5 % above its record
//!     count-instructions PACK RUN --record    records the counts instead
//!
//! `make counts` and `make record-counts` call it with the commands that they have built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use stos_run::backend::{BackendChoice, choose};
use stos_run::outcome::Outcome;
use stos_tests::bare::BareGuest;
use stos_tests::bare::code::exit;
use stos_tests::counts::{Counted, Counts, Records, count, toolchain};
use stos_tests::elf::Elf;
use stos_tests::tools::root;

/// How often something is counted. The lowest count has the fewest waits in it: of one run on KVM with both cores of the machine
/// busy, counts were up to 6 % apart, and the lowest of several less than 1 %.
const ROUNDS: usize = 5;

/// Modules of the larger image.
const MODULES: usize = 200;

/// Two million instructions: numbers in memory are read, changed, pushed and written, and every other one branches.
const COMPUTE: [u8; 43] = [
    0xbc, 0x00, 0xf0, 0x1f, 0x00, // mov esp, 0x1ff000
    0xb9, 0x40, 0x0d, 0x03, 0x00, // mov ecx, 200000
    0x8b, 0x04, 0x8d, 0x00, 0x00, 0x20, 0x00, // again: mov eax, [0x200000 + ecx * 4]
    0x01, 0xc8, // add eax, ecx
    0x69, 0xc0, 0x0d, 0x66, 0x19, 0x00, // imul eax, eax, 1664525
    0x89, 0x04, 0x8d, 0x00, 0x00, 0x20, 0x00, // mov [0x200000 + ecx * 4], eax
    0x50, // push eax
    0x5a, // pop edx
    0xd1, 0xea, // shr edx, 1
    0x73, 0x02, // jnc past the next
    0x31, 0xc2, // xor edx, eax
    0x49, // dec ecx
    0x75, 0xdf, // jnz again
];

/// What is counted.
struct Case {
    name: &'static str,
    /// Why it can't be counted here.
    obstacle: Option<String>,
    program: PathBuf,
    arguments: Vec<String>,
}

/// All that is counted; manifests and images come into `folder`.
fn cases(pack: &Path, run: &Path, folder: &Path) -> Result<Vec<Case>, String> {
    let case = |name, program: &Path, arguments: &[&str]| Case {
        name,
        obstacle: None,
        program: program.to_owned(),
        arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
    };
    let ministos = root().join("manifests/ministos.yaml").display().to_string();
    let elf = root().join("manifests/elf.yaml").display().to_string();
    let told = |error: std::io::Error| format!("{}: {error}", folder.display());
    write_modules(folder).map_err(told)?;
    fs::write(folder.join("compute.img"), BareGuest::new(&[&COMPUTE[..], &exit(0)].concat()).image()).map_err(told)?;
    let obstacle = choose(BackendChoice::Kvm, None, |_| {}).err().map(|none| Outcome::from(none).to_string());
    Ok(vec![
        case("pack ministos", pack, &[&ministos, "-o", "ministos.img"]),
        case("pack 200 modules", pack, &["modules.yaml", "-o", "modules.img"]),
        case("verify ministos", pack, &["verify", "ministos.img"]),
        // A guest that prints a line and exits, without paging.
        case("pack hello", pack, &[&elf, "-o", "hello.img"]),
        case("run on QEMU", run, &["--no-sandbox", "--backend", "emulated", "hello.img"]),
        Case { obstacle, ..case("run on KVM", run, &["--no-sandbox", "--backend", "kvm", "hello.img"]) },
        case("run on the embedded machine", run, &["--no-sandbox", "--backend", "embedded", "hello.img"]),
        case("compute on the embedded machine", run, &["--no-sandbox", "--backend", "embedded", "compute.img"]),
    ])
}

/// A manifest with many modules.
fn write_modules(folder: &Path) -> std::io::Result<()> {
    let mut manifest =
        "version: 1\nname: modules\nmemory: 64MiB\nkernel: {path: kernel.elf, protocol: stos}\nmodules:\n".to_owned();
    fs::write(folder.join("kernel.elf"), Elf::kernel().to_bytes())?;
    for number in 0..MODULES {
        let name = format!("module{number}");
        fs::write(folder.join(format!("{name}.ko")), Elf::module("module").to_bytes())?;
        manifest.extend(["  - {path: ", &name, ".ko}\n"]);
    }
    fs::write(folder.join("modules.yaml"), manifest)
}

/// Counts a case some times.
fn lowest(case: &Case, folder: &Path) -> Result<Counted, String> {
    let profile = folder.join(case.name.replace(' ', "-")).with_extension("callgrind");
    let arguments: Vec<&str> = case.arguments.iter().map(|word| &**word).collect();
    let counted = (0..ROUNDS).map(|_| count(&case.program, &arguments, folder, &profile));
    let counted = counted.collect::<Result<Vec<_>, _>>().map_err(|error| format!("{}: {error}", case.name))?;
    let all = counted.iter().map(|counted| counted.all).min().unwrap_or_default();
    Ok(Counted { all, without_hashing: counted.iter().filter_map(|counted| counted.without_hashing).min() })
}

fn compare_or_record(pack: &Path, run: &Path, is_recording: bool) -> Result<bool, String> {
    let folder = root().join("target/counts");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let path = root().join("tests/fixtures/instructions.json");
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let mut records = match fs::read_to_string(&path) {
        Ok(text) => Records::parse(&text).map_err(|error| told(&error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Records::default(),
        Err(error) => return Err(told(&error)),
    };
    let (mut counts, mut uncounted) = (Counts::new(), Vec::new());
    for case in cases(pack, run, &folder)? {
        if let Some(obstacle) = &case.obstacle {
            println!("{}: not counted: {obstacle}", case.name);
            uncounted.push(case.name.to_owned());
            continue;
        }
        let Counted { all, without_hashing } = lowest(&case, &folder)?;
        counts.insert(case.name.to_owned(), all);
        counts.extend(without_hashing.map(|count| (format!("{}, without hashing", case.name), count)));
    }
    let toolchain = toolchain(run)?;
    let comparison = records.compare(&toolchain, &counts, &uncounted);
    if is_recording {
        records.replace(&toolchain, counts, &uncounted);
        fs::write(&path, records.to_text()).map_err(|error| told(&error))?;
        println!("recorded for {toolchain}");
        return Ok(true);
    }
    print!("{}", comparison.text);
    Ok(!comparison.is_too_much)
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(|word| &**word).collect();
    let (pack, run, is_recording) = match words[..] {
        [pack, run] => (pack, run, false),
        [pack, run, "--record"] => (pack, run, true),
        _ => {
            eprintln!("usage: count-instructions PACK RUN [--record]");
            return ExitCode::from(64);
        }
    };
    match compare_or_record(&root().join(pack), &root().join(run), is_recording) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("count-instructions: {error}");
            ExitCode::FAILURE
        }
    }
}
