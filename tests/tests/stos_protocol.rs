//! What a kernel finds in memory: the images of `stos-pack` hold what the stos boot protocol says, read back byte by byte
//! without the builder's own definitions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;
use std::process::Command;

use stos_image::MapKind;
use stos_pack::protocol::stos::structures::{BootInterface, BootModules, BootSegment, BootSegmentsHeader};
use stos_tests::elf::{Elf, Segment};
use stos_tests::memory::GuestMemory;
use stos_tests::tools::{pack_manifest, root, run};

const KERNEL_BASE: u32 = 0xc000_0000;

/// Packs `kernel` and `modules` with these lines added to the manifest, and loads the image.
fn pack(kernel: &Elf, modules: usize, memory: &str, lines: &str) -> GuestMemory {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("kernel.elf", &kernel.to_bytes());
    let mut manifest = format!("memory: {memory}\nkernel: {{path: kernel.elf, protocol: stos}}\n{lines}\n");
    if modules > 0 {
        manifest += "modules:\n";
    }
    for module in 0..modules {
        let name = format!("{module}.ko");
        manifest += &["  - path: ", &name, "\n"].concat();
        write(&name, &Elf::module("start").to_bytes());
    }
    fs::create_dir(folder.path().join("tree")).unwrap();
    write("tree/file", b"content\n");
    pack_manifest(folder.path(), &manifest);
    GuestMemory::load(&folder.path().join("manifest.img"))
}

/// The physical address that the virtual pointer at `physical` leads to.
fn follow(guest: &GuestMemory, physical: u32) -> u32 {
    guest.word(physical).checked_sub(KERNEL_BASE).expect("not a pointer into the kernel's half")
}

/// Physical address of the structure that the kernel gets.
fn interface(guest: &GuestMemory) -> u32 {
    let (start, _) = guest.region("boot_interface").unwrap();
    u32::try_from(start).unwrap()
}

fn segments(guest: &GuestMemory) -> Vec<(u64, u64, u32)> {
    let segments = follow(guest, interface(guest));
    let record = |index| segments + 4 + 20 * index;
    (0..guest.word(segments))
        .map(record)
        .map(|at| (guest.double_word(at), guest.double_word(at + 8), guest.word(at + 16)))
        .collect()
}

#[test]
fn every_field_of_the_interface_is_filled_in() {
    let guest = pack(&Elf::kernel(), 2, "16MiB", "cmdline: a.b=c d\ninitramfs: {directory: tree}");
    let interface = interface(&guest);
    assert!(interface >= 0x10_2800, "the interface lies in the kernel: {interface:#x}");
    let mods = follow(&guest, interface + 4);
    assert_eq!(guest.word(interface + 8), 0, "archdata");
    let first_useable = follow(&guest, interface + 12) as usize;
    assert!(guest.memory[first_useable..0x40_0000].iter().all(|&byte| byte == 0), "the early heap is not zero");
    let commandline = follow(&guest, interface + 16) as usize;
    assert_eq!(&guest.memory[commandline..commandline + 8], b"a.b=c d\0");
    let initramfs = follow(&guest, interface + 20) as usize;
    assert_eq!(&guest.memory[initramfs..initramfs + 6], b"070701");

    assert_eq!(guest.word(mods), 4, "mod_nb counts kernel and initramfs");
    let array = follow(&guest, mods + 4);
    for slot in 0..2 {
        let file = follow(&guest, array + 4 * slot) as usize;
        assert_eq!(&guest.memory[file..file + 4], b"\x7fELF");
        assert_eq!(file % 4096, 0);
        assert!(file + 200 < first_useable);
    }
    assert_eq!((guest.word(array + 8), guest.word(array + 12)), (0, 0), "two zero slots end the array");
}

