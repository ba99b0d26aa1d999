//! Finds the built commands and runs them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::sync::{Mutex, PoisonError};

/// The top folder of the checkout.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// The path of a command of ours in the profile under test, after making sure that it is up to date.
///
/// # Panics
/// When cargo can't build it.
pub fn tool_path(name: &str) -> PathBuf {
    static BUILT: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let test = std::env::current_exe().unwrap_or_default();
    // target/PROFILE/deps/TEST, or target/PROFILE/PROGRAM; with the target's name before the profile where one was asked for.
    let folder = test.parent().unwrap_or(Path::new("target/debug"));
    let folder = folder.parent().filter(|_| folder.ends_with("deps")).unwrap_or(folder);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if !built.iter().any(|known| known == name) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root()).args(["build", "--quiet", "-p", name]);
        if let Some(above) = folder.parent() {
            let system = format!("{}-unknown-linux-", std::env::consts::ARCH);
            let asked = above.file_name().and_then(OsStr::to_str).filter(|name| name.starts_with(&system));
            let target = asked.and(above.parent()).unwrap_or(above);
            cargo.arg("--target-dir").arg(target).args(asked.map(|name| ["--target", name]).into_iter().flatten());
        }
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.status();
        assert!(status.as_ref().is_ok_and(ExitStatus::success), "{name} can't be built: {status:?}");
        built.push(name.to_owned());
    }
    folder.join(name)
}

/// A command of ours, such as `stos-pack`, with an environment that does not change what it prints.
pub fn tool(name: &str) -> Command {
    let mut command = Command::new(tool_path(name));
    command.env("NO_COLOR", "1").env("COLUMNS", "120").env("LC_ALL", "C");
    without_wishes(&mut command);
    command
}

/// Takes from the environment of `command` what somebody wants of every run of ours.
pub fn without_wishes(command: &mut Command) {
    for name in ["GITHUB_ACTIONS", "STOS_RUN_BACKEND", "STOS_RUN_TIMEOUT", "STOS_RUN_COLOR"] {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", "/nowhere/at/all");
}

/// A line, or a script, for `program`, a shell in `folder`: as an author's, with the tools under test as if they were installed.
///
/// # Panics
/// When PATH can't be extended.
pub fn shell(program: &str, line: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["-c", line]).current_dir(folder);
    command.env("STOS_PACK", tool_path("stos-pack")).env("STOS_RUN", tool_path("stos-run"));
    let tools = tool_path("stos-run").parent().unwrap_or(Path::new("/")).to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)));
    command.env("PATH", paths.unwrap_or_else(|error| panic!("PATH: {error}")));
    command.env("NO_COLOR", "1").env("COLUMNS", "120").env("LC_ALL", "C");
    without_wishes(&mut command);
    // Nothing of this machine is changed: rustup would bring its toolchain up to date to get a target.
    command.env("RUSTUP_AUTO_INSTALL", "0");
    // What whoever runs the tests has set for the tests' own build.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_ENCODED_"].iter().any(|start| text.starts_with(start))
            || ["CARGO_TARGET_DIR", "RUSTFLAGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CC", "LD", "CFLAGS"]
                .contains(&&*text)
        {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs `stos-pack` with `arguments` in `folder` to its end.
pub fn pack_in(folder: &Path, arguments: &[&str]) -> Run {
    run(tool("stos-pack").current_dir(folder).args(arguments))
}

/// Packs `folder`'s manifest.yaml, which has these lines beside a name, into manifest.img. Returns what is said of it.
pub fn pack_manifest(folder: &Path, lines: &str) -> String {
    std::fs::write(folder.join("manifest.yaml"), format!("version: 1\nname: test\n{lines}\n")).unwrap();
    let packed = pack_in(folder, &["manifest.yaml"]);
    assert_eq!(packed.status, Some(0), "{}", packed.stderr);
    packed.stderr
}

/// What a command printed and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self::new(output.status.code(), &output.stdout, &output.stderr)
    }
}

impl Run {
    /// With the bytes that are no UTF-8 replaced.
    pub fn new(status: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self { status, stdout: text(stdout), stderr: text(stderr) }
    }
}

/// Runs `command` without input to its end.
///
/// # Panics
/// When it can't be started.
pub fn run(command: &mut Command) -> Run {
    match command.stdin(std::process::Stdio::null()).output() {
        Ok(output) => output.into(),
        Err(error) => panic!("{command:?} can't be started: {error}"),
    }
}
