//! Names and source lines that an image carries, compared with what binutils say of the same files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::process::Command;

use stos_image::{ParsedImage, RegionKind, VerifiedImage};
use stos_tests::guests::Guest;
use stos_tests::tools::{root, run, tool};

const KERNEL_BASE: u32 = 0xc000_0000;

/// The image of ministos, which `make examples` builds.
fn ministos() -> VerifiedImage {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("ministos.img");
    let packed = run(tool("stos-pack").arg(root().join("manifests/ministos.yaml")).arg("-o").arg(&image));
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    ParsedImage::parse(File::open(image).unwrap()).unwrap().verify(|_, _| Ok(())).unwrap()
}

/// What `addr2line` says of `addresses`: the source file's last part and the line, or `None`.
fn judge(file: &Path, section: Option<&str>, addresses: &[u32]) -> Vec<Option<(String, u32)>> {
    let mut command = Command::new("addr2line");
    command.arg("-e").arg(file).args(section.map(|name| format!("--section={name}")));
    let result = run(command.args(addresses.iter().map(|address| format!("{address:#x}"))));
    assert_eq!(result.status, Some(0), "{}", result.stderr);
    let lines: Vec<_> = result.stdout.lines().map(place).collect();
    assert_eq!(lines.len(), addresses.len());
    lines
}

/// `folder/file.c:12 (discriminator 2)` as file and line.
fn place(text: &str) -> Option<(String, u32)> {
    let (file, line) = text.split(" (").next()?.rsplit_once(':')?;
    let line = line.parse().ok().filter(|line| *line > 0)?;
    Some((last_part(file), line))
}

fn last_part(path: &str) -> String {
    Path::new(path).file_name().unwrap().to_str().unwrap().to_owned()
}

fn found(image: &VerifiedImage, address: u32) -> Option<(String, u32)> {
    image.symbols().line(address).map(|(file, line)| (last_part(file), line))
}

#[test]
fn lines_of_the_kernel_are_those_of_addr2line() {
    let image = ministos();
    let kernel = root().join("examples/ministos/kernel.elf");
    let text = image.description().regions.iter().find(|region| region.name == "kernel .text").unwrap();
    let start = u32::try_from(text.range.start.0).unwrap() + KERNEL_BASE;
    let end = start + u32::try_from(text.range.size).unwrap();
    let addresses: Vec<u32> = (start..end).step_by(5).collect();
    let known = judge(&kernel, None, &addresses);
    assert!(known.iter().flatten().count() > 1000, "the kernel has no debug information");
    for (address, expected) in addresses.into_iter().zip(known) {
        assert_eq!(found(&image, address), expected, "at {address:#x}");
    }
}

#[test]
fn the_last_line_of_a_kernel_ends_with_its_code() {
    // Its last function never returns, and the compiler has put a row behind it.
    let folder = tempfile::tempdir().unwrap();
    let path = Guest::example("guests/idt_handler").pack(folder.path());
    let image = ParsedImage::parse(File::open(path).unwrap()).unwrap().verify(|_, _| Ok(())).unwrap();
    let text = image.description().regions.iter().find(|region| region.name == "kernel .text").unwrap();
    let end = u32::try_from(text.range.end()).unwrap() + KERNEL_BASE;
    let kernel = root().join("examples/guests/idt_handler.elf");
    assert!(found(&image, end - 1).is_some());
    assert_eq!((found(&image, end), judge(&kernel, None, &[end])), (None, vec![None]));
    assert_eq!(found(&image, end + 0x1000), None);
}

#[test]
fn lines_and_names_of_modules_lie_where_the_modules_do() {
    let image = ministos();
    let modules: Vec<_> =
        image.description().regions.iter().filter(|region| region.kind == RegionKind::Module).collect();
    for (number, name) in (1_u32..).zip(["timer", "shell", "init"]) {
        let file = root().join(format!("examples/ministos/{name}.ko"));
        let headers = run(Command::new("readelf").arg("-SW").arg(&file)).stdout;
        let text = headers.lines().find(|line| line.contains(" .text ")).unwrap();
        let fields: Vec<&str> = text.split_once(".text").unwrap().1.split_whitespace().collect();
        let hex = |text: &str| u32::from_str_radix(text, 16).unwrap();
        let (offset, size) = (hex(fields[2]), hex(fields[3]));
        let region = modules[usize::try_from(number).unwrap() - 1];
        assert!(region.name.contains(name), "{} is not {name}", region.name);
        let start = u32::try_from(region.range.start.0).unwrap() + KERNEL_BASE + offset;

        let offsets: Vec<u32> = (0..size).step_by(3).collect();
        let known = judge(&file, Some(".text"), &offsets);
        assert!(known.iter().flatten().count() > 10, "{name} has no debug information");
        for (offset, expected) in offsets.into_iter().zip(known) {
            assert_eq!(found(&image, start + offset), expected, "{name} at {offset:#x}");
        }

        let listing = run(Command::new("nm").arg("--defined-only").arg(&file)).stdout;
        let functions = listing.lines().filter_map(|line| line.split_once(" t ").or_else(|| line.split_once(" T ")));
        let mut count = 0;
        for (value, function) in functions {
            let (symbol, distance) = image.symbols().find(start + hex(value)).unwrap();
            assert_eq!((&*symbol.name, distance, symbol.module), (function, 0, number));
            count += 1;
        }
        assert!(count > 0, "{name} has no function");
    }
}
