//! Times what packing does with an initramfs of 1 GiB for a Linux kernel, step by step, beside `cat`, digests on all cores and
//! `sha256sum` of the same file: `make bench`. The kernel is a header and an instruction.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::fs::{self, File};
use std::io::Write;
use std::num::NonZero;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use stos_image::Digester;
use stos_pack::input::Inputs;
use stos_pack::manifest::Manifest;
use stos_pack::output::{Output, nobody};

/// Bytes in the file that the archive is made from.
const SIZE: u64 = 1 << 30;
/// What names the kernel and the archive.
const MANIFEST: &str = "version: 1
name: large
memory: 3GiB
kernel: {path: vmlinuz, protocol: linux}
initramfs: {path: initramfs.cpio}
";

/// Runs `step` and prints how long it took.
fn timed<T>(what: &str, step: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = step();
    println!("{what:<42} {:>8.2} s", start.elapsed().as_secs_f64());
    result
}

/// A directory with one file of bytes that look random, and the archive that GNU cpio makes of it.
fn make_archive(folder: &Path) -> std::path::PathBuf {
    let mut file = File::create(folder.join("content")).unwrap();
    let mut state = 1_u64;
    let mut block = vec![0_u8; 1 << 20];
    for _ in 0..SIZE >> 20 {
        for word in block.chunks_exact_mut(8) {
            // A linear congruential generator (Knuth's MMIX constants) is random enough to be no zeros.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            word.copy_from_slice(&state.to_le_bytes());
        }
        file.write_all(&block).unwrap();
    }
    let archive = folder.join("initramfs.cpio");
    let script = "echo content | cpio --quiet -o -H newc > initramfs.cpio && rm content && sync";
    assert!(Command::new("sh").arg("-c").arg(script).current_dir(folder).status().unwrap().success());
    archive
}

/// The smallest bzImage that is one: fields of the setup header, and a kernel of one paragraph.
fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 1024 + 16];
    let fields: [(usize, &[u8]); 9] = [
        (0x1f1, &[1]),                           // setup_sects
        (0x1f4, &[1]),                           // syssize
        (0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]),      // boot_flag, and the jump over the header
        (0x202, b"HdrS\x0f\x02"),                // header and version
        (0x211, &[1]),                           // loadflags
        (0x22c, &0x7fff_ffff_u32.to_le_bytes()), // initrd_addr_max
        (0x234, &[1]),                           // relocatable_kernel
        (0x25b, &[1]),                           // pref_address: 16 MiB
        (0x400, &[0xf4]),                        // hlt
    ];
    for (offset, bytes) in fields {
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    file
}

/// Reads and digests the file at `path`, a part of it on each core.
fn digest_on_all_cores(path: &Path) {
    let file = File::open(path).unwrap();
    let cores = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let share = file.metadata().unwrap().len().div_ceil(cores);
    let digest = |start: u64| {
        let (mut digest, mut run) = (Digester::default(), vec![0; 256 << 10]);
        let mut at = start;
        while at < start + share {
            match file.read_at(&mut run, at).unwrap() {
                0 => break,
                size => {
                    digest.update(&run[..size]);
                    at += size as u64;
                }
            }
        }
        digest.finish()
    };
    thread::scope(|scope| {
        for core in 0..cores {
            let digest = &digest;
            scope.spawn(move || digest(core * share));
        }
    });
}

fn main() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir_in(target).unwrap();
    let archive = make_archive(folder.path());
    fs::write(folder.path().join("vmlinuz"), bzimage()).unwrap();
    let path = folder.path().join("manifest.yaml");
    fs::write(&path, MANIFEST).unwrap();

    println!("an initramfs of {} bytes", fs::metadata(&archive).unwrap().len());
    let image = folder.path().join("large.img");
    timed("pack, in all", || {
        let manifest = Manifest::load(&path, None).unwrap_or_else(|failure| panic!("{:?}", failure.diagnostics));
        let inputs = timed("  read and digest the inputs", || Inputs::load(&manifest, &nobody).unwrap());
        let plan = timed("  plan memory", || stos_pack::plan(&manifest, &inputs).unwrap());
        let rendered = timed("  lay out pages", || plan.outline().unwrap());
        timed("  digest blocks, write, wait for the disk", || {
            Output::File(image.clone()).write(&rendered, &nobody).unwrap();
        });
    });
    timed("verify the image", || stos_pack::image::verify(&image, &nobody).unwrap());

    let copy = folder.path().join("copy");
    timed("cat, and wait for the disk", || {
        let status = Command::new("cat").arg(&archive).stdout(File::create(&copy).unwrap()).status().unwrap();
        assert!(status.success());
        File::open(&copy).unwrap().sync_all().unwrap();
    });
    timed("digest on all cores", || digest_on_all_cores(&archive));
    timed("sha256sum", || {
        assert!(Command::new("sha256sum").arg(&archive).stdout(Stdio::null()).status().unwrap().success());
    });
}