#[test]
fn without_modules_their_number_is_zero_and_the_command_line_is_empty() {
    let guest = pack(&Elf::kernel(), 0, "16MiB", "");
    let mods = follow(&guest, interface(&guest) + 4);
    assert_eq!(guest.word(mods), 0);
    let array = follow(&guest, mods + 4);
    assert_eq!((guest.word(array), guest.word(array + 4)), (0, 0));
    assert_eq!(guest.memory[follow(&guest, interface(&guest) + 16) as usize], 0);
    assert_eq!(guest.word(interface(&guest) + 20), 0, "no initramfs");
}

#[test]
fn the_segments_are_a_pcs_less_what_is_reserved() {
    let guest = pack(&Elf::kernel(), 0, "16MiB", "segments: [{start: 0x800000, size: 1MiB, kind: reserved}]");
    // 4096 pages of 24 bytes are 0x18000.
    let expected = [
        (0, 0x9_fc00, 2),
        (0x9_fc00, 0x400, 2),
        (0xf_0000, 0x1_0000, 2),
        (0x10_0000, 0x30_0000, 2),
        (0x40_0000, 0x1_8000, 2),
        (0x41_8000, 0x3e_8000, 1),
        (0x80_0000, 0x10_0000, 2),
        (0x90_0000, 0x70_0000, 1),
    ];
    assert_eq!(segments(&guest), expected);
    let kinds = guest.image.description().memory_map.iter().map(|map| match map.kind {
        MapKind::Available => 1,
        MapKind::Reserved => 2,
    });
    assert!(kinds.eq(expected.iter().map(|(_, _, kind)| *kind)), "inspection and kernel are told different maps");
}

#[test]
fn the_page_directory_maps_low_memory_the_kernel_and_the_frame_array() {
    for (memory, big_pages) in [("16MiB", 1_u32), ("128MiB", 1), ("1GiB", 2), ("3000MiB", 5), ("3GiB", 5)] {
        let guest = pack(&Elf::kernel(), 0, memory, "");
        for entry in 0..1024 {
            let expected = match entry {
                0 | 768 => 0x83,
                _ if (1022 - big_pages..1022).contains(&entry) => 0x40_0083 + (entry + big_pages - 1022) * 0x40_0000,
                _ => 0,
            };
            assert_eq!(guest.word(0x1000 + 4 * entry), expected, "{memory}: entry {entry}");
        }
    }
}

#[test]
fn the_frame_array_follows_the_highest_available_segment() {
    // 3 GiB need five big pages; with the upper half reserved the kernel looks for three.
    let guest = pack(&Elf::kernel(), 0, "3GiB", "segments: [{start: 1536MiB, size: 1536MiB, kind: reserved}]");
    assert_eq!(guest.word(0x1000 + 4 * 1019), 0x40_0083);
    assert_eq!(guest.word(0x1000 + 4 * 1018), 0);
}

#[test]
fn the_entry_state_is_protected_mode_with_paging_prepared() {
    let guest = pack(&Elf::kernel(), 0, "16MiB", "");
    let entry = &guest.image.description().entry;
    assert_eq!((entry.cr0, entry.cr3, entry.cr4, entry.eflags), (0x11, 0x1000, 0x10, 2));
    let segments = &entry.segments;
    for (segment, access) in [(&segments.cs, 0xc09b), (&segments.ds, 0xc093), (&segments.ss, 0xc093)] {
        assert_eq!((segment.base, segment.limit, segment.access), (0, u32::MAX, access));
        // The descriptor in the image's GDT says the same as the hidden part.
        let at = entry.gdtr.base + u32::from(segment.selector);
        assert_eq!(guest.double_word(at), 0x00cf_0000_0000_ffff | u64::from(access & 0xff) << 40);
    }
    let catcher = guest.image.description().fault_catcher.as_ref().unwrap();
    assert_eq!(guest.word(u32::try_from(catcher.record.0).unwrap()), 0, "no fault is recorded yet");
}

