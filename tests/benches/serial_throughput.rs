//! Times a guest that prints 10,000,000 bytes on COM1, a byte at a time as kernels do, and by `rep outsb`: `make bench`. On the
//! emulated backend, and on a KVM that can page: this machine's, or else the one in the nested VM, whose processor is
//! emulated itself, so that it gets fewer bytes and its figures tell nothing about real processors.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a benchmark fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use stos_image::Digest;
use stos_tests::backends::kvm_that_pages;
use stos_tests::guests::{Guest, flood};
use stos_tests::nested::{self, Case, Payload};
use stos_tests::tools::{run, tool, tool_path};

/// Bytes that a guest prints.
const BYTES: usize = 10_000_000;
/// Bytes that a guest in the nested VM prints.
const NESTED_BYTES: usize = 200_000;
/// The two ways of printing, as words of the guest's command line.
const WAYS: [(&str, &str); 2] = [("a byte at a time", ""), ("rep outsb", " flood.rep=1")];

fn pack(folder: &Path, bytes: usize, words: &str) -> PathBuf {
    Guest::flood("flood", bytes, words).pack(folder)
}

fn tell(backend: &str, way: &str, bytes: usize, seconds: f64) {
    #[allow(clippy::cast_precision_loss, reason = "a few million are exact")]
    let rate = bytes as f64 / seconds;
    println!("{backend:<12} {way:<18} {bytes:>10} bytes {seconds:>8.2} s {rate:>12.0} bytes/s, none lost");
}

/// Times the guest on a backend of this machine, and checks what it printed.
fn time(backend: &str, folder: &Path) {
    for (way, words) in WAYS {
        let image = pack(folder, BYTES, words);
        let output = folder.join("output");
        let target = format!("--serial=file:{}", output.display());
        let begin = Instant::now();
        let ended = run(tool("stos-run").args(["--backend", backend, &target]).arg(&image));
        let seconds = begin.elapsed().as_secs_f64();
        assert_eq!(ended.status, Some(0), "{}", ended.stderr);
        assert!(
            fs::read(&output).unwrap() == flood(BYTES).as_bytes(),
            "{backend}: what arrived is not what was printed"
        );
        tell(backend, way, BYTES, seconds);
    }
}

/// Does the same in the nested VM, where the clock is the VM's.
fn time_nested(folder: &Path) {
    let script = "begin=$(cut -d' ' -f1 /proc/uptime)\n\
        stos-run --backend kvm --serial file:/tmp/output $0 >&2 || exit\n\
        echo $begin $(cut -d' ' -f1 /proc/uptime) $(sha256sum </tmp/output)\n";
    let mut payload = Payload { binaries: vec![tool_path("stos-run")], files: Vec::new() };
    let mut cases = Vec::new();
    for (index, (way, words)) in WAYS.iter().enumerate() {
        let image = folder.join(format!("{index}.img"));
        fs::rename(pack(folder, NESTED_BYTES, words), &image).unwrap();
        let inside = format!("/images/{index}.img");
        let argv = ["sh", "-c", script, &inside].map(str::to_owned).to_vec();
        payload.files.push((image, inside));
        cases.push(Case { name: (*way).to_owned(), argv, stdin: None, hide_sys: false, timeout_seconds: 300 });
    }
    let expected = Digest::of(flood(NESTED_BYTES).as_bytes()).to_string();
    for result in nested::run(&payload, &cases).unwrap_or_else(|error| panic!("{error}")) {
        let told = String::from_utf8_lossy(&result.stdout);
        let words: Vec<&str> = told.split_whitespace().collect();
        let [begin, end, digest, ..] = words[..] else { panic!("{}", String::from_utf8_lossy(&result.stderr)) };
        assert!(expected.ends_with(digest), "what arrived is not what was printed");
        let seconds = end.parse::<f64>().unwrap() - begin.parse::<f64>().unwrap();
        tell("nested KVM", &result.name, NESTED_BYTES, seconds);
    }
}

fn main() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    time("emulated", folder.path());
    match kvm_that_pages() {
        Ok(()) => time("kvm", folder.path()),
        Err(reason) => {
            println!("the nested VM's KVM is measured, not this machine's: {reason}");
            time_nested(folder.path());
        }
    }
}
