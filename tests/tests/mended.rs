//! What a help line tells to do, done: kernels as linkers make them, what is said of each, and that the advice mends it. GNU ld
//! is always there; what gold and lld make is looked at where they are installed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use stos_tests::tools::{Run, pack_in, run};
use tempfile::TempDir;

/// A kernel in assembler: the header first, then code.
const MULTIBOOT: &str = r#"
    .section .multiboot, "a"
    .align 4
    .long 0x1BADB002, 0, -0x1BADB002
    .text
    .globl _start
_start: movl $number, %eax
    hlt
    .data
number: .long 1
    .section .note.GNU-stack, "", @progbits
"#;

/// A linker script that begins like this, with the header first and data on a page of its own.
fn script(start: &str) -> String {
    format!(
        "ENTRY(_start)\nSECTIONS {{ . = {start}; .text : {{ KEEP(*(.multiboot)) *(.text) }} .data : ALIGN(4096) {{ *(.data) }} }}\n"
    )
}

/// A folder with `start.o`, made of this source, and the script `kernel.ld`.
fn folder(source: &str, script: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("start.S"), source).unwrap();
    fs::write(folder.path().join("kernel.ld"), script).unwrap();
    shell(folder.path(), "gcc -m32 -c start.S");
    folder
}

fn shell(folder: &Path, line: &str) {
    let ended = run(Command::new("sh").args(["-c", line]).current_dir(folder).env("LC_ALL", "C"));
    assert_eq!(ended.status, Some(0), "{line}: {}", ended.stderr);
}

/// Whether the linker `name` is installed; says so when it is not.
fn is_installed(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {name} is not installed");
    }
    found
}

/// Links by `line`, and packs.
fn pack(folder: &Path, line: &str, protocol: &str) -> Run {
    shell(folder, line);
    let manifest = format!("version: 1\nname: x\nmemory: 32MiB\nkernel: {{path: kernel.elf, protocol: {protocol}}}\n");
    fs::write(folder.join("manifest.yaml"), manifest).unwrap();
    pack_in(folder, &["manifest.yaml"])
}

/// Asserts that a kernel that is linked by `line` packs or not, as `status` says, with all of `said`.
fn assert_said(folder: &Path, line: &str, protocol: &str, status: i32, said: &[&str]) {
    let packed = pack(folder, line, protocol);
    assert_eq!(packed.status, Some(status), "{line}: {}", packed.stderr);
    for text in said {
        assert!(packed.stderr.contains(text), "{line}: {text:?} is not in\n{}", packed.stderr);
    }
}

/// Asserts that a kernel that is linked by `line` packs without a word.
fn assert_silent(folder: &Path, line: &str, protocol: &str) {
    let packed = pack(folder, line, protocol);
    assert_eq!((packed.status, &*packed.stderr), (Some(0), ""), "{line}");
}

#[test]
fn headers_before_the_code_are_left_out_and_text_segment_takes_them_along() {
    let folder = folder(MULTIBOOT, "");
    for (protocol, base) in [("elf", "0x100000"), ("stos", "0xc0100000")] {
        let ld = |options: &str| format!("ld -m elf_i386 {options} -o kernel.elf start.o");
        let help = format!("link with `-Ttext-segment={base}` instead of `-Ttext={base}`");
        let said = ["warning[W0008]: ", "it holds only ELF headers, and would be loaded in the PC's hole", &help];
        assert_said(folder.path(), &ld(&format!("-z separate-code -Ttext={base}")), protocol, 0, &said);
        assert_silent(folder.path(), &ld(&format!("-z separate-code -Ttext-segment={base}")), protocol);
        // Headers and code in one segment can't be parted.
        let said = ["error[E0041]: ", "it probably begins with the ELF headers", &help[5..]];
        assert_said(folder.path(), &ld(&format!("-z noseparate-code -Ttext={base}")), protocol, 65, &said);
        assert_silent(folder.path(), &ld(&format!("-z noseparate-code -Ttext-segment={base}")), protocol);
    }
    let ld = "ld -m elf_i386 -z noseparate-code -Ttext=0x100000 -o kernel.elf start.o";
    let said = ["error[E0031]: ", "it begins with the ELF headers", "`-Ttext-segment=0x100000`"];
    assert_said(folder.path(), ld, "multiboot", 65, &said);
    assert_silent(folder.path(), &ld.replace("-Ttext", "-Ttext-segment"), "multiboot");
}

