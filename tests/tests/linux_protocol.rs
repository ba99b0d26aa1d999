//! What a Linux kernel finds in memory, read back byte by byte at the offsets that Documentation/arch/x86/boot.rst and
//! zero-page.rst give, without the builder's own definitions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::fs;

use stos_image::RegionKind;
use stos_tests::bzimage::BzImage;
use stos_tests::memory::GuestMemory;
use stos_tests::tools::{Run, pack_in, pack_manifest};
use tempfile::TempDir;

/// A guest in its memory, and the folder with its image and all that it was packed from.
struct Packed {
    guest: GuestMemory,
    folder: TempDir,
}

impl Packed {
    /// Packs `kernel` with these lines added to the manifest.
    fn new(kernel: &BzImage, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("vmlinuz"), kernel.to_bytes()).unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        fs::write(folder.path().join("root/init"), vec![7; 10_000]).unwrap();
        let lines = format!("memory: 64MiB\nkernel: {{path: vmlinuz, protocol: linux}}\n{lines}");
        // These kernels say nothing, and start nothing: warnings of that are right.
        let said = pack_manifest(folder.path(), &lines);
        let mut told = said.lines().filter(|line| line.starts_with("warning[") || line.starts_with("error"));
        assert!(told.all(|line| line.contains("[W0011]") || line.contains("[W0012]")), "{said}");
        Self { guest: GuestMemory::load(&folder.path().join("manifest.img")), folder }
    }

    /// A verb of `stos-pack` on the image.
    fn ask(&self, words: &[&str]) -> Run {
        let result = pack_in(self.folder.path(), words);
        assert_eq!(result.status, Some(0), "{words:?}: {}", result.stderr);
        result
    }
}

/// The guest of `kernel` packed with these lines added to the manifest.
fn pack(kernel: &BzImage, lines: &str) -> GuestMemory {
    Packed::new(kernel, lines).guest
}

/// Physical address of `boot_params`, as the kernel gets it in ESI.
fn params(guest: &GuestMemory) -> u32 {
    guest.image.description().entry.general.esi
}

#[test]
fn the_zero_page_says_what_the_loader_has_to_say_and_nothing_else() {
    let guest = pack(&BzImage::kernel(), "cmdline: console=ttyS0 quiet\ninitramfs: {directory: root}");
    let params = params(&guest);
    assert_eq!(params, 0x5000);
    let mut left = guest.bytes(params, 4096).to_vec();
    let mut expect = |offset: usize, bytes: &[u8], what: &str| {
        assert_eq!(left[offset..offset + bytes.len()], *bytes, "{what}");
        left[offset..offset + bytes.len()].fill(0);
    };
    expect(0x002, &64512_u16.to_le_bytes(), "ext_mem_k");
    expect(0x006, &[3], "orig_video_mode");
    expect(0x007, &[80], "orig_video_cols");
    expect(0x00e, &[25], "orig_video_lines");
    expect(0x00f, &[1], "orig_video_isVGA");
    expect(0x010, &[16, 0], "orig_video_points");
    expect(0x1e0, &64512_u32.to_le_bytes(), "alt_mem_k");
    expect(0x1e8, &[4], "e820_entries");
    expect(0x1ef, &[0], "sentinel");
    expect(0x1f1, &[1], "setup_sects");
    expect(0x1f4, &4_u32.to_le_bytes(), "syssize");
    expect(0x1fa, &[0xff, 0xff], "vid_mode");
    expect(0x1fe, &[0x55, 0xaa], "boot_flag");
    expect(0x200, &[0xeb, 0x6a], "jump");
    expect(0x202, b"HdrS", "header");
    expect(0x206, &[0x0f, 0x02], "version");
    expect(0x210, &[0xff], "type_of_loader");
    expect(0x211, &[0x01], "loadflags: LOADED_HIGH stays, CAN_USE_HEAP goes");
    expect(0x214, &0x100_0000_u32.to_le_bytes(), "code32_start");
    let (initramfs, size) = guest.region("initramfs").unwrap();
    expect(0x218, &u32::try_from(initramfs).unwrap().to_le_bytes(), "ramdisk_image");
    expect(0x21c, &u32::try_from(size).unwrap().to_le_bytes(), "ramdisk_size");
    expect(0x228, &0x6000_u32.to_le_bytes(), "cmd_line_ptr");
    expect(0x22c, &0x7fff_ffff_u32.to_le_bytes(), "initrd_addr_max");
    expect(0x230, &0x100_0000_u32.to_le_bytes(), "kernel_alignment");
    expect(0x234, &[1], "relocatable_kernel");
    expect(0x238, &2047_u32.to_le_bytes(), "cmdline_size");
    expect(0x258, &0x100_0000_u64.to_le_bytes(), "pref_address");
    expect(0x260, &0x20_0000_u32.to_le_bytes(), "init_size");
    let map = [
        (0_u64, 0x9_fc00_u64, 1_u32),
        (0x9_fc00, 0x400, 2),
        (0xf_0000, 0x1_0000, 2),
        (0x10_0000, (64 << 20) - 0x10_0000, 1),
    ];
    for (index, (start, size, kind)) in map.into_iter().enumerate() {
        let record = [&start.to_le_bytes()[..], &size.to_le_bytes(), &kind.to_le_bytes()].concat();
        expect(0x2d0 + 20 * index, &record, "e820_table");
    }
    let rest: Vec<usize> = (0..4096).filter(|&offset| left[offset] != 0).collect();
    assert!(rest.is_empty(), "bytes that nobody asked for at {rest:x?}");
    assert_eq!(guest.bytes(0x6000, 21), b"console=ttyS0 quiet\0\0");
}

