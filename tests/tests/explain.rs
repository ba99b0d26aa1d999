//! The pages of `stos-pack explain` show examples: a manifest, commands that make files, a linker script, and the error or
//! warning that comes of it. Here they are followed, and the error must be the real one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use stos_pack::diagnostics::Code;
use stos_tests::bzimage::BzImage;
use stos_tests::elf::{Elf, Segment, Symbol};
use stos_tests::multiboot::{self, HEADER};
use stos_tests::tools::{Run, run, tool_path};

/// Codes whose pages show no error, and why.
const WITHOUT_EXAMPLE: [(&str, &str); 6] = [
    ("E0080", "a header that is missing can't be shown"),
    ("E0082", "one line of a header says it all"),
    ("E0083", "one line of a header says it all"),
    ("E0084", "the causes are many, and none is short"),
    ("E0095", "the command line would be longer than the page"),
    ("W0006", "three lines of a header say it all"),
];

/// A command that not every machine can follow: it copies what the machine itself was started with.
const NOT_FOLLOWED: [&str; 1] = ["cp /boot/vmlinuz-$(uname -r) vmlinuz"];

/// Makes the object file that the pages link.
const COMPILE: &str =
    "gcc -m32 -ffreestanding -fno-pie -fcf-protection=none -fno-asynchronous-unwind-tables -c kernel.c";

/// A linker script that puts code and data on pages of their own.
const LINKER_SCRIPT: &str = "\
ENTRY(kernel_main)
SECTIONS
{
    . = 0xC0100000;
    .text : { *(.text) }
    . = ALIGN(4096);
    .data : { *(.data) }
    .bss : { *(.bss) }
}
";

/// What a block of a page's example is.
#[derive(Debug)]
enum Block<'a> {
    /// Lines of the manifest.
    Manifest(String),
    /// Another file, which has its name in its first line.
    File(&'a str, String),
    /// Lines to type in a shell.
    Commands(Vec<&'a str>),
    /// Diagnostics, each as its first line; `...` stands for what the page leaves out.
    Told(Vec<&'a str>),
}

fn is_told(line: &str) -> bool {
    line.starts_with("error[") || line.starts_with("warning[")
}

/// The blocks of the example, which stands below "How it comes about".
fn blocks(page: &str) -> Vec<Block<'_>> {
    let (_, section) = page.split_once("## How it comes about\n").unwrap();
    let (section, _) = section.split_once("## How to mend it\n").unwrap();
    let mut blocks = Vec::new();
    for paragraph in section.split("\n\n") {
        let lines: Option<Vec<&str>> =
            paragraph.trim_matches('\n').lines().map(|line| line.strip_prefix("    ")).collect();
        let Some(lines) = lines else { continue };
        let text = |lines: &[&str]| lines.join("\n") + "\n";
        match lines[..] {
            [first, ..] if is_told(first) => blocks.push(Block::Told(lines)),
            [first, ..] if first.starts_with("$ ") => {
                let (told, commands) = lines.into_iter().partition::<Vec<_>, _>(|line| is_told(line));
                blocks.push(Block::Commands(commands.iter().map(|line| line.strip_prefix("$ ").unwrap()).collect()));
                if !told.is_empty() {
                    blocks.push(Block::Told(told));
                }
            }
            [first, ref rest @ ..] if first.starts_with("# ") => blocks.push(Block::File(&first[2..], text(rest))),
            [first, ..] if ["ENTRY", "SECTIONS", "PHDRS"].iter().any(|word| first.starts_with(word)) => {
                blocks.push(Block::File("kernel.ld", text(&lines)));
            }
            _ => blocks.push(Block::Manifest(text(&lines))),
        }
    }
    blocks
}

/// A whole manifest with `lines` in it: what they don't say is as in most pages.
fn manifest(lines: &str) -> String {
    let kernel = if lines.contains("entry:") {
        "{path: hello.elf, protocol: elf}"
    } else {
        "{path: kernel.elf, protocol: stos}"
    };
    let mut text = lines.to_owned();
    for (key, value) in [("version", "1"), ("name", "hello"), ("memory", "64MiB"), ("kernel", kernel)] {
        if !lines.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            text += &[key, ": ", value, "\n"].concat();
        }
    }
    text
}

