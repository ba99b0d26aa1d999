//! What a Multiboot kernel finds: registers and memory of images that `stos-pack` makes, read back by the offsets that the
//! tables of the Multiboot specification 0.6.96 give, without the builder's own definitions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use stos_tests::elf::Elf;
use stos_tests::memory::GuestMemory;
use stos_tests::multiboot::{self, HEADER, kernel};
use stos_tests::tools::{Run, pack_in};

fn pack_kernel_in(folder: &Path, kernel: &[u8], memory: &str, lines: &str) -> Run {
    fs::write(folder.join("kernel"), kernel).unwrap();
    fs::write(folder.join("words.txt"), "words\n").unwrap();
    fs::write(folder.join("empty"), "").unwrap();
    let manifest = format!(
        "version: 1\nname: protocol\nmemory: {memory}\nkernel: {{path: kernel, protocol: multiboot}}\n{lines}\n"
    );
    fs::write(folder.join("manifest.yaml"), manifest).unwrap();
    pack_in(folder, &["manifest.yaml"])
}

fn pack(kernel: &[u8], memory: &str, lines: &str) -> GuestMemory {
    let folder = tempfile::tempdir().unwrap();
    let result = pack_kernel_in(folder.path(), kernel, memory, lines);
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    GuestMemory::load(&folder.path().join("manifest.img"))
}

/// Address of the information structure.
fn info(guest: &GuestMemory) -> u32 {
    guest.image.description().entry.general.ebx
}

#[test]
fn the_machine_state_is_that_of_section_3_2() {
    let guest = pack(&kernel(0x10_0000).to_bytes(), "4MiB", "");
    let entry = &guest.image.description().entry;
    assert_eq!((entry.general.eax, entry.eip), (0x2bad_b002, 0x10_0004));
    assert_eq!((entry.cr0 & 0x8000_0001, entry.cr3, entry.cr4), (1, 0, 0));
    assert_eq!(entry.eflags & (1 << 9 | 1 << 17), 0, "IF and VM are clear");
    for (name, segment) in &entry.segments.named()[..6] {
        let access = if *name == "CS" { 0xc09b } else { 0xc093 };
        assert_eq!((segment.base, segment.limit, segment.access), (0, 0xffff_ffff, access), "{name}");
    }
    assert_eq!(info(&guest) % 4, 0);
    // As GRUB's: a kernel's own table often has them, too.
    assert_eq!((entry.segments.cs.selector, entry.segments.ds.selector), (0x10, 0x18));
}

#[test]
fn a_module_may_be_as_large_as_memory() {
    let folder = tempfile::tempdir().unwrap();
    let module = File::create(folder.path().join("module")).unwrap();
    let modules = "modules: [{path: module}]";
    let pack = |size: u64, memory: &str, ending: &[u8]| {
        module.set_len(0).unwrap();
        module.set_len(size).unwrap();
        module.write_all_at(ending, size - ending.len() as u64).unwrap();
        pack_kernel_in(folder.path(), &kernel(0x10_0000).to_bytes(), memory, modules)
    };
    let beyond_other_files = (256 << 20) + 1;
    let result = pack(beyond_other_files, "260MiB", b"end");
    assert_eq!((result.status, &*result.stderr), (Some(0), ""));
    let guest = GuestMemory::load(&folder.path().join("manifest.img"));
    let start = guest.word(guest.word(info(&guest) + 24));
    let end = guest.word(guest.word(info(&guest) + 24) + 4);
    assert_eq!(u64::from(end - start), beyond_other_files);
    assert_eq!(guest.word(end - 4), u32::from_le_bytes(*b"\0end"));

    // Nothing of these is read: they are larger than the largest memory, or than what other protocols load.
    let result = pack((3 << 30) + 1, "3GiB", b"");
    assert_eq!(result.status, Some(65), "{}", result.stderr);
    let too_large = "error[E0040]: `module` (the manifest's key `modules[0]`) has more than 3221225472 bytes";
    assert!(result.stderr.starts_with(too_large), "{}", result.stderr);
    let manifest = fs::read_to_string(folder.path().join("manifest.yaml")).unwrap();
    fs::write(folder.path().join("manifest.yaml"), manifest.replace("multiboot", "stos")).unwrap();
    module.set_len(beyond_other_files).unwrap();
    let result = pack_in(folder.path(), &["manifest.yaml"]);
    let too_large = "`module` (the manifest's key `modules[0]`) has more than 268435456 bytes";
    assert!(result.stderr.contains(too_large), "{}", result.stderr);
}

