//! Colours and words for the kinds of regions. The hues are those of Okabe and Ito's palette for all forms of colour
//! vision, with lighter and darker ones for the kinds beyond its eight; kinds that often touch differ in lightness too.

use stos_image::RegionKind;

/// How regions of a kind look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// What the legend calls the kind.
    pub name: &'static str,
    /// Colour of the region.
    pub fill: &'static str,
    /// Colour right behind text: the same, unless the region has a pattern.
    pub backing: &'static str,
    /// Colour of text on it.
    pub ink: &'static str,
}

const BLACK: &str = "#1a1a1a";
const WHITE: &str = "#ffffff";
/// Background of the pattern `hole`.
pub const HOLE: &str = "#e4e4e4";

/// Every kind in the order of the legend.
pub const KINDS: [RegionKind; 11] = [
    RegionKind::Kernel,
    RegionKind::Module,
    RegionKind::Initramfs,
    RegionKind::CommandLine,
    RegionKind::BootStructure,
    RegionKind::PageTables,
    RegionKind::BootCode,
    RegionKind::Stack,
    RegionKind::Heap,
    RegionKind::FrameArray,
    RegionKind::Reserved,
];

/// How regions of `kind` look.
pub fn look(kind: RegionKind) -> Look {
    let (name, fill, ink) = match kind {
        RegionKind::Kernel => ("kernel", "#0072b2", WHITE),
        RegionKind::Module => ("module", "#e69f00", BLACK),
        RegionKind::Initramfs => ("initramfs", "#009e73", BLACK),
        RegionKind::CommandLine => ("command line", "#f0e442", BLACK),
        RegionKind::BootStructure => ("boot structure", "#e3b5cf", BLACK),
        RegionKind::PageTables => ("page tables", "#882255", WHITE),
        RegionKind::BootCode => ("boot code, tables", "#56b4e9", BLACK),
        RegionKind::Stack => ("stack", "#d55e00", BLACK),
        RegionKind::Heap => ("early heap", "#d7ead0", BLACK),
        RegionKind::FrameArray => ("frame array", "#666633", WHITE),
        RegionKind::Reserved => ("reserved, hole", "url(#hole)", BLACK),
    };
    let backing = if fill.starts_with('#') { fill } else { HOLE };
    Look { name, fill, backing, ink }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance as WCAG 2 defines it.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    #[test]
    fn text_can_be_read_on_every_colour_and_no_two_kinds_look_the_same() {
        for (index, kind) in KINDS.into_iter().enumerate() {
            let Look { name, fill, backing, ink } = look(kind);
            assert!(KINDS[..index].iter().all(|other| look(*other).name != name && look(*other).fill != fill));
            let (low, high) = (luminance(backing).min(luminance(ink)), luminance(backing).max(luminance(ink)));
            assert!((high + 0.05) / (low + 0.05) >= 4.5, "{name}");
        }
    }
}