#[test]
fn a_script_that_begins_at_sizeof_headers_packs() {
    let folder = folder(MULTIBOOT, &script("1M + SIZEOF_HEADERS"));
    let ld = |options: &str| format!("ld -m elf_i386 {options} -T kernel.ld -o kernel.elf start.o");
    let packed = pack(folder.path(), &ld("-z separate-code"), "multiboot");
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    // Not every version of ld gives the headers an address of their own to be loaded at.
    let is_said = packed.stderr.contains("warning[W0008]") && packed.stderr.contains("link with `-z noseparate-code`");
    assert!(packed.stderr.is_empty() || is_said, "{}", packed.stderr);
    assert_silent(folder.path(), &ld("-z noseparate-code"), "multiboot");
}

#[test]
fn a_position_independent_program_is_told_how_to_be_none() {
    let folder = folder(MULTIBOOT, &script("1M"));
    let gcc = |options: &str| format!("gcc -m32 -nostdlib {options} -T kernel.ld -o kernel.elf start.o 2>/dev/null");
    let said = ["error[E0023]: ", "`gcc -no-pie`", "-fno-pie`"];
    let packed = pack(folder.path(), &gcc("-pie"), "multiboot");
    let is_said = said.iter().all(|text| packed.stderr.contains(text));
    // Older versions of ld give it its own type.
    assert!(packed.status == Some(65) && (is_said || packed.stderr.contains("ET_DYN")), "{}", packed.stderr);
    assert_silent(folder.path(), &gcc("-no-pie -Wl,--build-id=none"), "multiboot");
}

#[test]
fn a_build_id_at_the_address_of_programs_is_left_out() {
    let folder = folder(MULTIBOOT, "");
    let ld = |id: &str| {
        format!("ld -m elf_i386 -n --build-id={id} -Ttext=0xc0100000 -Tdata=0xc0101000 -o kernel.elf start.o")
    };
    let said = ["warning[W0008]: ", "it holds only notes, and would lie outside of", "`--build-id=none`"];
    assert_said(folder.path(), &ld("sha1"), "stos", 0, &said);
    let packed = pack(folder.path(), &ld("none"), "stos");
    assert!(packed.status == Some(0) && !packed.stderr.contains("W0008"), "{}", packed.stderr);
    // Where paging is off, only the end of memory would be in its way.
    let ld = |id: &str| {
        format!(
            "ld -m elf_i386 -n --build-id={id} -Ttext=0x100000 -Tdata=0x101000 -Tbss=0x102000 -o kernel.elf start.o"
        )
    };
    let said = ["warning[W0008]: ", "it holds only notes, and would be loaded far above the rest", "`--build-id=none`"];
    assert_said(folder.path(), &ld("sha1"), "multiboot", 0, &said);
    assert_silent(folder.path(), &ld("none"), "multiboot");
}

#[test]
fn golds_and_llds_headers_are_left_out() {
    let folder = folder(MULTIBOOT, &script("1M"));
    if is_installed("ld.gold") {
        let gold = |options: &str| format!("ld.gold -m elf_i386 {options} -T kernel.ld -o kernel.elf start.o");
        let said = ["warning[W0008]: ", "where there is a linker script, with `-n`"];
        assert_said(folder.path(), &gold(""), "multiboot", 0, &said);
        assert_silent(folder.path(), &gold("-n"), "multiboot");
        // Without a script, headers and code share a segment that begins at 1 MiB.
        assert_silent(folder.path(), "ld.gold -m elf_i386 -Ttext=1048576 -o kernel.elf start.o", "multiboot");
    }
    if is_installed("ld.lld") {
        let lld = |options: &str| format!("ld.lld -m elf_i386 {options} -o kernel.elf start.o");
        let help = "`--image-base=0xc0100000` instead of `-Ttext` (ld.lld)";
        let said = ["warning[W0008]: ", "outside of 0xc0000000-0xc03fffff", help];
        assert_said(folder.path(), &lld("-Ttext=0xC0100000"), "stos", 0, &said);
        assert_silent(folder.path(), &lld("--image-base=0xc0100000"), "stos");
    }
}

