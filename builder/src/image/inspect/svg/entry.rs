//! The left of the picture when paging is off: what addresses mean then, and where the kernel begins.

use stos_x86::registers::EntryState;
use svg::node::element::Group;

use super::columns::{BAR, MARGIN, VIRTUAL_WIDTH};
use super::pen::{LINE, address, rectangle, stroke, text};
use super::scale::Scale;

/// Height of a line of text.
const LINE_HEIGHT: u32 = 20;
/// Height of a register's box.
const BOX_HEIGHT: u32 = 34;
/// Least space between two of them.
const BOX_GAP: u32 = 10;
/// Where lines to memory end: left of its addresses.
const LINES_END: u32 = BAR - 104;

/// Draws the registers of `entry` that lead to memory, and returns the lowest pixel used.
pub fn draw(entry: &EntryState, scale: &Scale, top: u32) -> (Group, u32) {
    let words = [
        "Paging is off: what the kernel calls an address",
        "is one of guest-physical memory, behind the",
        "bases of its segments.",
    ];
    let mut group = Group::new();
    let mut bottom = top;
    for line in words {
        bottom += LINE_HEIGHT;
        group = group.add(text(MARGIN, bottom, 12, line).remark());
    }
    bottom += BOX_GAP;
    let segments = &entry.segments;
    let mut registers = [
        ("EIP", entry.eip, segments.cs.base, "the first instruction"),
        ("ESP", entry.general.esp, segments.ss.base, "the top of the stack"),
    ];
    registers.sort_by_key(|(_, value, base, _)| base.wrapping_add(*value));
    for (name, value, base, what) in registers {
        let y = scale.y(base.wrapping_add(value).into());
        let upper = bottom.max(y.saturating_sub(BOX_HEIGHT / 2));
        let (right, middle) = (MARGIN + VIRTUAL_WIDTH, upper + BOX_HEIGHT / 2);
        let turn = u32::midpoint(right, LINES_END);
        let path = format!("M{right} {middle} C{turn} {middle} {turn} {y} {LINES_END} {y}");
        group = group
            .add(rectangle(MARGIN, upper, VIRTUAL_WIDTH, BOX_HEIGHT, "#ffffff").set("stroke", LINE))
            .add(text(MARGIN + 12, upper + 14, 13, format!("{name} {}", address(value.into()))))
            .add(text(MARGIN + 12, upper + 29, 12, what).remark())
            .add(stroke(path, LINE));
        bottom = upper + BOX_HEIGHT + BOX_GAP;
    }
    (group, bottom)
}
