//! Page faults: entries of directory and table with every combination of rights, every access, each level, WP on and off.

use super::bytes::{at, mov};
use crate::case::Case;
use crate::layout::*;

const WP: u32 = 1 << 16;
/// A page directory's entry of 4 MiB.
const LARGE: u32 = 0x80;
/// The directory's entries of [`PAGES`] and of the 4 MiB behind it.
const ENTRY: u32 = DIRECTORY + (PAGES >> 20);
const NEXT_ENTRY: u32 = ENTRY + 4;
/// Where large pages of cases begin.
const LARGE_PAGES: u32 = PAGES + 0x40_0000;

/// Accesses to an address; each changes no more than a register and the page.
fn accesses(address: u32) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("read", at(b"\x8b\x1d", address)),
        ("write", at(b"\x89\x1d", address)),
        ("read and write", at(b"\xff\x05", address)),
        ("exchange", at(b"\x87\x1d", address)),
        ("comparison that fails", at(b"\x0f\xb0\x1d", address)),
        ("push of it", at(b"\xff\x35", address)),
        ("movs to it", [mov(6, DATA), mov(7, address), b"\xa4".to_vec()].concat()),
        ("execution", [mov(0, address), b"\xff\xe0".to_vec()].concat()),
        ("stack", [mov(4, address + 4), b"\x50".to_vec()].concat()),
        ("sgdt", at(b"\x0f\x01\x05", address)),
        ("x87 store", at(b"\xd9\x3d", address)),
        ("lar", at(b"\x0f\x02\x1d", address)),
        ("invlpg", at(b"\x0f\x01\x3d", address)),
    ]
}

pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 1, 3] {
        for cr0 in [CR0, CR0 & !WP] {
            // A stack of level 0 that can't be used is a triple fault.
            let is_told = |name: &str| name != "stack" || level != 0;
            for (name, code) in accesses(PAGES + 0x10).into_iter().filter(|(name, _)| is_told(name)) {
                for rights in 0..64 {
                    cases.push(small(level, cr0, name, &code, rights & 7, rights >> 3));
                }
            }
            for (name, code) in accesses(LARGE_PAGES + DATA + 0x10).into_iter().filter(|(name, _)| is_told(name)) {
                for rights in 0..8 {
                    cases.push(large(level, cr0, CR4, name, &code, rights | LARGE));
                    cases.push(large(level, cr0, CR4, name, &code, rights | LARGE | 0x60));
                }
            }
        }
    }
    cases.extend(large_bits());
    cases.extend(crossings());
    cases.extend(implicit());
    cases
}

fn small(level: u8, cr0: u32, name: &str, code: &[u8], directory: u32, table: u32) -> Case {
    // What may be written is memory that is restored.
    let page = if name == "execution" || name == "invlpg" { TARGET } else { DATA };
    let case = Case::new("page rights", level, code)
        .about(format!("{name}, CR0 {cr0:#x}, rights {directory} and {table}"))
        .with_word(ENTRY, TEST_TABLE | directory)
        .with_word(TEST_TABLE, page | table);
    Case { cr0, ..case }
}

fn large(level: u8, cr0: u32, cr4: u32, name: &str, code: &[u8], entry: u32) -> Case {
    let case = Case::new("large pages", level, code)
        .about(format!("{name}, CR0 {cr0:#x}, CR4 {cr4:#x}, entry {entry:#x}"))
        .with_word(NEXT_ENTRY, entry)
        .with(DATA + 0x10, &[0xcd, COMPLETED]);
    Case { cr0, cr4, ..case }
}

/// Bits of a large page's entry that are reserved, and those that mean nothing.
fn large_bits() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 3] {
        for bit in [3, 4, 8, 9, 10, 11, 12, 17, 18, 19, 20, 21] {
            for (name, code) in accesses(LARGE_PAGES + DATA + 0x10).into_iter().take(3) {
                let rights = if level == 0 { 3 } else { 7 };
                cases.push(large(level, CR0, CR4, name, &code, rights | LARGE | 1 << bit));
                cases.push(large(level, CR0, CR4, name, &code, LARGE | 1 << bit));
                // The bit of large pages means nothing without CR4.PSE: here is a table, at 0.
                cases.push(large(level, CR0, CR4, name, &code, rights | TEST_TABLE | 1 << bit & 0xfff));
            }
        }
    }
    cases
}

/// Accesses across two pages of different rights.
fn crossings() -> Vec<Case> {
    let mut cases = Vec::new();
    let edge = PAGES + 0x1000 - 2;
    for level in [0, 3] {
        for (name, code) in accesses(edge) {
            if ["invlpg", "stack", "execution", "movs to it"].contains(&name) {
                continue;
            }
            for rights in 0..64 {
                let (first, second) = (rights & 7, rights >> 3);
                let case = Case::new("page crossings", level, &code)
                    .about(format!("{name}, rights {first} and {second}"))
                    .with_word(ENTRY, TEST_TABLE | 7)
                    .with_word(TEST_TABLE, (DATA + 0x1000) | first)
                    .with_word(TEST_TABLE + 4, DATA | second);
                cases.push(case);
            }
        }
    }
    cases
}

/// Tables that the processor reads by itself, in pages of all rights: the descriptor, the LDT, the TSS.
fn implicit() -> Vec<Case> {
    let mut cases = Vec::new();
    for level in [0, 3] {
        for rights in 0..64 {
            for accessed in [0x93_u8, 0xf2] {
                let ldt = crate::tables::descriptor(PAGES, LDT_LIMIT, 0x82);
                // MOV AX, 7; MOV DS, AX: entry 0 of the LDT.
                let case = Case::new("descriptors in pages", level, b"\x66\xb8\x07\x00\x8e\xd8")
                    .about(format!("rights {rights:#x}, descriptor {accessed:#x}"))
                    .with_descriptor(FREE, ldt)
                    .with(DATA, &crate::tables::flat(accessed))
                    .with_word(ENTRY, TEST_TABLE | rights & 7)
                    .with_word(TEST_TABLE, DATA | rights >> 3);
                cases.push(Case { ldtr: FREE, ..case });
            }
        }
    }
    cases
}
