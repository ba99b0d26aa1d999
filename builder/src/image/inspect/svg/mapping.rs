//! The left of the picture: ranges of virtual addresses, and bands from each to the memory that it leads to.

use svg::node::element::{Group, Path, Title};

use super::columns::{LANES, MARGIN, VIRTUAL_WIDTH};
use super::pen::{LINE, address, rectangle, stroke, text};
use super::scale::Scale;
use crate::diagnostics::rounded_size;
use crate::image::inspect::Mapping;

/// Height of a range.
const BOX_HEIGHT: u32 = 50;
/// Least space between two ranges: a line of text.
const BOX_GAP: u32 = 34;
/// Ranges that lead to the same memory end at brackets side by side, in so many lanes.
const LANE_COUNT: usize = 4;
/// Colours of the bands, in turn.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#882255"];

/// Draws `mappings`, and returns the lowest pixel used.
pub fn draw(mappings: &[Mapping], scale: &Scale, top: u32) -> (Group, u32) {
    let tops = place(mappings, scale, top);
    let mut bands = Group::new();
    let mut boxes = Group::new();
    let mut before: Option<(&Mapping, u32)> = None;
    for (index, (mapping, &y)) in mappings.iter().zip(&tops).enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        if mapping.physical_start < scale_end(scale) {
            bands = bands.add(band(mapping, scale, y, index, colour));
        }
        boxes = boxes.add(range_box(mapping, y, colour, mapping.physical_start < scale_end(scale)));
        if let Some((last, bottom)) = before {
            boxes = boxes.add(between(last, mapping, bottom, y));
        }
        before = Some((mapping, y + BOX_HEIGHT));
    }
    let bottom = before.map_or(top, |(_, bottom)| bottom);
    (Group::new().add(bands).add(boxes), bottom)
}

fn scale_end(scale: &Scale) -> u64 {
    scale.rows.last().map_or(0, |row| row.range.end())
}

/// Upper edges of the boxes: each as near as possible to the memory that it leads to, in order of virtual addresses.
fn place(mappings: &[Mapping], scale: &Scale, top: u32) -> Vec<u32> {
    let pitch = BOX_HEIGHT + BOX_GAP;
    let mut tops: Vec<u32> = Vec::new();
    let count = |mappings: &[Mapping], start: u64| {
        u32::try_from(mappings.iter().filter(|one| one.physical_start == start).count()).unwrap_or(0)
    };
    for (index, mapping) in mappings.iter().enumerate() {
        let (start, end) = target(mapping, scale);
        // Those that lead to the same memory share its height, so that their bands cross and do not hide each other.
        let (rank, all) = (count(&mappings[..index], mapping.physical_start), count(mappings, mapping.physical_start));
        let middle = start + (end - start) * (2 * rank + 1) / (2 * all).max(1);
        let wanted = middle.saturating_sub(BOX_HEIGHT / 2);
        let least = tops.last().map_or(top, |last| last + pitch);
        tops.push(wanted.max(least));
    }
    // The last ones may have been pushed out below: push back as far as there is room.
    let needed = u32::try_from(mappings.len()).unwrap_or(0).saturating_mul(pitch);
    let mut limit = scale.bottom.max(top + needed);
    for top in tops.iter_mut().rev() {
        *top = (*top).min(limit.saturating_sub(BOX_HEIGHT));
        limit = top.saturating_sub(BOX_GAP);
    }
    tops
}

/// Upper and lower edge of the memory that `mapping` leads to.
fn target(mapping: &Mapping, scale: &Scale) -> (u32, u32) {
    (scale.y(mapping.physical_start), scale.y(mapping.physical_start.saturating_add(mapping.size)))
}

fn band(mapping: &Mapping, scale: &Scale, y: u32, index: usize, colour: &str) -> Group {
    let (start, end) = target(mapping, scale);
    let lane = LANES + 9 * u32::try_from(index % LANE_COUNT).unwrap_or(0);
    let left = MARGIN + VIRTUAL_WIDTH;
    let middle = u32::midpoint(left, lane);
    let bottom = y + BOX_HEIGHT;
    let upper = format!("M{left} {y} C{middle} {y} {middle} {start} {lane} {start}");
    let lower = format!("{lane} {end} C{middle} {end} {middle} {bottom} {left} {bottom}");
    let area = Path::new().set("d", format!("{upper} L{lower} Z")).set("fill", colour).set("fill-opacity", "0.11");
    let edges = stroke(format!("{upper} M{lower}"), colour).set("stroke-opacity", "0.5");
    let bracket = format!("M{} {start} L{lane} {start} L{lane} {end} L{} {end}", lane + 6, lane + 6);
    Group::new().add(area).add(edges).add(stroke(bracket, colour).set("stroke-width", 2))
}

fn range_box(mapping: &Mapping, y: u32, colour: &str, inside: bool) -> Group {
    let access = if mapping.writable { "rw" } else { "r-" };
    let level = if mapping.user { "user" } else { "supervisor" };
    let target =
        if inside { address(mapping.physical_start) } else { format!("0x{:08x} (no memory)", mapping.physical_start) };
    let range = format!("{} - {}", address(mapping.virtual_start), address(mapping.virtual_start + mapping.size - 1));
    let pages = if mapping.big_pages { "4 MiB" } else { "4 KiB" };
    let entries = format!("page directory entries {} to {}, pages of {pages}", mapping.first_entry, mapping.last_entry);
    Group::new()
        .add(Title::new(format!("{range}\n{entries}\n{access} {level}")))
        .add(rectangle(MARGIN, y, VIRTUAL_WIDTH, BOX_HEIGHT, "#ffffff").set("stroke", colour).set("stroke-width", 2))
        .add(rectangle(MARGIN, y, 6, BOX_HEIGHT, colour))
        .add(text(MARGIN + 16, y + 21, 13, range))
        .add(text(MARGIN + 16, y + 40, 12, format!("{access} {level} → {target}")))
}

/// What lies between two ranges: nothing, or addresses that are not mapped.
fn between(last: &Mapping, next: &Mapping, bottom: u32, top: u32) -> Group {
    let gap = next.virtual_start.saturating_sub(last.virtual_start.saturating_add(last.size));
    if gap == 0 {
        return Group::new();
    }
    let x = MARGIN + 3;
    let line = stroke(format!("M{x} {bottom} L{x} {top}"), LINE).set("stroke-dasharray", "2 4");
    let label = text(MARGIN + 16, u32::midpoint(bottom, top) + 4, 12, format!("{} not mapped", rounded_size(gap)));
    Group::new().add(line).add(label.remark())
}
