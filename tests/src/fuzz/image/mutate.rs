//! Changes of images: values, texts and lists of metadata and symbols, what other sections hold, and fields of the header.

use std::ops::Range;

use fastrand::Rng;

use super::draft::Draft;
use super::shape::{Found, METADATA, SYMBOLS, Shape, number};
use crate::fuzz::bytes::splice;
use crate::fuzz::target::ChangeBytes;

/// Numbers at which something may change.
const NUMBERS: [u64; 24] = [
    0,
    1,
    2,
    7,
    0xff,
    0x67,
    0x60,
    0xf4,
    0x3f8,
    0xfff,
    0x1000,
    0x1001,
    0xffff,
    0xf_ffff,
    0x10_0000,
    0x3f_ffff,
    0x40_0000,
    0x7fff_ffff,
    0x8000_0000,
    0xc000_0000,
    0xe000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    u64::MAX,
];
/// What is added to a number.
const STEPS: [u64; 10] = [1, u64::MAX, 2, 16, 0x1000, 0u64.wrapping_sub(0x1000), 4, 0u64.wrapping_sub(4), 0x1_0000, 8];

const TEXTS: [&str; 34] = [
    "",
    "x",
    "é",
    "\u{202e}",
    "\u{200b}",
    "\u{1b}[2J",
    "\n",
    "\0",
    "\u{2028}",
    "\u{feff}",
    "\u{ad}",
    "\u{d7ff}",
    "..",
    ".",
    "a/../b",
    "/a",
    "a/",
    "a//b",
    "manifest.yaml",
    "kernel.elf/x",
    "stos",
    "multiboot",
    "linux",
    "elf",
    "kernel .text",
    "_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE",
    "_RNvC6_123foo3bar",
    "_RINvNtC3std3mem8align_ofjdE",
    "_Z1fIXadL_Z1gvEEEvv",
    "_ZNSt6vectorIiSaIiEE9push_backEOi",
    "_ZSt4swapIiEvRT_S1_",
    "(a{500}){500}",
    "^Loading",
    "[z-a]",
];

/// Makes one change or a few to `case`, an image. Parts of `other` may be used.
pub fn mutate(case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
    let mut draft = Draft::decode(case);
    let other = Draft::decode(other);
    loop {
        match rng.u8(..24) {
            0..12 => section(METADATA, &mut draft.metadata, &other.metadata, rng, change),
            12..17 => section(SYMBOLS, &mut draft.symbols, &other.symbols, rng, change),
            17 => change(&mut draft.inputs, rng),
            18 => change(&mut draft.pages, rng),
            19 => splice(&mut draft.pages, &other.pages, rng),
            20 => flips(&mut draft.header_changes, 256, rng),
            21 if rng.u8(..4) == 0 => flips(&mut draft.file_changes, 1 << 16, rng),
            22 => {
                let part = rng.usize(..3);
                *[&mut draft.metadata, &mut draft.symbols, &mut draft.inputs][part] = other_part(&other, rng);
            }
            _ => rename(&mut draft.metadata, rng),
        }
        if rng.u8(..3) != 0 {
            break;
        }
    }
    *case = draft.encode();
}

fn other_part(other: &Draft, rng: &mut Rng) -> Vec<u8> {
    rng.choice([&other.metadata, &other.symbols, &other.inputs]).cloned().unwrap_or_default()
}

/// Changes that were there go, or one more comes.
fn flips(changes: &mut Vec<u8>, size: u32, rng: &mut Rng) {
    if changes.len() > 16 || (!changes.is_empty() && rng.bool()) {
        changes.clear();
        return;
    }
    let [low, middle, high, _] = rng.u32(..size).to_le_bytes();
    changes.extend([low, middle, high, 1 << rng.u8(..8)]);
}

/// Makes one change to a section of this shape.
fn section(shape: Shape, bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
    let found = Found::new(shape, bytes);
    match rng.u8(..16) {
        0..6 => change_number(bytes, &found, rng),
        6..9 => {
            let Some(text) = rng.choice(&found.texts) else { return };
            let new = new_text(&bytes[text.clone()], rng);
            put_text(bytes, text, &new);
        }
        9..12 => change_list(bytes, &found, rng),
        12 => {
            let Some(variant) = rng.choice(&found.variants) else { return };
            bytes[variant.start] = rng.u8(..12);
        }
        13 => take_item(bytes, &found, other, &Found::new(shape, other), rng),
        14 => splice(bytes, other, rng),
        _ => change(bytes, rng),
    }
}

