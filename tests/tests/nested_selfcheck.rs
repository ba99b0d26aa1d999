//! Proves the nested-KVM harness itself: what goes into the VM and comes out of it is what was meant.

use std::path::PathBuf;

use stos_tests::nested::{self, Case, CaseResult, NestedError, Payload};

fn case(name: &str, argv: &[&str]) -> Case {
    Case {
        name: name.to_owned(),
        argv: argv.iter().map(|word| (*word).to_owned()).collect(),
        stdin: None,
        hide_sys: false,
        timeout_seconds: 30,
    }
}

fn every_byte() -> Vec<u8> {
    (0..=255).collect()
}

#[test]
fn one_boot_runs_all_cases_and_tells_how_each_ended() {
    let mut bytes_file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut bytes_file, &every_byte()).unwrap();
    let payload = Payload {
        // Dynamically linked on every distribution, and so is this test.
        binaries: vec![PathBuf::from("/usr/bin/setpriv"), std::env::current_exe().unwrap()],
        files: vec![(bytes_file.path().to_path_buf(), "data/every byte".to_owned())],
    };
    let this_test = std::env::current_exe().unwrap();
    let this_test = this_test.file_name().unwrap().to_str().unwrap();
    let large = "0123456789abcde\n".repeat(1 << 14).into_bytes();

    let cases = [
        case("success", &["busybox", "true"]),
        case("failure", &["busybox", "false"]),
        case("no such program", &["no-such-program"]),
        case("binary output", &["sh", "-c", "cat 'data/every byte'; echo 'case 9 0 0 0' >&2; exit 42"]),
        Case { stdin: Some(every_byte()), ..case("standard input", &["cat"]) },
        case("no standard input", &["cat"]),
        Case { stdin: Some(large.clone()), ..case("large input and output", &["cat"]) },
        Case {
            timeout_seconds: 1,
            ..case("time limit", &["sh", "-c", "echo begun; sleep 1000 & sleep 1000; echo over"])
        },
        case("nothing outlives its case", &["sh", "-c", "ps | grep '[s]leep 1000'"]),
        case("killed by a signal", &["sh", "-c", "kill -TERM $$"]),
        case("no output without end", &["sh", "-c", "cat /dev/zero; echo still here >&2"]),
        case("kvm", &["test", "-c", "/dev/kvm"]),
        case("nested paging", &["grep", "-x", "[Y1]", "/sys/module/kvm_amd/parameters/npt"]),
        Case { hide_sys: true, ..case("sys hidden", &["test", "-e", "/sys/module"]) },
        case("sys is back", &["test", "-d", "/sys/module/kvm_amd"]),
        case("quoting", &["printf", "%s|", "it's", "$HOME", "", "a\nb"]),
        case("shared libraries", &["setpriv", "--version"]),
        case("a Rust program", &[this_test, "--list"]),
    ];
    let results = nested::run(&payload, &cases).unwrap_or_else(|error| panic!("{error}"));

    assert_eq!(
        results.iter().map(|result| &result.name).collect::<Vec<_>>(),
        cases.iter().map(|case| &case.name).collect::<Vec<_>>()
    );
    let of = |name: &str| -> &CaseResult { results.iter().find(|result| result.name == name).unwrap() };
    for (name, status) in [
        ("success", Some(0)),
        ("failure", Some(1)),
        ("no such program", Some(127)),
        ("binary output", Some(42)),
        ("standard input", Some(0)),
        ("no standard input", Some(0)),
        ("large input and output", Some(0)),
        ("time limit", None),
        ("nothing outlives its case", Some(1)),
        ("killed by a signal", Some(128 + 15)),
        ("kvm", Some(0)),
        ("nested paging", Some(0)),
        ("sys hidden", Some(1)),
        ("sys is back", Some(0)),
        ("quoting", Some(0)),
        ("shared libraries", Some(0)),
        ("a Rust program", Some(0)),
    ] {
        assert_eq!(of(name).status, status, "{:?}", of(name));
    }
    assert_eq!(of("binary output").stdout, every_byte());
    assert_eq!(of("binary output").stderr, b"case 9 0 0 0\n");
    assert_eq!(of("standard input").stdout, every_byte());
    assert_eq!(of("no standard input").stdout, b"");
    assert!(of("large input and output").stdout == large);
    assert_eq!(of("time limit").stdout, b"begun\n");
    assert_eq!(of("no output without end").stdout.len(), 4 << 20);
    assert_eq!(of("quoting").stdout, b"it's|$HOME||a\nb|");
    assert!(String::from_utf8_lossy(&of("a Rust program").stdout).contains("one_boot_runs_all_cases"));
}

#[test]
fn a_vm_that_dies_is_an_error_with_the_case_and_the_console() {
    let cases = [
        case("before", &["true"]),
        case("the killer", &["sh", "-c", "echo last words >/dev/console; echo c >/proc/sysrq-trigger"]),
        case("after", &["true"]),
    ];
    match nested::run(&Payload::default(), &cases) {
        Err(NestedError::EndedEarly { progress, console, .. }) => {
            assert!(progress.contains("the killer"), "{progress}");
            assert!(console.contains("last words") && console.contains("Kernel panic"), "{console}");
        }
        other => panic!("{other:?}"),
    }
}
