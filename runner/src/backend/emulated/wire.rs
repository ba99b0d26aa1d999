//! What is said between this process and the one that starts emulators: small messages, in which any byte that is not understood is
//! refused.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use super::command::{CpuLog, Ports};
use super::confinement::{Confinement, Files};
use super::exit_alarm::ProcessEnd;
use crate::backend::Unconfined;

/// Size of an answer to a wish.
pub const ANSWER: usize = 5;
/// Size of what is told of an end.
pub const END: usize = 14;
/// Size of a wish.
const WISH: usize = 14;

/// What an emulator may go without, in the order of their bits.
const PARTS: [Unconfined; 4] = [Unconfined::OwnFilter, Unconfined::SystemCalls, Unconfined::Files, Unconfined::Reading];
/// What it may open, in the order of their numbers.
const FILES: [Files; 3] = [Files::Programs, Files::All, Files::Unlimited];

/// What an emulator is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Ports that depend on the image.
    pub ports: Ports,
    /// What its CPU logs.
    pub log: CpuLog,
    /// How much it is confined.
    pub confinement: Confinement,
}

/// How an emulator ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Like this.
    pub end: ProcessEnd,
    /// The processor time that it took, if that is known, in milliseconds when it was told.
    pub time: Option<Duration>,
    /// The kernel has killed something for lack of memory meanwhile.
    pub lacks_memory: bool,
}

/// A wish for an emulator with this much memory; `None` for one without any confinement, which cannot be wished for.
pub fn wish(wanted: Wanted, memory_size: u64) -> Option<Vec<u8>> {
    let Wanted { ports: Ports { exit, fault }, log, confinement } = wanted;
    let Confinement::On { has_own_filter, files } = confinement else { return None };
    let files = FILES.iter().position(|one| *one == files).and_then(|number| u8::try_from(number).ok())?;
    let flags = [fault.is_some(), log == CpuLog::Exceptions, has_own_filter].map(u8::from);
    let ports = [exit.to_le_bytes(), fault.unwrap_or_default().to_le_bytes()].concat();
    Some([&memory_size.to_le_bytes()[..], &ports, &[flags[0] | flags[1] << 1 | flags[2] << 2, files]].concat())
}

/// What is wished for.
pub fn read_wish(bytes: &[u8]) -> Option<(Wanted, u64)> {
    let &[ref size @ .., a, b, c, d, flags, files] = <&[u8; WISH]>::try_from(bytes).ok()?;
    let has = |bit: u8| flags & 1 << bit != 0;
    let wanted = Wanted {
        ports: Ports { exit: u16::from_le_bytes([a, b]), fault: has(0).then_some(u16::from_le_bytes([c, d])) },
        log: if has(1) { CpuLog::Exceptions } else { CpuLog::Resets },
        confinement: Confinement::On { has_own_filter: has(2), files: *FILES.get(usize::from(files))? },
    };
    (flags < 8).then_some((wanted, u64::from_le_bytes(*size)))
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
pub fn told(End { end, time, lacks_memory }: End) -> Vec<u8> {
    let (kind, status) = match end {
        ProcessEnd::Status(status) => (0, status.into_raw()),
        ProcessEnd::StatusTooLarge => (1, 0),
        ProcessEnd::Forbidden => (2, 0),
    };
    let time = time.and_then(|time| u64::try_from(time.as_millis()).ok()).unwrap_or(u64::MAX);
    [&status.to_le_bytes()[..], &time.to_le_bytes(), &[kind, u8::from(lacks_memory)]].concat()
}

/// What was told of an end.
pub fn read_told(bytes: &[u8]) -> Option<End> {
    let (status, rest) = bytes.split_first_chunk()?;
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
    Some(End { end, time, lacks_memory: lacks_memory != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_arrives() {
        for fault in [None, Some(0x501)] {
            for log in [CpuLog::Resets, CpuLog::Exceptions] {
                for (has_own_filter, files) in [true, false].into_iter().flat_map(|has| FILES.map(|files| (has, files)))
                {
                    let confinement = Confinement::On { has_own_filter, files };
                    let wanted = Wanted { ports: Ports { exit: 0xf4, fault }, log, confinement };
                    let bytes = wish(wanted, 16 << 20).unwrap();
                    assert_eq!(read_wish(&bytes), Some((wanted, 16 << 20)));
                }
            }
        }
    }

    #[test]
    fn nobody_can_wish_for_an_emulator_without_confinement() {
        let ports = Ports { exit: 0xf4, fault: None };
        let wanted = |confinement| Wanted { ports, log: CpuLog::Resets, confinement };
        assert_eq!(wish(wanted(Confinement::Off), 16 << 20), None);
        let bytes = wish(wanted(Confinement::new(true)), 16 << 20).unwrap();
        for (place, least) in [(12, 8), (13, 3)] {
            for value in least..=u8::MAX {
                let mut bytes = bytes.clone();
                bytes[place] = value;
                assert_eq!(read_wish(&bytes), None, "{place} {value}");
            }
        }
        assert_eq!(read_wish(b"kill"), None);
    }

    #[test]
    fn what_is_answered_arrives() {
        for lacks in [&[][..], &PARTS[..1], &PARTS[1..3], &PARTS] {
            assert_eq!(read_answer(&answer(Ok(lacks))), Some(Ok(lacks.to_vec())));
        }
        assert_eq!(read_answer(&answer(Err(libc::ENOENT))), Some(Err(libc::ENOENT)));
        assert_eq!(read_answer(b"kill"), None);
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
                let end = End { end, time, lacks_memory };
                let bytes = told(end);
                assert_eq!((read_told(&bytes), bytes.len()), (Some(end), END));
            }
        }
        assert_eq!(read_told(&[9; END]), None);
    }
}
