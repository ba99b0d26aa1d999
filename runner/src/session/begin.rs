//! Starts a guest, on another backend when KVM shows at the beginning that it can't run it.

use super::notice::Notice;
use super::prepare::load_again;
use super::signals::Signals;
use crate::backend::{Backend, Findings, Guest, Link, StartError, alternative};
use crate::machine::Machine;
use crate::options::Options;
use crate::outcome::report::BackendReport;
use crate::outcome::{Outcome, Run, reason_to_fall_back, without_advice};

/// A guest that was started.
pub struct Begun {
    /// It.
    pub guest: Box<dyn Guest>,
    /// What it is: loaded again if another backend has it.
    pub machine: Machine,
}

/// Lets `start` start `machine`; where KVM can't run that and `options` allow it, starts the image on another backend. Both are
/// connected by `link`, and `run` tells of the one that runs.
///
/// # Errors
/// What a run ends with that can't begin.
pub fn begin(
    (machine, start): (Machine, impl FnOnce(&Machine, Link) -> Result<Box<dyn Guest>, StartError>),
    link: &dyn Fn(&Run) -> Link,
    (options, signals): (&Options, &Signals),
    notify: &dyn Fn(Notice<'_>),
    run: &mut Run,
) -> Result<Begun, Outcome> {
    match start(&machine, link(run)) {
        Ok(guest) => Ok(Begun { guest, machine }),
        Err(error) => {
            // The image is loaded again.
            signals.attend()?;
            let (backend, machine) = fall_back(error, machine, options, notify, run)?;
            let guest = backend.start(&machine, options.configuration(), link(run));
            Ok(Begun { guest: guest.map_err(|error| Outcome::not_started(error, &machine))?, machine })
        }
    }
}

/// Loads `machine`, which KVM could not run, for another backend, if `options` allow one; nothing of the guest was seen yet.
///
/// # Errors
/// What the run ends with otherwise.
fn fall_back(
    error: StartError,
    machine: Machine,
    options: &Options,
    notify: &dyn Fn(Notice<'_>),
    run: &mut Run,
) -> Result<(Backend, Machine), Outcome> {
    let is_of_kvm = error.is_of_kvm();
    let failure = Outcome::not_started(error, &machine);
    let Some(backend) = alternative(options.backend).filter(|_| is_of_kvm) else { return Err(failure) };
    let reason = reason_to_fall_back(&backend, &failure);
    notify(Notice::Information(&reason));
    // Both at once may be more than there is.
    let source = machine.source();
    drop(machine);
    (run.machine, *run.observed.lock()) = (None, Findings::default());
    let again = load_again(&options.image, &source, &backend, &|| false).map_err(|why| {
        Outcome::NoBackend(format!(
            "{}; it can't be run on the embedded machine, either: {why}",
            without_advice(&failure)
        ))
    })?;
    run.machine = Some(again.clone());
    run.backend = Some(BackendReport { kind: backend.kind(), reason });
    Ok((backend, again))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Allotment, BackendKind, CpuFailure, Ending, Exits};
    use crate::channel::OutputPipe;
    use crate::machine::{InputSource, Sharing, load};
    use clap::{Args, FromArgMatches};
    use std::cell::RefCell;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::{Duration, Instant};
    use stos_tests::bare::code::{exit, say};
    use stos_tests::bare::{BareGuest, ImageFile};

    const SENTENCE: &str =
        "the CPU could not go on: the host's KVM refuses to turn on 32-bit paging (#GP on `mov cr0`)";

    /// What came of a beginning, what was said, what is known, and what is heard.
    struct Tried {
        begun: Result<Begun, Outcome>,
        said: Vec<String>,
        run: Run,
        output: Arc<OutputPipe>,
        ended: Receiver<Ending>,
    }

    /// Begins a guest where the first backend refuses paging.
    fn begin_refused(backend: &str) -> Tried {
        begin_refused_after(backend, |_| {})
    }

    /// The same, with the image's file changed meanwhile.
    fn begin_refused_after(backend: &str, change: impl FnOnce(&Path)) -> Tried {
        let image = ImageFile::new(&BareGuest::new(&[say("shown once\n"), exit(7)].concat()).image());
        let arguments = ["test", "--backend", backend, &image.path().display().to_string()].map(str::to_owned);
        let matches = Options::augment_args(clap::Command::new("test")).get_matches_from(arguments);
        let options = Options::from_arg_matches(&matches).unwrap();
        let parsed = load::open(&options.image).unwrap();
        let memory = load::memory(&parsed, Sharing::Private).unwrap();
        let machine = load::load(parsed, memory, &|| false).unwrap();
        let mut run = Run { machine: Some(machine.clone()), ..Run::default() };
        let (sender, ended) = channel();
        let output = Arc::new(OutputPipe::default());
        let link = |run: &Run| {
            let sender = sender.clone();
            let ended = Box::new(move |ending| drop(sender.send(ending)));
            let (observed, timings) = (run.observed.clone(), run.timings.clone());
            let (allotment, source) = (Allotment::default(), InputSource::Nothing);
            Link {
                ended,
                output: Arc::clone(&output),
                deadline: None,
                allotment,
                watcher: None,
                source,
                observed,
                timings,
            }
        };
        let refuses = |_: &Machine, link: Link| {
            change(&image.path());
            link.observed.lock().exits = Some(Exits::default());
            Err(StartError::NotEntered(CpuFailure::PagingRefused))
        };
        let said = RefCell::new(Vec::new());
        let notify = |notice: Notice<'_>| {
            let (Notice::Information(line) | Notice::Answer(line)) = notice else { return };
            said.borrow_mut().push(line.to_owned());
        };
        let begun = begin((machine, refuses), &link, (&options, &Signals::new(channel().0)), &notify, &mut run);
        Tried { begun, said: said.take(), run, output, ended }
    }

    #[test]
    fn a_guest_that_kvm_refuses_to_page_runs_on_the_embedded_machine_and_that_is_said_once() {
        let Tried { begun, said, run, output, ended } = begin_refused("auto");
        let mut guest = begun.map_or_else(|outcome| panic!("{outcome}"), |begun| begun.guest);
        let ending = ended.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(matches!(ending, Ending::Exit(7)), "{ending:?}");
        guest.stop();
        output.finish();
        let printed: Vec<u8> = output.take(Instant::now()).unwrap().into_iter().flat_map(|(_, bytes)| bytes).collect();
        assert_eq!(printed, b"shown once\n");
        let backend = run.backend.unwrap();
        assert_eq!((backend.kind, &*said), (BackendKind::Embedded, &[backend.reason.clone()][..]));
        assert_eq!(backend.reason, format!("running on the embedded machine instead of KVM: {SENTENCE}"));
        assert_ne!(run.observed.lock().exits, Some(Exits::default()), "counted by the one that failed");
    }

    #[test]
    fn what_is_loaded_again_is_the_image_that_was_checked_or_nothing() {
        let other = BareGuest::new(&[say("other\n"), exit(7)].concat()).image();
        let written_over = begin_refused_after("auto", |path| fs::write(path, &other).unwrap());
        let outcome = written_over.begun.err().unwrap();
        assert!(outcome.to_string().ends_with("` is another image by now"), "{outcome}");
        assert_eq!(outcome.status(), 69);
        // The file that was checked is still open, whatever is at its path.
        let replaced = begin_refused_after("auto", |path| {
            fs::remove_file(path).unwrap();
            fs::write(path, &other).unwrap();
        });
        let mut guest = replaced.begun.map_or_else(|outcome| panic!("{outcome}"), |begun| begun.guest);
        assert!(matches!(replaced.ended.recv_timeout(Duration::from_secs(60)), Ok(Ending::Exit(7))));
        guest.stop();
        replaced.output.finish();
        let printed = replaced.output.take(Instant::now()).unwrap().into_iter().flat_map(|(_, bytes)| bytes);
        assert_eq!(printed.collect::<Vec<u8>>(), b"shown once\n");
        let damaged = begin_refused_after("auto", |path| {
            let mut bytes = fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(path, bytes).unwrap();
        });
        assert_eq!(damaged.begun.err().unwrap().status(), 69);
    }

    #[test]
    fn a_kvm_that_was_asked_for_is_not_replaced() {
        let Tried { begun, said, run, output: _, ended } = begin_refused("kvm");
        let outcome = begun.err().unwrap();
        assert_eq!((outcome.to_string(), outcome.status()), (format!("{SENTENCE}; use --backend embedded"), 103));
        assert!(said.is_empty() && run.backend.is_none() && ended.try_recv().is_err(), "{said:?}");
    }
}
