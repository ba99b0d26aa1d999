//! What a run is asked for: the options of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use stos_image::Digest;
use stos_pack::Changes;
use stos_pack::output::Colors;

use crate::backend::BackendChoice;
use crate::machine::{ClockStart, Configuration, CpuModel, Pace};
use crate::outcome::{MessageFormat, Outcome, Telling};
use crate::serial::SerialTarget;
use crate::terminal::{KeyboardChoice, ScreenMode};
use crate::watch::Expectations;

/// When a run is ended at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// Never.
    None,
    /// This long after the start of this process.
    After(Duration),
}

/// The option by which runs are watched, without its hyphens.
pub const WATCH: &str = "watch";
/// How the first words of a run begin that is watched. They are for no person, and cost each other run too much where all options are.
pub const WATCHED: &str = "--watched=";
/// The same.
pub const OUTPUT_COPY: &str = "--output-copy=";

/// How runs are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WatchMode {
    /// One run after the other.
    Runs,
    /// And what each has printed that the one before has not.
    Diff,
}

/// What to run and how.
#[derive(Args, Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// The image, as `stos-pack` writes it; or a manifest, or a kernel, of which one is made in memory
    #[arg(value_name = "FILE")]
    pub image: PathBuf,

    /// Of a manifest: the profile [default: the manifest's `profile`, if any]
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,

    /// Of a manifest: this file as the kernel, by the manifest's protocol
    #[arg(long, value_name = "FILE")]
    pub kernel: Option<String>,

    /// Of a manifest or kernel: so much guest memory, such as `128MiB`
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<String>,

    /// Of a manifest or kernel: these words at the end of the kernel's command line; may be given several times
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub append: Vec<String>,

    /// Of a manifest or kernel: this file as one more module; may be given several times
    #[arg(long, value_name = "FILE")]
    pub module: Vec<String>,

    /// Of a manifest or kernel: this directory, or cpio archive, as the initramfs
    #[arg(long, value_name = "PATH")]
    pub initramfs: Option<String>,

    /// Run again when something changes that the image is made of; with `=diff`, show what the guest prints differently
    #[arg(long, value_enum, value_name = "MODE", num_args = 0..=1, require_equals = true, default_missing_value = "runs")]
    #[arg(conflicts_with = "print_manifest")]
    pub watch: Option<WatchMode>,

    /// This is a run that the process with this number watches
    #[arg(skip)]
    pub watched: Option<i32>,

    /// Where a copy of what the guest prints on COM1 goes
    #[arg(skip)]
    pub output_copy: Option<PathBuf>,

    /// Of a kernel: print the manifest that it gets, and run nothing
    #[arg(long)]
    pub print_manifest: bool,

    /// Run the image with this id and no other: `sha256:` and 64 digits, as `stos-pack` prints it
    #[arg(long, value_name = "ID")]
    pub digest: Option<Digest>,

    /// Run the image only if one of the keys in this file has signed it; may be given several times
    #[arg(long, value_name = "PUBLICKEY")]
    pub trust: Vec<PathBuf>,

    /// Where the image's signature is [default: the image's name with `.minisig` behind it]
    #[arg(long, value_name = "FILE", requires = "trust")]
    pub signature: Option<PathBuf>,

    /// What executes the guest; `auto` takes KVM where it can run 32-bit kernels and the emulator elsewhere
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto)]
    pub backend: BackendChoice,

    /// End the run after this time: `10s`, `500ms`, `2m`, a number of seconds, or `none`; replaces the image's limit
    #[arg(long = "timeout", value_name = "DURATION", value_parser = parse_time_limit)]
    pub time_limit: Option<TimeLimit>,

    /// On the embedded machine: end the run after so many instructions
    #[arg(long, value_name = "NUMBER", value_parser = parse_instruction_limit)]
    pub limit_instructions: Option<u64>,

    /// How fast the embedded machine's time passes [default: `real` at a terminal, else `none`, but a guest that waits for a
    /// pipe waits in real time]
    #[arg(long, value_enum, value_name = "PACE")]
    pub pace: Option<Pace>,

    /// Succeed once lines of output have matched each of these, in the order given; replaces the image's list
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    pub expect: Option<Vec<String>>,

    /// Fail when a line of output matches this; may be given several times
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    pub reject: Vec<String>,

    /// End the run once a line of output matches this: with success, if everything that `--expect` names has appeared by
    /// then; the image's list does not count
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    pub until: Option<String>,

    /// Take no time limit and no expected lines from the image; its exit port stays, which its kernel was built for
    #[arg(long)]
    pub ignore_image_run: bool,

    /// End the run when the guest has printed more than this on serial port and debug console together: `10MiB`, `64KiB`,
    /// or a number of bytes
    #[arg(long, value_name = "SIZE", value_parser = parse_output_limit)]
    pub max_output: Option<u64>,

    /// Where the serial port COM1 leads: `stdio`, `file:PATH`, `unix:PATH` (a socket), `pty` or `off`
    #[arg(long, value_name = "TARGET", default_value = "stdio")]
    #[arg(value_parser = OsStringValueParser::new().try_map(SerialTarget::parse))]
    pub serial: SerialTarget,

    /// What is shown of the guest's screen, on standard error
    #[arg(long, value_enum, default_value_t = ScreenMode::Auto, value_name = "WHEN")]
    pub screen: ScreenMode,

    /// Draw the screen as it is at the end into this file
    #[arg(long, value_name = "FILE")]
    pub screen_png: Option<PathBuf>,

    /// Where standard input goes; without this, what is typed while the screen is live goes to the keyboard, all else to
    /// the serial port, or nowhere if that leads elsewhere
    #[arg(long, value_enum, value_name = "DEVICE")]
    pub keyboard: Option<KeyboardChoice>,

    /// Write everything that was seen of the run into this file, as JSON; `stos-run schema` prints the form
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Write how the run ended, and where in the guest's source, into this file, as SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    pub sarif: Option<PathBuf>,

    /// The form of what is told of the run on standard error
    #[arg(long, value_enum, default_value_t = MessageFormat::Human, value_name = "FORMAT")]
    pub message_format: MessageFormat,

    /// When standard error has colours
    #[arg(long, value_enum, default_value_t = Colors::Auto, value_name = "WHEN")]
    pub color: Colors,

    /// Exit with 2n + 1 for a guest that reports n, as QEMU's isa-debug-exit does
    #[arg(long)]
    pub qemu_exit_codes: bool,

    /// When the guest's clock begins
    #[arg(long, value_enum, default_value_t = ClockStart::Fixed, value_name = "START")]
    pub rtc: ClockStart,

    /// The processor that the guest finds
    #[arg(long, value_enum, default_value_t = CpuModel::Fixed, value_name = "MODEL")]
    pub cpu: CpuModel,

    /// After a triple fault, always run the image once more on the embedded machine, to tell which exceptions led to it; without
    /// this, only after a short run in which nothing was typed
    #[arg(long)]
    pub explain: bool,

    /// Keep all rights of this process while the guest runs; for looking into stos-run itself with tools that need them
    #[arg(long)]
    pub no_sandbox: bool,

    /// Print at the end how long each step of the run took
    #[arg(long)]
    pub timings: bool,
}

