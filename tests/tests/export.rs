//! `stos-pack export`: what it makes of an image boots in plain QEMU, from QEMU itself and from GRUB, as it does in `stos-run`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use object::read::elf::ElfFile32;
use object::{LittleEndian, Object, ObjectSegment};
use stos_image::ParsedImage;
use stos_tests::bare::flat_entry;
use stos_tests::emulator::{boot, machine, with_kernel};
use stos_tests::fixtures::golden_image;
use stos_tests::guests::{self, Guest};
use stos_tests::tools::{Run, run, tool};
use stos_tests::witness;

/// QEMU's exit status when a guest has written 0 to its exit port.
const SUCCESS: Option<i32> = Some(1);

fn guest(name: &str) -> Guest {
    guests::all().into_iter().find(|guest| guest.name == name).unwrap()
}

/// Exports `image` as a Multiboot kernel beside it.
fn kernel_of(image: &Path) -> PathBuf {
    let kernel = image.with_extension("elf");
    let result = export(image, "multiboot", &kernel);
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    kernel
}

fn export(image: &Path, form: &str, output: &Path) -> Run {
    run(tool("stos-pack").arg("export").arg(image).args(["--to", form, "-o"]).arg(output))
}

/// An ISO on which GRUB starts `kernel`.
fn with_grub(kernel: &Path, folder: &Path) -> PathBuf {
    let tree = folder.join("iso");
    fs::create_dir_all(tree.join("boot/grub")).unwrap();
    fs::copy(kernel, tree.join("boot/kernel.elf")).unwrap();
    let menu = "set timeout=0\nmenuentry kernel {\n  multiboot /boot/kernel.elf\n  boot\n}\n";
    fs::write(tree.join("boot/grub/grub.cfg"), menu).unwrap();
    let iso = folder.join("grub.iso");
    let made = Command::new("grub-mkrescue").args(["-d", "/usr/lib/grub/i386-pc", "-o"]).arg(&iso).arg(&tree).output();
    let made: Run = made.expect("grub-mkrescue can't be started: run `scripts/setup.sh test`").into();
    assert!(
        made.status == Some(0) && iso.is_file(),
        "run `scripts/setup.sh test`; grub-mkrescue said: {}",
        made.stderr
    );
    iso
}

fn with_cdrom(iso: &Path, mebibytes: u64) -> Command {
    let mut command = machine(mebibytes);
    command.arg("-boot").arg("d").arg("-cdrom").arg(iso);
    command
}

#[test]
fn qemu_boots_an_exported_ministos_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = kernel_of(&guest("ministos").pack(folder.path()));
    let booted = boot(with_kernel(&kernel, 16), None);
    assert!(booted.serial.contains("This is ministos booting (i386) !"), "{}", booted.serial);
    assert!(booted.serial.ends_with("Loading complete\n"), "{}", booted.serial);
    assert!(!booted.serial.contains("FAILED"), "{}", booted.serial);
    assert_eq!(booted.status, SUCCESS);
}

#[test]
fn grub_boots_an_exported_ministos_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = kernel_of(&guest("ministos").pack(folder.path()));
    let booted = boot(with_cdrom(&with_grub(&kernel, folder.path()), 16), None);
    assert!(booted.serial.ends_with("Loading complete\n"), "{}", booted.serial);
    assert!(!booted.serial.contains("FAILED"), "{}", booted.serial);
    assert_eq!(booted.status, SUCCESS);
}

#[test]
fn a_machine_with_too_little_memory_says_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = kernel_of(&Guest { memory: "64MiB", ..guest("ministos") }.pack(folder.path()));
    let text = "stos-pack: this kernel needs 64 MiB of memory, and the machine has less. QEMU: -m 64\r\n";
    assert_eq!(boot(with_kernel(&kernel, 32), Some(text)).serial, text);
    // As large as it says is enough, although the firmware keeps some of it.
    assert!(boot(with_kernel(&kernel, 64), None).serial.ends_with("Loading complete\n"));
}

