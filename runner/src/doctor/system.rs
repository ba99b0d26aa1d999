//! The system that this program runs on, and what its users are used to type (os-release(5)).

use std::fs;
use std::path::Path;

/// A family of distributions whose commands are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and those that are made of them.
    Debian,
    /// Fedora and Red Hat's.
    Fedora,
    /// Arch.
    Arch,
    /// NixOS, where nothing is installed by a command that stays.
    NixOs,
    /// Another.
    Other,
}

/// A system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// What it calls itself.
    pub name: String,
    /// Its family.
    pub family: Family,
    /// The kernel's release.
    pub release: String,
    /// It is the Windows Subsystem for Linux.
    pub is_wsl: bool,
    /// What sort of container it is in, if it is in one.
    pub container: Option<String>,
}

impl System {
    /// The one whose files are below `root`.
    pub fn read(root: &Path) -> Self {
        let text = |path: &str| fs::read_to_string(root.join(path)).ok();
        let facts = text("etc/os-release").or_else(|| text("usr/lib/os-release")).unwrap_or_default();
        let value = |key: &str| {
            let line = facts.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.map(|value| value.trim_matches(['"', '\'']).to_owned())
        };
        let names = [value("ID"), value("ID_LIKE")].map(Option::unwrap_or_default).join(" ");
        let release = text("proc/sys/kernel/osrelease").map(|release| release.trim().to_owned()).unwrap_or_default();
        let macos = text("System/Library/CoreServices/SystemVersion.plist").map(|list| macos(&list));
        Self {
            name: value("PRETTY_NAME").or(macos).unwrap_or_else(|| "a system without /etc/os-release".to_owned()),
            family: names.split_whitespace().find_map(family).unwrap_or(Family::Other),
            is_wsl: release.to_ascii_lowercase().contains("microsoft"),
            release,
            container: container(root),
        }
    }

    /// One line on it.
    pub fn told(&self) -> String {
        let container = self.container.as_ref().map(|kind| format!(", in a container ({kind})")).unwrap_or_default();
        let wsl = if self.is_wsl { ", in WSL" } else { "" };
        let kernel = if self.release.is_empty() { String::new() } else { format!(", Linux {}", self.release) };
        format!("{}{kernel} on {}{wsl}{container}", self.name, std::env::consts::ARCH)
    }

    /// How an emulator is installed.
    pub fn install_emulator(&self) -> String {
        match self.family {
            Family::Debian => "sudo apt-get install qemu-system-x86",
            Family::Fedora => "sudo dnf install qemu-system-x86-core",
            Family::Arch => "sudo pacman -S qemu-system-x86",
            Family::NixOs => {
                "put `pkgs.qemu` into `environment.systemPackages` in /etc/nixos/configuration.nix, then `sudo nixos-rebuild switch`; \
                 for this shell alone: `nix-shell -p qemu`"
            }
            Family::Other => "install QEMU for x86: `qemu-system-i386` or `qemu-system-x86_64` must be in PATH",
        }
        .to_owned()
    }

    /// How the kernel's module `name` is loaded, now and after each start.
    pub fn load_module(&self, name: &str) -> String {
        match self.family {
            Family::NixOs => format!(
                "put `boot.kernelModules = [ \"{}\" ];` into /etc/nixos/configuration.nix, then `sudo nixos-rebuild switch`",
                name.replace('_', "-")
            ),
            _ => {
                format!("sudo modprobe {name} (for each start: `echo {name} | sudo tee /etc/modules-load.d/kvm.conf`)")
            }
        }
    }

    /// How a user comes into `group`.
    pub fn join_group(&self, group: &str) -> String {
        if self.container.is_some() {
            return "start the container with `--group-add $(stat -c %g /dev/kvm)`, that of the machine around it"
                .to_owned();
        }
        match self.family {
            Family::NixOs => format!(
                "put `users.users.YOU.extraGroups = [ \"{group}\" ];` into /etc/nixos/configuration.nix, then `sudo nixos-rebuild \
                 switch`, and log out and in again"
            ),
            _ if self.is_wsl => {
                format!("sudo usermod -aG {group} $USER, then `wsl --shutdown` in Windows, and start again")
            }
            _ => format!("sudo usermod -aG {group} $USER, then log out and in again"),
        }
    }
}

/// The name of macOS, of which this `list` tells the version.
fn macos(list: &str) -> String {
    let version = || list.split_once("<key>ProductVersion</key>")?.1.split_once("<string>")?.1.split_once('<');
    format!("macOS {}", version().map_or("of an unknown version", |(version, _)| version))
}

