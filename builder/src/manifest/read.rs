//! Turns the YAML tree into a [`Manifest`], and finds everything that is wrong with it on the way.

use std::fs;
use std::io::Read;
use std::path::Path;

use stos_image::{DEFAULT_EXIT_PORT, EXPECT_LIMIT, NAME_LIMIT, TEXT_LIMIT, TIMEOUT_LIMIT_MS};

use super::fields::{self, Fields, ROOT};
use super::quantity::{QuantityError, parse_duration, parse_number, parse_size};
use super::{Initramfs, Kernel, MEMORY_RANGE, Manifest, Module, Protocol, Run, Segment};
use crate::boot::layout::FAULT_PORT;
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::input::read_failure;
use crate::source::{Located, Source, Span};
use crate::yaml::{self, Node};

/// The manifest version that this program reads.
const EXPECTED_VERSION: u64 = 1;

const KERNEL_EXAMPLE: &str = "kernel: {path: kernel.elf, protocol: stos}";
/// Largest manifest in bytes.
const SOURCE_LIMIT: u64 = 1 << 20;
/// Most reserved segments.
const SEGMENTS_LIMIT: usize = 256;
/// Most modules.
const MODULES_LIMIT: usize = 256;
/// Longest name of a module in bytes; region names are made from it.
const MODULE_NAME_LIMIT: usize = NAME_LIMIT / 2;
/// Longest command line in bytes.
const CMDLINE_LIMIT: usize = 65536;

impl Manifest {
    /// Reads the manifest at `path`.
    ///
    /// # Errors
    /// All independent mistakes, together with the text that they point into, when it could be read.
    pub fn load(path: &Path) -> Result<Self, (Option<Source>, Diagnostics)> {
        let name = path.display().to_string();
        let text = read_text(path, &name).map_err(|diagnostic| (None, diagnostic.into()))?;
        let source = Source { name, text };
        match Self::from_source(source.clone(), path) {
            Ok(manifest) => Ok(manifest),
            Err(found) => Err((Some(source), found)),
        }
    }

    /// Reads the manifest in `source`, whose relative paths start from the folder of `path`.
    ///
    /// # Errors
    /// All independent mistakes.
    pub fn from_source(source: Source, path: &Path) -> Result<Self, Diagnostics> {
        let root = yaml::parse(&source)?;
        let mut found = Diagnostics::default();
        let whole = root.span;
        let Some(mut fields) =
            Fields::new(ROOT, &root, "version: 1` and the other keys below it, such as `name: my-kernel", &mut found)
        else {
            return Err(found);
        };

        let version = fields.required("version", "version: 1", &mut found);
        if let Some(error) = version.and_then(|node| check_version(node).err()) {
            found.push(error);
        }
        let name = fields.required("name", "name: my-kernel", &mut found);
        let name = name.and_then(|node| found.take(fields::clean_text("name", node, NAME_LIMIT)));
        let memory = fields.required("memory", "memory: 64MiB", &mut found);
        let memory = memory.and_then(|node| found.take(read_memory(node)));
        let kernel = fields.required("kernel", KERNEL_EXAMPLE, &mut found);
        let kernel = kernel.and_then(|node| read_kernel(node, &mut found));
        let modules = fields.optional("modules").map_or_else(Vec::new, |node| read_modules(node, &mut found));
        let initramfs = fields.optional("initramfs").and_then(|node| read_initramfs(node, &mut found));
        let cmdline = fields.optional("cmdline").and_then(|node| found.take(read_cmdline(node)));
        let segments = fields.optional("segments").map_or_else(Vec::new, |node| read_segments(node, &mut found));
        let run = read_run(fields.optional("run"), &mut found);
        fields.finish(&mut found);

        let (Some(name), Some(memory), Some(kernel)) = (name, memory, kernel) else { return Err(found) };
        let cmdline =
            cmdline.unwrap_or_else(|| Located::new(String::new(), Span { start: whole.start, end: whole.start }));
        let folder = Self::folder_of(path);
        found.finish(Self { source, folder, name, memory, kernel, modules, initramfs, cmdline, segments, run })
    }
}

fn read_text(path: &Path, name: &str) -> Result<String, Diagnostic> {
    let unreadable =
        |reason: String| Diagnostic::new(Code::Unreadable, format!("can't read the manifest `{name}`: {reason}"));
    let metadata = fs::metadata(path).map_err(|error| read_failure(&format!("the manifest `{name}`"), &error))?;
    if metadata.is_dir() {
        return Err(unreadable("it is a directory".to_owned()).help("name the manifest file inside it"));
    }
    // Not only by its metadata: a device has no size.
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(SOURCE_LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|error| read_failure(&format!("the manifest `{name}`"), &error))?;
    if bytes.len() as u64 > SOURCE_LIMIT {
        return Err(too_long(name));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("the manifest `{name}` is not UTF-8 text: the byte at offset {at} begins no character");
        Diagnostic::new(Code::Syntax, message).help("is this really a manifest? if so, save it as UTF-8")
    })
}