fn change_number(bytes: &mut [u8], found: &Found, rng: &mut Rng) {
    let (Some(place), Some(other)) = (rng.choice(&found.numbers), rng.choice(&found.numbers)) else { return };
    let old = number(bytes, place.clone());
    let new = match rng.u8(..4) {
        0 => old ^ (1 << (rng.u32(..64) % (8 * u32::try_from(place.len()).unwrap_or(1)))),
        1 => old.wrapping_add(rng.choice(STEPS).unwrap_or(1)),
        2 => number(bytes, other.clone()).wrapping_add(rng.choice([0, 0, 1, u64::MAX]).unwrap_or(0)),
        _ => rng.choice(NUMBERS).unwrap_or(0).wrapping_add(rng.choice([0, 0, 1, u64::MAX]).unwrap_or(0)),
    };
    bytes[place.clone()].copy_from_slice(&new.to_le_bytes()[..place.len()]);
}

fn new_text(old: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut new = match rng.u8(..8) {
        0 => "a/".repeat(rng.usize(..2100)).into_bytes(),
        1 => "é".repeat(rng.usize(..260)).into_bytes(),
        2 => vec![0xff, 0xc0, 0x80],
        _ => rng.choice(TEXTS).unwrap_or_default().as_bytes().to_vec(),
    };
    if rng.bool() {
        let at = rng.usize(..=old.len());
        new = [&old[..at], &new, &old[at..]].concat();
    }
    new
}

/// Puts `new` in the place of a text.
fn put_text(bytes: &mut Vec<u8>, text: &Range<usize>, new: &[u8]) {
    let with_count = [&(new.len() as u64).to_le_bytes()[..], new].concat();
    bytes.splice(text.start - 8..text.end, with_count);
}

/// An item more, fewer or elsewhere, and the count that fits.
fn change_list(bytes: &mut Vec<u8>, found: &Found, rng: &mut Rng) {
    let lists: Vec<_> = found.lists.iter().filter(|list| !list.items.is_empty()).collect();
    let Some(list) = rng.choice(lists) else { return };
    let (Some(first), Some(last)) = (list.items.first(), list.items.last()) else { return };
    let mut items: Vec<Vec<u8>> = list.items.iter().map(|item| bytes[item.clone()].to_vec()).collect();
    let (one, two) = (rng.usize(..items.len()), rng.usize(..items.len()));
    match rng.u8(..5) {
        0 => drop(items.remove(one)),
        1 => items.insert(one, items[two].clone()),
        2 => items.swap(one, two),
        3 => items.truncate(one),
        _ => items.extend(vec![items[one].clone(); rng.usize(..8)]),
    }
    let (start, end) = (first.start, last.end);
    bytes[list.count..list.count + 8].copy_from_slice(&(items.len() as u64).to_le_bytes());
    bytes.splice(start..end, items.concat());
}

/// An item of the same list of another image, and the count that fits.
fn take_item(bytes: &mut Vec<u8>, found: &Found, other: &[u8], others: &Found, rng: &mut Rng) {
    let pairs: Vec<_> = found.lists.iter().zip(&others.lists).collect();
    let Some((to, from)) = rng.choice(pairs) else { return };
    let Some(item) = rng.choice(&from.items) else { return };
    let at = rng.choice(&to.items).map_or(to.count + 8, |item| item.start);
    let count = number(bytes, to.count..to.count + 8) + 1;
    bytes[to.count..to.count + 8].copy_from_slice(&count.to_le_bytes());
    bytes.splice(at..at, other[item.clone()].iter().copied());
}

/// Gives a text another value wherever it stands: the path of an input, in the list of inputs and in the manifest.
fn rename(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let found = Found::new(METADATA, bytes);
    let Some(old) = rng.choice(&found.texts).map(|text| bytes[text.clone()].to_vec()) else { return };
    let new = new_text(&old, rng);
    if old.is_empty() || old.len() > 300 {
        return;
    }
    // From the back, so that what comes before stays where it is.
    for text in found.texts.iter().rev() {
        let value = &bytes[text.clone()];
        let replaced = replace(value, &old, &new);
        if replaced != value {
            put_text(bytes, text, &replaced);
        }
    }
}

fn replace(text: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(old) {
            replaced.extend_from_slice(new);
            at += old.len();
        } else {
            replaced.push(text[at]);
            at += 1;
        }
    }
    replaced
}
