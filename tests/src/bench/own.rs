//! `stos-run` on each of its backends, and the floor.

use std::path::{Path, PathBuf};

use super::contestant::{Contestant, Team, kvm, words};
use super::forms::Forms;
use super::native::floor;
use super::settings::Settings;

/// A backend of `stos-run`.
#[derive(Clone, Copy, Debug)]
pub struct Backend {
    options: &'static [&'static str],
    /// What tables say.
    pub name: &'static str,
    is_kvm: bool,
}

/// The embedded machine.
pub const EMBEDDED: Backend =
    Backend { options: &["--backend", "embedded"], name: "the embedded machine", is_kvm: false };
/// The emulated one.
pub const EMULATED: Backend = Backend { options: &["--backend", "emulated"], name: "QEMU", is_kvm: false };
const BACKENDS: [Backend; 4] = [
    Backend { options: &["--backend", "kvm"], name: "KVM", is_kvm: true },
    Backend { options: &["--backend", "kvm", "--no-sandbox"], name: "KVM, no sandbox", is_kvm: true },
    EMBEDDED,
    EMULATED,
];
/// Name of `stos-run` on the emulated one.
pub const ON_QEMU: &str = "stos-run on QEMU";

/// Name of the floor, against which things are compared.
pub const FLOOR: &str = "floor";
/// Name of the floor whose machine a clone takes down.
pub const CLONED_FLOOR: &str = "floor with clone";

/// The floor, plain and with the clone.
pub fn floors(settings: &Settings, forms: Forms<'_>) -> Vec<Contestant> {
    [(FLOOR, &[][..]), (CLONED_FLOOR, &["--clone"][..])]
        .into_iter()
        .map(|(name, options)| match kvm() {
            Ok(()) => {
                let mut command = vec![floor(settings).into()];
                command.extend(words(options));
                command.push(forms.flat().into());
                Contestant::ready(name, Team::Floor, command, 0)
            }
            Err(reason) => Contestant::absent(name, Team::Floor, reason),
        })
        .collect()
}

/// `stos-run`, and other builds of it, on each backend.
pub fn own(settings: &Settings, forms: Forms<'_>) -> Vec<Contestant> {
    let image = forms.image();
    let options: &[&str] = if forms.code.keeps_time() { &["--pace", "real"] } else { &[] };
    BACKENDS.into_iter().flat_map(|backend| on_backend(settings, backend, options, &image)).collect()
}

/// `stos-run`, and other builds of it, on one backend.
pub fn on_backend(settings: &Settings, backend: Backend, options: &[&str], image: &Path) -> Vec<Contestant> {
    let mut builds = vec![("stos-run".to_owned(), settings.program.clone())];
    builds.extend(
        settings
            .also
            .iter()
            .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path.clone())),
    );
    let contestant = |(build, program): (String, PathBuf)| {
        let name = format!("{build} on {}", backend.name);
        match kvm() {
            Err(reason) if backend.is_kvm => Contestant::absent(name, Team::Own, reason),
            _ => {
                let options = [&["--quiet"], backend.options, options].concat();
                let command = [vec![program.into()], words(&options), vec![image.into()]].concat();
                Contestant::ready(name, Team::Own, command, 0)
            }
        }
    };
    builds.into_iter().map(contestant).collect()
}
