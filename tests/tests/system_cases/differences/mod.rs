//! What QEMU does otherwise than the embedded machine, and so does KVM within it, whose CPU is QEMU's: reviewed, each with the part of
//! Intel's SDM (volume and section, or volume and instruction) by which the embedded machine is right, or by which both are.

mod partial;

use crate::case::Case;
use crate::layout::COMPLETED;
use crate::outcome::{Outcome, Parts};

/// The vectors of outcomes.
const DONE: u8 = COMPLETED;
const UD: u8 = 6;
const NM: u8 = 7;
const DF: u8 = 8;
const TS: u8 = 10;
const NP: u8 = 11;
const SS: u8 = 12;
const GP: u8 = 13;
const PF: u8 = 14;

/// How a difference explains an outcome.
enum Explains {
    /// As far as it goes: it makes of theirs what ours is, and is true if there was something to do.
    Partly(fn(&Case, &Parts, &mut Parts) -> bool),
    /// All of it, when that is true.
    Wholly(fn(&Case, &Parts, &Parts) -> bool),
}

use Explains::{Partly, Wholly};

/// A reviewed difference.
struct Difference {
    name: &'static str,
    manual: &'static str,
    explains: Explains,
}

const fn new(name: &'static str, manual: &'static str, explains: Explains) -> Difference {
    Difference { name, manual, explains }
}

/// The vectors here and there.
fn vectors(our: &Parts, their: &Parts) -> (u8, u8) {
    (our.vector(), their.vector())
}

/// The manual leaves these open.
const OPEN: [Difference; 4] = [
    new("pages are marked as accessed before an access is refused", "3A, 4.8", Partly(partial::accessed_pages)),
    new("upper halves of registers that a TSS of 16 bits does not have", "3A, 8.6", Partly(partial::upper_halves)),
    new(
        "the order in which PUSHA writes",
        "2B, PUSHA",
        Wholly(|case, our, their| case.text.starts_with("pusha") && vectors(our, their) == (PF, PF)),
    ),
    new(
        "the byte of a descriptor that is written to mark it as accessed",
        "3A, 3.4.5.1",
        Partly(partial::descriptor_byte),
    ),
];

