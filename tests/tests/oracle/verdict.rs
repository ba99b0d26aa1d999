//! What the crate's reader says of a file, in the words of the other one, and whether both say the same.

use serde_json::{Value, json};
use stos_image::{
    Content, Description, Digest, GuestRange, ImageError, ImageFacts, Input, MapKind, ParsedImage, RegionKind, Symbols,
};
use stos_x86::registers::{EntryState, TableRegister};
use stos_x86::segments::Segment;

/// An input of more bytes is not put together: it may be all of guest memory.
const LARGEST_INPUT: u64 = 1 << 24;

/// `{"facts": ...}` or `{"error": ...}`.
pub fn of(file: &[u8]) -> Value {
    match read(file) {
        Ok(facts) => json!({ "facts": facts }),
        Err(error) => json!({ "error": of_error(&error) }),
    }
}

/// What both say in a word or two, if they say the same. The other one gives all errors at which a reader may stop.
pub fn agreed(ours: &Value, theirs: &Value) -> Option<String> {
    if let Some(errors) = theirs["errors"].as_array() {
        let error = ours.get("error")?;
        let kind = error["kind"].as_str()?;
        errors.iter().any(|allowed| is_allowed(error, allowed)).then(|| match error["field"].as_str() {
            Some(field) if kind == "Metadata" => format!("{kind} {}", without_numbers(field)),
            _ => kind.to_owned(),
        })
    } else {
        let facts = ours.get("facts")?;
        let differs = facts["inputs"].as_array()?.iter().any(|input| input["whole"] == false);
        (facts == theirs.get("facts")?).then(|| if differs { "InputDiffers" } else { "read" }.to_owned())
    }
}

/// Of a damaged block, a reader may name fewer regions than there are.
fn is_allowed(error: &Value, allowed: &Value) -> bool {
    let (Some(named), Some(regions)) = (error["regions"].as_array(), allowed["regions"].as_array()) else {
        return error == allowed;
    };
    let mut whole = error.clone();
    whole["regions"] = allowed["regions"].clone();
    whole == *allowed && regions.starts_with(named) && named.is_empty() == regions.is_empty()
}

/// Where the two part.
pub fn difference(ours: &Value, theirs: &Value) -> String {
    if let (Some(Value::Object(one)), Some(other)) = (ours.get("facts"), theirs.get("facts")) {
        let fields = one.iter().filter(|(name, value)| other.get(name) != Some(value));
        return fields
            .map(|(name, value)| format!("  {name}: {value} here, {} there", other[name]))
            .collect::<Vec<_>>()
            .join("\n");
    }
    let short = |verdict: &Value| verdict.to_string().chars().take(400).collect::<String>();
    format!("  here {}\n  there {}", short(ours), short(theirs))
}

/// `regions[].name` for `regions[3].name`.
fn without_numbers(field: &str) -> String {
    field
        .split_inclusive('[')
        .map(|part| part.trim_start_matches(|character: char| character.is_ascii_digit()))
        .collect()
}

fn read(file: &[u8]) -> Result<Value, ImageError> {
    let parsed = ParsedImage::parse(file)?;
    let mut payload = Vec::new();
    let image = parsed.verify(|_, run| {
        payload.extend_from_slice(run);
        Ok(())
    })?;
    let whole = |input: &Input| {
        let memory = |range| Some(memory_of(&image, &payload, range));
        (input.size <= LARGEST_INPUT).then(|| image.rebuild(input, memory, std::io::sink()).is_ok())
    };
    let Description {
        name,
        protocol,
        profile,
        memory_size,
        memory_map,
        regions,
        entry,
        fault_catcher,
        run,
        inputs,
        manifest,
    } = image.description();
    let Symbols { symbols, files, lines } = image.symbols();
    let rows = symbols.iter().map(|row| format!("{} {} {} {}\n", row.address, row.size, row.module, row.name));
    let line_rows = lines.iter().map(|row| format!("{} {} {}\n", row.address, row.file, row.line));
    Ok(json!({
        "id": hex(image.id()),
        "payload": hex(Digest::of(&payload)),
        "name": name,
        "protocol": protocol,
        "profile": profile,
        "memory_size": memory_size,
        "memory_map": memory_map.iter().map(|map| json!({
            "range": range(map.range),
            "kind": match map.kind { MapKind::Available => "available", MapKind::Reserved => "reserved" },
        })).collect::<Vec<_>>(),
        "regions": regions.iter().map(|region| json!({
            "range": range(region.range),
            "kind": kind(region.kind),
            "permissions": region.permissions.bits(),
            "name": region.name,
        })).collect::<Vec<_>>(),
        "entry": of_entry(entry),
        "fault_catcher": fault_catcher.as_ref().map(|catcher| json!({ "record": catcher.record.0, "port": catcher.port })),
        "run": { "timeout_ms": run.timeout_ms, "expect": run.expect, "exit_port": run.exit_port },
        "inputs": inputs.iter().map(|input| json!({
            "key": input.key,
            "path": input.path,
            "size": input.size,
            "digest": hex(input.digest),
            "content": input.content.iter().map(content).collect::<Vec<_>>(),
            "whole": whole(input),
        })).collect::<Vec<_>>(),
        "manifest": manifest,
        "extents": image.extents().iter().copied().map(range).collect::<Vec<_>>(),
        "symbols": [symbols.len(), hex(Digest::of(rows.collect::<String>().as_bytes()))],
        "files": files,
        "lines": [lines.len(), hex(Digest::of(line_rows.collect::<String>().as_bytes()))],
    }))
}

