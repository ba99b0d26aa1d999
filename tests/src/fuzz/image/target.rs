//! Takes images through everything that reads them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use stos_image::{GuestRange, ParsedImage};
use stos_pack::image::{Difference, LoadedImage, Report, extract};
use stos_run::fuzzing::{Facts, LoadedGuest};

use super::draft::Draft;
use super::mutate::mutate;
use crate::fuzz::bench::Bench;
use crate::fuzz::corpus::Corpus;
use crate::fuzz::plain::{assert_plain, clean};
use crate::fuzz::run::told;
use crate::fuzz::target::{ChangeBytes, Target};

/// Bytes of guest memory that are compared at a time.
const STEP: u64 = 1 << 20;
/// Bytes of guest memory that are compared, from its beginning.
const COMPARED: u64 = 16 << 20;

/// The reader of images, and all that is behind it.
#[derive(Debug)]
pub struct ImageTarget {
    folder: PathBuf,
}

impl ImageTarget {
    /// Works below `folder`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The image is what its parser says: so the packer's reader and the runner's find, too.
    fn use_image(&self, path: &Path, file: &[u8]) {
        let loaded = LoadedImage::load(path).unwrap_or_else(|error| panic!("read once, and not twice: {error}"));
        let report = Report::new(&loaded);
        assert_plain(&report.to_string());
        assert!(!report.to_svg().is_empty());
        serde_json::to_string(&report).unwrap_or_else(|error| panic!("the report is no JSON: {error}"));

        let base = self.folder.join("base.img");
        let is_first = !base.exists();
        if is_first {
            fs::write(&base, file).unwrap_or_else(|error| panic!("{error}"));
        }
        let base = LoadedImage::load(&base).unwrap_or_else(|error| panic!("the base: {error}"));
        for (one, other) in [(&base, &loaded), (&loaded, &base)] {
            let difference = Difference::between(one, other);
            assert_eq!(difference.is_empty(), one.image.id() == other.image.id());
            if !difference.is_empty() {
                assert_plain(&difference.to_string());
            }
        }
        self.extract(path);

        match LoadedGuest::load(path) {
            // There is a limit on memory.
            Err(error) => assert!(error.contains("memory"), "only the packer reads it: {error}"),
            Ok(guest) => {
                same_memory(&loaded, &guest);
                let cpu = guest.at_entry();
                for (ending, value) in [(0, 1), (4, 0), (6, 0), (13, 0)] {
                    let samples = vec![cpu.clone()];
                    told::check(&guest.tell(Facts {
                        ending,
                        value,
                        cpu: Some(cpu.clone()),
                        samples,
                        ..Facts::default()
                    }));
                }
            }
        }
    }

    /// What is extracted lies below its folder, and nothing is left when it can't be.
    fn extract(&self, path: &Path) {
        let (around, folder) = (self.folder.join("around"), self.folder.join("around/extracted"));
        clean(&around);
        let extracted = extract(path, &folder);
        let inside = fs::read_dir(&around).map_or(0, Iterator::count);
        match extracted {
            Ok(count) => assert!(count > 0 && inside == 1, "{inside} files beside the folder"),
            Err(error) => {
                assert_plain(&error.to_string());
                assert_eq!(inside, 0, "something is left of an image that can't be extracted: {error}");
            }
        }
    }
}

impl Target for ImageTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        let bench = Bench::new(&self.folder.join("seeds"))?;
        let mut seeds = Vec::new();
        for case in &Corpus::load(false)?.cases {
            let image = bench.image(case)?;
            seeds.extend(image.and_then(|image| Draft::of(&image)).map(Draft::encode));
        }
        Ok(seeds)
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        mutate(case, other, rng, change);
    }

    fn run(&self, case: &[u8]) -> bool {
        let file = Draft::decode(case).seal();
        let path = self.folder.join("image.img");
        fs::write(&path, &file).unwrap_or_else(|error| panic!("can't write `{}`: {error}", path.display()));
        let read = ParsedImage::parse(&file[..]).and_then(|parsed| parsed.verify(|_, _| Ok(())));
        match read {
            Ok(_) => {
                self.use_image(&path, &file);
                true
            }
            Err(error) => {
                assert_plain(&error.to_string());
                let again = LoadedImage::load(&path).map(|_| ());
                assert!(again.is_err_and(|again| again.to_string().ends_with(&error.to_string())), "{error}");
                // What it passes over may be what is wrong.
                if let Err(error) = LoadedGuest::load(&path) {
                    assert_plain(&error);
                }
                false
            }
        }
    }
}

/// Packer and runner find the same bytes in guest memory.
fn same_memory(loaded: &LoadedImage, guest: &LoadedGuest) {
    for extent in loaded.image.extents() {
        let mut start = extent.start.0;
        while start < extent.end().min(COMPARED) {
            let size = STEP.min(extent.end() - start);
            let found = guest.read(start, usize::try_from(size).unwrap_or(0));
            assert!(loaded.read(GuestRange::new(start, size)) == found, "other bytes at {start:#x}");
            start += size;
        }
    }
}