/// The embedded machine does what the manual says, and QEMU does not.
const OF_QEMU: [Difference; 30] = [
    new(
        "code is not marked as accessed, nor what a task begins with",
        "3A, 3.4.5.1",
        Partly(partial::accessed_segments),
    ),
    new("RF is left clear by faults, and set by INT", "3B, 17.3.1.1", Partly(partial::resume_flag)),
    new("EXT is left clear when an exception can't be delivered", "3A, 6.13", Partly(partial::external)),
    new(
        "frames of far calls, RET and IRET, and parameters, are accessed with the rights of level 0",
        "3A, 4.6.1",
        Wholly(|case, our, their| {
            let is_far = ["far call at", "retf", "iret", "parameters"].iter().any(|name| case.text.starts_with(name));
            let is_other = their.vector() != PF || our.stack(0) == their.stack(0) | 4;
            is_far && case.area.starts_with("restarts") && our.vector() == PF && our.stack(0) & 4 != 0 && is_other
        }),
    ),
    new(
        "ENTER does not look at the page in which its stack ends",
        "2A, ENTER",
        Wholly(|case, our, their| case.text.starts_with("enter") && vectors(our, their) == (PF, DONE)),
    ),
    new(
        "POPA has changed registers when it faults",
        "3A, 6.5",
        Wholly(|case, our, their| case.text.starts_with("popa") && vectors(our, their) == (PF, PF)),
    ),
    new("reserved bits of DR6 and DR7 are kept", "3B, 17.2", Partly(partial::debug_registers)),
    new("what reads and writes is refused as a read", "3A, 4.7", Wholly(partial::reads_and_writes)),
    new(
        "limits and types of segments are not checked, nor alignment",
        "3A, 5.3, 5.5 and 6.15",
        Wholly(|case, our, their| {
            let is_right = case.manual == Some(our.vector());
            is_right && (their.vector() == DONE || case.area == "limits of code")
        }),
    ),
    new(
        "INT1 is refused",
        "2A, INT n",
        Wholly(|case, our, their| {
            case.code.ends_with(b"\xf1") && (their.vector() == UD || vectors(our, their) == (DF, DF))
        }),
    ),
    new(
        "TR is loaded with null",
        "2A, LTR",
        Wholly(|case, our, their| case.text.starts_with("LTR, selector") && vectors(our, their) == (GP, DONE)),
    ),
    new(
        "conforming code behind a call gate gives its privilege",
        "3A, 5.8.4",
        Wholly(|case, our, their| {
            let differ = our.stack(1) ^ their.stack(1);
            case.area == "call gates" && vectors(our, their) == (DONE, DONE) && (1..4).contains(&differ)
        }),
    ),
    new(
        "a stack that is not present is #NP",
        "2A, IRET; 2B, RET; 3A, table 8-1",
        Wholly(|case, our, their| {
            ["IRET", "far returns", "segments of tasks"].contains(&case.area) && vectors(our, their) == (SS, NP)
        }),
    ),
    new(
        "a stack that is not present is #TS behind a gate",
        "2A, CALL and INT n",
        Wholly(|case, our, their| case.area == "inner stacks" && vectors(our, their) == (SS, TS)),
    ),
    new(
        "virtual-8086 mode is entered from levels 1 to 3",
        "2A, IRET",
        Wholly(|case, our, _| case.area == "entries to virtual-8086 mode" && case.cs & 3 != 0 && our.vector() == GP),
    ),
    new(
        "virtual-8086 mode is left for levels 1 and 2",
        "2A, INT n",
        Wholly(|case, our, their| case.area == "gates from virtual-8086 mode" && vectors(our, their) == (GP, DONE)),
    ),
    new(
        "a task gate to the LDT is #TS",
        "2A, INT n",
        Wholly(|case, our, their| case.area == "task gates" && vectors(our, their) == (GP, TS)),
    ),
    new(
        "conforming code of a task has to have the privilege of its selector",
        "3A, table 8-1",
        Wholly(|case, our, their| {
            let is_refused = [TS, NP].contains(&our.vector()) && their.vector() == TS;
            case.area == "segments of tasks" && case.text.contains(", CS: ") && is_refused
        }),
    ),
    new(
        "the bit T of a TSS does nothing",
        "3A, 8.2.1",
        Wholly(|case, our, _| case.text.ends_with(", T") && our.vector() == 1),
    ),
    new(
        "the lower bits of IA32_SYSENTER_CS make it valid",
        "2B, SYSENTER and SYSEXIT",
        Wholly(|case, our, their| case.area == "fast calls" && vectors(our, their) == (GP, DONE)),
    ),
    new(
        "EMMS does not look at EM and TS",
        "2A, EMMS",
        Wholly(|case, our, their| {
            case.text.starts_with("emms") && [UD, NM].contains(&our.vector()) && their.vector() == DONE
        }),
    ),
    new(
        "TS is looked at before EM",
        "3A, table 14-1",
        Wholly(|case, our, their| case.text.starts_with("movups") && vectors(our, their) == (UD, NM)),
    ),
    new(
        "NW is set without CD",
        "2B, MOV to control registers",
        Wholly(|case, our, their| case.text == "CR0 0xa0010031" && vectors(our, their) == (GP, DONE)),
    ),
    new(
        "reserved bits of CR0 are kept",
        "3A, 2.5",
        Wholly(|case, our, their| case.text.starts_with("CR0 ") && vectors(our, their) == (DONE, DONE)),
    ),
    new("DR7.GD does nothing", "3B, 17.2.4", Wholly(|case, our, _| case.text.starts_with("GD") && our.vector() == 1)),
    new(
        "an access that is not aligned is watched as two that are",
        "3B, 17.2.5",
        Wholly(|case, our, their| case.text.starts_with("breakpoint") && vectors(our, their) == (DONE, 1)),
    ),
    new(
        "the privilege is looked at before LOCK, or LOCK is not",
        "2A, LOCK",
        Wholly(|case, our, _| case.text.starts_with("lock before") && our.vector() == UD),
    ),
    new(
        "the privilege is looked at before the register's number",
        "3A, table 6-2",
        Wholly(|case, our, their| {
            ["mov from CR", "mov to CR"].contains(&&*case.text) && vectors(our, their) == (UD, GP)
        }),
    ),
    new("large pages have addresses of 40 bits", "3A, 4.3", Wholly(partial::wide_addresses)),
    new(
        "a reserved bit of a large page is told without P",
        "3A, 4.7",
        Wholly(|case, our, their| {
            let is_page = case.area == "large pages" && vectors(our, their) == (PF, PF);
            is_page && our.stack(0) == their.stack(0) | 1 && their.stack(0) & 8 != 0
        }),
    ),
];

/// The names of the reviewed differences that together explain why a case ends otherwise.
pub fn of(case: &Case, our: &Outcome, their: &Outcome) -> Option<Vec<String>> {
    let (our, mut their) = (Parts::of(case, our), Parts::of(case, their));
    let mut names = Vec::new();
    let open = OPEN.iter().map(|difference| ("open", difference));
    for (right, Difference { name, manual, explains }) in
        open.chain(OF_QEMU.iter().map(|difference| ("QEMU's", difference)))
    {
        if our == their {
            break;
        }
        let explained = match explains {
            Partly(explain) => explain(case, &our, &mut their),
            Wholly(is_so) => is_so(case, &our, &their),
        };
        if explained {
            names.push(format!("{right}: {name} ({manual})"));
        }
        if explained && matches!(explains, Wholly(_)) {
            their = our.clone();
        }
    }
    (our == their).then_some(names)
}
