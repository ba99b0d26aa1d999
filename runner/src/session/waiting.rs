//! The time limit while an image is waited for: a pipe may never bring one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::files::write_report;
use crate::options::{Options, TimeLimit};
use crate::outcome::{Outcome, Run};
use crate::outlet::tell;

/// As long as it is there, the limit of the command line ends this process.
pub struct Waiting {
    /// Set by whoever is first: the end of this, or that of the process.
    is_over: Arc<AtomicBool>,
}

impl Waiting {
    /// Begins at `began` if `options` name a limit, and as the image what is no regular file: these are there, so no thread is needed
    /// for them.
    pub fn begin(options: &Options, began: Instant) -> Option<Self> {
        let Some(TimeLimit::After(limit)) = options.time_limit else { return None };
        if options.image.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return None;
        }
        let is_over = Arc::new(AtomicBool::new(false));
        let (options, over) = (options.clone(), Arc::clone(&is_over));
        let body = move || {
            thread::sleep((began + limit).saturating_duration_since(Instant::now()));
            if !over.swap(true, Ordering::AcqRel) {
                end(&options, limit);
            }
        };
        // Without it, the limit is asked about between two reads.
        thread::Builder::new().name("waiting".to_owned()).spawn(body).ok()?;
        Some(Self { is_over })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        while self.is_over.swap(true, Ordering::AcqRel) {
            // The process is about to end.
            thread::park();
        }
    }
}

/// Ends this process, which waits for the image.
fn end(options: &Options, limit: Duration) {
    let outcome = write_report(&Run::default(), Outcome::TimeLimit { limit, hang: None }, options, &|_| {});
    tell(&format!("stos-run: {outcome}\n"));
    signal_hook::low_level::exit(options.status(&outcome).into());
}
