//! Times what packing does with an initramfs of 1 GiB, step by step, beside `cat` and `sha256sum` of the same file:
//! `make bench`. The boot protocol stos takes far smaller ones only, so the steps are called one by one: the plan of a small
//! manifest gets the archive put into it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use stos_image::{Content, Digest, GuestRange, Input, Permissions, Region, RegionKind};
use stos_pack::{Inputs, Manifest, Output, OwnedPiece, nobody};

/// Bytes in the file that the archive is made from.
const SIZE: u64 = 1 << 30;
/// Guest-physical address of the archive.
const START: u32 = 0x1000_0000;

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

fn main() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = tempfile::tempdir_in(target).unwrap();
    let archive = make_archive(folder.path());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/golden/golden.yaml");
    let manifest = Manifest::load(&golden, None).unwrap_or_else(|failure| panic!("{:?}", failure.diagnostics));
    let inputs = Inputs::load(&manifest, &nobody).unwrap();
    let mut plan = stos_pack::plan(&manifest, &inputs).unwrap();

    println!("an initramfs of {} bytes", fs::metadata(&archive).unwrap().len());
    let image = folder.path().join("large.img");
    timed("pack, in all", || {
        let bytes = timed("  read the archive", || fs::read(&archive).unwrap());
        let digest = timed("  digest it", || Digest::of(&bytes));
        let range = GuestRange::new(START.into(), bytes.len() as u64);
        let (kind, permissions) = (RegionKind::Initramfs, Permissions::R);
        plan.description.memory_size = 2 << 30;
        plan.description.regions.push(Region { range, kind, permissions, name: "large initramfs".to_owned() });
        plan.description.inputs.push(Input {
            key: "initramfs".to_owned(),
            path: "initramfs.cpio".to_owned(),
            size: range.size,
            digest,
            content: vec![Content::Memory(range)],
        });
        plan.pieces.push(OwnedPiece { start: START, bytes });
        let rendered = timed("  lay out pages and digest blocks", || plan.render().unwrap());
        timed("  write the image and wait for the disk", || {
            Output::File(image.clone()).write(&rendered, &nobody).unwrap();
        });
    });
    timed("verify the image", || stos_pack::verify(&image, &nobody).unwrap());

    let copy = folder.path().join("copy");
    timed("cat, and wait for the disk", || {
        let status = Command::new("cat").arg(&archive).stdout(File::create(&copy).unwrap()).status().unwrap();
        assert!(status.success());
        File::open(&copy).unwrap().sync_all().unwrap();
    });
    timed("sha256sum", || {
        assert!(Command::new("sha256sum").arg(&archive).stdout(Stdio::null()).status().unwrap().success());
    });
}
