//! Works on the runs of a long sequence of bytes on several cores, where there is enough to do for them.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Scope};

/// Bytes that are worked on at a time, but for the last: whole blocks, and few enough for a core's second cache.
pub(crate) const RUN_SIZE: u64 = 256 << 10;
/// Bytes that a thread is worth: to start one takes as long as the digest of some tens of KiB.
const SHARE: u64 = 1 << 20;

/// Bytes from an offset, and where what became of them is told.
struct Job<T> {
    offset: u64,
    bytes: Vec<u8>,
    done: Sender<Done<T>>,
}

/// The bytes of a job, and what was made of them.
type Done<T> = (Vec<u8>, T);

/// Goes through `size` bytes in runs: `read` makes of a buffer the run of so many bytes at an offset, `work` is done on any core
/// in any order, and `then` gets the run and what `work` made of it. `read` and `then` are called here, from the first run to the
/// last. Buffers are used again, so that memory does not depend on `size`.
///
/// # Errors
/// The first of `read` or `then`, whatever comes later in the sequence.
pub(crate) fn each_run<T: Send, E>(
    size: u64,
    mut read: impl FnMut(u64, u64, &mut Vec<u8>) -> Result<(), E>,
    work: &(impl Fn(u64, &[u8]) -> T + Sync),
    mut then: impl FnMut(u64, &[u8], T) -> Result<(), E>,
) -> Result<(), E> {
    let (jobs, taken) = channel();
    let taken = Mutex::new(taken);
    thread::scope(|scope| {
        let workers = start(scope, wanted(size), &taken, work);
        let mut running: VecDeque<(u64, Receiver<Done<T>>)> = VecDeque::new();
        let mut spare = Vec::new();
        let mut finish = |(offset, done): (u64, Receiver<Done<T>>), spare: &mut Vec<Vec<u8>>| {
            // It fails only when a worker has panicked, which the end of the scope tells.
            let Ok((bytes, made)) = done.recv() else { return Ok(()) };
            then(offset, &bytes, made)?;
            spare.push(bytes);
            Ok(())
        };
        // It goes at the end of this, which is what the workers end at.
        let jobs = jobs;
        let mut offset = 0;
        while offset < size {
            if running.len() > 2 * workers
                && let Some(oldest) = running.pop_front()
            {
                finish(oldest, &mut spare)?;
            }
            let run = RUN_SIZE.min(size - offset);
            let mut bytes = spare.pop().unwrap_or_default();
            if let Err(error) = read(offset, run, &mut bytes) {
                // What lies before it may be wrong as well.
                running.drain(..).try_for_each(|run| finish(run, &mut spare))?;
                return Err(error);
            }
            let (done, told) = channel();
            if workers == 0 {
                let made = work(offset, &bytes);
                // Its receiver is here.
                let _ = done.send((bytes, made));
                finish((offset, told), &mut spare)?;
            } else {
                // Somebody holds the receiver as long as this runs.
                let _ = jobs.send(Job { offset, bytes, done });
                running.push_back((offset, told));
            }
            offset += run;
        }
        running.drain(..).try_for_each(|run| finish(run, &mut spare))
    })
}

/// Does `work` for each of `jobs`, which are of `size` bytes in all, on any core in any order; this thread takes part, and asks `go_on`
/// before each of its own.
///
/// # Errors
/// That of the first job that fails, else that of `go_on`. Jobs after it may not have been begun; those before it have ended.
pub(crate) fn in_any_order<J: Send, E: Send>(
    size: u64,
    jobs: impl Iterator<Item = J> + Send,
    work: &(impl Fn(J) -> Result<(), E> + Sync),
    mut go_on: impl FnMut() -> Result<(), E>,
) -> Result<(), E> {
    let jobs = Mutex::new(jobs.enumerate());
    let first: Mutex<Option<(usize, E)>> = Mutex::new(None);
    let lock = || first.lock().unwrap_or_else(PoisonError::into_inner);
    let keep = |index: usize, error: E| {
        let mut first = lock();
        if first.as_ref().is_none_or(|(known, _)| index < *known) {
            *first = Some((index, error));
        }
    };
    let next = || if lock().is_some() { None } else { jobs.lock().unwrap_or_else(PoisonError::into_inner).next() };
    let take_one = || {
        let (index, job) = next()?;
        work(job).map_err(|error| keep(index, error)).ok()
    };
    thread::scope(|scope| {
        let others = wanted(size).saturating_sub(1);
        for _ in 0..others {
            // Where the system grants none, there is this one.
            if thread::Builder::new().spawn_scoped(scope, || while take_one().is_some() {}).is_err() {
                break;
            }
        }
        while go_on().map_err(|error| keep(usize::MAX, error)).is_ok() && take_one().is_some() {}
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), |(_, error)| Err(error))
}

