//! `stos-run` on each of its backends, and the floor.

use super::contestant::{Contestant, Team, kvm, words};
use super::forms::Forms;
use super::native::floor;
use super::settings::Settings;

/// The backends of `stos-run`: options for them, what tables say, and whether it is KVM.
const BACKENDS: [(&[&str], &str, bool); 4] = [
    (&["--backend", "kvm"], "KVM", true),
    (&["--backend", "kvm", "--no-sandbox"], "KVM, no sandbox", true),
    (&["--backend", "embedded"], "the embedded machine", false),
    (&["--backend", "emulated"], "QEMU", false),
];

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
    let mut builds = vec![("stos-run".to_owned(), settings.program.clone())];
    builds.extend(
        settings
            .also
            .iter()
            .map(|path| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path.clone())),
    );
    let mut contestants = Vec::new();
    for (options, machine, is_kvm) in BACKENDS {
        for (build, program) in &builds {
            let name = format!("{build} on {machine}");
            contestants.push(match kvm() {
                Err(reason) if is_kvm => Contestant::absent(name, Team::Own, reason),
                _ => {
                    let mut command = vec![program.into()];
                    command.extend(words(&["--quiet"]));
                    command.extend(words(options));
                    if forms.code.keeps_time() {
                        command.extend(words(&["--pace", "real"]));
                    }
                    command.push(image.clone().into());
                    Contestant::ready(name, Team::Own, command, 0)
                }
            });
        }
    }
    contestants
}
