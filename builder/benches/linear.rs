//! Whether packing takes twice as long for twice as much: bytes of a module, modules, keys of the manifest. `make bench`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use stos_pack::output::{Output, nobody};
use stos_pack::{Order, pack};

/// Of each, the fastest counts.
const ROUNDS: usize = 5;

/// A Multiboot kernel of 64 bytes at 1 MiB: the header, its addresses, and instructions. (Multiboot specification 0.6.96, section 3.1.)
fn kernel() -> Vec<u8> {
    let (magic, flags) = (0x1bad_b002_u32, 0x1_0003_u32);
    let checksum = 0_u32.wrapping_sub(magic + flags);
    let header = [magic, flags, checksum, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020];
    header.iter().flat_map(|word| word.to_le_bytes()).chain([0xf4; 32]).collect()
}

/// Packs a manifest with these lines in `folder` some times; the shortest time of one.
fn fastest(folder: &Path, memory: &str, lines: &str) -> Duration {
    let manifest = folder.join("manifest.yaml");
    let kernel = "kernel: {path: kernel, protocol: multiboot}";
    fs::write(&manifest, format!("version: 1\nname: linear\nmemory: {memory}\n{kernel}\n{lines}")).unwrap();
    // Not a disk, which has a pace of its own.
    let output = Output::File("/dev/null".into());
    let order = Order { manifest: &manifest, profile: None, locked: false, inputs_below: &[], output: &output };
    let once = |_| {
        let start = Instant::now();
        pack(&order, &nobody).unwrap_or_else(|failure| panic!("{:?}", failure.diagnostics));
        start.elapsed()
    };
    (0..ROUNDS).map(once).min().unwrap()
}

/// Prints what each of `amounts` takes, and what one more takes from the amount before to this.
fn table(what: &str, amounts: &[u32], mut time: impl FnMut(u32) -> Duration) {
    println!("{what:>12} {:>12} {:>22}", "ms", "us for each more");
    let mut before: Option<(u32, Duration)> = None;
    for &amount in amounts {
        let time = time(amount);
        let each =
            before.map(|(less, shorter)| (time.as_secs_f64() - shorter.as_secs_f64()) * 1e6 / f64::from(amount - less));
        let each = each.map_or_else(String::new, |each| format!("{each:.2}"));
        println!("{amount:>12} {:>12.2} {each:>22}", time.as_secs_f64() * 1e3);
        before = Some((amount, time));
    }
}

fn main() {
    let folder = tempfile::tempdir_in(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let folder = folder.path();
    fs::write(folder.join("kernel"), kernel()).unwrap();

    let mut module = fs::File::create(folder.join("module")).unwrap();
    let (mut size, mebibyte) = (0, vec![7; 1 << 20]);
    table("MiB", &[16, 64, 256, 1024], |amount| {
        for _ in size..amount {
            module.write_all(&mebibyte).unwrap();
        }
        size = amount;
        fastest(folder, "3GiB", "modules: [{path: module}]\n")
    });
    drop(module);

    table("modules", &[1, 10, 100, 1000], |amount| {
        let mut lines = "modules:\n".to_owned();
        for number in 0..amount {
            fs::write(folder.join(format!("{number}.ko")), [7; 1000]).unwrap();
            writeln!(lines, "  - {{path: {number}.ko}}").unwrap();
        }
        fastest(folder, "64MiB", &lines)
    });

    // Of one file: what is left is the manifest.
    table("keys", &[3, 30, 300, 3000], |amount| {
        let mut lines = "modules:\n".to_owned();
        for number in 0..amount / 3 {
            writeln!(lines, "  - {{path: 0.ko, name: m{number}, cmdline: number {number}}}").unwrap();
        }
        fastest(folder, "64MiB", &lines)
    });
}