#[test]
fn a_loader_that_is_none_is_told_so_on_the_screen_and_the_serial_port() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = fs::read(kernel_of(&witness::image(folder.path(), witness::MEMORY))).unwrap();
    let file = ElfFile32::<LittleEndian>::parse(&*kernel).unwrap();
    let segments = file.segments().map(|segment| (segment.address(), segment.data().unwrap().to_vec()));
    // Loaded as it should be, but without the loader's magic in EAX.
    let entry = u32::try_from(file.entry()).unwrap();
    let image = folder.path().join("loaded.img");
    witness::write_guest(&image, &flat_entry(entry), &segments.collect::<Vec<_>>());
    let options = ["--backend", "emulated", "--timeout", "60s", "--screen", "final"];
    let result = run(tool("stos-run").args(options).arg(&image));
    let text = "stos-pack: this kernel must be started by a Multiboot loader: qemu -kernel, or `multiboot` in GRUB.";
    assert_eq!((result.status, &*result.stdout), (Some(104), &*format!("{text}\r\n")), "{}", result.stderr);
    assert!(result.stderr.contains(&text[..80]), "{}", result.stderr);
}

#[test]
fn an_exception_before_the_kernel_has_its_own_table_is_still_caught() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = kernel_of(&guest("early page fault").pack(folder.path()));
    let mut machine = with_kernel(&kernel, 16);
    // Somebody behind the fault catcher's port; it writes 1.
    machine.args(["-device", "isa-debug-exit,iobase=0x5f4,iosize=4"]);
    let booted = boot(machine, None);
    assert_eq!((&*booted.serial, booted.status), ("early_fault: reading 0xDEAD0000\n", Some(3)));
}

#[test]
fn memory_that_is_not_zero_becomes_zero() {
    let folder = tempfile::tempdir().unwrap();
    let kernel = kernel_of(&guest("ministos").pack(folder.path()));
    // Early heap, first stack, frame array and free memory.
    let garbage = folder.path().join("garbage");
    fs::write(&garbage, vec![0xa5; 0x10_0000]).unwrap();
    let mut machine = with_kernel(&kernel, 16);
    for address in ["0x300000", "0x400000", "0xe00000"] {
        machine.arg("-device").arg(format!("loader,file={},addr={address},force-raw=on", garbage.display()));
    }
    let booted = boot(machine, None);
    assert!(booted.serial.contains("check: heap: zero from first_useable_addr: ok"), "{}", booted.serial);
    assert_eq!(booted.status, SUCCESS);

    let image = witness::image(folder.path(), witness::MEMORY);
    let mut machine = with_kernel(&kernel_of(&image), 16);
    machine.arg("-device").arg(format!("loader,file={},addr=0x800000,force-raw=on", garbage.display()));
    assert_eq!(boot(machine, None).serial, witness::expected(witness::MEMORY));
}

#[test]
fn a_loader_enters_a_guest_in_the_state_and_with_the_memory_that_a_runner_gives_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = witness::image(folder.path(), witness::MEMORY);
    let expected = witness::expected(witness::MEMORY);
    let kernel = kernel_of(&image);
    let from_qemu = boot(with_kernel(&kernel, 16), None);
    assert_eq!((&*from_qemu.serial, from_qemu.status), (&*expected, SUCCESS));
    // GRUB loads nothing into what the firmware keeps at the end of memory, and the witness has content there.
    let from_grub = boot(with_cdrom(&with_grub(&kernel, folder.path()), 17), None);
    assert_eq!((&*from_grub.serial, from_grub.status), (&*expected, SUCCESS));
}

#[test]
fn raw_memory_is_that_of_the_image_with_holes_for_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    for image in [
        Guest { memory: "3GiB", ..guest("ministos") }.pack(folder.path()),
        witness::image(folder.path(), witness::MEMORY),
    ] {
        let memory = image.with_extension("raw");
        let result = export(&image, "raw", &memory);
        assert_eq!((result.status, &*result.stderr), (Some(0), ""));
        let parsed = ParsedImage::parse(File::open(&image).unwrap()).unwrap();
        let mut file = File::open(&memory).unwrap();
        let mut end = 0;
        let mut stored = 0;
        let verified = parsed.verify(|address, bytes| {
            let mut found = vec![0; bytes.len()];
            file.seek(SeekFrom::Start(address.0))?;
            file.read_exact(&mut found)?;
            assert!(found == bytes, "memory at {address} differs");
            stored += bytes.len() as u64;
            end = address.0 + bytes.len() as u64;
            Ok(())
        });
        let size = verified.unwrap().description().memory_size;
        let metadata = memory.metadata().unwrap();
        assert_eq!(metadata.len(), size);
        assert!(metadata.blocks() * 512 < stored + (1 << 20), "{} blocks for {stored} bytes", metadata.blocks());
        assert!(result.stdout.ends_with(&format!(" made of {}\n", id_of(&image))), "{}", result.stdout);
    }
    // All of the small one: what is in no extent is zero.
    let bytes = fs::read(folder.path().join("witness.raw")).unwrap();
    let found = bytes.iter().filter(|&&byte| byte != 0).count();
    let pieces = witness::chunks(witness::MEMORY);
    let expected: usize = pieces.iter().map(|(_, bytes)| bytes.iter().filter(|&&byte| byte != 0).count()).sum();
    assert_eq!(found, expected);
}

