//! Every key that a manifest can have, once. From this table follow the schema for editors, the lists of keys in messages, what
//! a `+` can add to and profiles can change, the limits that the reader holds a value to, and the form in which images carry
//! manifests.

use stos_image::{DEFAULT_EXIT_PORT, EXPECT_LIMIT, NAME_LIMIT, PAGE_SIZE, TEXT_LIMIT, TIMEOUT_LIMIT_MS};

use super::description::{Kind, Mapping, Siblings, key, mapping, number};
use super::document::{MEMORY_LIMIT, PAGE_SIZES, SegmentMapping};
use super::protocol::Protocol;
use super::quantity::{ADDRESS, DURATION, PORT, SIZE};
use super::yaml::Node;
use crate::diagnostics::Code;

/// Most profiles: each is checked, whether it is chosen or not.
pub const PROFILES_LIMIT: usize = 64;
/// Longest name of a profile in bytes.
pub const PROFILE_NAME_LIMIT: usize = 63;
/// Longest name of a module in bytes; region names are made from it.
pub const MODULE_NAME_LIMIT: usize = NAME_LIMIT / 2;

const NAME: Kind = Kind::Text { least: 1, most: NAME_LIMIT };
const TEXT: Kind = Kind::Text { least: 1, most: TEXT_LIMIT };
const CMDLINE: Kind = Kind::Text { least: 0, most: 65536 };
const MEMORY: Kind = number(&SIZE, Protocol::least_memory_of_all(), MEMORY_LIMIT, PAGE_SIZE);
const WORD: Kind = number(&ADDRESS, 0, 0xffff_ffff, 1);

/// A manifest.
pub const MANIFEST: Mapping = mapping(
    "Manifest",
    "A boot image that stos-pack builds, and how to run it.",
    &[
        key("version", "1", Kind::Version).required().about("Version of the manifest's form."),
        key("extends", "../course.yaml", TEXT)
            .about("Another manifest to start from, such as `../course.yaml`. What this one says is laid over it."),
        key("profile", "debug", Kind::ProfileName).about("The profile that is taken when the command line names none."),
        key("profiles", "{debug: {cmdline+: debug}}", Kind::Profiles)
            .about("Variants of this manifest, by name; `--profile` chooses one."),
        key("name", "my-kernel", NAME)
            .required()
            .about("Name of the image, for people.")
            .in_profile("Name of the image."),
        key("memory", "64MiB", MEMORY)
            .required()
            .about(
                "Guest memory, from guest-physical address 0: 16MiB (Multiboot and elf: 2MiB, Linux: 32MiB) to 3GiB in \
                 whole pages of\n4096 bytes.",
            )
            .in_profile("Guest memory."),
        key("kernel", "{path: kernel.elf, protocol: stos}", Kind::Mapping(&KERNEL))
            .required()
            .about("The kernel and how it is started.")
            .in_profile("The kernel; a key that is left out is that of the manifest."),
        key("modules", "[{path: module.ko}]", Kind::List { of: &Kind::Mapping(&MODULE), most: 1000 })
            .about("Modules, in the order in which the kernel gets them.")
            .addition("Modules to add to those of the manifest that this one extends.")
            .in_profile("Modules, in the place of the manifest's.")
            .addition_in_profile("Modules behind the manifest's."),
        key("initramfs", "{path: initramfs.cpio}", Kind::Mapping(&INITRAMFS))
            .about("The initial RAM file system that the kernel gets.")
            .in_profile("The initial RAM file system, in the place of the manifest's; `~` takes it away."),
        key("cmdline", "module.param=value", CMDLINE)
            .about("The command line that the kernel gets, such as `init.mode=all timer.hz=100`.")
            .default(|_| Node::Text(String::new()))
            .addition("Words to add to the command line of the manifest that this one extends.")
            .in_profile("The command line, in the place of the manifest's.")
            .addition_in_profile("Words behind the manifest's command line."),
        key("entry", "{registers: {eax: 0x1234}}", Kind::Mapping(&ENTRY))
            .about("The CPU at the first instruction; only with the protocol `elf`.")
            .in_profile("The CPU at the first instruction; a key that is left out is that of the manifest."),
        key(
            "segments",
            "[{start: 0x3000000, size: 1MiB, kind: reserved}]",
            Kind::List { of: &Kind::Mapping(&SEGMENT), most: 256 },
        )
        .about("Further physical memory that the kernel must leave alone.")
        .addition("Segments to add to those of the manifest that this one extends.")
        .in_profile("Segments, in the place of the manifest's.")
        .addition_in_profile("Segments behind the manifest's."),
        key("run", "{timeout: 10s}", Kind::Mapping(&RUN))
            .about("Defaults for stos-run; they travel in the image.")
            .in_profile("Defaults for stos-run; a key that is left out is that of the manifest."),
        key("allow", "[W0001]", Kind::List { of: &Kind::Word(|| names(&Code::warnings())), most: 64 })
            .about("Codes of warnings that are not to be printed.")
            .addition("Codes to add to those of the manifest that this one extends.")
            .in_profile("Codes, in the place of the manifest's.")
            .addition_in_profile("Codes behind the manifest's."),
    ],
);

