//! The middle of the picture: guest-physical memory, who owns it, and what the kernel is told of it.

use stos_image::{MapKind, Region};
use svg::node::element::{Group, Rectangle, Title};

use super::columns::{BAR, BAR_WIDTH, MAP, MAP_WIDTH, NAME, NAME_COLUMNS, SIZE_END};
use super::palette::look;
use super::pen::{GREY, LINE, Line, address, fitted, rectangle, stroke, text, tick};
use super::scale::{Row, Scale};
use crate::diagnostics::{printable, rounded_size};
use crate::image::inspect::Report;

/// Most names of one group that its tooltip lists.
const TOOLTIP_NAMES: usize = 40;
/// Most stripes of a row that several regions share; each stands for as many of them.
const STRIPES: usize = 12;
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
    let label = text(BAR - 14, y + 4, 12, address(value)).ending_there();
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
    let source = report.source_of(region).map_or(String::new(), |input| format!("\nfrom {}", printable(&input.path)));
    let (name, range) = (printable(&region.name), region.range);
    let tooltip =
        format!("{name} ({}, {})\n{range}, {} bytes{source}", look.name, region.permissions, region.range.size);
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
    text(SIZE_END, baseline(row), 13, rounded_size(row.range.size)).ending_there()
}

/// Regions that share a row: a stack of stripes in the colours of their kinds.
fn several(row: &Row, first: &Region, last: &Region) -> Group {
    let count = row.regions.len();
    let mut names: Vec<String> = row.regions.iter().take(TOOLTIP_NAMES).map(|one| printable(&one.name)).collect();
    if count > TOOLTIP_NAMES {
        names.push(format!("and {} more", count - TOOLTIP_NAMES));
    }
    let mut group = Group::new().add(Title::new(names.join("\n")));
    let stripes =
        row.regions.chunks(count.div_ceil(STRIPES)).map(|part| part.first().map_or(first.kind, |one| one.kind));
    let number_of_stripes = u32::try_from(stripes.len()).unwrap_or(1);
    for (kind, index) in stripes.zip(0_u32..) {
        let edge = |index: u32| row.top + row.height * index / number_of_stripes;
        let stripe = rectangle(BAR, edge(index), BAR_WIDTH, edge(index + 1) - edge(index), look(kind).fill);
        group = group.add(stripe.set("stroke", "#ffffff").set("stroke-opacity", "0.7"));
    }
    let group = group.add(bar(row, "none"));
    let middle = row.top + row.height / 2;
    let of = if row.regions.iter().all(|region| region.kind == first.kind) { " of one kind" } else { "" };
    let same_permissions = row.regions.iter().all(|region| region.permissions == first.permissions);
    let permissions = if same_permissions { format!(", {}", first.permissions) } else { String::new() };
    let number = format!("{count} regions{of}{permissions}");
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
        if let Some(kind) = run.iter().copied().flatten().next() {
            let fill = if kind == MapKind::Available { "#ffffff" } else { RESERVED };
            group = group.add(rectangle(MAP, y, MAP_WIDTH, height, fill).set("stroke", RESERVED));
        }
        y += height;
    }
    group
}
