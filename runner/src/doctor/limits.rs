//! What this process may take: memory, and the limits that shells and services set (getrlimit(2)).

use rustix::process::{Resource, getrlimit};
use stos_pack::diagnostics::rounded_size;

use super::finding::{Finding, State};
use crate::machine::{Free, free_memory};

const PART: &str = "limits";
/// The memory of a small guest, and what a run takes beside it.
const LEAST_MEMORY: u64 = 128 << 20;
/// What KVM or an emulator wants of addresses.
const LEAST_ADDRESSES: u64 = 2 << 30;
/// More descriptors than a run ever has open.
const LEAST_DESCRIPTORS: u64 = 64;
/// More threads and processes than a run ever has.
const LEAST_PROCESSES: u64 = 64;

/// Limits; `None` is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    memory: Option<Free>,
    /// `ulimit -v`, in bytes.
    addresses: Option<u64>,
    /// `ulimit -n`.
    descriptors: Option<u64>,
    /// `ulimit -u`.
    processes: Option<u64>,
    /// `ulimit -t`, in seconds.
    processor: Option<u64>,
    /// `ulimit -f`, in bytes.
    file: Option<u64>,
}

impl Limits {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let limit = |resource| getrlimit(resource).current;
        Self {
            memory: free_memory(),
            addresses: limit(Resource::As),
            descriptors: limit(Resource::Nofile),
            processes: limit(Resource::Nproc),
            processor: limit(Resource::Cpu),
            file: limit(Resource::Fsize),
        }
    }

    /// What is told of them.
    pub fn finding(&self) -> Finding {
        let Self { memory, addresses, descriptors, processes, processor, file } = *self;
        let mut advice = Vec::new();
        if let Some(free) = memory.filter(|free| free.size < LEAST_MEMORY) {
            let what = if free.is_limited {
                "give the container or service more memory"
            } else {
                "close what takes memory: guests are killed when there is none"
            };
            advice.push(what.to_owned());
        }
        for (limit, least, name) in [
            (addresses, LEAST_ADDRESSES, "ulimit -v unlimited"),
            (descriptors, LEAST_DESCRIPTORS, "ulimit -n 1024"),
            (processes, LEAST_PROCESSES, "ulimit -u 1024"),
        ] {
            if limit.is_some_and(|limit| limit < least) {
                advice.push(name.to_owned());
            }
        }
        let mut facts = vec![match memory {
            Some(free) if free.is_limited => {
                format!("{} of memory may be used in this container or service", rounded_size(free.size))
            }
            Some(free) => format!("{} of memory are free", rounded_size(free.size)),
            None => "how much memory is free is not known".to_owned(),
        }];
        facts.extend(addresses.map(|size| format!("{} of addresses", rounded_size(size))));
        facts
            .extend(descriptors.filter(|count| *count < LEAST_DESCRIPTORS).map(|count| format!("{count} descriptors")));
        facts.extend(processes.filter(|count| *count < LEAST_PROCESSES).map(|count| format!("{count} processes")));
        facts.extend(processor.map(|seconds| format!("a run ends after {seconds} s of processor time (ulimit -t)")));
        facts.extend(file.map(|size| format!("files of {} at most (ulimit -f)", rounded_size(size))));
        let state = if advice.is_empty() { State::Good } else { State::Bad };
        Finding::other(PART, state, facts.join("; "), advice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_that_no_run_meets_are_not_spoken_of() {
        let memory = Some(Free { size: 4 << 30, is_limited: false });
        let wide = Limits { memory, descriptors: Some(1024), processes: Some(30_000), ..Limits::default() };
        let finding = wide.finding();
        assert_eq!((finding.state, &*finding.told), (State::Good, "4 GiB of memory are free"));
        let some = Limits { processor: Some(10), file: Some(1 << 20), ..wide }.finding();
        assert_eq!(some.state, State::Good);
        assert!(
            some.told.ends_with("10 s of processor time (ulimit -t); files of 1 MiB at most (ulimit -f)"),
            "{some:?}"
        );
    }

    #[test]
    fn what_is_too_little_is_told_as_a_shell_sets_it() {
        let memory = Some(Free { size: 1 << 20, is_limited: true });
        let tight =
            Limits { memory, addresses: Some(1 << 30), descriptors: Some(8), processes: Some(2), ..Limits::default() };
        let finding = tight.finding();
        assert_eq!(finding.state, State::Bad);
        let advice: Vec<&str> = finding.advice.iter().map(String::as_str).collect();
        assert_eq!(
            advice,
            ["give the container or service more memory", "ulimit -v unlimited", "ulimit -n 1024", "ulimit -u 1024"]
        );
    }
}
