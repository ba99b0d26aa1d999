//! The plan of a guest's memory: who owns which bytes, and what they hold. Two owners of one byte are an error that names
//! both.

use stos_image::{Description, GuestRange, Image, ImageError, Permissions, Piece, Region, RegionKind, Symbols};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Everything that the image will say, with the memory that it will hold.
#[derive(Debug)]
pub struct Plan {
    /// What the guest is; its regions are sorted.
    pub description: Description,
    /// Names of addresses.
    pub symbols: Symbols,
    /// The bytes of inputs that guest memory does not hold.
    pub kept: Vec<u8>,
    /// The bytes in guest memory.
    pub pieces: Vec<OwnedPiece>,
    /// What is probably wrong with the guest.
    pub warnings: crate::Diagnostics,
}

/// Bytes and the guest-physical address of the first one.
#[derive(Debug)]
pub struct OwnedPiece {
    /// Guest-physical address.
    pub start: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Plan {
    /// Turns the plan into an image.
    ///
    /// # Errors
    /// When the plan breaks a limit of the format.
    pub fn render(&self) -> Result<Image, ImageError> {
        let pieces: Vec<Piece<'_>> =
            self.pieces.iter().map(|piece| Piece { start: piece.start.into(), bytes: &piece.bytes }).collect();
        Image::assemble(self.description.clone(), &self.symbols, &self.kept, &pieces)
    }
}

/// A claim on guest memory, and the place in the manifest that made it.
#[derive(Clone, Debug)]
struct Claim {
    region: Region,
    span: Option<Span>,
}

/// Collects claims and finds out which of them collide.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    list: Vec<Claim>,
}

impl Claims {
    /// Claims `size` bytes from `start`. `span` is the place in the manifest that asked for it. Nothing is no claim.
    pub fn add(
        &mut self,
        start: u32,
        size: u64,
        kind: RegionKind,
        permissions: Permissions,
        name: impl Into<String>,
        span: Option<Span>,
    ) {
        if size > 0 {
            let region = Region { range: GuestRange::new(start.into(), size), kind, permissions, name: name.into() };
            self.list.push(Claim { region, span });
        }
    }

    /// The regions in order of their addresses.
    ///
    /// # Errors
    /// One diagnostic per pair of neighbours that share a byte.
    pub fn settle(mut self) -> Result<Vec<Region>, crate::Diagnostics> {
        self.list.sort_by_key(|claim| claim.region.range);
        let mut found = crate::Diagnostics::default();
        // Among sorted ranges a collision shows against the one that reaches furthest so far.
        let mut furthest: Option<&Claim> = None;
        for claim in &self.list {
            if let Some(other) = furthest.filter(|other| other.region.range.overlaps(claim.region.range)) {
                found.push(collision(other, claim));
            }
            if furthest.is_none_or(|other| claim.region.range.end() > other.region.range.end()) {
                furthest = Some(claim);
            }
        }
        found.finish(())?;
        Ok(self.list.into_iter().map(|claim| claim.region).collect())
    }
}

fn collision(first: &Claim, second: &Claim) -> Diagnostic {
    let (a, b) = (&first.region, &second.region);
    let message = format!("`{}` and `{}` claim the same guest memory", a.name, b.name);
    let fact = |region: &Region| {
        format!(
            "`{}` takes guest-physical {}, {} bytes ({:#x})",
            region.name, region.range, region.range.size, region.range.size
        )
    };
    let mut diagnostic = Diagnostic::new(Code::Collision, message).note(fact(a)).note(fact(b));
    let mut labels = [(a, first.span), (b, second.span)].into_iter().filter_map(|(region, span)| Some((region, span?)));
    if let Some((region, span)) = labels.next() {
        diagnostic = diagnostic.at(span, format!("`{}` comes from here", region.name));
    }
    // Two claims of one file point at the same place, which is shown once.
    for (region, span) in labels.filter(|(_, span)| first.span != Some(*span)) {
        diagnostic = diagnostic.and_at(span, format!("`{}` comes from here", region.name));
    }
    // What GNU ld makes of `-Ttext=…` without a linker script: the headers, on the page before the first section.
    let headers = |kernel: &Region, hole: &Region| {
        kernel.name.starts_with("kernel segment") && hole.kind == RegionKind::Hole && kernel.range.start.0 >= 0xf_f000
    };
    if headers(a, b) || headers(b, a) {
        return diagnostic.help(
            "if that segment holds nothing but the ELF headers, which no kernel needs, link with `ld -n` to leave them out",
        );
    }
    let is_segment = |region: &Region| region.name.starts_with("segments[");
    let kernel_takes_part = [a, b].iter().any(|region| region.kind == RegionKind::Kernel)
        && ![a, b].iter().any(|region| is_segment(region));
    diagnostic.help(if kernel_takes_part {
        "move the kernel: its addresses are set by `. = …;` in its linker script"
    } else {
        "move one of them, or leave it out: memory that is in use is reserved already"
    })
}
