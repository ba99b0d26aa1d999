//! Takes from this process, before the guest's first instruction, all that a run needs no more: a mistake that a guest finds in this
//! program is then worth nothing.
//!
//! Each thread has a [`Role`], and gives up its rights by itself: system calls by seccomp, files by Landlock, capabilities. Threads that
//! are there before the guest do so when they have all that they need; later ones have at most the rights of the one that starts them.

#[cfg(debug_assertions)]
mod attempt;
mod calls;
mod filter;
mod folders;
#[cfg_attr(not(target_arch = "x86_64"), path = "no_kvm_requests.rs")]
mod kvm_requests;
mod names;
mod privileges;
#[allow(unsafe_code)]
mod raw;
mod role;

#[cfg(debug_assertions)]
pub use attempt::attempt;
pub use raw::fork;
pub use role::Role;

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::{self, JoinHandle};

use folders::Folders;

/// Whether this system has what a sandbox is made of.
pub const IS_THERE: bool = true;

/// A part of the sandbox that this system does not have, or refuses.
const NO_SYSTEM_CALL_FILTER: u8 = 1;
/// The same.
const NO_LANDLOCK: u8 = 2;

/// The sandbox of this process, if it is to have one.
static SANDBOX: OnceLock<Sandbox> = OnceLock::new();
/// What was found to be missing.
static MISSING: AtomicU8 = AtomicU8::new(0);

thread_local! {
    /// What this thread is, once it has given up its rights.
    static ROLE: Cell<Option<Role>> = const { Cell::new(None) };
}

struct Sandbox {
    folders: Option<Folders>,
    /// Files are renamed or removed in folders at the end.
    has_files: bool,
}

/// What has to be done for a sandbox while this process has one thread, and nothing open of its own. The `words` of its command line may name
/// descriptors that it is handed.
pub fn prepare(words: &[OsString]) {
    raw::keep_memory_simple();
    privileges::close_inherited(words);
}

/// From now on, [`enter`] takes rights away. Files may be made, replaced and removed in `folders`, and nowhere else. `last_words` is called
/// when a thread breaks the rules, in a handler of a signal, just before the process ends.
///
/// # Errors
/// When the system lets no handler be installed.
pub fn begin(folders: &[PathBuf], last_words: fn()) -> io::Result<()> {
    raw::report_violations(last_words)?;
    // Without what led to it, for which files would have to be opened.
    panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        let _ = writeln!(io::stderr(), "thread '{name}' {panic}");
    }));
    let allowed = Folders::new(folders);
    if allowed.is_none() {
        MISSING.fetch_or(NO_LANDLOCK, Ordering::Relaxed);
    }
    // Fails only when there is one already.
    let _ = SANDBOX.set(Sandbox { folders: allowed, has_files: !folders.is_empty() });
    Ok(())
}

/// Whether the kernel has Landlock, and lets this process use it.
pub fn has_landlock() -> bool {
    folders::are_possible()
}

/// True when this process has a sandbox, or is to have one.
pub fn is_wanted() -> bool {
    SANDBOX.get().is_some()
}

/// Takes from this thread what its `role` does not need, for ever.
pub fn enter(role: Role) {
    give_up(role, ROLE.get().is_some());
}

/// Starts a thread that has only the rights of its `role` from the beginning.
///
/// # Errors
/// Those of starting threads.
pub fn spawn<T: Send + 'static>(
    role: Role,
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // The kernel hands on what it was told of this one.
    let is_inherited = ROLE.get().is_some();
    let body = move || {
        give_up(role, is_inherited);
        body()
    };
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// `is_inherited` says that whoever has started this thread had given up rights before.
fn give_up(role: Role, is_inherited: bool) {
    if let Some(sandbox) = SANDBOX.get() {
        if role == Role::Main {
            privileges::limit();
        }
        if !is_inherited && !sandbox.folders.as_ref().is_some_and(Folders::enter) {
            MISSING.fetch_or(NO_LANDLOCK, Ordering::Relaxed);
        }
        privileges::drop_capabilities(sandbox.has_files && matches!(role, Role::Main | Role::Signals));
        // It is told of before it holds: from then on, whatever is done wrong is told.
        ROLE.set(Some(role));
        if !filter::install(role) {
            MISSING.fetch_or(NO_SYSTEM_CALL_FILTER, Ordering::Relaxed);
        }
    }
    #[cfg(debug_assertions)]
    attempt(role.name());
}

/// What of the sandbox is not there, as a line for a person, if something is.
pub fn shortcoming() -> Option<String> {
    let missing = MISSING.load(Ordering::Relaxed);
    let (what, rest) = match (missing & NO_SYSTEM_CALL_FILTER != 0, missing & NO_LANDLOCK != 0) {
        (false, false) => return None,
        (true, false) => ("system calls are not restricted (seccomp)", "files are out of reach, though"),
        (false, true) => ("files are not kept out of reach (Landlock)", "system calls are restricted, though"),
        (true, true) => {
            ("neither system calls (seccomp) nor files (Landlock) are restricted", "only its privileges are")
        }
    };
    Some(format!("the sandbox is incomplete, as this kernel or container lacks something: {what}; {rest}"))
}
