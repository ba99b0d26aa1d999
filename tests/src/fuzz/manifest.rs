//! Changes of manifests: words of the manifest, YAML's own signs, numbers at borders, and lines that move.

use fastrand::Rng;

use super::case::{DIRECTORY, FILES};

const KEYS: [&str; 40] = [
    "version",
    "name",
    "memory",
    "kernel",
    "path",
    "protocol",
    "modules",
    "initramfs",
    "directory",
    "cmdline",
    "segments",
    "start",
    "size",
    "kind",
    "run",
    "timeout",
    "expect",
    "exit_port",
    "extends",
    "profile",
    "profiles",
    "debug",
    "modules+",
    "cmdline+",
    "segments+",
    "expect+",
    "initrmafs",
    "entry",
    "registers",
    "eax",
    "esp",
    "eip",
    "paging",
    "page_size",
    "map",
    "virtual",
    "physical",
    "write",
    "allow",
    "<<",
];

const VALUES: [&str; 74] = [
    "0",
    "1",
    "2",
    "-1",
    "0x0",
    "0xF4",
    "0x501",
    "0xffff",
    "0xfffd",
    "0x3f8",
    "65536",
    "16MiB",
    "64MiB",
    "3GiB",
    "3073MiB",
    "4GiB",
    "16777215",
    "16777217",
    "0x1000000",
    "64KiB",
    "0xF00000",
    "0x100000",
    "0x3fffff",
    "0xc0000000",
    "0xffffffff",
    "0x100000000",
    "0xfffffffffffff000",
    "18446744073709551615",
    "18446744073709551616",
    "64MB",
    "9223372036854775807",
    "-9223372036854775808",
    "1e3",
    "0.5",
    ".inf",
    ".nan",
    "0o17",
    "0b1",
    "1_000",
    "5s",
    "500ms",
    "86400s",
    "86401s",
    "2m",
    "1h",
    "~",
    "null",
    "true",
    "yes",
    "stos",
    "sots",
    "multiboot",
    "linux",
    "elf",
    "start",
    "4MiB",
    "2MiB",
    "identity",
    "none",
    "false",
    "W0007",
    "0xfffff000",
    "0xffc00000",
    "0x200000",
    "reserved",
    "reservde",
    "\"\"",
    "\"\\0\"",
    "\"\\u202e\"",
    "\"\\x1b[31m\"",
    "é",
    "日本",
    "🦀",
    "name",
];

const EXPRESSIONS: [&str; 8] =
    ["a*", "(", "[z-a]", "(?i)x", "\\\\p{Greek}", "(a{500}){500}", "(?P<n>.)(?P<n>.)", "\"^Loading complete$\""];

const YAML: [&str; 38] = [
    ": ",
    ":",
    "- ",
    "? ",
    "| ",
    "|-\n",
    ">+2\n",
    "{",
    "}",
    "[",
    "]",
    ",",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!str ",
    "!!binary ",
    "!local ",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "# ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "    ",
    "\\",
    "\\u0041",
    "\\x",
    "\0",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "<<: *a\n",
    "&a [*a]",
];

/// Makes one change to the text. Bytes that are no text stay as they are, as whatever replaces them.
pub fn change_text(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    match rng.u8(..8) {
        0 => replace_value(&mut text, rng),
        1 => replace_number(&mut text, rng),
        2 => insert(&mut text, &word(rng), rng),
        3 => insert(&mut text, rng.choice(YAML).unwrap_or_default(), rng),
        4 => move_line(&mut text, rng),
        5 => {
            let lines: Vec<&[u8]> = other.split_inclusive(|byte| *byte == b'\n').collect();
            let line = String::from_utf8_lossy(rng.choice(lines).unwrap_or_default()).into_owned();
            insert_line(&mut text, &line, rng);
        }
        6 => indent(&mut text, rng),
        _ => insert_line(&mut text, &format!("{}: {}\n", rng.choice(KEYS).unwrap_or_default(), word(rng)), rng),
    }
    *bytes = text.into_bytes();
}