#[test]
fn the_cpu_is_as_the_32_bit_protocol_wants_it() {
    let guest = pack(&BzImage::kernel(), "");
    let entry = &guest.image.description().entry;
    assert_eq!((entry.eip, entry.eflags, entry.cr0, entry.cr3, entry.cr4), (0x100_0000, 2, 0x11, 0, 0));
    assert_eq!((entry.general.ebx, entry.general.ebp, entry.general.edi), (0, 0, 0));
    let segments = &entry.segments;
    assert_eq!((segments.cs.selector, segments.cs.access), (0x10, 0xc09b));
    for segment in [&segments.ds, &segments.es, &segments.ss] {
        assert_eq!((segment.selector, segment.base, segment.limit, segment.access), (0x18, 0, u32::MAX, 0xc093));
    }
    let gdt = entry.gdtr.base;
    assert_eq!((guest.word(gdt + 0x10), guest.word(gdt + 0x14)), (0xffff, 0xcf_9b00));
    assert_eq!((guest.word(gdt + 0x18), guest.word(gdt + 0x1c)), (0xffff, 0xcf_9300));
    // The fault catcher's gates lead into the code segment of this GDT.
    assert_eq!(guest.word(entry.idtr.base) >> 16, 0x10);
    assert!(guest.image.description().fault_catcher.is_some());
}

#[test]
fn code_and_initramfs_lie_where_the_header_says() {
    let initramfs = "initramfs: {directory: root}";
    let guest = pack(&BzImage::kernel(), initramfs);
    assert_eq!(guest.bytes(0x100_0000, 4), [0xfa, 0xf4, 0xeb, 0xfd]);
    assert_eq!(guest.region("kernel protected-mode code"), Some((0x100_0000, 64)));
    assert_eq!(guest.region("memory that the kernel unpacks itself into"), Some((0x100_0040, 0x1f_ffc0)));
    let (start, size) = guest.region("initramfs").unwrap();
    assert_eq!((start % 4096, start + size.next_multiple_of(4096)), (0, 64 << 20));
    assert_eq!(guest.bytes(u32::try_from(start).unwrap(), 6), b"070701");

    let limited = pack(&BzImage { initrd_addr_max: 0x1ff_ffff, ..BzImage::kernel() }, initramfs);
    let (start, size) = limited.region("initramfs").unwrap();
    assert_eq!(start + size.next_multiple_of(4096), 0x200_0000);

    let reserved =
        "segments: [{start: 0x3fff000, size: 1, kind: reserved}, {start: 0x3ff0000, size: 4KiB, kind: reserved}]";
    let around = pack(&BzImage::kernel(), &format!("{initramfs}\n{reserved}"));
    let (start, size) = around.region("initramfs").unwrap();
    assert_eq!(start + size.next_multiple_of(4096), 0x3ff_f000);

    // Below the kernel when all above it is reserved.
    let reserved =
        "segments: [{start: 0x1800000, size: 40MiB, kind: reserved}, {start: 0x1200000, size: 6MiB, kind: reserved}]";
    let below = pack(&BzImage::kernel(), &format!("{initramfs}\n{reserved}"));
    let (start, size) = below.region("initramfs").unwrap();
    assert_eq!(start + size.next_multiple_of(4096), 0x100_0000);
}

