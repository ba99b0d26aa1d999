//! The manifest as editors know it: plain types, from which a JSON Schema is made. [`super::read`] is what decides; a test
//! holds the two to the same keys.
#![expect(dead_code, reason = "only the schema of these types is used")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use stos_image::TIMEOUT_LIMIT_MS;

use super::{MEMORY_LIMIT, Protocol};

/// The JSON Schema (draft 2020-12) of manifests, as text.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(ManifestFile);
    // Keys that another manifest or a profile may provide are needed only where there is neither.
    schema.insert(
        "if".to_owned(),
        serde_json::json!({"not": {"anyOf": [
            {"required": ["extends"], "properties": {"extends": {"type": "string"}}},
            {"required": ["profile"], "properties": {"profile": {"type": "string"}}},
        ]}}),
    );
    let given = serde_json::json!({"not": {"type": "null"}});
    schema.insert(
        "then".to_owned(),
        serde_json::json!({
            "required": ["version", "name", "memory", "kernel"],
            "properties": {
                "version": given, "name": given, "memory": given,
                "kernel": {
                    "type": "object",
                    "required": ["path", "protocol"],
                    "properties": {"path": given, "protocol": given},
                },
            },
        }),
    );
    format!("{:#}\n", schema.as_value())
}

/// A boot image that stos-pack builds, and how to run it.
#[derive(JsonSchema)]
#[schemars(title = "Manifest of stos-pack", deny_unknown_fields)]
struct ManifestFile {
    /// Version of the manifest's form.
    version: Option<Version>,
    /// Another manifest to start from, such as `../course.yaml`. What this one says is laid over it.
    extends: Option<FilePath>,
    /// Name of the image, for people.
    name: Option<Name<255>>,
    /// Guest memory, from guest-physical address 0: 16MiB (Multiboot and elf: 2MiB, Linux: 32MiB) to 3GiB in whole pages of
    /// 4096 bytes.
    memory: Option<Memory>,
    /// The kernel and how it is started.
    kernel: Option<Kernel>,
    /// Modules, in the order in which the kernel gets them.
    #[schemars(length(max = 256))]
    modules: Option<Vec<Module>>,
    /// Modules to add to those of the manifest that this one extends.
    #[schemars(rename = "modules+", length(max = 256))]
    more_modules: Option<Vec<Module>>,
    /// The initial RAM file system that the kernel gets.
    initramfs: Option<Initramfs>,
    /// The command line that the kernel gets, such as `init.mode=all timer.hz=100`.
    cmdline: Option<CommandLine>,
    /// Words to add to the command line of the manifest that this one extends.
    #[schemars(rename = "cmdline+")]
    more_cmdline: Option<CommandLine>,
    /// The CPU at the first instruction; only with the protocol `elf`.
    entry: Option<Entry>,
    /// Further physical memory that the kernel must leave alone.
    #[schemars(length(max = 256))]
    segments: Option<Vec<Segment>>,
    /// Segments to add to those of the manifest that this one extends.
    #[schemars(rename = "segments+", length(max = 256))]
    more_segments: Option<Vec<Segment>>,
    /// Defaults for stos-run; they travel in the image.
    run: Option<Run>,
    /// Variants of this manifest, by name; `--profile` chooses one.
    #[schemars(extend("maxProperties" = 64, "propertyNames" = {"pattern": "^[A-Za-z0-9._-]{1,63}$"}))]
    profiles: Option<BTreeMap<String, Option<Profile>>>,
    /// The profile that is taken when the command line names none.
    profile: Option<String>,
}

/// What a profile changes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Profile {
    /// Name of the image.
    name: Option<Name<255>>,
    /// Guest memory.
    memory: Option<Memory>,
    /// The kernel; a key that is left out is that of the manifest.
    kernel: Option<Kernel>,
    /// Modules, in the place of the manifest's.
    #[schemars(length(max = 256))]
    modules: Option<Vec<Module>>,
    /// Modules behind the manifest's.
    #[schemars(rename = "modules+", length(max = 256))]
    more_modules: Option<Vec<Module>>,
    /// The initial RAM file system, in the place of the manifest's; `~` takes it away.
    initramfs: Option<Initramfs>,
    /// The command line, in the place of the manifest's.
    cmdline: Option<CommandLine>,
    /// Words behind the manifest's command line.
    #[schemars(rename = "cmdline+")]
    more_cmdline: Option<CommandLine>,
    /// The CPU at the first instruction; a key that is left out is that of the manifest.
    entry: Option<Entry>,
    /// Segments, in the place of the manifest's.
    #[schemars(length(max = 256))]
    segments: Option<Vec<Segment>>,
    /// Segments behind the manifest's.
    #[schemars(rename = "segments+", length(max = 256))]
    more_segments: Option<Vec<Segment>>,
    /// Defaults for stos-run; a key that is left out is that of the manifest.
    run: Option<Run>,
}

