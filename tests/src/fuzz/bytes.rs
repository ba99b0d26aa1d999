//! Changes of bytes that know nothing of their meaning.

use fastrand::Rng;

/// Longest run of bytes that one change copies, takes out or puts in.
const RUN_LIMIT: usize = 64;

/// Makes one change: a bit, a byte, a run that is copied, taken out or put in, or an early end.
pub fn change_bytes(bytes: &mut Vec<u8>, rng: &mut Rng) {
    if bytes.is_empty() {
        bytes.push(rng.u8(..));
        return;
    }
    let at = rng.usize(..bytes.len());
    let run = at..bytes.len().min(at + rng.usize(1..=RUN_LIMIT));
    match rng.u8(..6) {
        0 => bytes[at] ^= 1 << rng.u8(..8),
        1 => bytes[at] = *rng.choice(&[0, 1, 0x7f, 0x80, 0xff, b' ', b'0', b'\n']).unwrap_or(&0),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(run)),
        4 => {
            let copy = bytes[run].to_vec();
            let to = rng.usize(..=bytes.len());
            drop(bytes.splice(to..to, copy));
        }
        _ => {
            let random: Vec<u8> = run.map(|_| rng.u8(..)).collect();
            drop(bytes.splice(at..at, random));
        }
    }
}

/// A run of `from` and where it goes in `to`: what two cases can have of each other.
pub fn splice(to: &mut Vec<u8>, from: &[u8], rng: &mut Rng) {
    let start = rng.usize(..=from.len());
    let end = rng.usize(start..=from.len());
    let low = rng.usize(..=to.len());
    let high = rng.usize(low..=to.len());
    drop(to.splice(low..high, from[start..end].iter().copied()));
}
