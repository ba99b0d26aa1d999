//! The process of one run: this program again, without `--watch`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::thread;

use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use super::difference::Copy;
use super::event::Event;
use crate::options::{OUTPUT_COPY, WATCH, WATCHED};

/// A process.
pub struct Child {
    process: process::Child,
    /// How it has ended.
    status: Option<ExitStatus>,
    /// The signal that it was ended by.
    stopped: Option<i32>,
}

impl Child {
    /// Starts this program with `words`, which have `--watch` among them. What the guest prints goes into `copy`, too; that the process has
    /// ended is told to `sender`, with its `number`.
    ///
    /// # Errors
    /// Those of starting processes and threads.
    pub fn start(number: u32, words: &[OsString], copy: Option<&Copy>, sender: &Sender<Event>) -> io::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        // A keyboard that ended the guest's own way would end nothing here: Ctrl-C is for this process and all of its runs.
        command.arg(format!("{WATCHED}{}", process::id())).stdin(Stdio::null());
        if let Some(copy) = copy {
            command.arg(OUTPUT_COPY.to_owned() + &copy.path());
        }
        let mut is_option = true;
        for word in words {
            is_option &= word != "--";
            if !(is_option && is_watch(word)) {
                command.arg(word);
            }
        }
        let process = command.spawn()?;
        let id = Pid::from_child(&process);
        let sender = sender.clone();
        let wait = move || {
            // It is left for whoever asks for its status, so that its number stays its own.
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _ = retry_on_intr(|| waitid(WaitId::Pid(id), options));
            let _ = sender.send(Event::Ended(number));
        };
        thread::Builder::new().name("end".to_owned()).spawn(wait)?;
        Ok(Self { process, status: None, stopped: None })
    }

    /// True until it is known how it has ended.
    pub fn is_running(&self) -> bool {
        self.status.is_none()
    }

    /// Sends it a signal, which ends it.
    pub fn stop(&mut self, signal: i32) {
        self.stopped = Some(signal);
        if let Some(named) = Signal::from_named_raw(signal) {
            // It fails when there is nothing left to end.
            let _ = kill_process(Pid::from_child(&self.process), named);
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// Those of waiting.
    pub fn reap(&mut self) -> io::Result<()> {
        self.status = Some(self.process.wait()?);
        Ok(())
    }

    /// Its exit status, if it has ended by itself.
    pub fn status(&self) -> Option<i32> {
        self.status?.code()
    }

    /// How it has ended, for a person.
    pub fn ending(&self) -> String {
        match self.status() {
            _ if self.stopped.is_some() => "was ended".to_owned(),
            Some(code) => format!("ended with status {code}"),
            None => "was killed".to_owned(),
        }
    }
}

/// True for the option, with a value or without.
fn is_watch(word: &OsStr) -> bool {
    let option = word.as_bytes().strip_prefix(b"--").and_then(|word| word.strip_prefix(WATCH.as_bytes()));
    option.is_some_and(|rest| matches!(rest, [] | [b'=', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_known_in_each_form() {
        for (word, expected) in
            [("--watch", true), ("--watch=diff", true), ("--watched", false), ("--watch-", false), ("watch", false)]
        {
            assert_eq!(is_watch(OsStr::new(word)), expected, "{word}");
        }
    }
}
