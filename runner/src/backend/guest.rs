//! A guest that runs, whatever executes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Ending, Observed, Remains};
use crate::channel::{Adapter, InputSink, KeySink, OutputPipe, Watcher};
use crate::machine::InputSource;
use crate::timings::Timings;

/// How often a running guest is looked at for what does not show by itself.
pub const TICK: Duration = Duration::from_millis(50);
/// How many samples [`Guest::take_samples`] takes.
pub const SAMPLES: usize = 8;
/// Time between two of these: no divisor of the usual timer periods, which would show the same place each time.
pub(super) const SAMPLE_GAP: Duration = Duration::from_micros(6700);
/// How often it is looked whether one was taken.
const NUDGE_INTERVAL: Duration = Duration::from_millis(1);
/// Longest time for all of them.
pub(super) const SAMPLE_PATIENCE: Duration = Duration::from_secs(1);

/// What the thread that runs or watches a guest is asked for by others.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// To stop. The end is not told then: it comes from outside.
    pub stop: AtomicBool,
    /// To take samples of the CPU; false again when they are in the findings.
    pub sample: AtomicBool,
}

impl Requests {
    /// Has the thread that runs the guest take [`SAMPLES`] samples, unless it has ended. While one is waited for, `nudge` is called again and
    /// again.
    pub fn take_samples(&self, runner: Option<&JoinHandle<()>>, nudge: impl Fn()) {
        let patience = Instant::now() + SAMPLE_PATIENCE;
        let has_ended = || runner.is_none_or(JoinHandle::is_finished);
        for _ in 0..SAMPLES {
            self.sample.store(true, Ordering::Release);
            while self.sample.load(Ordering::Acquire) && !has_ended() && Instant::now() < patience {
                nudge();
                thread::sleep(NUDGE_INTERVAL);
            }
            if has_ended() {
                return;
            }
            thread::sleep(SAMPLE_GAP);
        }
    }
}

/// How much a guest may use, on a machine that [counts](super::Backend::counts).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allotment {
    /// Of its own time.
    pub time: Option<Duration>,
    /// Of instructions.
    pub instructions: Option<u64>,
}

/// Where a backend puts what a guest does.
pub struct Link {
    /// Told how the guest stopped, once, when all that it printed is in `output` and all that is known of it in `observed`.
    /// Not called after [`Guest::stop`].
    pub ended: Box<dyn FnOnce(Ending) + Send>,
    /// Takes what the guest prints. A thread that pushes here waits while it is full; one that must not wait pushes
    /// [at once](OutputPipe::push_at_once) and holds the guest while the pipe [is crowded](OutputPipe::is_crowded).
    pub output: Arc<OutputPipe>,
    /// When the run is over, also while the guest is still being started.
    pub deadline: Option<Instant>,
    /// How much the guest may use.
    pub allotment: Allotment,
    /// Watches what the guest prints before that goes to `output`, and says when the run ends with it, on a machine that
    /// [counts](super::Backend::counts); elsewhere, and where nothing is watched for, nobody does.
    pub watcher: Option<Box<dyn Watcher>>,
    /// Where its input comes from.
    pub source: InputSource,
    /// Takes what else is seen of the guest.
    pub observed: Observed,
    /// Where the steps are marked that only a backend sees.
    pub timings: Timings,
}

/// A guest that runs, on threads or in a process of its own. Dropping it leaves nothing behind.
pub trait Guest {
    /// Where the guest's serial input goes.
    fn input(&self) -> Arc<dyn InputSink>;

    /// The guest's keyboard.
    fn keyboard(&self) -> Arc<dyn KeySink>;

    /// What says what of the text memory is on the screen; one without registers where nothing does.
    fn adapter(&self) -> Arc<dyn Adapter>;

    /// How far the guest's own time has come, in nanoseconds, on a machine that [counts](super::Backend::counts).
    fn own_time(&self) -> Option<u64> {
        None
    }

    /// Called every [`TICK`] while the guest runs, to look for what does not show by itself, such as a CPU that waits for ever
    /// ([`Idle`](super::Idle)). It does not wait for the guest.
    fn tick(&mut self);

    /// Takes [`SAMPLES`] samples of the CPU for [`Findings::samples`](super::Findings::samples), and one of the interrupt
    /// controllers with the last of them. Takes a fraction of a second, during which the guest goes on. One that ends by itself
    /// meanwhile has fewer, and its end is told.
    fn take_samples(&mut self);

    /// Ends the guest if it has not ended; after this it prints nothing, tells nothing, and its findings are whole.
    fn stop(&mut self);

    /// What is left to take apart after that, if it takes time.
    fn remains(&self) -> Option<Remains>;
}