#[test]
fn the_first_page_is_as_firmware_leaves_it() {
    let guest = pack(&kernel(0x10_0000).to_bytes(), "4MiB", "");
    let word = |address: u32| guest.word(address) & 0xffff;
    for vector in 0..256 {
        let (offset, segment) = (word(4 * vector), word(4 * vector + 2));
        assert_eq!(guest.bytes(16 * segment + offset, 1), [0xcf], "vector {vector} leads to an IRET");
    }
    let fields = [0x400, 0x402, 0x408, 0x40e, 0x410, 0x413, 0x44a, 0x450, 0x463, 0x46c].map(word);
    assert_eq!(fields, [0x3f8, 0, 0, 0x9fc0, 0x226, 639, 80, 0x200, 0x3d4, 0]);
    assert_eq!(guest.bytes(0x449, 1), [3], "video mode");
    assert_eq!(guest.region("null page"), Some((0x500, 0xb00)));
    assert!(guest.bytes(0x500, 0xb00).iter().all(|&byte| byte == 0));
}

#[test]
fn every_field_of_the_information_structure_lies_where_the_specification_has_it() {
    let lines = "cmdline: one two\nmodules: [{path: words.txt, cmdline: first of all}, {path: empty}, {path: words.txt, name: last}]\n\
                 segments: [{start: 2MiB, size: 1, kind: reserved}]";
    let guest = pack(&kernel(0x10_0000).to_bytes(), "4MiB", lines);
    let field = |offset: u32| guest.word(info(&guest) + offset);

    assert_eq!(field(0), 0b10_0110_1101, "flags: memory, cmdline, modules, sections, map, loader name");
    assert_eq!((field(4), field(8)), (639, 1024), "mem_lower, and mem_upper up to the reserved page");
    assert_eq!(field(12), 0, "boot_device");
    assert_eq!(guest.text(field(16)), "one two", "cmdline");
    assert_eq!(field(20), 3, "mods_count");
    let modules: Vec<[u32; 4]> =
        (0..3).map(|index| [0, 4, 8, 12].map(|offset| guest.word(field(24) + 16 * index + offset))).collect();
    for ([start, end, string, reserved], (content, text)) in
        modules.iter().zip([("words\n", "first of all"), ("", "empty"), ("words\n", "last")])
    {
        assert_eq!((start % 4096, *reserved), (0, 0));
        assert_eq!((guest.bytes(*start, (end - start) as usize), guest.text(*string)), (content.as_bytes(), text));
    }
    assert!(modules[0][0] >= 0x10_0000 && modules.windows(2).all(|pair| pair[0][1] < pair[1][0]));

    assert_eq!(field(44), 24 * 6, "mmap_length");
    let map: Vec<[u32; 6]> =
        (0..6).map(|index| [0, 4, 8, 12, 16, 20].map(|offset| guest.word(field(48) + 24 * index + offset))).collect();
    let expected = [
        [20, 0, 0, 0x9_fc00, 0, 1],
        [20, 0x9_fc00, 0, 0x400, 0, 2],
        [20, 0xf_0000, 0, 0x1_0000, 0, 2],
        [20, 0x10_0000, 0, 0x10_0000, 0, 1],
        [20, 0x20_0000, 0, 0x1000, 0, 2],
        [20, 0x20_1000, 0, 0x1f_f000, 0, 1],
    ];
    assert_eq!(map, expected);
    assert_eq!([52, 56, 60].map(field), [0; 3], "drives_length, drives_addr, config_table");
    assert_eq!(guest.text(field(64)), "stos-pack", "boot_loader_name");
    assert!((68..116).step_by(4).all(|offset| field(offset) == 0), "apm_table, VBE, frame buffer");
}

