//! Draws what a terminal shows as an SVG.

use svg::Document;
use svg::node::element::{Circle, Description, Rectangle, Text, Title};
use vt100::{Cell, Color, Screen};

/// Width of a column, in pixels.
const COLUMN: u16 = 8;
/// Height of a row.
const ROW: u16 = 17;
/// Around the text.
const MARGIN: u16 = 14;
/// Above it, for the window's title.
const BAR: u16 = 28;
/// From the top of a row to the line on which letters stand.
const BASELINE: u16 = 13;

const GROUND: &str = "#161b22";
const TITLE: &str = "#8b949e";
/// Letters without a colour of their own.
const LETTERS: &str = "#d6dbe1";
/// The terminal's eight colours, dimmed and bright alike.
const COLORS: [&str; 8] = ["#6e7681", "#ff7b72", "#56d364", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#f0f6fc"];

/// How the letters of a cell look.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Style {
    color: &'static str,
    is_bold: bool,
}

impl Style {
    fn of(cell: &Cell) -> Self {
        let color = match cell.fgcolor() {
            Color::Idx(number) => COLORS[usize::from(number) % COLORS.len()],
            Color::Default | Color::Rgb(..) => LETTERS,
        };
        Self { color, is_bold: cell.bold() }
    }
}

/// The picture. `description` is for those who do not see it.
pub fn draw(screen: &Screen, description: &str) -> String {
    let (rows, columns) = screen.size();
    let last = (0..rows).rev().find(|row| !text_of(screen, *row).is_empty()).map_or(0, |row| row + 1);
    let (width, height) = (columns * COLUMN + 2 * MARGIN, last * ROW + BAR + MARGIN);
    let mut document = Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .set("font-family", "ui-monospace, 'SFMono-Regular', Menlo, Consolas, 'DejaVu Sans Mono', monospace")
        .set("font-size", 13)
        .add(Title::new("stos-pack and stos-run at a terminal"))
        .add(Description::new().add(svg::node::Text::new(description)))
        .add(Rectangle::new().set("width", width).set("height", height).set("rx", 8).set("fill", GROUND));
    for number in 0..3 {
        document = document
            .add(Circle::new().set("cx", MARGIN + 5 + number * 18).set("cy", BAR / 2).set("r", 5).set("fill", TITLE));
    }
    for row in 0..last {
        for (column, style, text) in pieces(screen, row) {
            let length = u16::try_from(text.chars().count()).unwrap_or(columns);
            // The document has line breaks around it, which must not count; so blanks are some that are kept as they are.
            let mut piece = Text::new(text.replace(' ', "\u{a0}"))
                .set("x", MARGIN + column * COLUMN)
                .set("y", BAR + row * ROW + BASELINE)
                .set("fill", style.color)
                // Every letter is in its column, whatever font is there.
                .set("textLength", length * COLUMN)
                .set("lengthAdjust", "spacingAndGlyphs");
            if style.is_bold {
                piece = piece.set("font-weight", "bold");
            }
            document = document.add(piece);
        }
    }
    format!("{document}\n")
}

/// A row without the blanks at its end.
fn text_of(screen: &Screen, row: u16) -> String {
    let (_, columns) = screen.size();
    screen.rows(0, columns).nth(row.into()).unwrap_or_default().trim_end().to_owned()
}

/// What is in a row, cut where its looks change: column, looks, text.
fn pieces(screen: &Screen, row: u16) -> Vec<(u16, Style, String)> {
    let length = u16::try_from(text_of(screen, row).chars().count()).unwrap_or(u16::MAX);
    let mut pieces: Vec<(u16, Style, String)> = Vec::new();
    for (column, cell) in (0..length).filter_map(|column| Some((column, screen.cell(row, column)?))) {
        let letter = if cell.has_contents() { cell.contents() } else { " " };
        match pieces.last_mut() {
            Some((_, style, text)) if *style == Style::of(cell) => text.push_str(letter),
            _ => pieces.push((column, Style::of(cell), letter.to_owned())),
        }
    }
    // Blanks alone are nothing to be drawn.
    pieces.retain(|(_, _, text)| !text.trim().is_empty());
    pieces
}
