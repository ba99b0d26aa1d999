//! The command line of `stos-run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::backend::BackendChoice;
use crate::machine::{ClockStart, Configuration, CpuModel};
use crate::options::{Options, TimeLimit};
use crate::serial::SerialTarget;
use crate::terminal::{KeyboardChoice, ScreenMode};

/// Run a stos boot image in a virtual machine.
///
/// The guest's serial port COM1 is connected to standard input and output, unless `--serial` says otherwise. On a terminal,
/// Ctrl-A X leaves and Ctrl-A H lists the other keys.
#[derive(Debug, Parser)]
#[command(
    name = "stos-run",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true,
    after_help = "Exit status: 0 success; 1-63 the guest's own status; 64-69 the run could not start; 70 a mistake in \
stos-run; 74 reading or writing failed; 100-105 the guest crashed, hung or did not print what was expected; 106 it asked \
for a reset; 124 time limit; 129-143 ended by a signal, 130 from the keyboard."
)]
pub struct Arguments {
    /// Something else than running an image
    #[command(subcommand)]
    pub verb: Option<Verb>,

    /// The image, as `stos-pack` writes it
    #[arg(value_name = "IMAGE", required = true)]
    image: Option<PathBuf>,

    /// What executes the guest; `auto` takes KVM where it can run 32-bit kernels and the emulator elsewhere
    #[arg(long, value_enum, default_value_t = BackendChoice::Auto)]
    backend: BackendChoice,

    /// End the run after this time: `10s`, `500ms`, `2m`, a number of seconds, or `none`; replaces the image's limit
    #[arg(long, value_name = "DURATION", value_parser = parse_time_limit)]
    timeout: Option<TimeLimit>,

    /// Succeed once lines of output have matched each of these, in the order given; replaces the image's list
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    expect: Vec<String>,

    /// Fail when a line of output matches this; may be given several times
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    reject: Vec<String>,

    /// End the run once a line of output matches this: with success, if everything expected has appeared by then
    #[arg(long, value_name = "REGEX", value_parser = parse_pattern)]
    until: Option<String>,

    /// Where the serial port COM1 leads: `stdio`, `file:PATH`, `unix:PATH` (a socket), `pty` or `off`
    #[arg(long, value_name = "TARGET", default_value = "stdio")]
    #[arg(value_parser = OsStringValueParser::new().try_map(SerialTarget::parse))]
    serial: SerialTarget,

    /// What is shown of the guest's screen, on standard error
    #[arg(long, value_enum, default_value_t = ScreenMode::Auto, value_name = "WHEN")]
    screen: ScreenMode,

    /// Draw the screen as it is at the end into this file
    #[arg(long, value_name = "FILE")]
    screen_png: Option<PathBuf>,

    /// Where standard input goes; without this, what is typed while the screen is live goes to the keyboard, all else to
    /// the serial port, or nowhere if that leads elsewhere
    #[arg(long, value_enum, value_name = "DEVICE")]
    keyboard: Option<KeyboardChoice>,

    /// Write everything that was seen of the run into this file, as JSON; `stos-run schema` prints the form
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Exit with 2n + 1 for a guest that reports n, as QEMU's isa-debug-exit does
    #[arg(long)]
    qemu_exit_codes: bool,

    /// When the guest's clock begins
    #[arg(long, value_enum, default_value_t = ClockStart::Fixed, value_name = "START")]
    rtc: ClockStart,

    /// The processor that the guest finds
    #[arg(long, value_enum, default_value_t = CpuModel::Fixed, value_name = "MODEL")]
    cpu: CpuModel,

    /// After a triple fault, always run the image once more on the emulator, to tell which exceptions led to it; without this,
    /// only after a short run in which nothing was typed
    #[arg(long)]
    explain: bool,

    /// Print nothing about the run but why it failed
    #[arg(short, long)]
    pub quiet: bool,
}

/// Something else than running an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Verb {
    /// Print the JSON Schema of what `--report` writes
    Schema,
}

impl Arguments {
    /// The options that these arguments ask for.
    pub fn into_options(self) -> Options {
        let Self {
            verb: _,
            image,
            backend,
            timeout,
            expect,
            reject,
            until,
            serial,
            screen,
            screen_png,
            keyboard,
            report,
            qemu_exit_codes,
            rtc,
            cpu,
            explain,
            quiet: _,
        } = self;
        Options {
            // The parser asks for one unless there is a verb.
            image: image.unwrap_or_default(),
            backend,
            time_limit: timeout,
            expect: (!expect.is_empty()).then_some(expect),
            reject,
            until,
            serial,
            screen,
            screen_png,
            keyboard,
            report,
            qemu_exit_codes,
            configuration: Configuration { clock: rtc, cpu },
            explain,
        }
    }
}

fn parse_pattern(text: &str) -> Result<String, String> {
    crate::watch::Expectations::compile(&[text.to_owned()]).map(|_| text.to_owned()).map_err(|error| error.reason)
}

fn parse_time_limit(text: &str) -> Result<TimeLimit, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_image_is_needed_unless_there_is_a_verb() {
        assert!(Arguments::try_parse_from(["stos-run"]).is_err());
        assert!(Arguments::try_parse_from(["stos-run", "schema", "image"]).is_err());
        let verb = |arguments: [&str; 2]| Arguments::try_parse_from(arguments).unwrap().verb;
        assert_eq!((verb(["stos-run", "schema"]), verb(["stos-run", "./schema"])), (Some(Verb::Schema), None));
    }

    #[test]
    fn an_invalid_expression_is_refused() {
        assert!(Arguments::try_parse_from(["stos-run", "--expect", "(", "image"]).is_err());
    }
}