#[test]
fn segments_are_loaded_by_virtual_address_whatever_else_the_headers_say() {
    let header_only = Segment { paddr: 0xf_f000, ..Segment::new(0xc010_0000, 4, &[0x7f; 0x74]) };
    let code = Segment { paddr: 0xdead_0000, ..Segment::new(0xc010_0080, 5, &[0xf4; 16]) };
    let mut data = Segment::new(0xc010_0090, 6, &[0xdd; 8]);
    data.memory_size = 0x2000;
    let entry = 0xc010_0084;
    let kernel = Elf { segments: vec![data, header_only, code], entry, sections: Vec::new(), ..Elf::kernel() };
    let guest = pack(&kernel, 0, "16MiB", "");
    assert_eq!(&guest.memory[0x10_0000..0x10_0074], [0x7f; 0x74]);
    assert_eq!(&guest.memory[0x10_0080..0x10_0090], [0xf4; 16]);
    assert_eq!(&guest.memory[0x10_0090..0x10_0098], [0xdd; 8]);
    assert!(interface(&guest) >= 0x10_2090, "the structures lie in .bss");
    assert!(guest.memory[0x10_0098..0x10_2090].iter().all(|&byte| byte == 0), ".bss is not zero");
}

#[test]
fn the_c_header_and_the_builder_agree_on_every_size_and_offset() {
    use std::mem::offset_of;
    let facts = [
        ("sizeof(struct boot_interface)", size_of::<BootInterface>()),
        ("offsetof(struct boot_interface, segs)", offset_of!(BootInterface, segs)),
        ("offsetof(struct boot_interface, mods)", offset_of!(BootInterface, mods)),
        ("offsetof(struct boot_interface, archdata)", offset_of!(BootInterface, archdata)),
        ("offsetof(struct boot_interface, first_useable_addr)", offset_of!(BootInterface, first_useable_addr)),
        ("offsetof(struct boot_interface, commandline)", offset_of!(BootInterface, commandline)),
        ("offsetof(struct boot_interface, initramfs)", offset_of!(BootInterface, initramfs)),
        ("sizeof(struct boot_modules)", size_of::<BootModules>()),
        ("offsetof(struct boot_modules, mod_nb)", offset_of!(BootModules, mod_nb)),
        ("offsetof(struct boot_modules, modules)", offset_of!(BootModules, modules)),
        ("offsetof(struct boot_segments, segments)", size_of::<BootSegmentsHeader>()),
        ("sizeof(struct boot_segment)", size_of::<BootSegment>()),
        ("offsetof(struct boot_segment, base_addr)", offset_of!(BootSegment, base_addr)),
        ("offsetof(struct boot_segment, length)", offset_of!(BootSegment, length)),
        ("offsetof(struct boot_segment, type)", offset_of!(BootSegment, kind)),
        ("STOS_PAGE_DIRECTORY", 0x1000),
        ("STOS_KERNEL_BASE", KERNEL_BASE as usize),
    ];
    let folder = tempfile::tempdir().unwrap();
    let expressions: Vec<&str> = facts.iter().map(|(expression, _)| *expression).collect();
    let source = format!("#include \"stos_boot.h\"\nconst unsigned table[] = {{{}}};\n", expressions.join(", "));
    fs::write(folder.path().join("table.c"), source).unwrap();
    let steps = [
        format!("gcc -m32 -ffreestanding -Wall -Wextra -Werror -I {}/examples/include -c table.c", root().display()),
        "objcopy -O binary -j .rodata table.o table.bin".to_owned(),
    ];
    for step in steps {
        let result = run(Command::new("sh").args(["-c", &step]).current_dir(folder.path()));
        assert_eq!(result.status, Some(0), "{step}: {}", result.stderr);
    }
    let table = fs::read(folder.path().join("table.bin")).unwrap();
    assert_eq!(table.len(), 4 * facts.len());
    for ((expression, expected), bytes) in facts.iter().zip(table.chunks_exact(4)) {
        assert_eq!(u32::from_le_bytes(bytes.try_into().unwrap()) as usize, *expected, "{expression}");
    }
}
