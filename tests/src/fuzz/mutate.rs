//! Makes a new case out of an old one.

use fastrand::Rng;

use super::bytes::splice;
use super::case::{Case, Part};
use super::{cpio, elf, manifest};

/// Changes a few places of one part of `case`. Parts of `other` may be used. `change_bytes` is a change that knows nothing of
/// its bytes' meaning: the caller's own, which may have learnt what helps.
pub fn mutate(case: &mut Case, other: &Case, rng: &mut Rng, change_bytes: &mut dyn FnMut(&mut Vec<u8>, &mut Rng)) {
    // Half of the changes are to manifests, since all the rest hangs on it.
    let part = match rng.u8(..8) {
        0..3 => Part::Manifest,
        3 => Part::Base,
        4 | 5 => Part::Kernel,
        6 => Part::Module,
        _ => Part::Archive,
    };
    if rng.u8(..32) == 0 {
        case.part_mut(part).clone_from(other.part(part));
        return;
    }
    // Mostly one change, sometimes a few at once.
    loop {
        let bytes = case.part_mut(part);
        match (rng.u8(..8), part) {
            (0, _) => splice(bytes, other.part(part), rng),
            (1, _) => change_bytes(bytes, rng),
            (_, Part::Manifest | Part::Base) => manifest::change_text(bytes, other.part(part), rng),
            (2, Part::Kernel | Part::Module) => elf::change_section(bytes, rng),
            (_, Part::Kernel | Part::Module) => elf::change_field(bytes, rng),
            (_, Part::Archive) => cpio::change_field(bytes, rng),
        }
        if rng.u8(..3) != 0 {
            return;
        }
    }
}
