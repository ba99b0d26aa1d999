//! The whole picture: title, columns, legend.

use svg::Document;
use svg::node::element::{Definitions, Group, Pattern};
use unicode_width::UnicodeWidthStr;

use super::columns::{BAR, LEGEND, MARGIN, TOP, WIDTH};
use super::palette::{HOLE, KINDS, look};
use super::pen::{GREY, LINE, fitted, rectangle, stroke, text};
use super::physical::RESERVED;
use super::scale::Scale;
use super::{entry, mapping, physical};
use crate::diagnostics::rounded_size;
use crate::image::inspect::Report;

impl Report<'_> {
    /// The report as an SVG 1.1 document: no scripts, no fonts or other files, the same bytes for the same image.
    pub fn to_svg(&self) -> String {
        let description = self.description;
        let scale = Scale::new(&description.regions, description.memory_size, TOP);
        let (left, left_bottom) = if self.mappings.is_empty() {
            entry::draw(&description.entry, &scale, TOP)
        } else {
            mapping::draw(&self.mappings, &scale, TOP)
        };
        let (legend, legend_bottom) = self.legend();
        let bottom = scale.bottom.max(left_bottom).max(legend_bottom) + 24;
        let height = bottom + MARGIN;
        let note = "Not to scale: tall rows are large, and a zigzag stands for memory that nothing owns.";
        let document = Document::new()
            .set("version", "1.1")
            .set("width", WIDTH)
            .set("height", height)
            .set("viewBox", (0, 0, WIDTH, height))
            .add(hole_pattern())
            .add(rectangle(0, 0, WIDTH, height, "#ffffff"))
            .add(self.title())
            .add(headings(!self.mappings.is_empty()))
            .add(left)
            .add(physical::draw(self, &scale))
            .add(legend)
            .add(text(MARGIN, bottom + 8, 12, note).sans().ink(GREY));
        format!("{document}\n")
    }

    fn title(&self) -> Group {
        let description = self.description;
        let facts = [
            format!("{} of memory", rounded_size(description.memory_size)),
            format!("protocol {}", fitted(&description.protocol, 24)),
            format!("image sha256:{}", self.image_id.short()),
        ];
        let name = fitted(&description.name, 56);
        // Even the widest letters must end before the margin.
        let name_size = if name.width() <= 36 { 28 } else { 18 };
        let name = text(MARGIN, 54, name_size, name).sans();
        let facts = text(MARGIN, 82, 14, facts.join("  ·  ")).sans().ink(GREY);
        Group::new().add(name.bold()).add(facts)
    }

    /// What the colours mean, as far as they are used, and the lowest pixel of it.
    fn legend(&self) -> (Group, u32) {
        let mut group = Group::new();
        let mut y = TOP;
        for kind in KINDS {
            if self.description.regions.iter().any(|region| region.kind == kind) {
                group = group.add(legend_entry(y, look(kind).fill, look(kind).name));
                y += 24;
            }
        }
        let heading = |y: u32, words: &str| text(LEGEND, y, 12, words).sans().ink(GREY);
        y += 24;
        group = group.add(heading(y, "The kernel is told"));
        for (fill, name) in [("#ffffff", "available"), (RESERVED, "reserved")] {
            y += 12;
            group = group.add(legend_entry(y, fill, name));
            y += 12;
        }
        y += 36;
        for words in ["r  read", "w  written", "x  executed"] {
            group = group.add(text(LEGEND, y, 12, words));
            y += 18;
        }
        (group, y)
    }
}

fn legend_entry(y: u32, fill: &str, name: &str) -> Group {
    let swatch = rectangle(LEGEND, y, 16, 16, fill).set("stroke", "#333333");
    Group::new().add(swatch).add(text(LEGEND + 24, y + 13, 13, name).sans())
}

fn headings(mapped: bool) -> Group {
    let heading = |x: u32, words: &str| text(x, TOP - 28, 14, words).sans().bold();
    let virtual_words = if mapped { "Virtual addresses" } else { "No page directory" };
    let columns = [(MARGIN, virtual_words), (BAR, "Guest-physical memory"), (LEGEND, "Owners")];
    let line = stroke(format!("M{MARGIN} {} L{} {}", TOP - 18, WIDTH - MARGIN, TOP - 18), LINE);
    columns.into_iter().fold(Group::new().add(line), |group, (x, words)| group.add(heading(x, words)))
}

/// The filling of memory that nothing may be loaded into.
fn hole_pattern() -> Definitions {
    let pattern = Pattern::new()
        .set("id", "hole")
        .set("width", 8)
        .set("height", 8)
        .set("patternUnits", "userSpaceOnUse")
        .add(rectangle(0, 0, 8, 8, HOLE))
        .add(stroke("M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6".to_owned(), "#9a9a9a"));
    Definitions::new().add(pattern)
}
