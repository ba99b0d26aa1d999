//! Linux kernels that can't be started, and what does not fit around one.

use std::fs;

use stos_tests::bzimage::BzImage;
use stos_tests::elf::Elf;
use stos_tests::fixtures;
use tempfile::TempDir;

use super::assert_refused;

/// A folder with a kernel, a directory for an initramfs, and a manifest of 64 MiB with these lines.
fn folder(kernel: &[u8], lines: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("vmlinuz"), kernel).unwrap();
    fs::create_dir(folder.path().join("root")).unwrap();
    fs::write(folder.path().join("root/init"), vec![1; 1 << 20]).unwrap();
    let memory = if lines.contains("memory:") { "" } else { "memory: 64MiB\n" };
    let manifest = format!("version: 1\nname: fixture\n{memory}kernel: {{path: vmlinuz, protocol: linux}}\n{lines}");
    fs::write(folder.path().join("manifest.yaml"), manifest).unwrap();
    folder
}

fn refuse_with(name: &str, kernel: &[u8], lines: &str) {
    let expected = fixtures::folder().join("linux").join(name).with_extension("stderr");
    assert_refused(folder(kernel, lines).path(), "manifest.yaml", &expected);
}

fn refuse(name: &str, kernel: &[u8]) {
    refuse_with(name, kernel, "");
}

#[test]
fn files_that_are_no_bzimage_are_refused() {
    refuse("vmlinux", &Elf::kernel().to_bytes());
    refuse("script", b"#!/bin/sh\necho kernel\n");
    refuse("empty", b"");
    let mut without_flag = BzImage::kernel().to_bytes();
    without_flag[0x1fe] = 0;
    refuse("boot_flag", &without_flag);
}

#[test]
fn kernels_that_this_loader_or_this_machine_can_not_start_are_refused() {
    refuse("old_protocol", &BzImage { version: 0x205, ..BzImage::kernel() }.to_bytes());
    refuse("zimage", &BzImage { loadflags: 0x80, ..BzImage::kernel() }.to_bytes());
    refuse("kernel_64", &BzImage { xloadflags: 0x3f, ..BzImage::kernel() }.to_bytes());
}

#[test]
fn a_header_without_the_bytes_that_it_speaks_of_is_refused() {
    let whole = BzImage::kernel().to_bytes();
    refuse("truncated_code", &whole[..whole.len() - 16]);
    refuse("no_code", &whole[..0x400]);
    refuse("truncated_header", &whole[..0x240]);
    refuse("truncated_magic", &whole[..0x206]);
}

#[test]
fn a_kernel_without_the_memory_that_it_wants_is_refused() {
    refuse_with(
        "too_little_memory",
        &BzImage { init_size: 0x180_0000, ..BzImage::kernel() }.to_bytes(),
        "memory: 32MiB\n",
    );
    refuse("at_the_end", &BzImage { pref_address: u64::MAX, ..BzImage::kernel() }.to_bytes());
    let low = BzImage { relocatable: 0, code32_start: 0x9_0000, ..BzImage::kernel() };
    refuse("below_1_mib", &low.to_bytes());
    let moved = BzImage { relocatable: 0, pref_address: 0x1000, ..BzImage::kernel() };
    refuse("runs_below_1_mib", &moved.to_bytes());
    refuse_with(
        "reserved",
        &BzImage::kernel().to_bytes(),
        "segments: [{start: 0x1100000, size: 1MiB, kind: reserved}]\n",
    );
}

#[test]
fn a_command_line_that_the_kernel_would_cut_off_is_refused() {
    let kernel = BzImage { cmdline_size: 15, ..BzImage::kernel() };
    refuse_with("command_line", &kernel.to_bytes(), "cmdline: console=ttyS0 ro\n");
}

#[test]
fn an_initramfs_without_room_is_refused() {
    let initramfs = "initramfs: {directory: root}\n";
    let full = BzImage { pref_address: 0x10_0000, init_size: 0x3f0_0000 - 0x8_0000, ..BzImage::kernel() };
    refuse_with("no_room", &full.to_bytes(), initramfs);
    let low =
        BzImage { pref_address: 0x10_0000, initrd_addr_max: 0x3f_ffff, init_size: 0x28_0000, ..BzImage::kernel() };
    refuse_with("kernel_limit", &low.to_bytes(), initramfs);
}

#[test]
fn keys_and_maps_that_linux_has_no_use_for_are_refused() {
    let kernel = BzImage::kernel().to_bytes();
    refuse_with("modules", &kernel, "modules: [{path: root/init}]\n");
    let segments: Vec<String> = (0..63)
        .map(|index| format!("{{start: {:#x}, size: 4KiB, kind: reserved}}", 0x200_0000 + index * 0x2000))
        .collect();
    refuse_with("too_many_ranges", &kernel, &format!("segments: [{}]\n", segments.join(",\n  ")));
    refuse_with("too_small", &kernel, "memory: 16MiB\n");
}
