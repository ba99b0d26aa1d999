//! What a person wants of every run: variables of the environment, and a file that is there only if somebody has written it. The
//! command line beats the environment, that the file, and that the image.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Deserialize;
use stos_pack::diagnostics::{describe, printable};
use stos_pack::output::Colors;

use crate::backend::BackendChoice;
use crate::options::{Options, parse_time_limit};

/// Most bytes of the file.
const FILE_LIMIT: u64 = 64 << 10;
/// What can be set: an option's name, and the variable for it.
const KEYS: [(&str, &str); 3] =
    [("backend", "STOS_RUN_BACKEND"), ("timeout", "STOS_RUN_TIMEOUT"), ("color", "STOS_RUN_COLOR")];

/// A value, and where it stands, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    value: String,
    place: String,
}

/// What is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// In the order of the keys.
    values: [Option<Setting>; KEYS.len()],
    file: Option<PathBuf>,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    backend: Option<String>,
    timeout: Option<String>,
    color: Option<String>,
}

impl Settings {
    /// Those of this process.
    ///
    /// # Errors
    /// Names the file or the variable, and what is wrong with it.
    pub fn read() -> Result<Self, String> {
        Self::read_with(|name| std::env::var_os(name))
    }

    fn read_with(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, String> {
        let file = path(&variable);
        let content = file.as_deref().map(read_file).transpose()?.flatten();
        let found = file.filter(|_| content.is_some());
        let Content { backend, timeout, color } = content.unwrap_or_default();
        let mut values = [None, None, None];
        for ((value, (key, name)), from_file) in values.iter_mut().zip(KEYS).zip([backend, timeout, color]) {
            // Empty is as good as not set.
            *value = match variable(name).filter(|value| !value.is_empty()) {
                Some(value) => Some(Setting { value: value.to_string_lossy().into_owned(), place: name.to_owned() }),
                None => from_file.map(|value| {
                    let file = found.as_deref().unwrap_or(Path::new("")).display();
                    Setting { value, place: format!("`{file}`: {key}") }
                }),
            };
        }
        Ok(Self { values, file: found })
    }

    /// Sets what of `options` the command line has not: `is_given` tells that of an option's name.
    ///
    /// # Errors
    /// Names the file or the variable, its value, and what it can be.
    pub fn apply(&self, options: &mut Options, is_given: impl Fn(&str) -> bool) -> Result<(), String> {
        for ((key, _), setting) in KEYS.iter().zip(&self.values) {
            let Some(setting) = setting else { continue };
            // Also when it counts for nothing: a mistake is told when it is made.
            match *key {
                "backend" => set(&mut options.backend, setting.word::<BackendChoice>()?, !is_given("backend")),
                "color" => set(&mut options.color, setting.word::<Colors>()?, !is_given("color")),
                _ => {
                    let limit = parse_time_limit(&setting.value).map_err(|why| setting.refused(&why))?;
                    set(&mut options.time_limit, Some(limit), !is_given("time_limit"));
                }
            }
        }
        Ok(())
    }

    /// The word for the backend, whether it is one or not.
    pub fn backend(&self) -> Option<&str> {
        let (_, setting) = KEYS.iter().zip(&self.values).find(|((key, _), _)| *key == "backend")?;
        Some(&setting.as_ref()?.value)
    }

    /// One line on them.
    pub fn told(&self) -> String {
        let file = self.file.as_ref().map(|path| format!("from `{}`", path.display()));
        let set: Vec<&str> =
            KEYS.iter().zip(&self.values).filter(|(_, value)| value.is_some()).map(|((key, _), _)| *key).collect();
        match (file, &*set) {
            (None, []) => "none".to_owned(),
            (file, set) => {
                let from = file.unwrap_or_else(|| "from the environment".to_owned());
                let what = if set.is_empty() { "none".to_owned() } else { set.join(", ") };
                format!("{what}; {from}")
            }
        }
    }
}

fn set<T>(place: &mut T, value: T, is_wanted: bool) {
    if is_wanted {
        *place = value;
    }
}

impl Setting {
    fn refused(&self, why: &str) -> String {
        format!("{}: `{}` is no value for it: {why}", self.place, printable(&self.value))
    }

    /// The value as one of a few words.
    fn word<T: ValueEnum>(&self) -> Result<T, String> {
        T::from_str(&self.value, false).map_err(|_| {
            let names =
                T::value_variants().iter().filter_map(|value| Some(value.to_possible_value()?.get_name().to_owned()));
            self.refused(&format!("it can be {}", names.collect::<Vec<_>>().join(", ")))
        })
    }
}

/// Where the file is, if it is there (XDG Base Directory Specification, 0.8: a relative path is to be ignored).
fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config")))?;
    Some(folder.join("stos/run.yaml"))
}

