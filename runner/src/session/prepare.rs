//! What a run begins with: a checked image in guest memory, what is expected of it, and a backend that can execute it.

use std::path::Path;
use std::time::{Duration, Instant};

use stos_image::Digest;

use super::notice::Notice;
use super::signals::Signals;
use crate::backend::{Backend, choose};
use crate::machine::{Machine, free_memory, load};
use crate::options::{Options, TimeLimit};
use crate::outcome::report::BackendReport;
use crate::outcome::{Outcome, Run, memory_remark, reason, remark, short_reason};
use crate::serial::SerialTarget;
use crate::terminal::KeyboardChoice;
use crate::watch::Expectations;

/// A run that can begin.
pub struct Prepared {
    /// What is to run.
    pub machine: Machine,
    /// What is to execute it.
    pub backend: Backend,
    /// What its output is watched for.
    pub expectations: Expectations,
    /// The longest that it may take, and when that is over.
    pub limit: Option<(Duration, Instant)>,
}

impl Prepared {
    /// Does what `options` ask for, and notes it in `run`.
    ///
    /// # Errors
    /// What a run ends with that can't begin.
    pub fn new(
        options: &Options,
        notify: &dyn Fn(Notice<'_>),
        run: &mut Run,
        signals: &Signals,
        began: Instant,
    ) -> Result<Self, Outcome> {
        check(options)?;
        let not_loaded = |error| Outcome::not_loaded(&options.image, error);
        let parsed = load::open(&options.image).map_err(not_loaded)?;
        let of_image = &parsed.facts().description().run;
        let expectations = expectations(options, &of_image.expect)?;
        let limit = match options.time_limit {
            Some(TimeLimit::None) => None,
            Some(TimeLimit::After(limit)) => Some(limit),
            None => of_image.timeout_ms.map(Duration::from_millis),
        };
        let limit = limit.map(|limit| (limit, began + limit));
        run.expected = options.expect.clone().unwrap_or_else(|| of_image.expect.clone());
        let choice = choose(options.backend)?;
        let (kind, reason, line) = (choice.backend.kind(), reason(&choice), short_reason(&choice));
        run.backend = Some(BackendReport { kind, reason });
        let free = free_memory().and_then(|free| memory_remark(parsed.facts().description().memory_size, free));
        let over = || limit.filter(|(_, end)| *end <= Instant::now());
        let is_interrupted = || signals.outcome().is_some() || over().is_some();
        let machine = load::load(parsed, choice.backend.sharing(), &is_interrupted).map_err(|error| match over() {
            Some((limit, _)) => Outcome::TimeLimit { limit, hang: None },
            None => not_loaded(error),
        })?;
        run.machine = Some(machine.clone());
        notify(Notice::Information(&line));
        for line in remark(kind, options.cpu).map(str::to_owned).into_iter().chain(free) {
            notify(Notice::Information(&line));
        }
        Ok(Self { machine, backend: choice.backend, expectations, limit })
    }
}

/// Loads the image at `path` once more, for `backend`.
///
/// # Errors
/// Why that can't be done, as a clause; also when it is another than `id` by now.
pub fn load_again(
    path: &Path,
    id: Digest,
    backend: &Backend,
    is_interrupted: &dyn Fn() -> bool,
) -> Result<Machine, String> {
    let not_loaded = |error| Outcome::not_loaded(path, error).to_string();
    let parsed = load::open(path).map_err(not_loaded)?;
    if parsed.facts().id() != id {
        return Err(format!("`{}` is another image by now", path.display()));
    }
    load::load(parsed, backend.sharing(), is_interrupted).map_err(not_loaded)
}

/// Refuses what makes no sense.
fn check(options: &Options) -> Result<(), Outcome> {
    if options.image.as_os_str() == "-" {
        return Err(Outcome::Usage("an image can't come from standard input, which is the guest's".to_owned()));
    }
    if options.keyboard == Some(KeyboardChoice::Serial) && options.serial != SerialTarget::Stdio {
        return Err(Outcome::Usage(format!(
            "`--keyboard serial` needs `--serial stdio`: the serial port is {}, not standard input",
            options.serial
        )));
    }
    Ok(())
}

fn expectations(options: &Options, of_image: &[String]) -> Result<Expectations, Outcome> {
    let expected = match &options.expect {
        Some(patterns) => Expectations::compile(patterns).map_err(Outcome::Usage),
        None => Expectations::compile(of_image)
            .map_err(|reason| Outcome::BadExpectation { path: options.image.clone(), reason }),
    };
    expected?.with(&options.reject, options.until.as_deref()).map_err(Outcome::Usage)
}
