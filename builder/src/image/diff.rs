//! What differs between two images, in the words of the manifest and of the kernel: not bytes, but regions, symbols,
//! command line words, modules, mappings.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::{self, Display};

use stos_image::{GuestRange, MapRange, Region, Symbol};

use super::file::LoadedImage;
use super::inspect::{Mapping, Report};
use crate::input::InputFile;
use crate::kernel::KERNEL_BASE;
use crate::kernel::elf::{KernelElf, LoadSegment};
use crate::manifest::Protocol;

/// Bytes of symbols that are compared in any case.
const COMPARED: u64 = 64 << 20;
/// How many times the bytes of both images are compared, besides. Symbols of a kernel hardly lie in one another; those of an image
/// that is not ours may all have all of its memory.
const COMPARED_TIMES: u64 = 8;

/// Everything in which the second image differs from the first; empty for images with the same id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// A heading, and the lines under it.
    sections: Vec<(&'static str, Vec<String>)>,
}

impl Difference {
    /// Compares two checked images.
    pub fn between(first: &LoadedImage, second: &LoadedImage) -> Self {
        let mut difference = Self::default();
        if first.image.id() == second.image.id() {
            return difference;
        }
        let (a, b) = (Report::new(first), Report::new(second));
        let compare = |list: fn(&Report<'_>) -> Vec<String>| listed(&list(&a), &list(&b));
        difference.add("image", facts(&a, &b));
        difference.add("command line", compare(words));
        difference.add("inputs", inputs(&a, &b));
        difference.add("memory", regions(first, second));
        difference.add("kernel symbols", symbols(first, second));
        difference.add("page directory", compare(|report| report.mappings.iter().map(mapping).collect()));
        difference.add("memory map", compare(|report| report.description.memory_map.iter().map(map_range).collect()));
        difference.add("expected output", compare(|report| report.description.run.expect.clone()));
        if difference.sections.is_empty() {
            difference
                .add("image", vec!["the ids differ although nothing that this comparison looks at does".to_owned()]);
        }
        difference
    }

    /// True when the images are the same.
    pub fn is_empty(&self) -> bool {
        self.sections.is_empty()
    }

    fn add(&mut self, heading: &'static str, lines: Vec<String>) {
        if !lines.is_empty() {
            self.sections.push((heading, lines));
        }
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (heading, lines) in &self.sections {
            writeln!(f, "{heading}")?;
            lines.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        }
        Ok(())
    }
}

/// `items` by their names; the second one of a name is called `name (2)`, and so on.
fn by_name<T>(items: impl Iterator<Item = (String, T)>) -> BTreeMap<String, T> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut named = BTreeMap::new();
    for (name, item) in items {
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        named.insert(if *count == 1 { name } else { format!("{name} ({count})") }, item);
    }
    named
}

/// `- old` and `+ new` for what one of two lists has more often than the other, in their order.
fn listed(first: &[String], second: &[String]) -> Vec<String> {
    let gone = beyond(first, second).map(|line| format!("- {line}"));
    let new = beyond(second, first).map(|line| format!("+ {line}"));
    let lines: Vec<String> = gone.chain(new).collect();
    if lines.is_empty() && first != second { vec!["the order changed".to_owned()] } else { lines }
}

/// The lines of `list` without as many of each as `other` has.
fn beyond<'a>(list: &'a [String], other: &'a [String]) -> impl Iterator<Item = &'a String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in other {
        *counts.entry(line).or_default() += 1;
    }
    list.iter().filter(move |line| match counts.get_mut(line.as_str()) {
        Some(count @ 1..) => {
            *count -= 1;
            false
        }
        _ => true,
    })
}

fn facts(a: &Report<'_>, b: &Report<'_>) -> Vec<String> {
    let values = |report: &Report<'_>| {
        let description = report.description;
        [
            ("name", description.name.clone()),
            ("protocol", description.protocol.clone()),
            ("profile", profile(description.profile.as_deref())),
            ("memory", format!("{:#x} bytes", description.memory_size)),
            ("entry state", format!("{:?}", description.entry)),
            ("fault catcher", format!("{:?}", description.fault_catcher)),
            ("time limit", description.run.timeout_ms.map_or("none".to_owned(), |limit| format!("{limit} ms"))),
            ("exit port", format!("{:#x}", description.run.exit_port)),
        ]
    };
    let pairs = values(a).into_iter().zip(values(b)).filter(|(old, new)| old != new);
    let line = |((what, old), (_, new)): ((&str, String), (&str, String))| match what {
        "entry state" | "fault catcher" => format!("{what} differs: compare the output of `stos-pack inspect`"),
        _ => format!("{what}: {old} -> {new}"),
    };
    pairs.map(line).collect()
}

