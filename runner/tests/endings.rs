//! Every way in which a guest can end gives the same status on every backend.

use std::fs;

use stos_image::{RunDefaults, fault_offset};
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{self, COM1, exit, out8, out32, say};
use stos_tests::bare::{BareGuest, CODE, ImageFile, assert_status, command, run, start};
use stos_tests::tools::Run;
use stos_tests::witness;

#[test]
fn hello_is_printed_and_the_status_is_the_guests() {
    for ended in assert_status(&[say("hello, world\n"), exit(0)], &[], 0) {
        assert_eq!(ended.stdout, "hello, world\n");
    }
}

#[test]
fn guest_statuses_pass_through_and_are_capped() {
    for (value, status) in [(1, 1), (42, 42), (63, 63), (64, 63), (128, 63), (200, 63), (256, 63), (0x1_0000, 63)] {
        assert_status(&[exit(value)], &[], status);
    }
}

#[test]
fn a_status_may_be_one_byte() {
    assert_status(&[out8(0xf4, 9), code::HALT.to_vec()], &[], 9);
}

#[test]
fn halting_with_interrupts_off_is_found() {
    for ended in assert_status(&[code::HALT.to_vec()], &[], 104) {
        assert!(ended.stderr.contains("HLT with interrupts disabled before 0x00100002"), "{}", ended.stderr);
    }
}

#[test]
fn a_triple_fault_is_found() {
    assert_status(&[say("last words"), code::CRASH.to_vec()], &[], 100);
}

#[test]
fn the_time_limit_ends_a_guest_that_spins() {
    for ended in assert_status(&[say("spinning\n"), code::SPIN.to_vec()], &["--timeout", "1500ms"], 124) {
        assert_eq!(ended.stdout, "spinning\n");
        assert!(ended.stderr.contains("time limit of 1.5s"), "{}", ended.stderr);
    }
}

#[test]
fn the_image_has_a_time_limit_of_its_own() {
    let run_defaults = RunDefaults { timeout_ms: Some(300), ..RunDefaults::default() };
    let image = BareGuest::new(&code::SPIN).with_run(run_defaults).image();
    let file = ImageFile::new(&image);
    for backend in unpaged() {
        let output = command(&["--backend", backend], &file.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(124), "{backend}");
    }
}

#[test]
fn a_panic_is_found() {
    assert_status(&[out8(0x505, 1), code::SPIN.to_vec()], &[], 101);
}

#[test]
fn a_reset_is_found() {
    assert_status(&[out8(0x64, 0xfe), code::SPIN.to_vec()], &[], 106);
    assert_status(&[out8(0x92, 1), code::SPIN.to_vec()], &[], 106);
}

#[test]
fn the_exit_port_is_the_images() {
    let run_defaults = RunDefaults { exit_port: 0x501, ..RunDefaults::default() };
    let code = [out8(0xf4, 3), out8(0x501, 5), code::HALT.to_vec()].concat();
    let image = BareGuest::new(&code).with_run(run_defaults).image();
    for backend in unpaged() {
        assert_eq!(run(backend, &[], &image).status, Some(5), "{backend}");
    }
}

/// Stores `value` into the fault record at `offset`: `mov dword [0x6000 + offset], value`.
fn record(offset: u32, value: u32) -> Vec<u8> {
    [&[0xc7, 0x05][..], &(0x6000 + offset).to_le_bytes(), &value.to_le_bytes()].concat()
}

#[test]
fn a_fault_record_is_explained() {
    let code = [
        record(fault_offset::vector, 14),
        record(fault_offset::error_code, 2),
        record(fault_offset::eip, CODE),
        record(fault_offset::cr2, 0xdead_beef),
        record(fault_offset::magic, stos_image::FAULT_MAGIC),
    ]
    .concat();
    let by_port = [code.clone(), out8(0xf8, 14), code::HALT.to_vec()].concat();
    let by_halting = [code, code::HALT.to_vec()].concat();
    for code in [by_port, by_halting] {
        let image =
            BareGuest::new(&code).with_fault_catcher(0x6000, 0xf8).with_symbol(CODE, 0x100, "kernel_main").image();
        for backend in unpaged() {
            let ended = run(backend, &[], &image);
            assert_eq!(ended.status, Some(102), "{backend}: {ended:?}");
            let sentence = "#PF (page fault) at 0x00100000 (kernel_main+0x0) before the kernel had its own IDT: \
                            supervisor write to 0xdeadbeef: no page is mapped there";
            assert!(ended.stderr.contains(sentence), "{}", ended.stderr);
            assert!(ended.stderr.contains("CR2 deadbeef"), "{}", ended.stderr);
        }
    }
}