/// The files that the pages take for granted, and those that the page of `code` does.
fn prepare(code: &str, folder: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    write("kernel.elf", &Elf::kernel().to_bytes());
    // Only a Multiboot loader finds the header.
    let header = r#"__asm__(".long 0x1BADB002, 3, -(0x1BADB002 + 3)");"#;
    let source = "int number = 1; void kernel_main(void) { for (;;) number++; }";
    write("kernel.c", format!("{header}\n{source}\n").as_bytes());
    write("kernel.ld", LINKER_SCRIPT.as_bytes());
    write("hello.elf", &low_kernel(if code == "E0104" { 0xc000_0000 } else { 0 }).to_bytes());
    for name in ["timer", "shell"] {
        write(&format!("{name}.ko"), &Elf::module("start").to_bytes());
        write(&format!("{name}.c"), b"void start(void) {}\n");
    }
    write("initramfs/etc/motd", b"hello\n");
    assert_eq!(in_shell(COMPILE, folder).status, Some(0));
    match code {
        "E0061" => assert_eq!(in_shell("stos-pack hello.yaml", folder).status, Some(0)),
        "E0070" => write("Makefile", b"all:\n\tprintf again >>kernel.elf\n"),
        "E0071" => {
            write("kernel.yaml", manifest("modules: [{path: timer.ko}]\n").as_bytes());
            assert_eq!(in_shell("stos-pack lock kernel.yaml", folder).status, Some(0));
        }
        "E0081" => {
            let mut kernel = low_kernel(0).to_bytes();
            kernel.resize(12288, 0);
            kernel.extend(multiboot::bytes(&HEADER));
            write("kernel.elf", &kernel);
        }
        "E0090" => write("linux/vmlinux", &Elf::kernel().to_bytes()),
        "E0091" => write("vmlinuz-2.4.37", &BzImage { version: 0x203, ..BzImage::kernel() }.to_bytes()),
        "E0092" => write("zImage", &BzImage { loadflags: 0x80, ..BzImage::kernel() }.to_bytes()),
        "E0093" => write("vmlinuz", &BzImage { xloadflags: 1, ..BzImage::kernel() }.to_bytes()),
        "E0094" => {
            fs::create_dir(folder.join("boot")).unwrap();
            write("vmlinuz", &BzImage { code: vec![0xf4; 2 << 20], ..BzImage::kernel() }.to_bytes());
        }
        "E0096" => write("vmlinuz", &BzImage { init_size: 0x110_0000, ..BzImage::kernel() }.to_bytes()),
        "W0011" | "W0012" => write("vmlinuz", &BzImage::kernel().to_bytes()),
        "E0097" => {
            write("vmlinuz", &BzImage::kernel().to_bytes());
            write("debian-root/usr.img", b"");
            fs::File::options()
                .write(true)
                .open(folder.join("debian-root/usr.img"))
                .unwrap()
                .set_len(100 << 20)
                .unwrap();
        }
        _ => {}
    }
}

/// A kernel of code that is loaded at 1 MiB, and has `base` on top in its virtual addresses.
fn low_kernel(base: u32) -> Elf {
    let code = Segment { paddr: 0x10_0000, ..Segment::new(base + 0x10_0000, 5, &[0xf4; 16]) };
    let symbols = vec![Symbol::function("kernel_start", base + 0x10_0000)];
    Elf { entry: base + 0x10_0000, segments: vec![code], sections: Vec::new(), symbols, ..Elf::kernel() }
}

/// Runs a line of a shell in `folder`, where `stos-pack` can be typed like any command.
fn in_shell(line: &str, folder: &Path) -> Run {
    let programs = tool_path("stos-pack");
    let path = [programs.parent().unwrap().as_os_str(), &env::var_os("PATH").unwrap()].join(OsStr::new(":"));
    run(Command::new("sh").args(["-c", line]).current_dir(folder).env("PATH", path).env("LC_ALL", "C"))
}

/// Follows the example of the page of `code`; returns what is not as it says.
fn follow(code: Code) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write_manifest = |lines: &str| {
        for name in ["hello.yaml", "kernel.yaml"] {
            fs::write(folder.join(name), manifest(lines)).unwrap();
        }
    };
    write_manifest("");
    prepare(code.text(), folder);
    let mut mistakes = Vec::new();
    // What `stos-pack` said when it was typed.
    let mut said: Option<Run> = None;
    for block in blocks(code.page()) {
        match block {
            Block::Manifest(lines) => write_manifest(&lines),
            Block::File(name, text) => fs::write(folder.join(name), text).unwrap(),
            Block::Commands(lines) => {
                for line in lines {
                    let ended = in_shell(line, folder);
                    if line.starts_with("stos-pack") {
                        said = Some(ended);
                    } else if ended.status != Some(0) && !NOT_FOLLOWED.contains(&line) {
                        mistakes.push(format!("{code}: `{line}`: {ended:?}"));
                    }
                }
            }
            Block::Told(told) => {
                let said = said.take().unwrap_or_else(|| in_shell("stos-pack kernel.yaml", folder));
                let real: Vec<&str> = said.stderr.lines().filter(|line| is_told(line)).collect();
                let mut rest = real.iter();
                let in_order = told.iter().all(|told| rest.any(|real| is_shortened(told, real)));
                let errors = |lines: &[&str]| lines.iter().filter(|line| line.starts_with("error")).count();
                if !in_order || errors(&told) != errors(&real) {
                    mistakes.push(format!("{code} shows {told:#?}, and what is said is\n{}", said.stderr));
                }
            }
        }
    }
    mistakes
}

/// Whether a page may show `real` as `told`: the same, or cut off where the page says so.
fn is_shortened(told: &str, real: &str) -> bool {
    told == real || told.strip_suffix("...").is_some_and(|begin| real.starts_with(begin))
}

#[test]
fn what_the_pages_show_is_what_is_said() {
    let mistakes: Vec<String> = Code::ALL.iter().flat_map(|code| follow(*code)).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn every_error_that_a_page_shows_is_looked_at() {
    for code in Code::ALL {
        let shown = code.page().lines().filter(|line| is_told(line.trim_start())).count();
        let told = |block| if let Block::Told(told) = block { told.len() } else { 0 };
        assert_eq!(blocks(code.page()).into_iter().map(told).sum::<usize>(), shown, "{code}");
    }
}

#[test]
fn pages_without_an_error_are_known() {
    let has_error = |code: &Code| blocks(code.page()).iter().any(|block| matches!(block, Block::Told(_)));
    let without: Vec<&str> = Code::ALL.iter().filter(|code| !has_error(code)).map(|code| code.text()).collect();
    assert_eq!(without, WITHOUT_EXAMPLE.map(|(code, _reason)| code));
}