impl Options {
    /// The guest's clock and processor.
    pub fn configuration(&self) -> Configuration {
        Configuration { clock: self.rtc, cpu: self.cpu, pace: self.pace, is_confined: !self.no_sandbox }
    }

    /// The backend to take: one that counts, if instructions are to be counted and none is named.
    pub fn wanted_backend(&self) -> BackendChoice {
        match self.backend {
            BackendChoice::Auto if self.limit_instructions.is_some() => BackendChoice::Embedded,
            other => other,
        }
    }

    /// The name of the backend that is asked for, if it does not count.
    pub fn uncounted_backend(&self) -> Option<&'static str> {
        match self.backend {
            BackendChoice::Kvm => Some("kvm"),
            BackendChoice::Emulated => Some("emulated"),
            BackendChoice::Auto | BackendChoice::Embedded => None,
        }
    }

    /// How the run is told of.
    pub fn telling(&self) -> Telling {
        Telling::new(self.message_format, self.color)
    }

    /// What is changed of a manifest.
    pub fn changes(&self) -> Changes {
        let Self { profile, kernel, memory, append, module, initramfs, .. } = self.clone();
        let words = (!append.is_empty()).then(|| append.join(" "));
        Changes { profile, kernel, memory, words, modules: module, initramfs }
    }

    /// The first option that changes something of a manifest.
    pub fn first_change(&self) -> Option<&'static str> {
        let Self { profile, kernel, memory, append, module, initramfs, print_manifest, .. } = self;
        let given = [
            ("--profile", profile.is_some()),
            ("--kernel", kernel.is_some()),
            ("--memory", memory.is_some()),
            ("--append", !append.is_empty()),
            ("--module", !module.is_empty()),
            ("--initramfs", initramfs.is_some()),
            ("--print-manifest", *print_manifest),
        ];
        given.into_iter().find_map(|(name, is_given)| is_given.then_some(name))
    }

    /// The exit status of a run that ended with `outcome`.
    pub fn status(&self, outcome: &Outcome) -> u8 {
        if self.qemu_exit_codes { outcome.qemu_status() } else { outcome.status() }
    }
}