const KERNEL: Mapping = mapping(
    "Kernel",
    "The kernel and how it is started.",
    &[
        key("path", "kernel.elf", Kind::Path).required().about(
            "An ELF32 executable for i386; for Multiboot also a flat binary whose header has address fields, for \
                 Linux a bzImage. A relative path starts at the folder of the manifest.",
        ),
        key("protocol", "stos", Kind::Word(|| names(Protocol::ALL)))
            .required()
            .about("The boot protocol that the kernel follows."),
    ],
);

const MODULE: Mapping = mapping(
    "Module",
    "A file that the kernel finds in memory.",
    &[
        key("path", "module.ko", Kind::Path).required().about(
            "For stos an ELF32 relocatable object for i386, for Multiboot any file. A relative path starts at the \
                 folder of the manifest.",
        ),
        key("name", "timer", Kind::Text { least: 1, most: MODULE_NAME_LIMIT })
            .about("Name for people; without one, the last part of the path.")
            .default(|module| file_name(value(module, "path"))),
        key("cmdline", "text for the kernel", CMDLINE)
            .about("The text that a Multiboot kernel gets with the module; without one, the module's name.")
            .default(|module| value(module, "name").clone()),
    ],
);

const INITRAMFS: Mapping = Mapping {
    exclusive: true,
    ..mapping(
        "Initramfs",
        "The initial RAM file system: `path` or `directory`.",
        &[
            key("path", "initramfs.cpio", Kind::Path).about("A finished cpio archive in newc format."),
            key("directory", "initramfs", Kind::Directory).about("A directory from which an archive is made."),
        ],
    )
};

const ENTRY: Mapping = mapping(
    "Entry",
    "The CPU at the first instruction of a kernel without a boot protocol.",
    &[
        key("registers", "{eax: 0x1234}", Kind::Mapping(&REGISTERS))
            .about("General registers; 0 unless given, and ESP the top of a stack of 16 KiB."),
        key("eip", "start", Kind::AddressOrSymbol).about(
            "Address of the first instruction, or a symbol of the kernel; the ELF file's entry point unless given.",
        ),
        key("paging", "{page_size: 4KiB, segments: virtual}", Kind::Mapping(&PAGING))
            .about("Turns paging on before the kernel is called."),
    ],
);

const REGISTERS: Mapping = Mapping {
    sorted: true,
    ..mapping(
        "Registers",
        "General registers at the first instruction.",
        &[
            key("eax", "0x1234", WORD).about("EAX.").default(zero),
            key("ebx", "0x1234", WORD).about("EBX.").default(zero),
            key("ecx", "0x1234", WORD).about("ECX.").default(zero),
            key("edx", "0x1234", WORD).about("EDX.").default(zero),
            key("esi", "0x1234", WORD).about("ESI.").default(zero),
            key("edi", "0x1234", WORD).about("EDI.").default(zero),
            key("ebp", "0x1234", WORD).about("EBP.").default(zero),
            key("esp", "0x90000", WORD)
                .about("Top of the stack. The kernel is called, so that ESP is 4 less at its first instruction."),
        ],
    )
};

const PAGING: Mapping = mapping(
    "Paging",
    "What page tables map.",
    &[
        key("page_size", "4MiB", Kind::Word(|| names(PAGE_SIZES)))
            .about("Size of all pages; 4KiB unless given.")
            .default(|_| Node::Text("4KiB".to_owned()))
            .always_written(),
        key("segments", "identity", Kind::Word(|| names(SegmentMapping::ALL)))
            .about("Where the kernel's segments are mapped: at `p_vaddr` (the default), at `p_paddr`, or nowhere.")
            .default(|_| Node::Text("virtual".to_owned()))
            .always_written(),
        key(
            "map",
            "[{virtual: 0xC0000000, physical: 0, size: 4MiB, write: true}]",
            Kind::List { of: &Kind::Mapping(&MAP_ENTRY), most: 256 },
        )
        .about("Further mappings."),
    ],
);

const MAP_ENTRY: Mapping = mapping(
    "MapEntry",
    "A range of virtual addresses and where it leads.",
    &[
        key("virtual", "0xC0000000", WORD).required().about("First virtual address, a multiple of the page size."),
        key("physical", "0", WORD).required().about("First physical address, a multiple of the page size."),
        key("size", "4MiB", number(&SIZE, 4096, 1 << 32, 4096))
            .required()
            .about("Size in bytes, a multiple of the page size."),
        key("write", "true", Kind::Flag).about("Whether it may be written to; `false` unless given.").default(no),
        key("user", "true", Kind::Flag)
            .about("Whether privilege level 3 may use it; `false` unless given.")
            .default(no),
    ],
);

const SEGMENT: Mapping = mapping(
    "Segment",
    "Physical memory that the kernel must leave alone.",
    &[
        key("start", "0x3000000", number(&SIZE, 0, MEMORY_LIMIT, 1))
            .required()
            .about("Physical address of the first byte, such as `0x3000000`."),
        key("size", "1MiB", number(&SIZE, 1, MEMORY_LIMIT, 1)).required().about("Size in bytes, such as `1MiB`."),
        key("kind", "reserved", Kind::Word(|| names(SEGMENT_KINDS))).required().about("What it is."),
    ],
);
/// What a segment can be.
pub const SEGMENT_KINDS: &[(&str, ())] = &[("reserved", ())];