fn of_entry(entry: &EntryState) -> Value {
    let EntryState { general, eip, eflags, cr0, cr3, cr4, gdtr, idtr, segments } = entry;
    let table = |table: &TableRegister| json!({ "base": table.base, "limit": table.limit });
    let segment = |segment: &Segment| {
        let Segment { selector, base, limit, access } = segment;
        json!({ "selector": selector, "base": base, "limit": limit, "access": access })
    };
    let segments = segments.named().map(|(name, register)| (name.to_ascii_lowercase(), segment(register)));
    json!({
        "general": {
            "eax": general.eax, "ebx": general.ebx, "ecx": general.ecx, "edx": general.edx,
            "esi": general.esi, "edi": general.edi, "ebp": general.ebp, "esp": general.esp,
        },
        "eip": eip,
        "eflags": eflags,
        "cr0": cr0,
        "cr3": cr3,
        "cr4": cr4,
        "gdtr": table(gdtr),
        "idtr": table(idtr),
        "segments": segments.into_iter().collect::<serde_json::Map<_, _>>(),
    })
}

/// The document's names.
fn kind(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Kernel => "kernel",
        RegionKind::Module => "module",
        RegionKind::Initramfs => "initramfs",
        RegionKind::CommandLine => "command line",
        RegionKind::BootStructure => "protocol",
        RegionKind::PageTables => "paging",
        RegionKind::BootCode => "boot code",
        RegionKind::Stack => "stack",
        RegionKind::Heap => "early memory",
        RegionKind::FrameArray => "frame descriptors",
        RegionKind::Reserved => "reserved",
    }
}

fn content(part: &Content) -> Value {
    match *part {
        Content::Memory(range) => json!({ "variant": "memory", "start": range.start.0, "size": range.size }),
        Content::Kept { offset, size } => json!({ "variant": "kept", "offset": offset, "size": size }),
    }
}

fn range(range: GuestRange) -> Value {
    json!({ "start": range.start.0, "size": range.size })
}

fn hex(digest: Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").to_owned()
}

/// What guest memory holds at entry.
fn memory_of(image: &ImageFacts, payload: &[u8], wanted: GuestRange) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(wanted.size).unwrap()];
    let mut before = 0;
    for extent in image.extents() {
        let (low, high) = (wanted.start.0.max(extent.start.0), wanted.end().min(extent.end()));
        if low < high {
            let at = |start: u64| usize::try_from(start).unwrap();
            let from = at(before + low - extent.start.0);
            bytes[at(low - wanted.start.0)..at(high - wanted.start.0)]
                .copy_from_slice(&payload[from..from + at(high - low)]);
        }
        before += extent.size;
    }
    bytes
}

fn of_error(error: &ImageError) -> Value {
    match error {
        ImageError::Empty => json!({ "kind": "Empty" }),
        ImageError::Magic { found } => json!({ "kind": "Magic", "found": found }),
        ImageError::Version { found, .. } => json!({ "kind": "Version", "found": found }),
        ImageError::IncompatibleFeatures { unknown } => json!({ "kind": "IncompatibleFeatures", "bits": unknown }),
        ImageError::HeaderDamaged => json!({ "kind": "HeaderDamaged" }),
        ImageError::HeaderField { field, .. } => json!({ "kind": "HeaderField", "field": field }),
        ImageError::SectionTooLarge { field, found, limit } => {
            json!({ "kind": "SectionTooLarge", "field": field, "value": found, "limit": limit })
        }
        ImageError::SectionFeature { section, has_feature, size } => {
            json!({ "kind": "SectionFeature", "section": section, "present": has_feature, "size": size })
        }
        ImageError::Truncated { section, expected, found } => {
            json!({ "kind": "Truncated", "section": section, "end": expected, "file": found })
        }
        ImageError::TrailingBytes { expected } => json!({ "kind": "TrailingBytes", "end": expected }),
        ImageError::SectionDamaged { section } => json!({ "kind": "SectionDamaged", "section": section }),
        ImageError::Padding { section, offset } => json!({ "kind": "Padding", "section": section, "offset": offset }),
        ImageError::BlockDamaged { block, file_offset, size, owners } => json!({
            "kind": "BlockDamaged", "block": block, "offset": file_offset, "size": size, "regions": owners.names,
        }),
        ImageError::Encoding { section, .. } => json!({ "kind": "Encoding", "section": section }),
        ImageError::Metadata { field, .. } => json!({ "kind": "Metadata", "field": field }),
        ImageError::ZeroPage { page } => json!({ "kind": "ZeroPage", "address": page.0 }),
        ImageError::Io(_) | ImageError::InputDiffers { .. } | ImageError::Overlap { .. } => {
            panic!("a reader of bytes in memory says {error}")
        }
    }
}
