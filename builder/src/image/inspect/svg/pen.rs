//! The marks that the picture is made of. Positions are whole pixels, so that the same image gives the same bytes.

use svg::Node;
use svg::node::Value;
use svg::node::element::{self, Element, Path, Rectangle};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::diagnostics::printable;

/// Colour of what matters.
const DARK: &str = "#1a1a1a";
/// Colour of what explains it.
pub const GREY: &str = "#5a5a5a";
/// Colour of thin lines.
pub const LINE: &str = "#8c8c8c";

/// A line of text. The library's own text element puts line breaks around the words, which some viewers show as blanks.
pub struct Line(Element);

/// Text whose baseline begins at `x`, `y`, with letters of equal width.
pub fn text(x: u32, y: u32, size: u32, words: impl Into<String>) -> Line {
    let mut element = Element::new("text");
    element.append(svg::node::Text::new(words));
    let line = Line(element).set("x", x).set("y", y).set("font-size", size).set("fill", DARK);
    line.set("font-family", "DejaVu Sans Mono, Menlo, Consolas, Liberation Mono, monospace")
}

impl Line {
    fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.assign(name, value);
        self
    }

    /// In the letters of headings and explanations.
    pub fn sans(self) -> Self {
        self.set("font-family", "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif")
    }

    /// In bold letters.
    pub fn bold(self) -> Self {
        self.set("font-weight", "bold")
    }

    /// In slanted letters, as an explanation.
    pub fn remark(self) -> Self {
        self.sans().set("font-style", "italic").ink(GREY)
    }

    /// In another colour.
    pub fn ink(self, colour: &str) -> Self {
        self.set("fill", colour)
    }

    /// With its end, not its beginning, at `x`.
    pub fn ending_there(self) -> Self {
        self.set("text-anchor", "end")
    }

    /// With its middle at `x`.
    pub fn centred(self) -> Self {
        self.set("text-anchor", "middle")
    }
}

impl From<Line> for Box<dyn Node> {
    fn from(line: Line) -> Self {
        Box::new(line.0)
    }
}

/// A filled rectangle.
pub fn rectangle(x: u32, y: u32, width: u32, height: u32, fill: &str) -> Rectangle {
    Rectangle::new().set("x", x).set("y", y).set("width", width).set("height", height).set("fill", fill)
}

/// A thin horizontal line.
pub fn tick(from: u32, to: u32, y: u32) -> element::Line {
    element::Line::new().set("x1", from).set("x2", to).set("y1", y).set("y2", y).set("stroke", LINE)
}

/// A line along `data` without a filling.
pub fn stroke(data: String, colour: &str) -> Path {
    Path::new().set("d", data).set("fill", "none").set("stroke", colour)
}

/// `content`, which comes from the image, as printable text of at most `columns` columns.
pub fn fitted(content: &str, columns: usize) -> String {
    let content = printable(content);
    if content.width() <= columns {
        return content;
    }
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used < columns
    };
    content.chars().take_while(fits).chain(['…']).collect()
}

/// An address with as many digits as all have.
pub fn address(value: u64) -> String {
    format!("0x{value:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_the_image_is_cut_to_its_columns() {
        assert_eq!(fitted("kernel .text", 12), "kernel .text");
        assert_eq!(fitted("kernel .rodata", 12), "kernel .rod…");
        assert_eq!(fitted("漢字漢字", 6), "漢字…");
        assert_eq!(fitted("a\u{202e}b", 40), "a\\u{202e}b");
    }
}
