//! What is said between this process and the one that starts emulators: small messages, in which any byte that is not understood is
//! refused.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::command::Ports;
use super::confinement::{Confinement, Files};
use super::exit_alarm::ProcessEnd;
use crate::backend::Unconfined;
use crate::machine::{ClockStart, Configuration, CpuModel};

/// Size of an answer to a wish.
const ANSWER: usize = 5;
/// Size of what is told of an end.
const END: usize = 14;
/// Size of a wish.
const WISH: usize = 14;
/// What is asked of one that runs: its end.
pub const KILL: &[u8] = b"kill";
/// Size of a question for a thread.
const QUESTION: usize = 8;
/// Answers that: with a descriptor, or without one.
pub const THREAD: &[u8] = b"t";

/// What an emulator may go without, in the order of their bits.
const PARTS: [Unconfined; 4] = [Unconfined::OwnFilter, Unconfined::SystemCalls, Unconfined::Files, Unconfined::Reading];
/// What it may open, in the order of their numbers.
const FILES: [Files; 3] = [Files::Programs, Files::All, Files::Unlimited];

/// What an emulator is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Ports that depend on the image.
    pub ports: Ports,
    /// Its clock and its CPU.
    pub configuration: Configuration,
    /// How much it is confined.
    pub confinement: Confinement,
}

/// How an emulator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Like this.
    pub end: ProcessEnd,
    /// The processor time that it took, if that is known, in milliseconds when it was told.
    pub time: Option<Duration>,
    /// The kernel has killed something for lack of memory meanwhile.
    pub lacks_memory: bool,
}

/// A wish for an emulator with this much memory; `None` for one without any confinement, which cannot be wished for.
pub fn wish(wanted: Wanted, memory_size: u64) -> Option<Vec<u8>> {
    let Wanted { ports: Ports { exit, fault }, configuration, confinement } = wanted;
    let Configuration { clock, cpu, pace: _, is_confined: _ } = configuration;
    let Confinement::On { has_own_filter, files } = confinement else { return None };
    let files = FILES.iter().position(|one| *one == files).and_then(|number| u8::try_from(number).ok())?;
    let choices = [cpu == CpuModel::Host, clock == ClockStart::Host];
    let flags = [fault.is_some(), has_own_filter, choices[0], choices[1]];
    let flags = (0..).zip(flags).map(|(bit, is_set)| u8::from(is_set) << bit).sum();
    let ports = [exit.to_le_bytes(), fault.unwrap_or_default().to_le_bytes()].concat();
    Some([&memory_size.to_le_bytes()[..], &ports, &[flags, files]].concat())
}

/// What is wished for.
pub fn read_wish(bytes: &[u8]) -> Option<(Wanted, u64)> {
    let &[ref size @ .., a, b, c, d, flags, files] = <&[u8; WISH]>::try_from(bytes).ok()?;
    let has = |bit: u8| flags & 1 << bit != 0;
    let wanted = Wanted {
        ports: Ports { exit: u16::from_le_bytes([a, b]), fault: has(0).then_some(u16::from_le_bytes([c, d])) },
        configuration: Configuration {
            cpu: if has(2) { CpuModel::Host } else { CpuModel::Fixed },
            clock: if has(3) { ClockStart::Host } else { ClockStart::Fixed },
            // The emulator's time is the host's.
            pace: None,
            is_confined: true,
        },
        confinement: Confinement::On { has_own_filter: has(1), files: *FILES.get(usize::from(files))? },
    };
    (flags < 16).then_some((wanted, u64::from_le_bytes(*size)))
}

/// A question for what the kernel tells of the emulator's thread with this number.
pub fn question(thread: u64) -> [u8; QUESTION] {
    thread.to_le_bytes()
}

