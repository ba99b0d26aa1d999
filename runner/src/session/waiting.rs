//! The time limit while an image is waited for: a pipe may never bring one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::files::{Files, write_reports};
use crate::options::{Options, TimeLimit};
use crate::outcome::{Limit, Outcome, Run};
use crate::outlet::tell;

/// As long as it is there, the limit of the command line ends this process.
pub struct Waiting {
    /// Tells the thread that it is not needed any more.
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Set by whoever is first: the end of this, or that of the process.
    is_over: Arc<AtomicBool>,
}

impl Waiting {
    /// Begins at `began` if `options` name a limit, and as the image what is no regular file: these are there, so no thread is needed
    /// for them.
    pub fn begin(options: &Options, files: &Arc<Files>, began: Instant) -> Option<Self> {
        let Some(TimeLimit::After(limit)) = options.time_limit else { return None };
        if options.image.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return None;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let (options, files, over) = (options.clone(), Arc::clone(files), Arc::clone(&is_over));
        let (done, told) = channel::<()>();
        let body = move || {
            let left = (began + limit).saturating_duration_since(Instant::now());
            let is_late = told.recv_timeout(left) == Err(RecvTimeoutError::Timeout);
            if is_late && !over.swap(true, Ordering::AcqRel) {
                end((&options, &files), limit);
            }
        };
        // Without it, the limit is asked about between two reads.
        let thread = thread::Builder::new().name("waiting".to_owned()).spawn(body).ok()?;
        Some(Self { done: Some(done), thread: Some(thread), is_over })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        while self.is_over.swap(true, Ordering::AcqRel) {
            // The process is about to end.
            thread::park();
        }
        // It has all rights that this process ever had, so it has gone before the guest comes.
        self.done = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Ends this process, which waits for the image.
fn end((options, files): (&Options, &Files), limit: Duration) {
    let ending = Outcome::TimeLimit { limit: Limit::Time(limit), hang: None };
    let outcome = write_reports(&Run::default(), ending, None, (options, files), &|_| {});
    let status = options.status(&outcome);
    tell(&options.telling().end(&outcome, None, status));
    signal_hook::low_level::exit(status.into());
}