fn parse_pattern(text: &str) -> Result<String, String> {
    Expectations::compile(&[text.to_owned()]).map(|_| text.to_owned())
}

/// The limit that `text` means.
///
/// # Errors
/// What it must be.
pub fn parse_time_limit(text: &str) -> Result<TimeLimit, String> {
    if text == "none" {
        return Ok(TimeLimit::None);
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let milliseconds_per_unit = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err("expected a number and ms, s, m or h, or `none`".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number and ms, s, m or h, or `none`".to_owned())?;
    let milliseconds = number.checked_mul(milliseconds_per_unit).ok_or("the time is too long")?;
    if milliseconds > stos_image::TIMEOUT_LIMIT_MS {
        return Err("the time is too long: at most a day (24h) is allowed, or `none`".to_owned());
    }
    Ok(if milliseconds == 0 { TimeLimit::None } else { TimeLimit::After(Duration::from_millis(milliseconds)) })
}

fn parse_instruction_limit(text: &str) -> Result<u64, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(0) => Err("at least 1 instruction must be allowed; leave the option out for no limit".to_owned()),
        Ok(count) if is_number => Ok(count),
        Err(_) if is_number => Err("that is too much; leave the option out for no limit".to_owned()),
        _ => Err("expected a number of instructions, such as 1000000".to_owned()),
    }
}

fn parse_output_limit(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err("expected a number and KiB, MiB or GiB, or a number of bytes".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "expected a number of bytes, such as 10MiB".to_owned())?;
    match number.checked_mul(1 << shift) {
        Some(0) => Err("at least 1 byte must be allowed; leave the option out for no limit".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err("that is too much; leave the option out for no limit".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_output_are_read_with_the_units_of_manifests() {
        for (text, expected) in [("1", 1), ("64KiB", 64 << 10), ("10MiB", 10 << 20), ("2GiB", 2 << 30)] {
            assert_eq!(parse_output_limit(text), Ok(expected), "{text}");
        }
        for text in ["", "0", "0MiB", "MiB", "10MB", "10 MiB", "-1", "1.5MiB", "10m", "99999999999GiB"] {
            assert!(parse_output_limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn limits_of_instructions_are_whole_numbers_above_zero() {
        assert_eq!(parse_instruction_limit("1"), Ok(1));
        assert_eq!(parse_instruction_limit("18446744073709551615"), Ok(u64::MAX));
        for (text, part) in [
            ("0", "at least 1"),
            ("", "expected a number"),
            ("+5", "expected a number"),
            ("1k", "expected a number"),
            ("1_000", "expected a number"),
            ("18446744073709551616", "too much"),
        ] {
            assert!(parse_instruction_limit(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        let after = |milliseconds| Ok(TimeLimit::After(Duration::from_millis(milliseconds)));
        for (text, expected) in [
            ("10s", after(10_000)),
            ("500ms", after(500)),
            ("2m", after(120_000)),
            ("24h", after(86_400_000)),
            ("7", after(7000)),
            ("0", Ok(TimeLimit::None)),
            ("none", Ok(TimeLimit::None)),
        ] {
            assert_eq!(parse_time_limit(text), expected, "{text}");
        }
    }

    #[test]
    fn other_durations_are_refused() {
        for text in ["", "s", "-1s", "1.5s", "10 s", "10sec", "25h", "99999999999999999999", "18446744073709551615m"] {
            assert!(parse_time_limit(text).is_err(), "{text}");
        }
    }
}
