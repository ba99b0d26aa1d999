//! What distributions build from.

use std::fs;
use std::process::Command;

use stos_tests::tools::root;

#[test]
fn every_package_has_the_version_of_the_crates() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    for (path, line) in [
        ("CHANGELOG.md", format!("\n## {version}")),
        ("docs/packages.md", format!("tar -xzf stos-pack-{version}-x86_64-linux.tar.gz\n")),
        ("packaging/arch/PKGBUILD", format!("\npkgver={version}\n")),
        ("packaging/homebrew/stos-pack.rb", format!("\n  version \"{version}\"\n")),
    ] {
        assert!(read(path).contains(&line), "{path} does not say `{}`", line.trim());
    }
    // The workspace names its crates with their version, else they could not be published.
    let workspace = read("Cargo.toml");
    assert_eq!(workspace.matches(&format!(", version = \"{version}\" }}\n")).count(), 5);
}

/// Has `program` look at a file; without it, that is said.
fn looked_at(program: &str, options: &[&str], file: &str) {
    match Command::new(program).args(options).arg(root().join(file)).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{program} says of {file}: {said}");
        }
        Err(error) => eprintln!("skipped: {file} is not looked at by {program}: {error}"),
    }
}

#[test]
fn what_distributions_build_from_is_understood() {
    looked_at("bash", &["-n"], "packaging/arch/PKGBUILD");
    looked_at("shellcheck", &[], "packaging/arch/PKGBUILD");
    looked_at("shellcheck", &[], "scripts/dist.sh");
    looked_at("shellcheck", &[], "scripts/dist-check.sh");
    looked_at("ruby", &["-c"], "packaging/homebrew/stos-pack.rb");
    looked_at("nix-instantiate", &["--parse"], "packaging/nix/flake.nix");
}

#[test]
fn what_they_run_lays_out_all_files_below_a_prefix() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    for path in ["packaging/arch/PKGBUILD", "packaging/homebrew/stos-pack.rb", "packaging/nix/flake.nix"] {
        let text = read(path);
        assert!(text.contains("scripts/dist.sh") && text.contains("tree"), "{path}");
        assert!(
            text.lines().take(6).any(|line| line.starts_with("# Checked: ")),
            "{path} does not say what was checked"
        );
    }
}
