//! The layout of a kernel: segments against each other and against what the boot page directory maps, with the line of the
//! linker script that mends what is wrong.

use stos_image::{PAGE_SIZE, Permissions};

use super::section::{KernelSection, at_addresses_of};
use super::segment::LoadSegment;
use super::symbols::{Label, large_variables};
use crate::diagnostics::{Code, Diagnostic, Diagnostics};
use crate::input::InputFile;

/// Where GNU ld puts programs for Linux when it gets no linker script.
const LINUX_PROGRAM: u32 = 0x0804_8000;

/// Most sections of a segment that are named.
const SECTIONS_SHOWN: usize = 32;
/// Most segments, or pairs of them, that are told of.
const SEGMENTS_SHOWN: usize = 8;

/// A kernel's segments with all that is known of them.
pub struct Layout<'a> {
    /// The file.
    pub input: &'a InputFile,
    /// Its segments, sorted by address.
    pub segments: &'a [LoadSegment],
    /// Its sections, sorted by address.
    pub sections: &'a [KernelSection],
    /// Its symbols.
    pub symbols: &'a [Label],
}

impl<'a> Layout<'a> {
    /// A diagnostic about the kernel; `what` follows its name.
    pub fn complain(&self, code: Code, what: &str) -> Diagnostic {
        self.input.complain(code, format!("`{}`: {what}", self.input.path))
    }