#[test]
fn section_headers_lead_to_what_no_segment_loads() {
    let elf = kernel(0x10_0000).to_bytes();
    let guest = pack(&elf, "4MiB", "");
    let field = |offset: u32| guest.word(info(&guest) + offset);
    let (num, size, addr, shndx) = (field(28), field(32), field(36), field(40));
    assert_eq!((num, size, shndx), (6, 40, 5));
    let header = |index: u32, offset: u32| guest.word(addr + 40 * index + offset);
    let names = header(shndx, 12);
    let seen: Vec<(&str, u32)> =
        (0..num).map(|index| (guest.text(names + header(index, 0)), header(index, 12))).collect();
    assert_eq!((seen[1], seen[2]), ((".text", 0x10_0000), (".bss", 0x10_0010)));
    for index in 3..num {
        let (address, offset, size) = (header(index, 12), header(index, 16) as usize, header(index, 20));
        assert!(address != 0 && address % header(index, 32) == 0, "{}", seen[index as usize].0);
        assert_eq!(guest.bytes(address, size as usize), &elf[offset..offset + size as usize]);
    }
    assert_eq!(guest.bytes(header(3, 12), 12), multiboot::bytes(&HEADER));
    // Kernels take the end of the last string table as the first free byte: behind the kernel, and below the modules.
    let lines = "modules: [{path: words.txt}]";
    let guest = pack(&elf, "4MiB", lines);
    let names = ["kernel section .multiboot", "kernel section .symtab", "kernel section .strtab", "module words.txt"];
    let starts = names.map(|name| guest.region(name).unwrap().0);
    assert!(0x10_0010 <= starts[0] && starts.is_sorted(), "{starts:x?}");
    assert!(guest.region("kernel section headers").unwrap().0 < 0x9_fc00);
}

#[test]
fn an_entry_point_is_virtual_first_and_physical_else() {
    let upper = kernel(0xc010_0000);
    assert_eq!(pack(&upper.to_bytes(), "4MiB", "").image.description().entry.eip, 0x10_0004);
    let physical = Elf { entry: 0x10_0008, ..upper };
    assert_eq!(pack(&physical.to_bytes(), "4MiB", "").image.description().entry.eip, 0x10_0008);
}

#[test]
fn address_fields_take_precedence_over_program_headers() {
    let mut elf = kernel(0x10_0000).to_bytes();
    let (offset, size) = (elf.len().next_multiple_of(4), elf.len());
    elf.resize(offset, 0);
    let header_addr = 0x20_0000 + u32::try_from(offset).unwrap();
    let header = multiboot::header(0x1_0003);
    // The one that the ELF kernel has comes first: make it wrong.
    let first = elf.windows(4).position(|word| word == HEADER[0].to_le_bytes()).unwrap();
    elf[first..first + 4].fill(0);
    let addresses = [header_addr, 0x20_0000, 0, 0x30_0000, 0x20_0054];
    elf.extend(multiboot::bytes(&[&header[..], &addresses].concat()));
    let guest = pack(&elf, "4MiB", "");
    let description = guest.image.description();
    assert_eq!(description.entry.eip, 0x20_0054);
    assert_eq!(guest.bytes(0x20_0000, size), &elf[..size]);
    assert_eq!(guest.word(info(&guest)) & 1 << 5, 0, "no section headers");
    let (bss, size) = guest.region("kernel .bss").unwrap();
    assert_eq!(bss + size, 0x30_0000);
    assert_eq!(guest.region("kernel .text"), None);
}

#[test]
fn what_low_memory_has_no_room_for_lies_behind_the_modules() {
    let reserved = "{start: 0x5080, size: 0x9ab80, kind: reserved}, {start: 0x101000, size: 0x3000, kind: reserved}";
    let lines = format!("modules: [{{path: words.txt}}]\nsegments: [{reserved}]");
    let guest = pack(&kernel(0x10_0000).to_bytes(), "4MiB", &lines);
    let region = |name: &str| {
        let (start, size) = guest.region(name).unwrap();
        (start, start + size)
    };
    assert_eq!(region("module words.txt"), (0x10_4000, 0x10_4006), "around the reserved pages");
    for name in ["multiboot info", "multiboot memory map", "command line", "kernel section headers"] {
        assert!(region(name).0 > 0x10_0000, "{name}");
    }
}

