//! What a run begins with: a checked image in guest memory, what is expected of it, and a backend that can execute it.

use std::path::Path;
use std::time::{Duration, Instant};

use super::clock::end_of_run;
use super::notice::Notice;
use super::packed;
use super::signals::Signals;
use super::trust::check_id;
use super::wishes::{Wishes, ignored};
use crate::backend::{Backend, BackendKind, Opening, choose};
use crate::machine::load::{self, Source};
use crate::machine::{Free, Machine, Sharing, free_memory};
use crate::options::Options;
use crate::outcome::report::BackendReport;
use crate::outcome::{Limit, Outcome, Run, memory_remark, pace_remark, reason, remark, short_reason};
use crate::outlet;
use crate::serial::SerialTarget;
use crate::terminal::KeyboardChoice;
use crate::timings::Step;
use crate::watch::Expectations;

/// Bytes of memory of a guest that any machine has which runs programs as this one: the system is not asked.
const LITTLE_MEMORY: u64 = 64 << 20;

/// A run that can begin.
pub struct Prepared {
    /// What is to run.
    pub machine: Machine,
    /// What is to execute it.
    pub backend: Backend,
    /// What its output is watched for.
    pub expectations: Expectations,
    /// The longest that it may take.
    pub limit: Option<Duration>,
    /// When the run is over, and why then.
    pub end: Option<(Limit, Instant)>,
}

impl Prepared {
    /// Does what `options` ask for, and notes it in `run`.
    ///
    /// # Errors
    /// What a run ends with that can't begin.
    pub fn new(
        (options, opening): (&Options, Option<Opening>),
        notify: &dyn Fn(Notice<'_>),
        run: &mut Run,
        signals: &Signals,
        began: Instant,
    ) -> Result<Self, Outcome> {
        check(options)?;
        let not_loaded = |error| Outcome::not_loaded(&options.image, error);
        let parsed = packed::open(options, notify, &mut run.warnings)?;
        run.timings.mark(Step::Opened);
        check_id(options, parsed.facts().id())?;
        let memory_size = parsed.facts().description().memory_size;
        let of_image = &parsed.facts().description().run;
        let Wishes { expected, expectations, limit } = Wishes::new(options, of_image)?;
        let ignored = options.ignore_image_run.then(|| ignored(of_image));
        outlet::wait_until(limit.map(|limit| began + limit));
        run.expected = expected;
        let entry = &parsed.facts().description().entry;
        let (mut private, mut free) = (None, None);
        let choice = choose(options.wanted_backend(), opening, |opening| {
            // If there is none, that is told once it is known that it is needed.
            private = load::memory(&parsed, Sharing::Private).ok();
            if let Some(memory) = &private {
                opening.make(memory, entry, options.cpu, &run.timings);
            }
            // While the machine is made. That it has failed is told when it fails once more.
            let _ = signals.catch();
            // Files of the kernel, which take as long as the image's.
            free = free_memory_for(memory_size);
        })?;
        run.timings.mark(Step::Chosen);
        match choice.backend.kind() {
            BackendKind::Kvm | BackendKind::Embedded => signals.catch()?,
            // It may be long in coming.
            BackendKind::Emulated => signals.attend()?,
        }
        let (kind, reason, line) = (choice.backend.kind(), reason(&choice), short_reason(&choice));
        run.backend = Some(BackendReport { kind, reason });
        let backend = choice.backend;
        let memory = match private.filter(|_| backend.sharing() == Sharing::Private) {
            Some(memory) => memory,
            None => load::memory(&parsed, backend.sharing()).map_err(not_loaded)?,
        };
        backend.prepare(&memory, entry, options.cpu, &run.timings);
        let free = free.or_else(|| free_memory_for(memory_size)).and_then(|free| memory_remark(memory_size, free));
        let end = limit.map(|limit| end_of_run(began, limit, backend.counts()));
        let over = || end.filter(|(_, end)| *end <= Instant::now());
        let is_interrupted = || signals.outcome().is_some() || over().is_some();
        let machine = load::load(parsed, memory, &is_interrupted).map_err(|error| match over() {
            Some((limit, _)) => Outcome::TimeLimit { limit, hang: None },
            None => not_loaded(error),
        })?;
        run.timings.mark(Step::Loaded);
        run.machine = Some(machine.clone());
        notify(Notice::Information(&line));
        let remarks = remark(kind, options.cpu).into_iter().chain(pace_remark(kind, options.pace));
        for line in ignored.into_iter().chain(remarks.map(str::to_owned)).chain(free) {
            notify(Notice::Information(&line));
        }
        Ok(Self { machine, backend, expectations, limit, end })
    }
}

/// What of memory can be had, for a guest that has so much of it that it matters.
fn free_memory_for(memory_size: u64) -> Option<Free> {
    if memory_size > LITTLE_MEMORY { free_memory() } else { None }
}

/// Loads the image that is `source` once more, which is at `path`, for `backend`.
///
/// # Errors
/// Why that can't be done, as a clause; also when it is another than `id` by now.
pub fn load_again(
    path: &Path,
    source: &Source,
    backend: &Backend,
    is_interrupted: &dyn Fn() -> bool,
) -> Result<Machine, String> {
    // What is at the path by now is not asked: nothing can be opened any more.
    let not_loaded = |error| Outcome::not_loaded(path, error).to_string();
    let parsed = load::open_again(source).map_err(not_loaded)?;
    if parsed.facts().id() != source.id {
        return Err(format!("`{}` is another image by now", path.display()));
    }
    let memory = load::memory(&parsed, backend.sharing()).map_err(not_loaded)?;
    load::load(parsed, memory, is_interrupted).map_err(not_loaded)
}

/// Refuses what makes no sense.
fn check(options: &Options) -> Result<(), Outcome> {
    if options.image.as_os_str() == "-" {
        return Err(Outcome::Usage("an image can't come from standard input, which is the guest's".to_owned()));
    }
    if options.limit_instructions.is_some()
        && let Some(name) = options.uncounted_backend()
    {
        return Err(Outcome::Usage(format!(
            "`--limit-instructions` is for a machine that counts them, and `--backend {name}` does not: take `--backend embedded`, or \
             `--timeout`"
        )));
    }
    if options.keyboard == Some(KeyboardChoice::Serial) && options.serial != SerialTarget::Stdio {
        return Err(Outcome::Usage(format!(
            "`--keyboard serial` needs `--serial stdio`: the serial port is {}, not standard input",
            options.serial
        )));
    }
    Ok(())
}