#[test]
fn a_kvm_that_refuses_to_page_is_named_and_a_guest_that_is_wrong_is_not() {
    const MOV_CR0_EAX: [u8; 3] = [0x0f, 0x22, 0xc0];
    let refused = |cr0| {
        let code = [
            record(fault_offset::vector, 13),
            record(fault_offset::eip, 0x7000),
            record(fault_offset::cs, 8),
            record(fault_offset::eax, cr0),
            record(fault_offset::cr0, 0x11),
            record(fault_offset::magic, stos_image::FAULT_MAGIC),
            out8(0xf8, 1),
            code::HALT.to_vec(),
        ];
        code.concat()
    };
    let sentence = "the CPU could not go on: the host's KVM refuses to turn on 32-bit paging (#GP on `mov cr0`); use --backend \
                    embedded";
    // CR0.NW without CR0.CD is what any processor refuses.
    let (valid, invalid) = (0x8000_0011, 0xa000_0011);
    let cases = [(refused(valid), true), ([say("seen\n"), refused(valid)].concat(), true), (refused(invalid), false)];
    for (code, is_hosts) in cases {
        let image = BareGuest::new(&code).with(0x7000, &MOV_CR0_EAX).with_fault_catcher(0x6000, 0xf8).image();
        for backend in unpaged() {
            let ended = run(backend, &[], &image);
            let is_named = backend == "kvm" && is_hosts;
            assert_eq!(ended.status, Some(if is_named { 103 } else { 102 }), "{backend}: {ended:?}");
            assert_eq!(ended.stderr.contains(sentence), is_named, "{backend}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_damaged_image_is_rejected_before_anything_runs() {
    let image = BareGuest::new(&[say("never"), exit(0)].concat()).image();
    for at in [0, 100, 5000, image.len() - 1] {
        let mut damaged = image.clone();
        damaged[at] ^= 1;
        for backend in unpaged() {
            let ended = run(backend, &[], &damaged);
            assert_eq!((ended.status, &*ended.stdout), (Some(65), ""), "{backend}, byte {at}: {ended:?}");
        }
    }
    let mut long = image.clone();
    long.push(0);
    for damaged in [b"".to_vec(), b"garbage".to_vec(), image[..image.len() - 1].to_vec(), long] {
        assert_eq!(run("emulated", &[], &damaged).status, Some(65));
    }
}

#[test]
fn an_image_that_cannot_be_opened_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("no such image");
    for (path, reason) in [(missing.as_path(), "there is no such file"), (directory.path(), "is a directory")] {
        let output = command(&[], path).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(66), "{stderr}");
        assert!(stderr.contains(&*path.to_string_lossy()) && stderr.contains(reason), "{stderr}");
    }
}

#[test]
fn wrong_usage_has_its_status() {
    let image = ImageFile::new(&BareGuest::new(&exit(0)).image());
    for arguments in [
        &["--no-such-option"][..],
        &["--backend", "xen"],
        &["--timeout", "soon"],
        &["--expect", "("],
        &["--reject", "("],
        &["--until", "("],
    ] {
        assert_eq!(command(arguments, &image.path()).output().unwrap().status.code(), Some(64), "{arguments:?}");
    }
    assert_eq!(command(&[], "-".as_ref()).output().unwrap().status.code(), Some(64));
    assert_eq!(command(&["--help"], &image.path()).output().unwrap().status.code(), Some(0));
    assert_eq!(command(&["--version"], &image.path()).output().unwrap().status.code(), Some(0));
}

#[test]
fn an_invalid_expression_in_the_image_is_the_images_fault() {
    let run_defaults = RunDefaults { expect: vec!["(".to_owned()], ..RunDefaults::default() };
    let image = BareGuest::new(&exit(0)).with_run(run_defaults).image();
    assert_eq!(run("emulated", &[], &image).status, Some(65));
}

#[test]
fn without_an_emulator_the_way_to_one_is_told() {
    let image = ImageFile::new(&BareGuest::new(&exit(0)).image());
    let output = command(&["--backend", "emulated"], &image.path()).env("PATH", "/nowhere").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{stderr}");
    assert!(stderr.contains("apt-get install"), "{stderr}");
}

/// `mov dword [ADDRESS], VALUE; cmp dword [ADDRESS], VALUE; setne al; mov dx, 0xf4; out dx, al`.
fn check_memory(address: u32) -> Vec<u8> {
    let (address, value) = (address.to_le_bytes(), 0x1234_5678_u32.to_le_bytes());
    let tail = [0x0f, 0x95, 0xc0, 0x66, 0xba, 0xf4, 0x00, 0xee];
    [&[0xc7, 0x05][..], &address, &value, &[0x81, 0x3d], &address, &value, &tail, &code::HALT].concat()
}

#[test]
fn memory_of_every_size_works_to_its_last_byte() {
    const MIB: u64 = 1 << 20;
    for size in [2 * MIB + 4096, 16 * MIB, 3000 * MIB, 3584 * MIB] {
        let mut guest = BareGuest::new(&check_memory(u32::try_from(size - 4).unwrap()));
        guest.description.memory_size = size;
        let image = guest.image();
        for backend in unpaged() {
            let ended = run(backend, &[], &image);
            assert_eq!(ended.status, Some(0), "{backend}, {size:#x}: {ended:?}");
        }
    }
}

#[test]
fn memory_is_the_images_and_otherwise_zero() {
    // xor eax, eax; mov edi, 0; mov ecx, CODE / 4; repe scasd; setne al; out: all below the code is zero.
    let code =
        [&[0x31, 0xc0, 0x31, 0xff, 0xb9][..], &(0xa_0000_u32 / 4).to_le_bytes(), &[0xfc, 0xf3, 0xaf, 0x0f, 0x95, 0xc0]]
            .concat();
    assert_status(&[code, vec![0x66, 0xba, 0xf4, 0x00, 0xee], code::HALT.to_vec()], &[], 0);
}

#[test]
fn registers_and_memory_are_those_of_the_image() {
    let folder = tempfile::tempdir().unwrap();
    // Few pages above 1 MiB: a KVM that emulates what is not paged takes a second for each mebibyte.
    let end = CODE + 0x4000;
    let image = witness::image(folder.path(), end);
    let expected = witness::expected(end);
    for backend in unpaged() {
        let ended: Run = command(&["--backend", backend, "--timeout", "60s"], &image).output().unwrap().into();
        assert_eq!((ended.status, &*ended.stdout), (Some(0), &*expected), "{backend}: {}", ended.stderr);
    }
}

#[test]
fn an_emulator_that_a_guest_kills_is_an_outcome() {
    // QEMU's serial port has no register where this access ends.
    let ended = run("emulated", &[], &BareGuest::new(&out32(COM1 + 7, 0)).image());
    assert_eq!(ended.status, Some(103), "{ended:?}");
    assert!(ended.stderr.contains("the emulator died"), "{}", ended.stderr);
}

#[test]
fn an_entry_state_that_the_emulator_has_no_code_for_is_an_outcome() {
    let mut guest = BareGuest::new(&exit(0));
    // Bit 14, D: 16-bit code.
    guest.description.entry.segments.cs.access &= !(1 << 14);
    let ended = run("emulated", &[], &guest.image());
    assert_eq!(ended.status, Some(103), "{ended:?}");
    let says =
        "the entry state is out of the emulator's reach: CS has access bits 0x809b, which are not those of 32-bit code";
    assert!(ended.stderr.contains(says), "{}", ended.stderr);
}

/// `mov ecx, COUNT; loop` to itself: a guest that does not end for a while.
fn wait(count: u32) -> Vec<u8> {
    [&[0xb9][..], &count.to_le_bytes(), &[0xe2, 0xfe]].concat()
}

#[test]
fn a_time_limit_is_never_told_of_a_guest_that_has_ended() {
    let halted = ImageFile::new(&BareGuest::new(&code::HALT).image());
    // About as long as until the time limit; one that ends while it is looked at has ended.
    let exits = [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
        .map(|count| ImageFile::new(&BareGuest::new(&[wait(count), exit(7)].concat()).image()));
    for backend in unpaged() {
        for limit in ["1ms", "10ms", "30ms", "60ms", "100ms", "150ms", "200ms", "300ms"] {
            let ended = start(backend, &["--timeout", limit], &halted).wait_with_output().map(Run::from).unwrap();
            let is_told = ended.status == Some(104) || !ended.stderr.contains("in HLT");
            assert!(is_told && matches!(ended.status, Some(104 | 124)), "{backend} {limit}: {ended:?}");
        }
        let late = start(backend, &["--timeout", "500ms"], &halted).wait_with_output().map(Run::from).unwrap();
        assert_eq!(late.status, Some(104), "{backend}: {late:?}");
        for image in &exits {
            let ended = start(backend, &["--timeout", "100ms"], image).wait_with_output().map(Run::from).unwrap();
            let is_told = ended.status == Some(7) || ended.stderr.contains("the CPU was ");
            assert!(is_told && matches!(ended.status, Some(7 | 124)), "{backend}: {ended:?}");
        }
    }
}

#[test]
fn no_file_is_left_behind() {
    let image = ImageFile::new(&BareGuest::new(&exit(0)).image());
    let directory = tempfile::tempdir().unwrap();
    for backend in unpaged() {
        let output = command(&["--backend", backend], &image.path())
            .current_dir(directory.path())
            .env("TMPDIR", directory.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn expressions_that_are_too_large_together_are_refused_before_anything_is_spent_on_them() {
    let expect = vec![r"\w{400}".to_owned(); 64];
    let image = BareGuest::new(&code::SPIN).with_run(RunDefaults { expect, ..RunDefaults::default() }).image();
    let found = run("emulated", &[], &image);
    assert_eq!(found.status, Some(65), "{}", found.stderr);
    assert!(found.stderr.contains("the expressions are too large together"), "{}", found.stderr);
    let image = BareGuest::new(&code::SPIN).image();
    let found = run("emulated", &["--reject", r"\w{400}", "--until", r"\w{400}", "--expect", r"\w{400}"], &image);
    assert_eq!(found.status, Some(64), "{}", found.stderr);
}