/// [`MULTIBOOT`] with its header in the section that `line` opens, and with 12 KiB of code.
fn large(line: &str) -> String {
    MULTIBOOT.replace(r#".section .multiboot, "a""#, line).replace("    .data", "    .fill 12288, 1, 0x90\n    .data")
}

#[test]
fn a_header_too_far_behind_is_moved_by_what_is_said_of_its_section() {
    let first = script("1M");
    let last = "ENTRY(_start)\nSECTIONS { . = 1M; .text : { *(.text) } .data : ALIGN(4K) { *(.data) } .multiboot : { KEEP(*(.multiboot)) } }\n";
    let named = "ENTRY(_start)\nSECTIONS { . = 1M; .multiboot : { KEEP(*(.multiboot)) } .text : { *(.text) } .data : ALIGN(4K) { *(.data) } }\n";
    let ld = "ld -m elf_i386 -z max-page-size=4096 -T kernel.ld -o kernel.elf start.o";
    let refused = |source: &str, script: &str, line: &str, said: &[&str]| {
        let folder = folder(source, script);
        let said = [&["error[E0081]: ", "the first 8192"], said].concat();
        assert_said(folder.path(), line, "multiboot", 65, &said);
    };
    let silent = |source: &str, script: &str, line: &str| {
        assert_silent(folder(source, script).path(), line, "multiboot");
    };
    // Without the flag "a".
    let said = ["`.multiboot`, which has no flag ALLOC", r#"`.section .multiboot, "a"`"#];
    refused(&large(".section .multiboot"), named, ld, &said);
    silent(&large(r#".section .multiboot, "a""#), named, ld);
    // A label's colon, where there is no label.
    let said = ["`.text:`, with a colon in its name", "write `section .text` without the colon"];
    refused(&large(r#".section ".text:", "ax""#), &first, ld, &said);
    silent(&large(".section .text"), &first, ld);
    // Behind the others.
    let said =
        ["`.multiboot`, which comes behind .text .data", "`.multiboot : { KEEP(*(.multiboot)) }` before `.text`"];
    refused(&large(r#".section .multiboot, "a""#), last, ld, &said);
    silent(&large(r#".section .multiboot, "a""#), named, ld);
    // Within another.
    let inside = large(".section .text\n .fill 9000, 1, 0x90");
    let said =
        [" bytes behind its beginning", r#"`.section .multiboot, "a"`"#, "`.text : { KEEP(*(.multiboot)) ... }`"];
    refused(&inside, &first, ld, &said);
    // The first section, but far behind the ELF headers.
    let said = ["`.text`, the first one, which begins at byte ", "`-z max-page-size=4096` or with `-n`"];
    let far = ld.replace("4096", "0x10000");
    refused(&large(r#".section .multiboot, "a""#), &first, &far, &said);
    silent(&large(r#".section .multiboot, "a""#), &first, &format!("{far} -n"));
}

#[test]
fn a_kernel_in_the_upper_half_needs_physical_addresses() {
    let upper = |at: &str| {
        format!(
            "ENTRY(_start)\nSECTIONS {{ . = 0xC0100000; .text : {at} {{ KEEP(*(.multiboot)) *(.text) }} .data ALIGN(4096) : {{ *(.data) }} }}\n"
        )
    };
    let ld = "ld -m elf_i386 -T kernel.ld -o kernel.elf start.o";
    let help = "AT(ADDR(.text) - 0xC0000000)";
    let bare = folder(MULTIBOOT, &upper(""));
    for protocol in ["multiboot", "elf"] {
        let packed = pack(bare.path(), ld, protocol);
        assert_eq!(packed.status, Some(65), "{}", packed.stderr);
        assert!(!packed.stderr.contains("`memory` larger"), "{}", packed.stderr);
        let said = ["would be loaded at 0xc0100000, and a guest has 3 GiB of memory at most", "p_paddr", help];
        assert!(said.iter().all(|text| packed.stderr.contains(text)), "{}", packed.stderr);
        assert_eq!(packed.stderr.matches("error[E0040]").count(), 1, "{}", packed.stderr);
    }
    let moved = folder(MULTIBOOT, &upper(help));
    for protocol in ["multiboot", "elf"] {
        assert_silent(moved.path(), ld, protocol);
    }
}

#[test]
fn an_entry_point_that_is_no_code_is_named() {
    let first = script("1M");
    let ld = "ld -m elf_i386 -T kernel.ld -o kernel.elf start.o 2>/dev/null";
    let refused = |source: &str, script: &str, said: &[&str]| {
        let folder = folder(source, script);
        assert_said(folder.path(), ld, "multiboot", 65, &[&["error[E0027]: "], said].concat());
    };
    let silent = |source: &str, script: &str| assert_silent(folder(source, script).path(), ld, "multiboot");
    // ld takes the first byte of .text, which is the header.
    let on_the_header = "the entry point 0x100000 is on the Multiboot header, not on code";
    let renamed = MULTIBOOT.replace("_start", "start");
    refused(&renamed, &first, &[on_the_header, "cannot find entry symbol", "write `ENTRY(start)`"]);
    silent(&renamed, &first.replace("ENTRY(_start)", "ENTRY(start)"));
    let local = MULTIBOOT.replace("    .globl _start\n", "");
    refused(&local, &first, &[on_the_header, "`.globl _start` (NASM: `global _start`)"]);
    silent(MULTIBOOT, &first);
    // A variable, whatever its section is; and what is in a section of data.
    let variable = MULTIBOOT
        .replace("number: .long 1", ".globl number\n .type number, @object\n .size number, 4\nnumber: .long 1");
    let to_number = first.replace("ENTRY(_start)", "ENTRY(number)");
    refused(&variable, &to_number, &["is in the variable `number`", "write `ENTRY(_start)`"]);
    let word = MULTIBOOT.replace("number: .long 1", ".globl number\nnumber: .long 1");
    refused(&word, &to_number, &["is in `.data`, which is data by its flags", "write `ENTRY(_start)`"]);
    silent(&word, &first);
    // Who forgot `.text` has code in .data, and it runs.
    let forgotten = MULTIBOOT.replace("    .text\n", "    .data\n");
    silent(&forgotten, &first);
}

#[test]
fn segments_at_different_distances_are_told_of() {
    let upper = |start: &str, data: &str| {
        format!(
            "ENTRY(_start)\nSECTIONS {{ . = 1M; {start} . = 0xC0110000; .text : AT(ADDR(.text) - 0xC0000000) {{ KEEP(*(.multiboot)) *(.text) }} .data : {data} {{ . = ALIGN(4096); *(.data) }} }}\n"
        )
    };
    let ld = "ld -m elf_i386 -z max-page-size=4096 -T kernel.ld -o kernel.elf start.o";
    let right = "AT(ADDR(.data) - 0xC0000000)";
    let wrong = folder(MULTIBOOT, &upper("", "AT(ADDR(.data) - 0xBFFF0000)"));
    let said = ["warning[W0009]: ", "the segments 0 and 1", "0xc0000000 and 0xbfff0000", right];
    for protocol in ["multiboot", "elf"] {
        assert_said(wrong.path(), ld, protocol, 0, &said);
    }
    // Start-up code at its own address is as it should be.
    let source = MULTIBOOT.replace("    .text\n", "    .section .boot, \"ax\"\n hlt\n    .text\n");
    for start in ["", ".boot : { KEEP(*(.multiboot)) *(.boot) }"] {
        assert_silent(folder(&source, &upper(start, right)).path(), ld, "multiboot");
    }
}

#[test]
fn constructors_are_called_by_who_knows_their_list() {
    let list = "    .section .init_array, \"aw\", @init_array\n .long _start\n    .data\n";
    let kernel_ld = "ENTRY(_start)\nSECTIONS { . = 1M; .text : { KEEP(*(.multiboot)) *(.text) } .data : ALIGN(4096) { *(.data) } .init_array : { first_constructor = .; KEEP(*(.init_array*)) last_constructor = .; } }\n";
    let ld = "ld -m elf_i386 -T kernel.ld -o kernel.elf start.o";
    let uncalled = MULTIBOOT.replace("    .data\n", list).replace("number: .long 1", "number: .long 1, 2, 3");
    let said =
        ["warning[W0010]: ", "nothing calls a constructor in `.init_array`", "`_start`", "first_constructor = .; KEEP"];
    assert_said(folder(&uncalled, kernel_ld).path(), ld, "multiboot", 0, &said);
    for known in
        ["movl $first_constructor, %ebx", "call *first_constructor(,%ecx,4)", "movl $first_constructor - 4, %ebx"]
    {
        let called = uncalled.replace("    hlt\n", &format!("    {known}\n    hlt\n"));
        assert_silent(folder(&called, kernel_ld).path(), ld, "multiboot");
    }
    let of_gcc =
        uncalled.replace(".long _start\n", ".long frame_dummy\n").replace("_start: ", "frame_dummy:\n_start: ");
    assert_silent(folder(&of_gcc.replace(".long frame", ".long 0, -1, frame"), kernel_ld).path(), ld, "multiboot");
}
