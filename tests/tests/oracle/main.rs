//! Two readers of the image format say the same: the crate's, and one in Python that was written from `docs/image-format.md`
//! alone (`tests/oracle/`). They read every image that the examples and fixtures give, images at the edges of every rule, and
//! mutants that were sealed again. `make oracle` tries more of the mutants.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod verdict;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use serde_json::Value;
use stos_tests::fixtures::golden_image;
use stos_tests::tools::{root, run, tool};
use stos_tests::{files, guests};

const SEED: u64 = 1;

/// How many mutants are tried when the environment does not say.
const SAMPLE: u64 = 600;

/// Errors that no bytes of a file lead to.
const OF_OTHERS: [&str; 2] = ["Io", "Overlap"];

/// How often each kind of verdict was agreed upon, and where there was no agreement.
#[derive(Default)]
struct Tally {
    files: u64,
    agreed: BTreeMap<String, u64>,
    differences: Vec<String>,
}

impl Tally {
    fn compare(&mut self, name: &str, file: &[u8], theirs: &Value) {
        self.files += 1;
        let ours = verdict::of(file);
        if let Some(kind) = verdict::agreed(&ours, theirs) {
            *self.agreed.entry(kind).or_default() += 1;
        } else {
            let what = verdict::difference(&ours, theirs);
            self.differences.push(format!("{name} ({} bytes)\n{what}", file.len()));
        }
    }

    /// # Panics
    /// When there was a difference.
    fn conclude(self) -> BTreeMap<String, u64> {
        println!("{} files, {} differences", self.files, self.differences.len());
        for (kind, count) in &self.agreed {
            println!("{count:8} {kind}");
        }
        let first = self.differences.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n\n");
        assert!(self.differences.is_empty(), "{} differences:\n{first}", self.differences.len());
        self.agreed
    }
}

fn oracle() -> Command {
    let mut command = Command::new("python3");
    command.arg(root().join("tests/oracle"));
    command
}

/// Compares what `oracle` tells: for each file a line of JSON and its bytes.
fn compare_told(oracle: &mut Command) -> Tally {
    let mut child = oracle.stdout(Stdio::piped()).spawn().expect("python3 is missing: run `scripts/setup.sh test`");
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut tally = Tally::default();
    let (mut line, mut file) = (String::new(), Vec::new());
    while told.read_line(&mut line).unwrap() > 0 {
        let case: Value = serde_json::from_str(&line).unwrap();
        file.clear();
        (&mut told).take(case["size"].as_u64().unwrap()).read_to_end(&mut file).unwrap();
        tally.compare(case["name"].as_str().unwrap(), &file, &case["verdict"]);
        line.clear();
    }
    assert!(child.wait().unwrap().success());
    tally
}

/// What stands in code in the first column of the page's table with this head.
fn first_cells<'a>(page: &'a str, head: &str) -> Vec<&'a str> {
    let (_, table) = page.split_once(head).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2)).collect()
}

/// Each segment register in the place of the `*`.
fn of_each_register(field: &str) -> Vec<String> {
    if !field.contains('*') {
        return vec![field.to_owned()];
    }
    ["cs", "ds", "es", "fs", "gs", "ss", "tr"].map(|name| field.replace('*', name)).to_vec()
}

/// The images that mutants are made from: small ones, but of every protocol.
fn bases(folder: &Path) -> Vec<PathBuf> {
    let mut images = vec![golden_image(folder)];
    for guest in guests::all() {
        if ["guests/halt", "elf/hello", "multiboot/check"].contains(&&*guest.kernel)
            && !images
                .iter()
                .any(|image| image.file_name().unwrap().to_str().unwrap().starts_with(&guest.protocol[..3]))
        {
            images.push(guest.pack(folder));
        }
    }
    images
}

#[test]
fn both_readers_find_the_same_in_every_image_that_is_packed_here() {
    let folder = tempfile::tempdir().unwrap();
    golden_image(folder.path());
    for guest in guests::all() {
        guest.pack(folder.path());
    }
    for manifest in files::with_extension(&root().join("manifests"), "yaml") {
        let image = folder.path().join(manifest.file_name().unwrap()).with_extension("img");
        let packed = run(tool("stos-pack").arg(&manifest).arg("-o").arg(&image));
        // That of Linux needs a kernel which is fetched.
        assert!(packed.status == Some(0) || manifest.ends_with("linux.yaml"), "{}", packed.stderr);
    }
    let images = files::with_extension(folder.path(), "img");
    let told = oracle().args(&images).output().expect("python3 is missing: run `scripts/setup.sh test`");
    let told = String::from_utf8(told.stdout).unwrap();
    assert_eq!(told.lines().count(), images.len());
    let mut tally = Tally::default();
    for (image, line) in images.iter().zip(told.lines()) {
        tally.compare(&image.display().to_string(), &fs::read(image).unwrap(), &serde_json::from_str(line).unwrap());
    }
    let agreed = tally.conclude();
    assert_eq!(agreed["read"], images.len() as u64);
}

#[test]
fn both_readers_say_the_same_at_the_edges_of_every_rule() {
    let agreed = compare_told(oracle().arg("--crafted")).conclude();
    let page = fs::read_to_string(root().join("docs/image-format.md")).unwrap();
    let kinds = first_cells(&page, "| Error | What it carries |");
    assert!(kinds.len() > 15, "{kinds:?}");
    for kind in kinds.iter().filter(|kind| !OF_OTHERS.contains(kind) && **kind != "Metadata") {
        assert!(agreed.contains_key(*kind), "no file leads to {kind}");
    }
    let fields = first_cells(&page, "| Field | Rule |");
    assert!(fields.len() > 40, "{fields:?}");
    for field in fields {
        for field in of_each_register(field) {
            assert!(agreed.contains_key(&format!("Metadata {field}")), "no file breaks the rule of {field}");
        }
    }
}

#[test]
fn both_readers_say_the_same_of_mutants_that_were_sealed_again() {
    let mutants =
        env::var("ORACLE_MUTANTS").ok().map_or(SAMPLE, |count| count.parse().expect("ORACLE_MUTANTS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let bases = bases(folder.path());
    let (end, seed) = (mutants.to_string(), SEED.to_string());
    let agreed = compare_told(oracle().args(["--mutants", "0", &end, &seed]).args(bases)).conclude();
    assert_eq!(agreed.values().sum::<u64>(), mutants);
}
