//! Takes cases through the whole of the packer.

use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use stos_image::Digest;
use stos_pack::diagnostics::{Diagnostics, Message, Sources};
use stos_pack::image::{LoadedImage, Report};
use stos_pack::input::Inputs;
use stos_pack::manifest::Initramfs::{Archive, Directory};
use stos_pack::manifest::Manifest;
use stos_pack::output::nobody;
use stos_pack::{examine, plan};

use super::case::{Case, DIRECTORY, FILES, Part};
use super::plain::assert_plain;

/// Most diagnostics of one case that are drawn, as many as the command prints.
const DIAGNOSTICS_DRAWN: usize = 20;

/// What became of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An image was made, and read again.
    Packed,
    /// Diagnostics said why there is none.
    Refused,
    /// The manifest names a path outside the case's folder, so the case ended there.
    Outside,
}

/// A folder in which cases are laid out, one after the other.
#[derive(Debug)]
pub struct Bench {
    /// Holds the files of the case.
    inputs: PathBuf,
    image: PathBuf,
    /// Holds what the image was built from.
    extracted: PathBuf,
}

impl Bench {
    /// Works below `folder`, which should be in memory: every case is written there.
    ///
    /// # Errors
    /// When the system does not let it write there.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let inputs = folder.join("inputs");
        fs::create_dir_all(inputs.join(DIRECTORY).join("etc"))?;
        fs::write(inputs.join(DIRECTORY).join("etc/motd"), "hello\n")?;
        fs::write(inputs.join(DIRECTORY).join("init"), "#!/bin/sh\n")?;
        let extracted = folder.join("extracted");
        fs::create_dir_all(&extracted)?;
        Ok(Self { inputs, image: folder.join("image.img"), extracted })
    }

    /// Packs the case, reads the image, draws the report on it and packs what the image was built from; or draws what is wrong with the case.
    ///
    /// # Panics
    /// When the library does not keep its promises: an image that it made must be one that it reads, a refusal has a reason.
    /// Also when the folder can't be written to.
    pub fn run(&self, case: &Case) -> Outcome {
        if [Part::Manifest, Part::Base].iter().any(|part| extends_elsewhere(case.part(*part))) {
            return Outcome::Outside;
        }
        for (name, part) in FILES {
            write(&self.inputs.join(name), case.part(part));
        }
        let path = self.inputs.join(FILES[0].0);
        let manifest = match Manifest::load(&path, None) {
            Ok(manifest) => manifest,
            Err(failure) => return refused(&failure.sources, &failure.diagnostics),
        };
        if !stays_inside(&manifest) {
            return Outcome::Outside;
        }
        match self.pack(&manifest) {
            Ok(outcome) => outcome,
            Err(found) => refused(&manifest.sources, &found),
        }
    }

    /// The image that the case is packed into, where it is.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn image(&self, case: &Case) -> io::Result<Option<Vec<u8>>> {
        (self.run(case) == Outcome::Packed).then(|| fs::read(&self.image)).transpose()
    }

    /// Asks what a kernel's file is, and draws the answer; true when it is one that can be packed.
    ///
    /// # Panics
    /// When the answer makes no sense, or the folder can't be written to.
    pub fn recognise(&self, file: &[u8]) -> bool {
        let path = self.inputs.join(FILES[1].0);
        write(&path, file);
        match examine(&path) {
            Ok(None) => false,
            Ok(Some(report)) => {
                assert_plain(&report.to_string());
                serde_json::to_string(&report).unwrap_or_else(|error| panic!("the report is no JSON: {error}"));
                let is_known = report.protocol.is_some();
                assert_ne!(is_known, !report.missing.list.is_empty(), "known, or something is missing");
                is_known
            }
            Err(error) => {
                assert!(!error.render(&Sources::default(), false).is_empty());
                false
            }
        }
    }

    fn pack(&self, manifest: &Manifest) -> Result<Outcome, Diagnostics> {
        // What the format has no room for is refused there, in words of its own.
        let Some((id, bytes)) = build(manifest)? else { return Ok(Outcome::Refused) };
        write(&self.image, &bytes);
        let loaded = LoadedImage::load(&self.image).unwrap_or_else(|error| panic!("the image is refused: {error}"));
        assert_eq!(loaded.image.id(), id, "the image is read as another one");
        let report = Report::new(&loaded);
        assert!(!report.to_string().is_empty());
        assert!(!report.to_svg().is_empty());
        serde_json::to_string(&report).unwrap_or_else(|error| panic!("the report is no JSON: {error}"));
        self.pack_again(&loaded);
        Ok(Outcome::Packed)
    }

    /// What an image was built from gives the same image again. It is laid out here and not by `extract`, which would watch
    /// for signals once more for every case.
    fn pack_again(&self, loaded: &LoadedImage) {
        let folder = &self.extracted;
        fs::remove_dir_all(folder).and_then(|()| fs::create_dir(folder)).unwrap_or_else(|error| panic!("{error}"));
        let description = loaded.image.description();
        for input in &description.inputs {
            let path = folder.join(&input.path);
            let mut bytes = Vec::new();
            let whole = loaded.write_input(input, &mut bytes);
            whole.unwrap_or_else(|error| panic!("`{}` is not whole: {error}", input.path));
            fs::create_dir_all(path.parent().unwrap_or(folder)).unwrap_or_else(|error| panic!("{error}"));
            write(&path, &bytes);
        }
        let path = folder.join("manifest.yaml");
        write(&path, description.manifest.as_bytes());
        let manifest = Manifest::load(&path, None).unwrap_or_else(|failure| panic!("not packed again: {failure:?}"));
        let image = build(&manifest).unwrap_or_else(|found| panic!("not packed again: {found:?}"));
        assert_eq!(image.map(|(id, _)| id), Some(loaded.image.id()), "another image of the same inputs");
    }
}

