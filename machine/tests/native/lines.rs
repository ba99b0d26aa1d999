//! Cases with what becomes of them as lines of text: the instruction, what is not zero before it, and what is different afterwards.

use std::fmt::Write;

use super::case::{Found, Given, Registers, Trap, WINDOW_SIZE};

/// Registers, floating-point registers, data.
const STATE: usize = 36 + 512 + WINDOW_SIZE;
/// Then EIP, the exception's vector plus one, its error code, and CR2 plus one.
const ALL: usize = STATE + 4 + 1 + 4 + 5;

fn flat(registers: &Registers, floats: Option<&[u8; 512]>, data: &[u8; WINDOW_SIZE]) -> Vec<u8> {
    let words = registers.general.into_iter().chain([registers.eflags]);
    words.flat_map(u32::to_le_bytes).chain(*floats.unwrap_or(&[0; 512])).chain(*data).collect()
}

fn parts(bytes: &[u8]) -> (Registers, [u8; 512], [u8; WINDOW_SIZE]) {
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| bytes[4 * at + byte]));
    let registers = Registers { general: std::array::from_fn(word), eflags: word(8) };
    (registers, std::array::from_fn(|at| bytes[36 + at]), std::array::from_fn(|at| bytes[548 + at]))
}

fn before(given: &Given) -> Vec<u8> {
    flat(&given.registers, given.floats.as_ref(), &given.data)
}

fn after(found: &Found) -> Vec<u8> {
    let mut bytes = flat(&found.registers, found.floats.as_ref(), &found.data);
    bytes.extend(found.eip.to_le_bytes());
    let Trap { vector, error_code, address } =
        found.trap.unwrap_or(Trap { vector: u8::MAX, error_code: 0, address: None });
    bytes.push(vector.wrapping_add(1));
    bytes.extend(error_code.to_le_bytes());
    bytes.extend(&(address.map_or(0, |address| u64::from(address) + 1)).to_le_bytes()[..5]);
    bytes
}

/// Runs of bytes that differ, each with its offset; runs are not ended by one or two equal bytes.
fn runs(base: &[u8], bytes: &[u8]) -> String {
    let differs = |at: usize| bytes[at] != base.get(at).copied().unwrap_or(0);
    let mut text = Vec::new();
    let mut at = 0;
    while let Some(start) = (at..bytes.len()).find(|at| differs(*at)) {
        let mut end = start + 1;
        while let Some(next) = (end..bytes.len().min(end + 3)).find(|at| differs(*at)) {
            end = next + 1;
        }
        let hex: String = text_of(&bytes[start..end]);
        text.push(format!("{start:x}:{hex}"));
        at = end;
    }
    text.join(" ")
}

fn text_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn apply(text: &str, bytes: &mut [u8]) {
    for run in text.split_whitespace() {
        let (offset, run) = run.split_once(':').unwrap();
        let (offset, run) = (usize::from_str_radix(offset, 16).unwrap(), hex(run));
        bytes[offset..offset + run.len()].copy_from_slice(&run);
    }
}

/// A case and its result.
#[allow(dead_code, reason = "one target writes, the other reads")]
pub fn write(given: &Given, found: &Found) -> String {
    let code: String = text_of(&given.code);
    let base = before(given);
    format!("{code} | {} | {}", runs(&[], &base), runs(&base, &after(found)))
}

/// What [`write`] has written.
#[allow(dead_code, reason = "one target writes, the other reads")]
pub fn read(line: &str) -> (Given, Found) {
    let [code, given, found] = line.split('|').collect::<Vec<_>>()[..] else { panic!("not a case: {line}") };
    let mut bytes = vec![0; ALL];
    apply(given, &mut bytes[..STATE]);
    let (registers, floats, data) = parts(&bytes);
    let given = Given { registers, code: hex(code.trim()), data, floats: Some(floats) };
    apply(found, &mut bytes);
    let (registers, floats, data) = parts(&bytes);
    let [eip, error_code] =
        [STATE, STATE + 5].map(|at| u32::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte])));
    let address = bytes[STATE + 9..].iter().rev().fold(0, |address, byte| address << 8 | u64::from(*byte));
    let trap = bytes[STATE + 4].checked_sub(1).map(|vector| Trap {
        vector,
        error_code,
        address: address.checked_sub(1).and_then(|address| u32::try_from(address).ok()),
    });
    (given, Found { registers, eip, trap, data, floats: Some(floats) })
}
