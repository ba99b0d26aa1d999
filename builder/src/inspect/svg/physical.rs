//! The middle of the picture: guest-physical memory, who owns it, and what the kernel is told of it.

use stos_image::{MapKind, Region};
use svg::node::element::{Group, Rectangle, Title};

use super::palette::look;
use super::pen::{GREY, LINE, Line, address, fitted, rectangle, size, stroke, text, tick};
use super::scale::{Row, Scale};
use super::{BAR, BAR_WIDTH, MAP, MAP_WIDTH, NAME, NAME_COLUMNS, SIZE_END};
use crate::inspect::Report;
use crate::printable::printable;

/// Most names of one group that its tooltip lists.
const TOOLTIP_NAMES: usize = 40;
/// Fill of memory that the kernel is told to leave alone.
pub const RESERVED: &str = "#4d4d4d";

/// Draws every row of `scale`.
pub fn draw(report: &Report, scale: &Scale) -> Group {
    let mut group = Group::new();
    for row in &scale.rows {
        group = match row.regions {
            [] => group.add(unused(row)),
            [region] => group.add(single(report, row, region)),
            [first, .., last] => group.add(several(row, first, last)),
        };
        // Two addresses a few pixels apart would run into each other: padding goes without.
        if !row.is_padding() {
            group = group.add(address_label(row.range.start.0, row.top));
        }
    }
    group.add(address_label(report.description.memory_size, scale.bottom)).add(map_strip(report, scale))
}

fn address_label(value: u64, y: u32) -> Group {
    let label = text(BAR - 14, y + 4, 12, address(value)).to_the_left();
    Group::new().add(tick(BAR - 9, BAR - 1, y)).add(label)
}

fn bar(row: &Row, fill: &str) -> Rectangle {
    rectangle(BAR, row.top, BAR_WIDTH, row.height, fill).set("stroke", "#333333")
}

/// The line of text beside a row.
fn baseline(row: &Row) -> u32 {
    row.top + row.height / 2 + 4
}

fn single(report: &Report, row: &Row, region: &Region) -> Group {
    let look = look(region.kind);
    let mut tooltip = format!("{} ({}, {})\n", printable(&region.name), look.name, region.permissions);
    tooltip += &format!("{}, {} bytes", region.range, region.range.size);
    if let Some(input) = report.source_of(region) {
        tooltip += &format!("\nfrom {}", printable(&input.path));
    }
    let permissions = text(BAR + BAR_WIDTH / 2, baseline(row), 12, region.permissions.to_string());
    let backing = rectangle(BAR + BAR_WIDTH / 2 - 16, baseline(row) - 11, 32, 14, look.backing);
    Group::new()
        .add(Title::new(tooltip))
        .add(bar(row, look.fill))
        .add(backing)
        .add(permissions.ink(look.ink).centred())
        .add(text(NAME, baseline(row), 13, fitted(&region.name, NAME_COLUMNS)))
        .add(size_label(row))
}

fn size_label(row: &Row) -> Line {
    text(SIZE_END, baseline(row), 13, size(row.range.size)).to_the_left()
}

/// A pile of cards: regions that share a row.
fn several(row: &Row, first: &Region, last: &Region) -> Group {
    let same_kind = row.regions.iter().all(|region| region.kind == first.kind);
    let fill = if same_kind { look(first.kind).fill } else { "#f2f2f2" };
    let count = row.regions.len();
    let mut names: Vec<String> = row.regions.iter().take(TOOLTIP_NAMES).map(|one| printable(&one.name)).collect();
    if count > TOOLTIP_NAMES {
        names.push(format!("and {} more", count - TOOLTIP_NAMES));
    }
    let mut group = Group::new().add(Title::new(names.join("\n"))).add(bar(row, fill));
    for y in (row.top + 5..row.bottom()).step_by(5) {
        group = group.add(tick(BAR + 1, BAR + BAR_WIDTH - 1, y).set("stroke", "#ffffff").set("stroke-opacity", "0.7"));
    }
    let middle = row.top + row.height / 2;
    let number = format!("{} {}", row.regions.len(), if same_kind { "more of this kind" } else { "regions" });
    let number = text(NAME, middle - 14, 13, number).sans().bold();
    group
        .add(number)
        .add(text(NAME, middle + 4, 13, fitted(&first.name, NAME_COLUMNS)))
        .add(text(NAME, middle + 22, 13, fitted(&format!("… {}", last.name), NAME_COLUMNS)))
        .add(size_label(row))
}

/// Memory without an owner: a break, since nothing is to be seen there.
fn unused(row: &Row) -> Group {
    let left = rectangle(BAR, row.top, BAR_WIDTH, row.height, "#ffffff").set("stroke", LINE);
    if row.is_padding() {
        let tooltip = format!("{}, {} bytes that nothing owns", row.range, row.range.size);
        return Group::new().add(Title::new(tooltip)).add(left);
    }
    let middle = row.top + row.height / 2;
    let zigzag = |y: u32| {
        let start = format!("M{} {y}", BAR - 6);
        let steps = (BAR..=BAR + BAR_WIDTH).step_by(12).enumerate();
        let points = steps.map(|(index, x)| format!("L{x} {}", if index % 2 == 0 { y - 4 } else { y + 4 }));
        [start].into_iter().chain(points).collect::<Vec<_>>().join(" ") + &format!(" L{} {y}", BAR + BAR_WIDTH + 6)
    };
    let label = text(NAME, baseline(row), 13, "unused").remark();
    Group::new()
        .add(Title::new(format!("{}, {} bytes that nothing owns", row.range, row.range.size)))
        .add(left)
        .add(stroke(zigzag(middle), "#ffffff").set("stroke-width", 8))
        .add(stroke(zigzag(middle - 4), LINE))
        .add(stroke(zigzag(middle + 4), LINE))
        .add(label)
        .add(size_label(row).ink(GREY))
}

/// The memory map that the kernel is told, as a strip beside the memory that it speaks of.
fn map_strip(report: &Report, scale: &Scale) -> Group {
    let place = |y: u32| usize::try_from(y - scale.top).unwrap_or(0);
    let mut pixels: Vec<Option<MapKind>> = vec![None; place(scale.bottom)];
    // Where ranges overlap, reserved wins.
    for kind in [MapKind::Available, MapKind::Reserved] {
        for map in report.description.memory_map.iter().filter(|map| map.kind == kind) {
            let (from, to) = (place(scale.y(map.range.start.0)), place(scale.y(map.range.end())));
            pixels[from..to.max(from)].fill(Some(kind));
        }
    }
    let mut group = Group::new().add(Title::new("what the kernel is told: available (white) or reserved (dark)"));
    let mut y = scale.top;
    for run in pixels.chunk_by(|a, b| a == b) {
        let height = u32::try_from(run.len()).unwrap_or(0);
        if let Some(kind) = run[0] {
            let fill = if kind == MapKind::Available { "#ffffff" } else { RESERVED };
            group = group.add(rectangle(MAP, y, MAP_WIDTH, height, fill).set("stroke", RESERVED));
        }
        y += height;
    }
    group
}