    /// The sections that `segment` holds, by address.
    pub fn sections_of(&self, segment: &LoadSegment) -> impl Iterator<Item = &'a KernelSection> {
        let index = segment.index;
        at_addresses_of(self.sections, segment)
            .filter(move |section| section.segment == Some(index) && !section.name.is_empty())
    }

    fn first_section(&self, segment: &LoadSegment) -> Option<&'a str> {
        self.sections_of(segment).next().map(|section| &*section.name)
    }

    /// What a segment is, in one line.
    pub fn describe(&self, segment: &LoadSegment) -> String {
        let names: Vec<&str> = self.sections_of(segment).map(|section| &*section.name).collect();
        let holds = match names.get(..SECTIONS_SHOWN) {
            _ if names.is_empty() => String::new(),
            Some(first) if names.len() > SECTIONS_SHOWN => {
                format!(", holds {} and {} more", first.join(" "), names.len() - SECTIONS_SHOWN)
            }
            _ => format!(", holds {}", names.join(" ")),
        };
        let (start, size) = (u64::from(segment.vaddr), segment.memory_size);
        let last = segment.end().saturating_sub(1).max(start);
        format!(
            "segment {} ({}): {start:#x}-{last:#x}, {size} bytes ({size:#x}){holds}",
            segment.index, segment.permissions
        )
    }

    /// Adds what each of `segments` is.
    pub fn describe_all(&self, diagnostic: Diagnostic, segments: &[&LoadSegment]) -> Diagnostic {
        diagnostic.first_notes(segments.iter().map(|segment| self.describe(segment)), SEGMENTS_SHOWN)
    }

    /// Complains of segments that share addresses.
    pub fn check_overlap(&self, found: &mut Diagnostics) {
        // Among sorted ranges an overlap shows against the one that reaches furthest so far.
        let mut furthest: Option<&LoadSegment> = None;
        for segment in self.segments {
            if let Some(other) = furthest.filter(|other| other.end() > u64::from(segment.vaddr)) {
                found.push(self.overlap(other, segment));
                if found.list.len() > SEGMENTS_SHOWN {
                    return;
                }
            }
            if furthest.is_none_or(|other| segment.end() > other.end()) {
                furthest = Some(segment);
            }
        }
    }

    fn overlap(&self, first: &LoadSegment, second: &LoadSegment) -> Diagnostic {
        let (start, end) = (u64::from(second.vaddr), first.end().min(second.end()));
        let (last, size) = (end.saturating_sub(1), end.saturating_sub(start));
        let help = match (self.first_section(second), self.sections_of(first).last()) {
            (Some(name), Some(before)) => format!(
                "let `{name}` begin on a page of its own behind `{}`, with this line of the linker script: `{name} ALIGN(4096) : {{ ... }}`",
                before.name
            ),
            _ => "give each output section its own addresses in the linker script, `. = ALIGN(4096);` between them"
                .to_owned(),
        };
        self.complain(Code::SegmentsOverlap, "two segments claim the same addresses")
            .note(self.describe(first))
            .note(self.describe(second))
            .note(format!("both claim {start:#x}-{last:#x}, {size} bytes ({size:#x})"))
            .help(help)
    }

    /// Complains of the first segment that the window does not hold, and lists the others: they mostly share one cause.
    pub fn check_window(&self, base: u32, window: u32, found: &mut Diagnostics) {
        let window = u64::from(base)..u64::from(base) + u64::from(window);
        let is_inside = |segment: &&LoadSegment| segment.vaddr >= base && segment.end() <= window.end;
        let outside: Vec<&LoadSegment> = self.segments.iter().filter(|segment| !is_inside(segment)).collect();
        let Some(segment) = outside.first() else { return };
        let (index, vaddr, end) = (segment.index, segment.vaddr, segment.end());
        let first = outside.iter().find_map(|segment| self.first_section(segment));
        let first = first.map_or("the first section".to_owned(), |name| format!("`{name}`"));
        let usual = base + 0x10_0000;
        let line = format!("`. = {usual:#x};` before {first}");

        let what = if vaddr < base {
            format!("segment {index} begins at {vaddr:#x}, below the kernel base {base:#x}")
        } else {
            let size = (window.end - window.start) >> 20;
            format!("segment {index} ends at {:#x}, past the {size} MiB that are mapped at {base:#x}", end - 1)
        };
        let mut diagnostic = self.describe_all(self.complain(Code::SegmentOutsideWindow, &what), &outside);
        let is_too_large = vaddr >= base && u64::from(vaddr) < window.end;
        let help = if is_too_large {
            let over = end - window.end;
            diagnostic = diagnostic.note(format!("{over} bytes ({over:#x}) are too many"));
            let limit = format!("the kernel with its .bss must end below {:#x}", window.end);
            match large_variables(self.symbols, u64::from(vaddr)..end) {
                Some(variables) => {
                    diagnostic = diagnostic.note(variables);
                    format!("make these smaller, or take their memory at run time: {limit}")
                }
                None => limit,
            }
        } else if vaddr < base && self.segments.iter().any(|segment| is_inside(&segment)) {
            format!(
                "leave {first} out: paging is on when the kernel is called, so that it needs no start-up code at low addresses; or give it an address above {usual:#x} in the linker script, too"
            )
        } else if vaddr >> 20 == LINUX_PROGRAM >> 20 {
            format!(
                "this is where ld puts programs for Linux: link with the kernel's script, `ld -m elf_i386 -T kernel.ld`, and let it have {line}"
            )
        } else {
            format!("link the kernel at {usual:#x}: {line} in the linker script")
        };
        found.push(diagnostic.help(help));
    }

    /// What can be loaded but will hurt as soon as the kernel protects its pages.
    pub fn warnings(&self) -> Diagnostics {
        let mut found = Diagnostics::default();
        self.warn_of_writable_code(&mut found);
        for pair in self.segments.windows(2) {
            if let [first, second] = pair
                && found.list.len() <= SEGMENTS_SHOWN
            {
                self.warn_of_shared_page(first, second, &mut found);
            }
        }
        found
    }

    /// One warning for all segments that are writable and executable.
    fn warn_of_writable_code(&self, found: &mut Diagnostics) {
        let both = Permissions::WRITE | Permissions::EXECUTE;
        let segments: Vec<&LoadSegment> = self.segments.iter().filter(|segment| segment.may(both)).collect();
        let Some(first) = segments.first() else { return };
        let what = match &*segments {
            [segment] => format!("segment {} is writable and executable", segment.index),
            _ => format!("{} segments are writable and executable", segments.len()),
        };
        let mut diagnostic = self.describe_all(self.complain(Code::WritableCode, &what), &segments);
        for segment in segments.iter().take(SEGMENTS_SHOWN) {
            if let Some(sorts) = self.sorts_of_sections(segment) {
                diagnostic = diagnostic.note(sorts);
            }
        }
        found.push(diagnostic.help(self.parting_help(first)));
    }

    /// Which sections are code and which are data, by their flags.
    fn sorts_of_sections(&self, segment: &LoadSegment) -> Option<String> {
        let names = |executable: bool, writable: bool| {
            let of_sort = self
                .sections_of(segment)
                .filter(|section| section.executable == executable && section.writable == writable);
            of_sort.map(|section| &*section.name).collect::<Vec<_>>().join(" ")
        };
        let sorts = [
            ("code", names(true, false)),
            ("data", names(false, true)),
            ("read-only data", names(false, false)),
            ("code and data mixed", names(true, true)),
        ];
        let parts: Vec<String> = sorts
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(sort, names)| format!("{sort} in {names}"))
            .collect();
        (!parts.is_empty()).then(|| format!("segment {} by the sections' flags: {}", segment.index, parts.join("; ")))
    }

    /// How to make two segments of one that is writable and executable.
    fn parting_help(&self, segment: &LoadSegment) -> String {
        let sections: Vec<&KernelSection> = self.sections_of(segment).collect();
        if let Some(section) = sections.iter().find(|section| section.writable && section.executable) {
            return format!(
                "part code and data in the linker script, `.text : {{ *(.text) }}`, `. = ALIGN(4096);`, `.data : {{ *(.data) }}`: `{}` has both",
                section.name
            );
        }
        // The first section that is writable behind code, or code behind something writable.
        let (mut writable, mut executable) = (false, false);
        let border = sections.iter().zip(sections.iter().skip(1)).find(|(before, after)| {
            writable |= before.writable;
            executable |= before.executable;
            (executable && after.writable) || (writable && after.executable)
        });
        let Some((before, after)) = border else {
            return "its program header asks for both: in PHDRS, write `FLAGS(5)` for code and `FLAGS(6)` for data"
                .to_owned();
        };
        let (name, page) = (&after.name, PAGE_SIZE);
        let shares_page = before.end().saturating_sub(1) / page == u64::from(after.vaddr) / page;
        let no_pages = u64::from(segment.alignment) < page;
        match (shares_page, no_pages) {
            (true, true) => format!(
                "put `. = ALIGN(4096);` before `{name}` in the linker script, and link without `-n` and `-N`, which make one segment of all (p_align is {})",
                segment.alignment
            ),
            (false, true) => format!(
                "link without `-n` and `-N`: they make one segment of all (p_align is {}), although `{name}` begins on a page of its own",
                segment.alignment
            ),
            (true, false) => format!(
                "put `. = ALIGN(4096);` before `{name}` in the linker script; if that script has PHDRS, give `{name}` one of its own, too"
            ),
            (false, false) => format!(
                "give `{name}` a program header of its own in the linker script: `PHDRS {{ text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); }}`, and `{name} : {{ ... }} :{}`; without PHDRS, link with `-z separate-code`",
                if after.executable { "text" } else { "data" }
            ),
        }
    }

    fn warn_of_shared_page(&self, first: &LoadSegment, second: &LoadSegment, found: &mut Diagnostics) {
        let (last, start) = (first.end().saturating_sub(1), u64::from(second.vaddr));
        let shares = last < start && last / PAGE_SIZE == start / PAGE_SIZE;
        // A segment without sections beside one with sections is the ELF headers: nobody needs them protected.
        let is_headers = |one: &LoadSegment, other: &LoadSegment| {
            self.first_section(one).is_none() && self.first_section(other).is_some()
        };
        if !shares || first.permissions == second.permissions || is_headers(first, second) || is_headers(second, first)
        {
            return;
        }
        let page = start / PAGE_SIZE * PAGE_SIZE;
        let what = format!(
            "the segments {} ({}) and {} ({}) share the page at {page:#x}",
            first.index, first.permissions, second.index, second.permissions
        );
        let name =
            self.first_section(second).map_or("the second one's first section".to_owned(), |name| format!("`{name}`"));
        found.push(
            self.complain(Code::SharedPage, &what)
                .note(self.describe(first))
                .note(self.describe(second))
                .help(format!("put `. = ALIGN(4096);` before {name} in the linker script")),
        );
    }
}
