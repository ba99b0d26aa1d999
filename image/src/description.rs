//! The guest that an image declares, apart from the bytes of its memory.

use serde::Serialize;
use stos_x86::ports;
use stos_x86::registers::EntryState;
use wincode::{SchemaRead, SchemaWrite};

use crate::address::{GuestRange, PAGE_SIZE};
use crate::entry::check_entry;
use crate::error::ImageError;
use crate::fault::FaultCatcher;
use crate::input::{Input, check_inputs};
use crate::limits::{
    EXPECT_LIMIT, MANIFEST_LIMIT, MAP_COUNT_LIMIT, MEMORY_LIMIT, MEMORY_MINIMUM, NAME_LIMIT, TEXT_LIMIT,
    TIMEOUT_LIMIT_MS, broken, check_count, check_text, is_plain,
};
use crate::region::{Region, RegionKind, check_regions};

/// The declared guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct Description {
    /// Name of the image, plain text of 1 to 255 bytes.
    pub name: String,
    /// Boot protocol that the image was built for, such as `stos`; plain text of 1 to 255 bytes. For people: a runner
    /// doesn't need it.
    pub protocol: String,
    /// Profile of the manifest that it was built with, plain text of 1 to 255 bytes; `None` when there was none.
    pub profile: Option<String>,
    /// Guest memory in bytes: a multiple of 4096, 1 MiB to 3.5 GiB. It begins at guest-physical address 0.
    pub memory_size: u64,
    /// The memory map that the guest is told, in the order in which it is told. Ranges may overlap; reserved wins. At most 65 536.
    pub memory_map: Vec<MapRange>,
    /// Who owns which bytes, sorted by address and disjoint. At most 65 536.
    pub regions: Vec<Region>,
    /// CPU state at entry.
    pub entry: EntryState,
    /// The fault catcher in the image, if it has one.
    pub fault_catcher: Option<FaultCatcher>,
    /// How to run the image when the command line does not say otherwise.
    pub run: RunDefaults,
    /// The files that the image was built from, in the order in which the manifest names them. At most 4096.
    pub inputs: Vec<Input>,
    /// The manifest in the one form that all manifests of the same meaning have, with the paths of `inputs`. At most 1 MiB,
    /// plain text with line feeds; empty when the image was not built from a manifest.
    pub manifest: String,
}

/// One range of the memory map that the guest is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct MapRange {
    /// Where it lies; at least one byte, and it ends at or below 4 GiB.
    pub range: GuestRange,
    /// What the guest may do with it.
    pub kind: MapKind,
}

/// What a guest may do with a range of its memory map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, SchemaWrite, SchemaRead)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// 0: free for use.
    Available,
    /// 1: to be left alone.
    Reserved,
}

/// The exit port that a guest uses when its manifest names no other.
pub const DEFAULT_EXIT_PORT: u16 = ports::EXIT;

/// How to run the image when the command line does not say otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct RunDefaults {
    /// Wall time after which the run is ended, in milliseconds, 1 to 86 400 000 (a day); `None` is no limit.
    pub timeout_ms: Option<u64>,
    /// Regular expressions that must match lines of the serial output, in this order. At most 64, each plain text of
    /// 1 to 4096 bytes.
    pub expect: Vec<String>,
    /// First of the four I/O ports to which the guest writes its exit status. All four exist, and nothing else of the machine
    /// uses one ([`stos_x86::ports::user`]).
    pub exit_port: u16,
}

impl Default for RunDefaults {
    fn default() -> Self {
        Self { timeout_ms: None, expect: Vec::new(), exit_port: DEFAULT_EXIT_PORT }
    }
}

impl Description {
    /// Checks all rules of the format for what a manifest declares.
    ///
    /// # Errors
    /// Names the first field that breaks a rule, its value and the rule.
    pub fn check(&self) -> Result<(), ImageError> {
        check_text("name", &self.name, NAME_LIMIT)?;
        check_text("protocol", &self.protocol, NAME_LIMIT)?;
        if let Some(profile) = &self.profile {
            check_text("profile", profile, NAME_LIMIT)?;
        }
        if !(MEMORY_MINIMUM..=MEMORY_LIMIT).contains(&self.memory_size) || !self.memory_size.is_multiple_of(PAGE_SIZE) {
            let rule = format!("it must be a multiple of {PAGE_SIZE} from {MEMORY_MINIMUM:#x} to {MEMORY_LIMIT:#x}");
            return Err(broken("memory_size", format!("{:#x}", self.memory_size), rule));
        }
        check_count("memory_map", self.memory_map.len(), MAP_COUNT_LIMIT)?;
        for (index, map) in self.memory_map.iter().enumerate() {
            if map.range.size == 0 || !map.range.ends_within(1 << 32) {
                return Err(broken(
                    format!("memory_map[{index}]"),
                    map.range,
                    "it must have a byte or more and end within 4 GiB",
                ));
            }
        }
        check_regions(&self.regions, self.memory_size)?;
        check_entry(&self.entry, self.memory_size)?;
        if let Some(catcher) = &self.fault_catcher {
            catcher.check(self.memory_size)?;
        }
        self.run.check(self.fault_catcher.as_ref())?;
        check_inputs(&self.inputs, self.memory_size)?;
        let is_unclean = |character: char| !is_plain(character) && character != '\n';
        if self.manifest.len() > MANIFEST_LIMIT || self.manifest.contains(is_unclean) {
            let rule = format!(
                "it must have at most {MANIFEST_LIMIT} bytes and no control or invisible character but line feeds"
            );
            return Err(broken("manifest", format!("{} bytes", self.manifest.len()), rule));
        }
        Ok(())
    }

    /// Number of modules: regions of that kind.
    pub fn module_count(&self) -> usize {
        self.regions.iter().filter(|region| region.kind == RegionKind::Module).count()
    }

    /// The names of the regions that share a byte with `range`.
    pub fn owners(&self, range: GuestRange) -> impl ExactSizeIterator<Item = &str> {
        let first = self.regions.partition_point(|region| region.range.end() <= range.start.0);
        let behind = self.regions.partition_point(|region| region.range.start.0 < range.end());
        self.regions.get(first..behind).unwrap_or_default().iter().map(|region| &*region.name)
    }
}

impl RunDefaults {
    fn check(&self, catcher: Option<&FaultCatcher>) -> Result<(), ImageError> {
        if let Some(timeout) = self.timeout_ms.filter(|timeout| !(1..=TIMEOUT_LIMIT_MS).contains(timeout)) {
            return Err(broken("run.timeout_ms", timeout, format!("it must be 1 to {TIMEOUT_LIMIT_MS}")));
        }
        check_count("run.expect", self.expect.len(), EXPECT_LIMIT)?;
        self.expect
            .iter()
            .enumerate()
            .try_for_each(|(index, text)| check_text(format!("run.expect[{index}]"), text, TEXT_LIMIT))?;
        self.check_exit_port(catcher)
    }

    fn check_exit_port(&self, catcher: Option<&FaultCatcher>) -> Result<(), ImageError> {
        let port = self.exit_port;
        let refused = |rule| Err(broken("run.exit_port", format!("{port:#x}"), rule));
        let Some(last) = port.checked_add(ports::EXIT_COUNT - 1) else {
            return refused("it takes four ports, and the last is 0xffff".to_owned());
        };
        if let Some(user) = ports::user(&(port..=last)) {
            return refused(format!("none of its four ports may be one that {user} uses"));
        }
        match catcher {
            Some(catcher) if (port..=last).contains(&catcher.port) => {
                refused("none of its four ports may be that of the fault catcher".to_owned())
            }
            _ => Ok(()),
        }
    }
}