fn id_of(image: &Path) -> String {
    let verified = run(tool("stos-pack").arg("verify").arg(image)).stdout;
    verified.trim().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn the_same_image_gives_the_same_kernel_and_standard_output_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let image = golden_image(folder.path());
    let kernel = fs::read(kernel_of(&image)).unwrap();
    let mut to_stdout = tool("stos-pack");
    to_stdout.arg("export").arg(&image).args(["--to", "multiboot", "-o", "-"]);
    let output = to_stdout.stdin(Stdio::null()).output().unwrap();
    assert!(output.stdout == kernel);
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!("standard output: {} bytes, a Multiboot kernel made of {}\n", kernel.len(), id_of(&image));
    assert_eq!(said, expected);
    let quiet = run(tool("stos-pack")
        .args(["export", "-q"])
        .arg(&image)
        .args(["--to", "raw", "-o"])
        .arg(folder.path().join("q")));
    assert_eq!((quiet.status, quiet.stdout, quiet.stderr), (Some(0), String::new(), String::new()));
}

#[test]
fn nothing_is_made_of_a_damaged_image_or_put_in_the_place_of_a_good_one() {
    let folder = tempfile::tempdir().unwrap();
    let image = golden_image(folder.path());
    let good = fs::read(&image).unwrap();
    for form in ["multiboot", "raw"] {
        let result = export(&image, form, &image);
        assert_eq!(result.status, Some(65));
        assert!(result.stderr.starts_with("error[E0061]: the "), "{}", result.stderr);
        assert!(result.stderr.contains(" would replace the image `"), "{}", result.stderr);
    }
    assert!(fs::read(&image).unwrap() == good);

    let damaged = folder.path().join("damaged.img");
    let mut bytes = good;
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&damaged, bytes).unwrap();
    let output = folder.path().join("out");
    fs::write(&output, "before").unwrap();
    for form in ["multiboot", "raw"] {
        let result = export(&damaged, form, &output);
        assert_eq!((result.status, &*result.stdout), (Some(65), ""));
        assert!(result.stderr.contains("payload block 0 is damaged"), "{}", result.stderr);
    }
    assert_eq!(export(&folder.path().join("missing"), "raw", &output).status, Some(66));
    assert_eq!(fs::read(&output).unwrap(), b"before");
}

#[test]
fn forms_and_places_that_do_not_go_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let image = golden_image(folder.path());
    let result = export(&image, "iso", &folder.path().join("k.iso"));
    assert_eq!((result.status, &*result.stdout), (Some(64), ""));
    assert!(result.stderr.contains("invalid value 'iso' for '--to <FORM>'"), "{}", result.stderr);
    assert!(result.stderr.contains("[possible values: multiboot, raw]"), "{}", result.stderr);

    for (place, name) in [("-", "standard output"), ("/dev/null", "`/dev/null`, which is no regular file")] {
        let result = export(&image, "raw", Path::new(place));
        assert_eq!((result.status, &*result.stdout), (Some(74), ""));
        let reason = format!("guest memory is written as a file with holes, and can't be written to {name}");
        assert!(result.stderr.contains(&reason), "{}", result.stderr);
    }
    let full = export(&image, "multiboot", Path::new("/dev/full"));
    assert_eq!(full.status, Some(74));
    assert!(full.stderr.contains("can't write the kernel to `/dev/full`: no space is left"), "{}", full.stderr);
    let nowhere = export(&image, "raw", &folder.path().join("nowhere/memory"));
    assert_eq!(nowhere.status, Some(74));
    assert!(nowhere.stderr.contains("can't write the memory to `"), "{}", nowhere.stderr);
    let left = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "something was left behind");
}