/// A profile's name, which may be `none`, or that there is none.
fn profile(name: Option<&str>) -> String {
    match name {
        None => "none".to_owned(),
        Some("none") => "one that is called `none`".to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn words(report: &Report<'_>) -> Vec<String> {
    let text = report.boot.as_ref().map_or("", |boot| boot.commandline());
    text.split_whitespace().map(str::to_owned).collect()
}

/// A line for what only one of two has, as `shown` has it, and what `change` says of what both have.
fn compared<T>(
    [first, second]: &[BTreeMap<String, &T>; 2],
    shown: impl Fn(&str, &T) -> String,
    change: impl Fn(&str, &T, &T) -> Option<String>,
) -> Vec<String> {
    let old = first.iter().filter_map(|(name, old)| match second.get(name) {
        None => Some(format!("- {}", shown(name, old))),
        Some(new) => change(name, old, new),
    });
    let new = second.iter().filter(|(name, _)| !first.contains_key(*name));
    old.chain(new.map(|(name, new)| format!("+ {}", shown(name, new)))).collect()
}

fn inputs(a: &Report<'_>, b: &Report<'_>) -> Vec<String> {
    let by_path = [a, b].map(|report| by_name(report.description.inputs.iter().map(|one| (one.path.clone(), one))));
    compared(
        &by_path,
        |path, input| format!("{path} ({})", input.key),
        |path, old, new| {
            if old.digest != new.digest {
                return Some(format!("{path} ({}) changed", old.key));
            }
            (old.key != new.key).then(|| format!("{path}: {} -> {}", old.key, new.key))
        },
    )
}

fn regions(first: &LoadedImage, second: &LoadedImage) -> Vec<String> {
    let all = [first, second].map(|loaded| {
        let regions = loaded.image.description().regions.iter();
        by_name(regions.map(|region| (region.name.clone(), region)))
    });
    // What is not loaded has no content to compare.
    let same_content = |old: &Region, new: &Region| match (old.kind.is_loaded(), new.kind.is_loaded()) {
        (true, true) => first.is_same(old.range, second, new.range),
        (old, new) => old == new,
    };
    compared(
        &all,
        |name, region| format!("{name} {}", region.range),
        |name, old, new| {
            let mut changes = Vec::new();
            if old.range.start != new.range.start {
                changes.push(format!("moved from {:#x} to {:#x}", old.range.start, new.range.start));
            }
            if old.range.size != new.range.size {
                changes.push(format!("{} -> {} bytes", old.range.size, new.range.size));
            }
            if old.permissions != new.permissions {
                changes.push(format!("{} -> {}", old.permissions, new.permissions));
            }
            if old.range.size == new.range.size && !same_content(old, new) {
                changes.push("other content".to_owned());
            }
            (!changes.is_empty()).then(|| format!("{name}: {}", changes.join(", ")))
        },
    )
}

/// Where the symbols of an image's kernel lie in guest memory.
struct Places<'a> {
    loaded: &'a LoadedImage,
    /// The kernel's segments, sorted by virtual address, unless the protocol alone says where it lies.
    segments: Vec<LoadSegment>,
}

impl<'a> Places<'a> {
    fn new(loaded: &'a LoadedImage) -> Self {
        let description = loaded.image.description();
        let mut segments = Vec::new();
        if description.protocol != Protocol::Stos.name()
            && let Some(input) = description.inputs.iter().find(|input| input.key == "kernel")
        {
            let mut bytes = Vec::new();
            let kernel = loaded.write_input(input, &mut bytes).ok().map(|()| InputFile::new(&*input.path, bytes));
            let kernel = kernel.and_then(|kernel| KernelElf::parse_segments(&kernel).ok());
            segments = kernel.map(|kernel| kernel.segments).unwrap_or_default();
        }
        Self { loaded, segments }
    }

    /// Where the bytes of `symbol` lie at entry.
    fn range(&self, symbol: &Symbol) -> Option<GuestRange> {
        let address = symbol.address;
        let start = if self.loaded.image.description().protocol == Protocol::Stos.name() {
            address.checked_sub(KERNEL_BASE)?
        } else {
            let after = self.segments.partition_point(|segment| segment.vaddr <= address);
            let segment = self.segments.get(..after).and_then(<[_]>::last);
            let segment = segment.filter(|segment| u64::from(address) < segment.end());
            // A kernel that is no ELF file for 32 bits lies where its symbols say.
            segment.map_or(Some(address), |segment| segment.paddr.checked_add(address - segment.vaddr))?
        };
        Some(GuestRange::new(start.into(), symbol.size.into()))
    }
}

fn symbols(first: &LoadedImage, second: &LoadedImage) -> Vec<String> {
    let all = [first, second].map(|loaded| {
        let of_kernel = loaded.image.symbols().symbols.iter().filter(|one| one.module == 0 && one.size > 0);
        by_name(of_kernel.map(|symbol| (symbol.name.clone(), symbol)))
    });
    let (first_places, second_places) = (Places::new(first), Places::new(second));
    // What `by_name` put behind a name stays there.
    let shown = |name: &str, symbol: &Symbol| {
        let number = name.strip_prefix(&*symbol.name).unwrap_or_default();
        format!("{}{number}", symbol.shown_name())
    };
    let stored =
        [first, second].map(|loaded| loaded.stored_size(GuestRange::new(0, loaded.image.description().memory_size)));
    let bytes_left = Cell::new(COMPARED + COMPARED_TIMES * (stored[0] + stored[1]));
    let left_out = Cell::new(0_usize);
    let mut lines = compared(&all, shown, |key, old, new| {
        let name = shown(key, old);
        if old.size != new.size {
            return Some(format!("{name}: {} -> {} bytes", old.size, new.size));
        }
        let same = match (first_places.range(old), second_places.range(new)) {
            (Some(old), Some(new)) => {
                let bytes = first.stored_size(old) + second.stored_size(new);
                let Some(left) = bytes_left.get().checked_sub(bytes) else {
                    left_out.set(left_out.get() + 1);
                    return None;
                };
                bytes_left.set(left);
                first.is_same(old, second, new)
            }
            (old, new) => old.is_none() && new.is_none(),
        };
        (!same).then(|| format!("{name}: other content"))
    });
    if left_out.get() > 0 {
        lines.push(format!("the content of {} symbols was not compared: too many lie in one another", left_out.get()));
    }
    lines
}

fn map_range(map: &MapRange) -> String {
    format!("{} {:?}", map.range, map.kind).to_lowercase()
}

fn mapping(mapping: &Mapping) -> String {
    let range = GuestRange::new(mapping.virtual_start, mapping.size);
    let access = if mapping.writable { "rw" } else { "r-" };
    let pages = if mapping.big_pages { "" } else { " in pages of 4 KiB" };
    let (first, last, target) = (mapping.first_entry, mapping.last_entry, mapping.physical_start);
    format!("entries {first}-{last}: {range} {access} at {target:#x}{pages}")
}

#[cfg(test)]
mod tests {

    #[test]
    fn a_profile_called_none_is_told_from_none() {
        let told = [None, Some("none"), Some("debug")].map(super::profile);
        assert_eq!(told, ["none", "one that is called `none`", "debug"]);
    }

    #[test]
    fn a_list_that_lost_one_of_two_equal_lines_did_not_just_change_its_order() {
        let listed = |first: &str, second: &str| {
            let lines = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
            super::listed(&lines(first), &lines(second)).join(" ")
        };
        assert_eq!(listed("aab", "ab"), "- a");
        assert_eq!(listed("ab", "abba"), "+ b + a");
        assert_eq!(listed("ab", "ba"), "the order changed");
        assert_eq!(listed("abc", "bcd"), "- a + d");
        assert_eq!(listed("ab", "ab"), "");
    }
}