const RUN: Mapping = mapping(
    "Run",
    "Defaults for stos-run.",
    &[
        key("timeout", "10s", number(&DURATION, 1, TIMEOUT_LIMIT_MS / 1000, 1))
            .about("Wall time after which the run is ended, such as `30s`, `500ms` or `2m`: up to 24 hours."),
        key("expect", "[\"Loading complete\"]", Kind::List { of: &TEXT, most: EXPECT_LIMIT })
            .about("Regular expressions that lines of the serial output must match, in this order.")
            .addition("Expressions to add to those of the manifest."),
        key("exit_port", "0x501", number(&PORT, 0, 0xfffc, 1))
            .about("The first of the four I/O ports to which the guest writes its exit status; 0xF4 unless given.")
            .default(|_| PORT.write(DEFAULT_EXIT_PORT.into())),
    ],
);

fn names<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
    words.iter().map(|(name, _)| *name).collect()
}

fn zero(_: &Siblings) -> Node {
    ADDRESS.write(0)
}

fn no(_: &Siblings) -> Node {
    Node::Bool(false)
}

fn value<'a>(siblings: &'a Siblings, name: &str) -> &'a Node {
    siblings.iter().find(|(key, _)| *key == name).map_or(&Node::Null, |(_, value)| value)
}

fn file_name(path: &Node) -> Node {
    match path {
        Node::Text(path) => Node::Text(path.rsplit('/').next().unwrap_or(path).to_owned()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::description::Key;
    use super::super::schema::schema;
    use super::*;
    use crate::diagnostics::Source;
    use crate::manifest::Manifest;

    /// A mapping, one of its keys, where that stands (`modules[].path`), and manifests with a value for it.
    type Check<'a> = &'a mut dyn FnMut(&Mapping, &Key, &str, &dyn Fn(&str) -> String);

    /// Shows `check` every key of `mapping` and of those within it; `around` is what is around the mapping.
    fn each(mapping: &'static Mapping, place: &str, around: &dyn Fn(&str) -> String, check: Check) {
        for key in mapping.keys {
            let others = mapping.keys.iter().filter(|other| other.required && other.name != key.name);
            let others: Vec<String> = others.map(Key::line).collect();
            let manifest = |value: &str| {
                let line = format!("{}: {value}", key.name);
                around(&format!("{{{}}}", [&*others, &[line]].concat().join(", ")))
            };
            let place = format!("{place}{}", key.name);
            check(mapping, key, &place, &manifest);
            match key.kind {
                Kind::Mapping(inner) => each(inner, &format!("{place}."), &manifest, check),
                Kind::List { of: Kind::Mapping(inner), .. } => {
                    each(inner, &format!("{place}[]."), &|item| manifest(&format!("[{item}]")), check);
                }
                _ => {}
            }
        }
    }

    /// The first manifest that a protocol takes.
    fn read(text: &str) -> Result<Manifest, Vec<Code>> {
        let mut codes = Vec::new();
        for (protocol, _) in Protocol::ALL {
            let text = text.replace("protocol: stos", &format!("protocol: {protocol}"));
            match Manifest::from_source(&Source { path: "m.yaml".into(), text }, None) {
                Ok(manifest) => return Ok(manifest),
                Err(failure) => codes.extend(failure.diagnostics.list.iter().map(|diagnostic| diagnostic.code)),
            }
        }
        Err(codes)
    }

    /// What is left to do for a new row of the table is to read it, and to tell people of it.
    #[test]
    fn every_key_of_the_table_is_read_written_and_documented() {
        let schema: serde_json::Value = schema().parse().unwrap();
        let documented = include_str!("../../../docs/manifest.md");
        each(&MANIFEST, "", &str::to_owned, &mut |mapping, key, name, manifest| {
            let definition = if mapping.name == "Manifest" { &schema } else { &schema["$defs"][mapping.name] };
            assert!(definition["properties"][key.name].is_object(), "editors don't know `{name}`");
            let row = if mapping.name == "Registers" { format!("`{}`", key.name) } else { format!("\n| `{name}` |") };
            assert!(documented.contains(&row), "docs/manifest.md does not have `{name}`");
            let codes = read(&manifest("[[]]")).err().unwrap_or_default();
            assert!(codes.contains(&Code::WrongType), "`{name}` is not read: {codes:?}");
            // Their part is done when a manifest is read.
            if ["extends", "profile", "profiles"].contains(&name) {
                return;
            }
            let text = manifest(key.example);
            let written = |text: &str| read(text).map(|manifest| manifest.to_yaml().unwrap());
            let with = written(&text).unwrap_or_else(|codes| panic!("{text}: {codes:?}"));
            let without = written(&manifest("~"));
            assert!(key.required || without != Ok(with.clone()), "images don't have `{name}`:\n{with}");
            assert_eq!(written(&with), Ok(with));
        });
    }
}