/// What is in the file at `path`; nothing when there is none, or none that this user can see.
fn read_file(path: &Path) -> Result<Option<Content>, String> {
    let Ok(metadata) = path.metadata() else { return Ok(None) };
    let failed = |why: String| format!("`{}`: {why}", path.display());
    if !metadata.is_file() {
        return Err(failed("it is no file; settings are read from one".to_owned()));
    }
    if metadata.len() > FILE_LIMIT {
        return Err(failed(format!("it has {} bytes, and at most {FILE_LIMIT} are read", metadata.len())));
    }
    let text = fs::read_to_string(path).map_err(|error| failed(format!("it can't be read: {}", reason(&error))))?;
    // A file of comments is as good as none.
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Some(Content::default()));
    }
    let content = serde_saphyr::from_str(&text);
    content.map(Some).map_err(|error| {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        failed(format!("{}; it can have {}", printable(first), KEYS.map(|(key, _)| key).join(", ")))
    })
}

fn reason(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::InvalidData { "it is no text".to_owned() } else { describe(error) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::TimeLimit;
    use clap::{Args, FromArgMatches};
    use std::time::Duration;
    use tempfile::TempDir;

    /// A folder for settings with this `text` in the file.
    fn home(text: &str) -> TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("stos")).unwrap();
        fs::write(home.path().join("stos/run.yaml"), text).unwrap();
        home
    }

    fn read(home: &TempDir, variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read_with(|name| match name {
            "XDG_CONFIG_HOME" => Some(home.path().into()),
            _ => variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value)),
        })
    }

    fn options() -> Options {
        let matches = Options::augment_args(clap::Command::new("test")).get_matches_from(["test", "image"]);
        Options::from_arg_matches(&matches).unwrap()
    }

    #[test]
    fn the_command_line_beats_the_environment_and_that_the_file() {
        let home = home("# mine\nbackend: kvm\ntimeout: 10s\ncolor: never\n");
        let settings = read(&home, &[("STOS_RUN_BACKEND", "emulated"), ("STOS_RUN_COLOR", "")]).unwrap();
        let mut all = options();
        settings.apply(&mut all, |_| false).unwrap();
        let limit = Some(TimeLimit::After(Duration::from_secs(10)));
        assert_eq!((all.backend, all.time_limit, all.color), (BackendChoice::Emulated, limit, Colors::Never));
        let mut given = options();
        settings.apply(&mut given, |name| name == "backend" || name == "time_limit").unwrap();
        assert_eq!((given.backend, given.time_limit, given.color), (BackendChoice::Auto, None, Colors::Never));
        assert_eq!(settings.backend(), Some("emulated"));
        assert_eq!(read(&home, &[]).unwrap().backend(), Some("kvm"));
        assert!(settings.told().starts_with("backend, timeout, color; from `"), "{}", settings.told());
    }

    #[test]
    fn a_bad_value_is_told_with_its_place_and_what_it_can_be() {
        let apply = |text: &str, variables: &[(&str, &str)]| {
            let home = home(text);
            let told =
                read(&home, variables).and_then(|settings| settings.apply(&mut options(), |_| true)).unwrap_err();
            told.replace(&home.path().display().to_string(), "HOME")
        };
        assert_eq!(
            apply("backend: bochs\n", &[]),
            "`HOME/stos/run.yaml`: backend: `bochs` is no value for it: it can be auto, kvm, emulated, embedded"
        );
        assert_eq!(
            apply("", &[("STOS_RUN_COLOR", "ye\u{1b}s")]),
            "STOS_RUN_COLOR: `ye\\u{1b}s` is no value for it: it can be auto, always, never"
        );
        assert_eq!(
            apply("timeout: soon\n", &[]),
            "`HOME/stos/run.yaml`: timeout: `soon` is no value for it: expected a number and ms, s, m or h, or `none`"
        );
        for (text, part) in [("bakend: kvm\n", "bakend"), ("backend: [kvm]\n", ""), ("}{\n", ""), ("kvm\n", "")] {
            let told = apply(text, &[]);
            assert!(told.starts_with("`HOME/stos/run.yaml`: ") && told.contains(part), "{told}");
            assert!(told.ends_with("; it can have backend, timeout, color") && !told.contains('\n'), "{told}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_costs_nothing_and_one_that_is_none_is_told() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(read(&empty, &[]), Ok(Settings::default()));
        assert_eq!(Settings::default().told(), "none");
        assert_eq!(Settings::read_with(|_| None), Ok(Settings::default()));
        let relative = |name: &str| (name == "XDG_CONFIG_HOME").then(|| OsString::from("here"));
        assert_eq!(Settings::read_with(relative), Ok(Settings::default()));
        fs::create_dir_all(empty.path().join("stos/run.yaml")).unwrap();
        assert!(read(&empty, &[]).unwrap_err().ends_with("/stos/run.yaml`: it is no file; settings are read from one"));
        let large = home(&"#".repeat(70_000));
        assert!(read(&large, &[]).unwrap_err().ends_with(": it has 70000 bytes, and at most 65536 are read"));
        let comments = home("# backend: kvm\n\n");
        assert!(read(&comments, &[]).unwrap().values.iter().all(Option::is_none));
    }
}