#[test]
fn a_kernel_that_is_not_relocatable_or_older_is_loaded_where_it_says() {
    let fixed = pack(&BzImage { relocatable: 0, setup_sects: 0, ..BzImage::kernel() }, "");
    assert_eq!(fixed.image.description().entry.eip, 0x10_0000);
    assert_eq!(fixed.word(params(&fixed) + 0x214), 0x10_0000);
    assert_eq!(fixed.region("kernel protected-mode code"), Some((0x10_0000, 64)));
    assert_eq!(fixed.region("memory that the kernel unpacks itself into"), Some((0x100_0000, 0x20_0000)));
    // Up to 2.09, what has become pref_address and init_size later means nothing.
    let old = pack(&BzImage { version: 0x209, ..BzImage::kernel() }, "");
    assert_eq!(old.image.description().entry.eip, 0x10_0000);
    assert_eq!(old.region("memory that the kernel unpacks itself into"), None);
}

#[test]
fn all_of_a_kernel_whose_last_paragraph_is_cut_short_is_loaded() {
    let mut kernel = BzImage::kernel();
    kernel.code.truncate(50);
    kernel.code[49] = 0xee;
    let guest = pack(&kernel, "");
    assert_eq!(guest.region("kernel protected-mode code"), Some((0x100_0000, 50)));
    assert_eq!(guest.bytes(0x100_0031, 2), [0xee, 0]);
}

#[test]
fn reserved_segments_are_reserved_in_the_e820_table() {
    let guest = pack(&BzImage::kernel(), "segments: [{start: 0x2000000, size: 1MiB, kind: reserved}]");
    let params = params(&guest);
    assert_eq!(guest.bytes(params + 0x1e8, 1), [6]);
    let record = params + 0x2d0 + 20 * 4;
    assert_eq!((guest.word(record), guest.word(record + 8), guest.word(record + 16)), (0x200_0000, 0x10_0000, 2));
}

#[test]
fn every_verb_knows_such_an_image() {
    let packed = Packed::new(&BzImage::kernel(), "cmdline: quiet\ninitramfs: {directory: root}");
    let text = packed.ask(&["inspect", "manifest.img"]).stdout;
    for line in [
        "\nLinux boot_params at 0x5000\n",
        "  protocol        2.15\n",
        "  type_of_loader  0xff\n",
        "  loadflags       0x1\n",
        "  code32_start    0x1000000\n",
        "  command line    \"quiet\" at 0x6000\n",
        "  alt_mem_k       64512 KiB\n",
        "  screen_info     mode 3, 80 columns, 25 rows\n",
        "\ne820 table\n  00000000-0009fbff    639 KiB  available\n",
        "No page directory",
        "kernel protected-mode code  <- vmlinuz\n",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
    let json: serde_json::Value = packed.ask(&["inspect", "--json", "manifest.img"]).stdout.parse().unwrap();
    let boot = &json["boot"];
    assert_eq!((&boot["boot_params"], &boot["cmdline"]), (&0x5000.into(), &"quiet".into()));
    assert_eq!(boot["ramdisk_image"].as_u64(), packed.guest.region("initramfs").map(|(start, _)| start));
    assert_eq!(boot["e820_table"].as_array().unwrap().len(), 4);
    let svg = packed.ask(&["inspect", "manifest.img", "--svg", "-"]).stdout;
    assert!(svg.contains("kernel protected-mode code"), "{svg}");

    packed.ask(&["lock", "manifest.yaml"]);
    packed.ask(&["--locked", "manifest.yaml", "-o", "locked.img"]);
    packed.ask(&["extract", "manifest.img", "out"]);
    packed.ask(&["out/manifest.yaml", "-o", "again.img"]);
    assert_eq!(packed.ask(&["diff", "manifest.img", "again.img"]).stdout, "");
    let bytes = |name: &str| fs::read(packed.folder.path().join(name)).unwrap();
    assert!(bytes("manifest.img") == bytes("again.img") && bytes("manifest.img") == bytes("locked.img"));
    assert!(bytes("vmlinuz") == bytes("out/vmlinuz"));

    let manifest = fs::read_to_string(packed.folder.path().join("manifest.yaml")).unwrap();
    fs::write(packed.folder.path().join("manifest.yaml"), manifest.replace("quiet", "quiet debug")).unwrap();
    packed.ask(&["manifest.yaml", "-o", "debug.img"]);
    let differ = pack_in(packed.folder.path(), &["diff", "manifest.img", "debug.img"]);
    assert_eq!(differ.status, Some(1));
    assert!(differ.stdout.contains("command line\n  + debug\n"), "{}", differ.stdout);
    let regions = &packed.guest.image.description().regions;
    assert!(regions.iter().any(|region| region.kind == RegionKind::CommandLine));
}