/// The kernel and how it is started.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Kernel {
    /// An ELF32 executable for i386; for Multiboot also a flat binary whose header has address fields, for Linux a bzImage. A relative path starts at the folder of the manifest.
    path: Option<FilePath>,
    /// The boot protocol that the kernel follows.
    #[schemars(extend("enum" = protocols()))]
    protocol: Option<String>,
}

/// A file that the kernel finds in memory.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Module {
    /// For stos an ELF32 relocatable object for i386, for Multiboot any file. A relative path starts at the folder of the manifest.
    path: FilePath,
    /// Name for people; without one, the last part of the path.
    name: Option<Name<127>>,
    /// The text that a Multiboot kernel gets with the module; without one, the module's name.
    cmdline: Option<CommandLine>,
}

/// The initial RAM file system: `path` or `directory`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("oneOf" = [
    {"required": ["path"], "properties": {"path": {"type": "string"}, "directory": {"type": "null"}}},
    {"required": ["directory"], "properties": {"directory": {"type": "string"}, "path": {"type": "null"}}},
]))]
struct Initramfs {
    /// A finished cpio archive in newc format.
    path: Option<FilePath>,
    /// A directory from which an archive is made.
    directory: Option<FilePath>,
}

/// The CPU at the first instruction of a kernel without a boot protocol.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Entry {
    /// General registers; 0 unless given, and ESP the top of a stack of 16 KiB.
    registers: Option<Registers>,
    /// Address of the first instruction, or a symbol of the kernel; the ELF file's entry point unless given.
    eip: Option<Eip>,
    /// Turns paging on before the kernel is called.
    paging: Option<Paging>,
}

/// General registers at the first instruction.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Registers {
    /// EAX.
    eax: Option<Word>,
    /// EBX.
    ebx: Option<Word>,
    /// ECX.
    ecx: Option<Word>,
    /// EDX.
    edx: Option<Word>,
    /// ESI.
    esi: Option<Word>,
    /// EDI.
    edi: Option<Word>,
    /// EBP.
    ebp: Option<Word>,
    /// Top of the stack. The kernel is called, so that ESP is 4 less at its first instruction.
    esp: Option<Word>,
}

/// What page tables map.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Paging {
    /// Size of all pages; 4KiB unless given.
    #[schemars(extend("enum" = ["4KiB", "4MiB", null]))]
    page_size: Option<String>,
    /// Where the kernel's segments are mapped: at `p_vaddr` (the default), at `p_paddr`, or nowhere.
    #[schemars(extend("enum" = ["virtual", "identity", "none", null]))]
    segments: Option<String>,
    /// Further mappings.
    #[schemars(length(max = 256))]
    map: Option<Vec<MapEntry>>,
}

/// A range of virtual addresses and where it leads.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct MapEntry {
    /// First virtual address, a multiple of the page size.
    #[schemars(rename = "virtual")]
    start: Word,
    /// First physical address, a multiple of the page size.
    physical: Word,
    /// Size in bytes, a multiple of the page size.
    size: MapSize,
    /// Whether it may be written to; `false` unless given.
    write: Option<bool>,
    /// Whether privilege level 3 may use it; `false` unless given.
    user: Option<bool>,
}

/// Physical memory that the kernel must leave alone.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Segment {
    /// Physical address of the first byte, such as `0x3000000`.
    start: Size<0>,
    /// Size in bytes, such as `1MiB`.
    size: Size<1>,
    /// What it is.
    #[schemars(extend("enum" = ["reserved"]))]
    kind: String,
}

/// Defaults for stos-run.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Run {
    /// Wall time after which the run is ended, such as `30s`, `500ms` or `2m`: up to 24 hours.
    timeout: Option<Duration>,
    /// Regular expressions that lines of the serial output must match, in this order.
    #[schemars(length(max = 64))]
    expect: Option<Vec<FilePath>>,
    /// Expressions to add to those of the manifest.
    #[schemars(rename = "expect+", length(max = 64))]
    more_expect: Option<Vec<FilePath>>,
    /// The first of the four I/O ports to which the guest writes its exit status; 0xF4 unless given.
    exit_port: Option<Port>,
}