/// How many threads `size` bytes are worth here, beside the one that asks.
fn wanted(size: u64) -> usize {
    match usize::try_from(size / SHARE).unwrap_or(usize::MAX) {
        0 | 1 => 0,
        shares => match thread::available_parallelism().map_or(1, NonZero::get) {
            1 => 0,
            cores => cores.min(shares),
        },
    }
}

/// Starts `count` threads, or as many as the system grants; returns how many.
fn start<'scope, T: Send>(
    scope: &'scope Scope<'scope, '_>,
    count: usize,
    jobs: &'scope Mutex<Receiver<Job<T>>>,
    work: &'scope (impl Fn(u64, &[u8]) -> T + Sync),
) -> usize {
    let next = || jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let worker = move || {
        while let Ok(Job { offset, bytes, done }) = next() {
            let made = work(offset, &bytes);
            // Nobody waits for it once something was wrong.
            let _ = done.send((bytes, made));
        }
    };
    (0..count).take_while(|_| thread::Builder::new().spawn_scoped(scope, worker).is_ok()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(size: u64) -> Vec<u64> {
        (0..size).step_by(usize::try_from(RUN_SIZE).unwrap()).collect()
    }

    #[test]
    fn runs_come_in_order_whoever_works_on_them() {
        for size in [0, 1, RUN_SIZE, 2 * SHARE + 1, 9 * SHARE] {
            let mut seen = Vec::new();
            let read = |offset: u64, size: u64, bytes: &mut Vec<u8>| {
                bytes.clear();
                bytes.resize(usize::try_from(size).unwrap(), offset.to_le_bytes()[2]);
                Ok(())
            };
            let work = |offset: u64, bytes: &[u8]| (offset, bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>());
            let result: Result<(), ()> = each_run(size, read, &work, |offset, bytes, (told, sum)| {
                assert_eq!((offset, u64::from(bytes[0]) * bytes.len() as u64), (told, sum));
                seen.push(offset);
                Ok(())
            });
            assert_eq!((result, seen), (Ok(()), offsets(size)));
        }
    }

    #[test]
    fn the_first_error_in_the_sequence_is_the_one_that_is_told() {
        let size = 9 * SHARE;
        let fails_from = |first: u64, read_fails: u64| {
            let read = |offset, _, _: &mut Vec<u8>| if offset >= read_fails { Err(offset) } else { Ok(()) };
            let work = |offset, _: &[u8]| if offset >= first { Err(offset) } else { Ok(()) };
            each_run(size, read, &work, |_, _, made| made)
        };
        assert_eq!(fails_from(3 * RUN_SIZE, size), Err(3 * RUN_SIZE));
        assert_eq!(fails_from(3 * RUN_SIZE, 4 * RUN_SIZE), Err(3 * RUN_SIZE), "read later");
        assert_eq!(fails_from(size, 4 * RUN_SIZE), Err(4 * RUN_SIZE));
        assert_eq!(fails_from(0, 0), Err(0));
    }

    #[test]
    fn jobs_are_all_done_and_the_first_that_fails_is_told() {
        for size in [0, 2 * SHARE, 9 * SHARE] {
            let done = Mutex::new(Vec::new());
            let work = |job: u64| {
                done.lock().unwrap().push(job);
                Ok::<_, u64>(())
            };
            assert_eq!(in_any_order(size, 0..1000, &work, || Ok(())), Ok(()));
            let mut done = done.into_inner().unwrap();
            done.sort_unstable();
            assert!(done.iter().copied().eq(0..1000), "{size}");
        }
        for _ in 0..100 {
            let work = |job: u64| if job % 7 == 5 { Err(job) } else { Ok(()) };
            assert_eq!(in_any_order(9 * SHARE, 0..1000, &work, || Ok(())), Err(5));
        }
        let begun = Mutex::new(0);
        let work = |_| {
            *begun.lock().unwrap() += 1;
            Ok(())
        };
        assert_eq!(in_any_order(SHARE, 0..1000, &work, || Err("enough")), Err("enough"));
        assert_eq!(begun.into_inner().unwrap(), 0);
    }
}