#[test]
fn an_image_gives_back_what_it_was_packed_from() {
    let folder = tempfile::tempdir().unwrap();
    let lines =
        "cmdline: a b\nmodules: [{path: words.txt, cmdline: ''}, {path: empty, cmdline: x y}, {path: words.txt}]";
    assert_eq!(pack_kernel_in(folder.path(), &kernel(0x10_0000).to_bytes(), "3MiB", lines).status, Some(0));
    let extract = pack_in(folder.path(), &["extract", "manifest.img", "out"]);
    assert_eq!(extract.status, Some(0), "{}", extract.stderr);
    let again = folder.path().join("out");
    assert_eq!(pack_in(&again, &["manifest.yaml"]).status, Some(0));
    let images = [folder.path().join("manifest.img"), again.join("manifest.img")].map(|path| fs::read(path).unwrap());
    assert!(images[0] == images[1], "the extracted manifest makes another image");
    let text = fs::read_to_string(again.join("manifest.yaml")).unwrap();
    assert!(text.contains("cmdline: x y") && text.contains("cmdline: \"\""), "{text}");
}

#[test]
fn a_report_shows_the_information_structure() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "cmdline: one two\nmodules: [{path: words.txt, cmdline: first}]";
    assert_eq!(pack_kernel_in(folder.path(), &kernel(0x10_0000).to_bytes(), "4MiB", lines).status, Some(0));
    let inspect = |arguments: &[&str]| {
        let result = pack_in(folder.path(), &[&["inspect", "manifest.img"], arguments].concat());
        assert_eq!(result.status, Some(0), "{}", result.stderr);
        result.stdout
    };
    let text = inspect(&[]);
    for line in [
        "protocol (protocol multiboot), 4 MiB of memory\n",
        "\nNo page directory: the kernel is entered with paging off\n",
        "\nMultiboot information at 0x5000\n  flags             0x26d\n  mem_lower         639 KiB\n",
        "  modules           1\n    0x101000 to 0x101006  \"first\"\n",
        "\nMultiboot memory map\n  00000000-0009fbff    639 KiB  available\n",
    ] {
        assert!(text.contains(line), "{line:?} is not in\n{text}");
    }
    let report: serde_json::Value = serde_json::from_str(&inspect(&["--json"])).unwrap();
    assert_eq!(report["description"]["protocol"], "multiboot");
    let boot = &report["boot"];
    assert_eq!((&boot["cmdline"], &boot["mem_upper"]), (&"one two".into(), &3072.into()));
    assert_eq!(boot["modules"][0]["mod_end"], 0x10_1006);
    assert_eq!(boot["sections"]["size"], 40);
    assert!(inspect(&["--svg", "-"]).contains("multiboot info"));
}

#[test]
fn a_thousand_modules_are_handed_over_and_one_more_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let pack = |count: usize| {
        let modules: Vec<String> =
            (0..count).map(|number| format!("{{path: words.txt, cmdline: m{number}}}")).collect();
        let lines = format!("modules: [{}]", modules.join(", "));
        pack_kernel_in(folder.path(), &kernel(0x10_0000).to_bytes(), "16MiB", &lines)
    };
    let too_many = pack(1001);
    assert_eq!(too_many.status, Some(65), "{}", too_many.stderr);
    assert!(too_many.stderr.contains("error[E0008]") && too_many.stderr.contains("1000"), "{}", too_many.stderr);
    let packed = pack(1000);
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    let report = pack_in(folder.path(), &["inspect", "manifest.img", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let modules = report["boot"]["modules"].as_array().unwrap();
    assert_eq!(modules.len(), 1000);
    assert_eq!((&modules[0]["string"], &modules[999]["string"]), (&"m0".into(), &"m999".into()), "{}", modules[0]);
}