/// Declares a value whose schema is written out: its name among the definitions, and the schema.
macro_rules! value {
    ($(#[$doc:meta])* $type:ident $(<const $parameter:ident: $of:ty>)?, $name:expr, $schema:expr) => {
        $(#[$doc])*
        struct $type $(<const $parameter: $of>)?;

        impl $(<const $parameter: $of>)? JsonSchema for $type $(<$parameter>)? {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// No control characters.
const CLEAN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
const SIZE: &str = r"^\s*(0[xX][0-9a-fA-F]+|[0-9]+)\s*(KiB|MiB|GiB)?\s*$";
const DURATION: &str = r"^\s*(0[xX][0-9a-fA-F]+|[0-9]+)\s*(ms|s|m)?\s*$";
const NUMBER: &str = r"^\s*(0[xX][0-9a-fA-F]+|[0-9]+)\s*$";

value!(Version, "Version", json_schema!({"enum": [1, "1"]}));
value!(
    /// A text with a limit that the image format sets, for paths and expressions.
    FilePath, "Text", json_schema!({"type": "string", "minLength": 1, "maxLength": 4096, "pattern": CLEAN})
);
value!(
    /// A name of at most `LIMIT` bytes.
    Name<const LIMIT: usize>,
    format!("Name{LIMIT}"),
    json_schema!({"type": "string", "minLength": 1, "maxLength": LIMIT, "pattern": CLEAN})
);
value!(CommandLine, "CommandLine", json_schema!({"type": "string", "maxLength": 65536, "pattern": CLEAN}));
value!(Memory, "Memory", quantity(SIZE, least_memory(), MEMORY_LIMIT, stos_image::PAGE_SIZE));
value!(
    /// A size or an address of at least `LEAST`.
    Size<const LEAST: u64>, format!("Size{LEAST}"), quantity(SIZE, LEAST, MEMORY_LIMIT, 1)
);
value!(
    /// A number of 32 bits: an address, or what is in a register.
    Word, "Word", quantity(SIZE, 0, u32::MAX.into(), 1)
);
value!(MapSize, "MapSize", quantity(SIZE, 4096, 1 << 32, 4096));
value!(
    /// An address, or the name of a symbol.
    Eip, "Eip",
    json_schema!({"anyOf": [
        {"type": "integer", "minimum": 0, "maximum": u32::MAX},
        {"type": "string", "minLength": 1, "maxLength": 4096, "pattern": CLEAN},
    ]})
);
value!(Duration, "Duration", quantity(DURATION, 1, TIMEOUT_LIMIT_MS / 1000, 1));
value!(Port, "Port", quantity(NUMBER, 0, 0xfffc, 1));

/// The names of the protocols, and nothing at all.
fn protocols() -> Vec<Option<&'static str>> {
    Protocol::ALL.iter().map(|(name, _)| Some(*name)).chain([None]).collect()
}

/// The least memory that any protocol takes, in bytes.
fn least_memory() -> u64 {
    Protocol::ALL.iter().map(|(_, protocol)| protocol.least_memory_mib() << 20).min().unwrap_or(0)
}

/// A whole number within limits, or a text with a unit, whose limits no pattern can express.
fn quantity(pattern: &str, least: u64, most: u64, step: u64) -> Schema {
    json_schema!({"anyOf": [
        {"type": "integer", "minimum": least, "maximum": most, "multipleOf": step},
        {"type": "string", "pattern": pattern},
    ]})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::Source;
    use crate::manifest::Manifest;
    use serde_json::Value;

    /// The keys that the reader names when it refuses another one in the mapping at `place`.
    fn known(place: &str) -> Vec<String> {
        let unknown = "zzzzzzzzzzzzzzzzzzzz: 1";
        let text = match place {
            "" => unknown.to_owned(),
            "modules" | "segments" => format!("{place}: [{{{unknown}}}]"),
            "entry.registers" | "entry.paging" => {
                format!("entry: {{{}: {{{unknown}}}}}", place.trim_start_matches("entry."))
            }
            "entry.paging.map" => format!("entry: {{paging: {{map: [{{{unknown}}}]}}}}"),
            "profiles" => format!("profiles: {{x: {{{unknown}}}}}"),
            _ => format!("{place}: {{{unknown}}}"),
        };
        let failure = Manifest::from_source(&Source { path: "m.yaml".into(), text }, None).unwrap_err();
        let mut help = failure.diagnostics.list.iter().filter_map(|diagnostic| diagnostic.help.as_deref());
        let list = help.find_map(|help| help.strip_prefix("the keys are ")).unwrap();
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn reader_and_schema_know_the_same_keys() {
        let schema: Value = schema().parse().unwrap();
        for (place, definition) in [
            ("", ""),
            ("kernel", "Kernel"),
            ("modules", "Module"),
            ("initramfs", "Initramfs"),
            ("entry", "Entry"),
            ("entry.registers", "Registers"),
            ("entry.paging", "Paging"),
            ("entry.paging.map", "MapEntry"),
            ("segments", "Segment"),
            ("run", "Run"),
            ("profiles", "Profile"),
        ] {
            let mapping = if definition.is_empty() { &schema } else { &schema["$defs"][definition] };
            let mut in_schema: Vec<&String> = mapping["properties"].as_object().unwrap().keys().collect();
            in_schema.sort();
            let plus: Vec<&str> = match place {
                "" | "profiles" => vec!["cmdline+", "modules+", "segments+"],
                "run" => vec!["expect+"],
                _ => Vec::new(),
            };
            let mut expected = known(place);
            expected.retain(|key| !key.ends_with('+'));
            expected.extend(plus.into_iter().map(str::to_owned));
            expected.sort();
            assert_eq!(in_schema, expected.iter().collect::<Vec<_>>(), "in {place:?}");
        }
    }
}