/// A word that a manifest could hold.
fn word(rng: &mut Rng) -> String {
    let list = |item: String, rng: &mut Rng| vec![item; rng.usize(1..4)].join(", ");
    match rng.u8(..15) {
        0 => rng.choice(KEYS).unwrap_or_default().to_owned(),
        1 | 2 => FILES.map(|(name, _)| name)[rng.usize(..FILES.len())].to_owned(),
        3 => {
            (*rng.choice(&[DIRECTORY, ".", "tree/etc", "missing", "tree/init/x", "kernel.elf/"]).unwrap_or(&".")).into()
        }
        4 => format!("[{}]", rng.choice(EXPRESSIONS).unwrap_or_default()),
        5 => format!("[{}]", list("{path: module.ko}".to_owned(), rng)),
        6 => {
            let values = [rng.choice(VALUES).unwrap_or_default(), rng.choice(VALUES).unwrap_or_default()];
            format!("[{}]", list(format!("{{start: {}, size: {}, kind: reserved}}", values[0], values[1]), rng))
        }
        13 => {
            let values = [(); 3].map(|()| *rng.choice(&VALUES).unwrap_or(&"0"));
            let map = format!("{{virtual: {}, physical: {}, size: {}, write: true}}", values[0], values[1], values[2]);
            format!("{{paging: {{map: [{}]}}}}", list(map, rng))
        }
        7 => "x".repeat(rng.usize(1..300)),
        8 => format!(
            "{{debug: {{{}: {}}}}}",
            rng.choice(KEYS).unwrap_or_default(),
            rng.choice(VALUES).unwrap_or_default()
        ),
        _ => rng.choice(VALUES).unwrap_or_default().to_owned(),
    }
}

/// A place between two characters.
fn place(text: &str, rng: &mut Rng) -> usize {
    let mut at = rng.usize(..=text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn insert(text: &mut String, what: &str, rng: &mut Rng) {
    let at = place(text, rng);
    text.insert_str(at, what);
}

/// Puts another value behind a colon: up to what ends a value there.
fn replace_value(text: &mut String, rng: &mut Rng) {
    let Some(start) = rng.choice(text.match_indices(": ").map(|(at, _)| at + 2).collect::<Vec<_>>()) else { return };
    let length = text[start..].find([',', '}', ']', '\n']).unwrap_or(text.len() - start);
    text.replace_range(start..start + length, &word(rng));
}

/// Puts another number where one stands.
fn replace_number(text: &mut String, rng: &mut Rng) {
    let digits: Vec<usize> =
        text.match_indices(|character: char| character.is_ascii_digit()).map(|(at, _)| at).collect();
    let Some(start) = rng.choice(digits) else { return };
    let length = text[start..].find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(text.len() - start);
    text.replace_range(start..start + length, rng.choice(VALUES).unwrap_or_default());
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect()
}

fn insert_line(text: &mut String, line: &str, rng: &mut Rng) {
    let at = rng.choice(line_starts(text)).unwrap_or(0);
    text.insert_str(at, line);
}

/// Takes a line out, and puts it in again elsewhere, or twice, or not at all.
fn move_line(text: &mut String, rng: &mut Rng) {
    let start = rng.choice(line_starts(text)).unwrap_or(0);
    let end = text[start..].find('\n').map_or(text.len(), |length| start + length + 1);
    let line: String = text.drain(start..end).collect();
    for _ in 0..rng.u8(..3) {
        insert_line(text, &line, rng);
    }
}

/// Moves a line to the right or to the left.
fn indent(text: &mut String, rng: &mut Rng) {
    let start = rng.choice(line_starts(text)).unwrap_or(0);
    if rng.bool() {
        text.insert_str(start, rng.choice([" ", "  ", "- ", "\t"]).unwrap_or_default());
    } else if text[start..].starts_with(' ') {
        text.remove(start);
    }
}