/// The image's id and its bytes, or nothing when the format has no room for it.
fn build(manifest: &Manifest) -> Result<Option<(Digest, Vec<u8>)>, Diagnostics> {
    let inputs = Inputs::load(manifest, &nobody)?;
    let plan = plan(manifest, &inputs)?;
    draw(&manifest.sources, &plan.warnings);
    match plan.render() {
        Ok(image) => {
            let mut bytes = Vec::new();
            image.write_to(&mut bytes).unwrap_or_else(|error| panic!("the image can't be written: {error}"));
            Ok(Some((image.id(), bytes)))
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            Ok(None)
        }
    }
}

/// Whether every path that `manifest` names stays in its folder: a fuzzer must not find out what /dev and / hold.
fn stays_inside(manifest: &Manifest) -> bool {
    let modules = manifest.modules.iter().map(|module| &module.path);
    let initramfs = manifest.initramfs.iter().map(|initramfs| match initramfs {
        Archive(path) | Directory(path) => path,
    });
    let inside = |component: Component<'_>| matches!(component, Component::Normal(_) | Component::CurDir);
    let mut paths = modules.chain(initramfs).chain([&manifest.kernel.path]);
    paths.all(|path| Path::new(&path.value).components().all(inside))
}

/// Whether a manifest seems to extend one by a path outside its folder. Such a file would be read before anything else is
/// known of the manifest, so this looks at the text alone, and a key spelled with escapes gets past it.
fn extends_elsewhere(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let leaves = |(at, _): (usize, &str)| !text[..at].ends_with(|before: char| before.is_alphanumeric());
    text.contains("extends") && (text.contains("..") || text.contains('\\') || text.match_indices('/').any(leaves))
}

fn refused(sources: &Sources, found: &Diagnostics) -> Outcome {
    assert!(!found.list.is_empty(), "refused without a reason");
    assert_ne!(found.status(), 0, "refused with the exit status of success");
    draw(sources, found);
    Outcome::Refused
}

/// Draws diagnostics in every form that the command has.
fn draw(sources: &Sources, found: &Diagnostics) {
    for diagnostic in found.list.iter().take(DIAGNOSTICS_DRAWN) {
        for styled in [false, true] {
            assert!(!diagnostic.render(sources, styled).is_empty());
        }
        let message = serde_json::to_string(&Message::new(diagnostic, sources));
        message.unwrap_or_else(|error| panic!("the message is no JSON: {error}"));
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap_or_else(|error| panic!("can't write `{}`: {error}", path.display()));
}