fn family(name: &str) -> Option<Family> {
    match name {
        "debian" | "ubuntu" => Some(Family::Debian),
        "fedora" | "rhel" | "centos" => Some(Family::Fedora),
        "arch" => Some(Family::Arch),
        "nixos" => Some(Family::NixOs),
        _ => None,
    }
}

/// What sort of container the system below `root` is, by the files that docker, podman and systemd-nspawn leave in one, and by
/// the names of control groups.
fn container(root: &Path) -> Option<String> {
    let is_there = |path: &str| root.join(path).exists();
    if is_there(".dockerenv") {
        return Some("docker".to_owned());
    }
    if is_there("run/.containerenv") {
        return Some("podman".to_owned());
    }
    // Its content is systemd's name for it.
    if let Ok(kind) = fs::read_to_string(root.join("run/systemd/container")) {
        return Some(kind.trim().to_owned());
    }
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    ["docker", "kubepods", "lxc"].into_iter().find(|kind| groups.contains(kind)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::testing::root;
    use super::*;

    fn system(files: &[(&str, &str)]) -> System {
        System::read(root(files).path())
    }

    #[test]
    fn distributions_are_known_by_what_they_are_and_are_like() {
        for (text, name, family) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n",
                "Debian GNU/Linux 12 (bookworm)",
                Family::Debian,
            ),
            (
                "PRETTY_NAME=\"Linux Mint 21\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                "Linux Mint 21",
                Family::Debian,
            ),
            ("ID=fedora\nPRETTY_NAME='Fedora Linux 40'\n", "Fedora Linux 40", Family::Fedora),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", "a system without /etc/os-release", Family::Fedora),
            ("ID=arch\n", "a system without /etc/os-release", Family::Arch),
            ("ID=nixos\n", "a system without /etc/os-release", Family::NixOs),
            ("ID=gentoo\n", "a system without /etc/os-release", Family::Other),
        ] {
            let found = system(&[("etc/os-release", text)]);
            assert_eq!((&*found.name, found.family), (name, family), "{text}");
        }
        assert_eq!(system(&[]).family, Family::Other);
        assert_eq!(system(&[("usr/lib/os-release", "ID=arch\n")]).family, Family::Arch);
    }

    #[test]
    fn macos_is_known_by_the_list_of_its_version() {
        let list = "<dict>\n\t<key>ProductName</key>\n\t<string>macOS</string>\n\t<key>ProductVersion</key>\n\t<string>14.5</string>\n";
        let told = |list: &str| system(&[("System/Library/CoreServices/SystemVersion.plist", list)]).told();
        let architecture = std::env::consts::ARCH;
        assert_eq!(told(list), format!("macOS 14.5 on {architecture}"));
        assert_eq!(told(""), format!("macOS of an unknown version on {architecture}"));
    }

    #[test]
    fn each_family_is_told_in_its_own_words() {
        let of = |text: &str| system(&[("etc/os-release", text)]);
        assert_eq!(of("ID=ubuntu\n").install_emulator(), "sudo apt-get install qemu-system-x86");
        assert_eq!(of("ID=fedora\n").install_emulator(), "sudo dnf install qemu-system-x86-core");
        assert_eq!(of("ID=arch\n").install_emulator(), "sudo pacman -S qemu-system-x86");
        assert!(of("ID=nixos\n").install_emulator().contains("nix-shell -p qemu"));
        assert!(of("ID=nixos\n").load_module("kvm_amd").contains("boot.kernelModules = [ \"kvm-amd\" ];"));
        assert!(of("ID=arch\n").load_module("kvm_intel").starts_with("sudo modprobe kvm_intel "));
        assert!(of("ID=debian\n").join_group("kvm").starts_with("sudo usermod -aG kvm $USER, then log out"));
        assert!(of("ID=nixos\n").join_group("kvm").contains("extraGroups = [ \"kvm\" ];"));
    }

    #[test]
    fn windows_and_containers_are_seen() {
        let wsl = system(&[("proc/sys/kernel/osrelease", "5.15.153.1-microsoft-standard-WSL2\n")]);
        assert!(wsl.is_wsl && wsl.join_group("kvm").contains("wsl --shutdown"));
        for (files, kind) in [
            (&[(".dockerenv", "")][..], Some("docker")),
            (&[("run/.containerenv", "")], Some("podman")),
            (&[("run/systemd/container", "systemd-nspawn\n")], Some("systemd-nspawn")),
            (&[("proc/self/cgroup", "0::/kubepods/pod1\n")], Some("kubepods")),
            (&[("proc/self/cgroup", "0::/user.slice\n")], None),
        ] {
            let found = system(files);
            assert_eq!(found.container.as_deref(), kind, "{files:?}");
            assert_eq!(found.join_group("kvm").contains("--group-add"), kind.is_some());
        }
    }
}
