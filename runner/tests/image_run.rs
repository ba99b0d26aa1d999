//! What an image asks for in its `run` section counts only where the command line says nothing.

use stos_image::RunDefaults;
use stos_tests::backends::unpaged;
use stos_tests::bare::code::{HALT, exit, out32, say};
use stos_tests::bare::{BareGuest, run};

fn image(code: &[Vec<u8>], expect: &[&str], exit_port: u16) -> Vec<u8> {
    let expect = expect.iter().map(ToString::to_string).collect();
    let defaults = RunDefaults { expect, exit_port, timeout_ms: Some(50_000) };
    BareGuest::new(&code.concat()).with_run(defaults).image()
}

#[test]
fn an_image_does_not_say_what_success_is_when_the_command_line_does() {
    // Succeeds by its own measure with its first line.
    let image = image(&[say("hello\n"), HALT.to_vec()], &["hello"], 0xf4);
    for backend in unpaged() {
        for (arguments, status) in [
            (&[][..], 0),
            (&["--expect", "tests passed"], 104),
            (&["--until", "tests passed"], 104),
            (&["--ignore-image-run"], 104),
            (&["--ignore-image-run", "--expect", "hello"], 0),
        ] {
            let ended = run(backend, arguments, &image);
            assert_eq!(ended.status, Some(status), "{backend} {arguments:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn what_is_ignored_is_said_first_and_the_exit_port_stays() {
    let image = image(&[out32(0x501, 5), HALT.to_vec()], &["one", "("], 0x501);
    let told =
        "stos-run: ignoring the image's `run`: its time limit of 50s and 2 expected lines; its exit port stays 0x501\n";
    for backend in unpaged() {
        // An expression that can't be compiled is of no matter then.
        let ended = run(backend, &["--ignore-image-run"], &image);
        assert_eq!(ended.status, Some(5), "{backend}: {}", ended.stderr);
        assert!(ended.stderr.contains(told), "{}", ended.stderr);
        assert_eq!(run(backend, &[], &image).status, Some(65), "{backend}");
        assert!(!run(backend, &["--expect", "x"], &image).stderr.contains("ignoring"), "{backend}");
    }
}

#[test]
fn an_image_that_asks_for_nothing_is_run_as_ever() {
    let image = BareGuest::new(&exit(3)).image();
    for backend in unpaged() {
        let ended = run(backend, &["--ignore-image-run"], &image);
        assert_eq!(ended.status, Some(3), "{backend}: {}", ended.stderr);
        assert!(ended.stderr.contains("it has no time limit and expects nothing; its exit port stays 0xf4"));
    }
}