/// The number that is asked for.
pub fn read_question(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// An answer: an emulator runs that goes without `lacks`, or the number of an error.
pub fn answer(started: Result<&[Unconfined], i32>) -> Vec<u8> {
    let (error, lacks) = started.map_or_else(|error| (error, &[][..]), |lacks| (0, lacks));
    let bit = |(number, part): (u8, &Unconfined)| u8::from(lacks.contains(part)) << number;
    [&error.to_le_bytes()[..], &[(0..).zip(&PARTS).map(bit).sum()]].concat()
}

/// What was answered.
pub fn read_answer(bytes: &[u8]) -> Option<Result<Vec<Unconfined>, i32>> {
    let &[ref error @ .., lacks] = <&[u8; ANSWER]>::try_from(bytes).ok()?;
    let error = i32::from_le_bytes(*error);
    let parts = PARTS.iter().enumerate().filter(|(number, _)| lacks & 1 << number != 0).map(|(_, part)| *part);
    Some(if error == 0 { Ok(parts.collect()) } else { Err(error) })
}

/// What is told of an end.
pub fn told(Ended { end, time, lacks_memory }: Ended) -> Vec<u8> {
    let (kind, status) = match end {
        ProcessEnd::Status(status) => (0, status.into_raw()),
        ProcessEnd::StatusTooLarge => (1, 0),
        ProcessEnd::Forbidden => (2, 0),
    };
    let time = time.and_then(|time| u64::try_from(time.as_millis()).ok()).unwrap_or(u64::MAX);
    [&status.to_le_bytes()[..], &time.to_le_bytes(), &[kind, u8::from(lacks_memory)]].concat()
}

/// What was told of an end.
pub fn read_told(bytes: &[u8]) -> Option<Ended> {
    let (status, rest) = <&[u8; END]>::try_from(bytes).ok()?.split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let &[kind, lacks_memory] = rest else { return None };
    let end = match kind {
        0 => ProcessEnd::Status(ExitStatus::from_raw(i32::from_le_bytes(*status))),
        1 => ProcessEnd::StatusTooLarge,
        2 => ProcessEnd::Forbidden,
        _ => return None,
    };
    let time = u64::from_le_bytes(*time);
    let time = (time != u64::MAX).then(|| Duration::from_millis(time));
    Some(Ended { end, time, lacks_memory: lacks_memory != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Wanted = Wanted {
        ports: Ports { exit: 0xf4, fault: None },
        configuration: Configuration { cpu: CpuModel::Fixed, clock: ClockStart::Fixed, pace: None, is_confined: true },
        confinement: Confinement::On { has_own_filter: true, files: Files::Programs },
    };

    #[test]
    fn what_is_wanted_arrives() {
        let mut some = vec![
            USUAL,
            Wanted { ports: Ports { exit: 0xffff, fault: Some(0x501) }, ..USUAL },
            Wanted { configuration: Configuration { cpu: CpuModel::Host, ..USUAL.configuration }, ..USUAL },
            Wanted { configuration: Configuration { clock: ClockStart::Host, ..USUAL.configuration }, ..USUAL },
        ];
        for (has_own_filter, files) in [true, false].into_iter().flat_map(|has| FILES.map(|files| (has, files))) {
            some.push(Wanted { confinement: Confinement::On { has_own_filter, files }, ..USUAL });
        }
        for wanted in some {
            let bytes = wish(wanted, 16 << 20).unwrap();
            assert_eq!(read_wish(&bytes), Some((wanted, 16 << 20)));
        }
    }

    #[test]
    fn nobody_can_wish_for_an_emulator_without_confinement() {
        assert_eq!(wish(Wanted { confinement: Confinement::Off, ..USUAL }, 16 << 20), None);
        let bytes = wish(USUAL, 16 << 20).unwrap();
        for (place, least) in [(12, 32), (13, 3)] {
            for value in least..=u8::MAX {
                let mut bytes = bytes.clone();
                bytes[place] = value;
                assert_eq!(read_wish(&bytes), None, "{place} {value}");
            }
        }
        for other in [KILL, &question(1)] {
            assert_eq!(read_wish(other), None);
        }
    }

    #[test]
    fn the_number_of_a_thread_arrives() {
        assert_eq!(read_question(&question(4_194_304)), Some(4_194_304));
        assert_eq!(read_question(KILL), None);
        let sizes = [WISH, QUESTION, KILL.len()];
        assert!(
            sizes.iter().all(|size| sizes.iter().filter(|other| *other == size).count() == 1),
            "by which they are told apart"
        );
        let sizes = [ANSWER, END, THREAD.len()];
        assert!(
            sizes.iter().all(|size| sizes.iter().filter(|other| *other == size).count() == 1),
            "by which they are told apart"
        );
    }

    #[test]
    fn what_is_answered_arrives() {
        for lacks in [&[][..], &PARTS[..1], &PARTS[1..3], &PARTS] {
            assert_eq!(read_answer(&answer(Ok(lacks))), Some(Ok(lacks.to_vec())));
        }
        assert_eq!(read_answer(&answer(Err(libc::ENOENT))), Some(Err(libc::ENOENT)));
        assert_eq!(read_answer(KILL), None);
    }

    #[test]
    fn every_end_arrives() {
        let ends = [
            ProcessEnd::Status(ExitStatus::from_raw(3 << 8)),
            ProcessEnd::Status(ExitStatus::from_raw(libc::SIGKILL)),
            ProcessEnd::StatusTooLarge,
            ProcessEnd::Forbidden,
        ];
        for end in ends {
            for (time, lacks_memory) in [(None, true), (Some(Duration::from_millis(1230)), false)] {
                let end = Ended { end, time, lacks_memory };
                let bytes = told(end);
                assert_eq!((read_told(&bytes), bytes.len()), (Some(end), END));
            }
        }
        assert_eq!(read_told(&[9; END]), None);
    }
}