fn too_long(name: &str) -> Diagnostic {
    let message = format!("the manifest `{name}` has more than {SOURCE_LIMIT} bytes");
    Diagnostic::new(Code::BadText, message).help("is this really a manifest?")
}

fn check_version(node: &Located<Node>) -> Result<(), Diagnostic> {
    let version = fields::quantity("version", node, "the number 1", parse_plain)?;
    if version.value == EXPECTED_VERSION {
        return Ok(());
    }
    let message = format!("manifest version {} is not supported", version.value);
    let help = if version.value > EXPECTED_VERSION { "install a newer stos-pack, or write" } else { "write" };
    Err(Diagnostic::new(Code::OutOfRange, message)
        .at(version.span, "")
        .help(format!("{help} `version: {EXPECTED_VERSION}`")))
}

fn parse_plain(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

fn size(what: &str, node: &Located<Node>) -> Result<Located<u64>, Diagnostic> {
    with_unit_help(fields::quantity(what, node, "a size such as 64MiB or 0x10000", parse_size), node, parse_size)
}

/// Adds what unit was probably meant.
fn with_unit_help(
    result: Result<Located<u64>, Diagnostic>,
    node: &Located<Node>,
    parse: impl Fn(&str) -> Result<u64, QuantityError>,
) -> Result<Located<u64>, Diagnostic> {
    result.map_err(|diagnostic| match &node.value {
        Node::Text(text) => match parse(text) {
            Err(QuantityError::UnknownUnit { unit, meant: Some(meant), .. }) => {
                let number = text.trim_end().trim_end_matches(&*unit).trim_end().to_owned();
                diagnostic.help(format!("did you mean `{number}{meant}`?"))
            }
            _ => diagnostic,
        },
        _ => diagnostic,
    })
}

fn read_memory(node: &Located<Node>) -> Result<Located<u64>, Diagnostic> {
    let memory = size("memory", node)?;
    let out_of_range = |message: String| Diagnostic::new(Code::OutOfRange, message).at(memory.span, "");
    if memory.value < *MEMORY_RANGE.start() {
        let message = format!(
            "memory is {} bytes ({:#x}), which is too small: stos needs 16MiB to 3GiB",
            memory.value, memory.value
        );
        let note =
            "kernel, modules, initramfs, early heap and stack take the first 4 MiB; the frame array begins there";
        return Err(out_of_range(message).note(note).help("write `memory: 16MiB` or more"));
    }
    if memory.value > *MEMORY_RANGE.end() {
        let message = format!(
            "memory is {} bytes ({:#x}), which is too large: stos takes 16MiB to 3GiB",
            memory.value, memory.value
        );
        return Err(out_of_range(message).help("write `memory: 3GiB` or less"));
    }
    if !memory.value.is_multiple_of(stos_image::PAGE_SIZE) {
        let message = format!(
            "memory is {} bytes ({:#x}), which is not a whole number of 4 KiB pages",
            memory.value, memory.value
        );
        let rounded = memory.value.next_multiple_of(stos_image::PAGE_SIZE) >> 10;
        return Err(out_of_range(message).help(format!("write `memory: {rounded}KiB`")));
    }
    Ok(memory)
}

/// A value that must be one of a few words.
fn word<T: Copy>(what: &str, node: &Located<Node>, words: &[(&'static str, T)]) -> Result<Located<T>, Diagnostic> {
    let text = fields::text(what, node)?;
    if let Some((_, value)) = words.iter().find(|(name, _)| *name == text.value) {
        return Ok(Located::new(*value, text.span));
    }
    let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
    let message = format!("{what} can't be `{}`", text.value.escape_debug());
    let help = match fields::nearest(&text.value, &names) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("it can be {}", fields::list(&names)),
    };
    Err(Diagnostic::new(Code::UnknownWord, message).at(text.span, "").help(help))
}

fn path(what: &str, node: &Located<Node>) -> Result<Located<String>, Diagnostic> {
    fields::clean_text(what, node, TEXT_LIMIT)
}

fn read_kernel(node: &Located<Node>, found: &mut Diagnostics) -> Option<Kernel> {
    let mut fields = Fields::new("kernel", node, KERNEL_EXAMPLE, found)?;
    let path_node = fields.required("path", "path: kernel.elf", found);
    let path = path_node.and_then(|node| found.take(path("kernel.path", node)));
    let protocol = fields.required("protocol", "protocol: stos", found);
    let protocol = protocol.and_then(|node| found.take(word("kernel.protocol", node, Protocol::ALL)));
    fields.finish(found);
    Some(Kernel { path: path?, protocol: protocol? })
}

fn read_modules(node: &Located<Node>, found: &mut Diagnostics) -> Vec<Module> {
    let items = found.take(fields::sequence("modules", node, "modules: [{path: module.ko}]")).unwrap_or_default();
    if items.len() > MODULES_LIMIT {
        let message = format!("{} modules are too many, at most {MODULES_LIMIT} are allowed", items.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
    }
    let read = |(index, item)| read_module(index, item, found);
    items.iter().enumerate().filter_map(read).collect()
}

fn read_module(index: usize, node: &Located<Node>, found: &mut Diagnostics) -> Option<Module> {
    let what = format!("modules[{index}]");
    let mut fields = Fields::new(&what, node, "- path: module.ko", found)?;
    let path_node = fields.required("path", "path: module.ko", found);
    let path = path_node.and_then(|node| found.take(path(&fields.path("path"), node)));
    let name = fields.optional("name").map(|node| fields::clean_text(&fields.path("name"), node, MODULE_NAME_LIMIT));
    let name = match name {
        Some(name) => Some(found.take(name)?.value),
        None => None,
    };
    fields.finish(found);
    let path = path?;
    let file_name = Path::new(&path.value).file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.or(file_name).unwrap_or_else(|| path.value.clone());
    if name.len() > MODULE_NAME_LIMIT {
        let message = format!("{what} has a name of {} bytes, at most {MODULE_NAME_LIMIT} are allowed", name.len());
        found
            .push(Diagnostic::new(Code::BadText, message).at(path.span, "").help("give it a shorter one with `name:`"));
        return None;
    }
    Some(Module { path, name })
}

fn read_initramfs(node: &Located<Node>, found: &mut Diagnostics) -> Option<Initramfs> {
    let mut fields = Fields::new("initramfs", node, "initramfs: {path: initramfs.cpio}", found)?;
    let archive = fields.optional("path").map(|node| path("initramfs.path", node));
    let directory = fields.optional("directory").map(|node| path("initramfs.directory", node));
    fields.finish(found);
    match (archive, directory) {
        (Some(archive), None) => found.take(archive).map(Initramfs::Archive),
        (None, Some(directory)) => found.take(directory).map(Initramfs::Directory),
        (archive, _) => {
            let message = match archive {
                Some(_) => "initramfs has both a `path` and a `directory`",
                None => "initramfs has neither a `path` nor a `directory`",
            };
            let help =
                "write `path: initramfs.cpio` for a finished archive, or `directory: initramfs` to have one made";
            found.push(Diagnostic::new(Code::MissingKey, message).at(node.span, "needs one of the two").help(help));
            None
        }
    }
}

fn read_cmdline(node: &Located<Node>) -> Result<Located<String>, Diagnostic> {
    let cmdline = fields::text("cmdline", node)?;
    if cmdline.value.contains('\0') {
        let message = "cmdline contains a NUL character, which would end it early";
        return Err(Diagnostic::new(Code::BadText, message).at(cmdline.span, "").help("take the `\\0` out"));
    }
    if !cmdline.value.is_empty() {
        fields::check_clean("cmdline", &cmdline, CMDLINE_LIMIT)?;
    }
    Ok(cmdline)
}

fn read_segments(node: &Located<Node>, found: &mut Diagnostics) -> Vec<Located<Segment>> {
    let items = found
        .take(fields::sequence("segments", node, "segments: [{start: 0x3000000, size: 1MiB, kind: reserved}]"))
        .unwrap_or_default();
    if items.len() > SEGMENTS_LIMIT {
        let message = format!("{} segments are too many, at most {SEGMENTS_LIMIT} are allowed", items.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
    }
    let read = |(index, item)| read_segment(index, item, found);
    items.iter().enumerate().filter_map(read).collect()
}

fn read_segment(index: usize, node: &Located<Node>, found: &mut Diagnostics) -> Option<Located<Segment>> {
    let mut fields =
        Fields::new(format!("segments[{index}]"), node, "{start: 0x3000000, size: 1MiB, kind: reserved}", found)?;
    let mut number = |key, example, found: &mut Diagnostics| {
        let node = fields.required(key, example, found)?;
        found.take(size(&fields.path(key), node))
    };
    let start = number("start", "start: 0x3000000", found);
    let length = number("size", "size: 1MiB", found);
    let kind = fields.required("kind", "kind: reserved", found);
    let kind = kind.and_then(|node| found.take(word(&fields.path("kind"), node, &[("reserved", ())])));
    fields.finish(found);
    let (start, length, _) = (start?, length?, kind?);
    if length.value == 0 {
        let message = format!("segments[{index}].size is 0");
        found.push(
            Diagnostic::new(Code::OutOfRange, message).at(length.span, "").help("a segment has one byte or more"),
        );
        return None;
    }
    Some(Located::new(Segment { start: start.value, size: length.value }, node.span))
}

fn read_run(node: Option<&Located<Node>>, found: &mut Diagnostics) -> Run {
    let mut run = Run { timeout_ms: None, expect: Vec::new(), exit_port: DEFAULT_EXIT_PORT };
    let Some(mut fields) = node.and_then(|node| Fields::new("run", node, "run: {timeout: 10s}", found)) else {
        return run;
    };
    run.timeout_ms = fields.optional("timeout").and_then(|node| found.take(read_timeout(node)));
    if let Some(node) = fields.optional("expect") {
        run.expect = read_expect(node, found);
    }
    if let Some(port) = fields.optional("exit_port").and_then(|node| found.take(read_port(node))) {
        run.exit_port = port;
    }
    fields.finish(found);
    run
}

fn read_timeout(node: &Located<Node>) -> Result<u64, Diagnostic> {
    let timeout = fields::quantity("run.timeout", node, "a duration such as 10s or 500ms", parse_duration);
    let timeout = with_unit_help(timeout, node, parse_duration)?;
    if (1..=TIMEOUT_LIMIT_MS).contains(&timeout.value) {
        return Ok(timeout.value);
    }
    let message = format!("run.timeout is {} ms, it must be 1 ms to a day", timeout.value);
    Err(Diagnostic::new(Code::OutOfRange, message).at(timeout.span, "").help("leave `timeout` out for no limit"))
}

fn read_expect(node: &Located<Node>, found: &mut Diagnostics) -> Vec<String> {
    let items = found.take(fields::sequence("run.expect", node, "expect: [\"Loading complete\"]")).unwrap_or_default();
    if items.len() > EXPECT_LIMIT {
        let message = format!("{} expectations are too many, at most {EXPECT_LIMIT} are allowed", items.len());
        found.push(Diagnostic::new(Code::OutOfRange, message).at(node.span, ""));
    }
    let mut expect = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let what = format!("run.expect[{index}]");
        let Some(text) = found.take(fields::clean_text(&what, item, TEXT_LIMIT)) else { continue };
        match regex::bytes::Regex::new(&text.value) {
            Ok(_) => expect.push(text.value),
            Err(error) => {
                let message = format!("{what} is not a regular expression");
                let help = "put a backslash before a character that is meant as itself";
                found.push(
                    Diagnostic::new(Code::BadRegex, message).at(text.span, "").note(error.to_string()).help(help),
                );
            }
        }
    }
    expect
}

/// Ports that the machine uses itself, so that a guest could not exit through them.
const PORTS_IN_USE: &[(std::ops::RangeInclusive<u16>, &str)] = &[
    (0x20..=0x21, "the first 8259A"),
    (0x40..=0x43, "the 8254"),
    (0x60..=0x64, "the keyboard controller"),
    (0x70..=0x71, "the real-time clock"),
    (0x92..=0x92, "the reset port"),
    (0xa0..=0xa1, "the second 8259A"),
    (0xe9..=0xe9, "the debug console"),
    (0x3f8..=0x3ff, "COM1"),
    (0x4d0..=0x4d1, "the interrupt controllers"),
    (0x505..=0x505, "the panic port"),
    (FAULT_PORT..=FAULT_PORT, "the fault catcher"),
];

fn read_port(node: &Located<Node>) -> Result<u16, Diagnostic> {
    let port = fields::quantity("run.exit_port", node, "a port number such as 0xF4", parse_number)?;
    let out_of_range =
        |message: String| Diagnostic::new(Code::OutOfRange, message).at(port.span, "").help("0xF4 is the usual one");
    let Ok(number) = u16::try_from(port.value) else {
        return Err(out_of_range(format!("run.exit_port is {:#x}, a port is 0 to 0xffff", port.value)));
    };
    // The exit port takes values of up to 32 bits, so it occupies four ports.
    let Some(last) = number.checked_add(3) else {
        return Err(out_of_range(format!(
            "run.exit_port is {number:#x}, but it takes four ports and the last is 0xffff"
        )));
    };
    match PORTS_IN_USE.iter().find(|(ports, _)| *ports.start() <= last && number <= *ports.end()) {
        Some((_, owner)) => Err(out_of_range(format!("run.exit_port {number:#x} to {last:#x} is used by {owner}"))),
        None => Ok(number),
    }
}
