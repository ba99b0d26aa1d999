//! Keeps files out of reach, by Landlock (landlock(7)): what is open stays so, and nothing else can be opened.

use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

/// The latest version of Landlock whose rules are known here; an older kernel takes those that it knows.
const KNOWN: ABI = ABI::V6;

/// The rules.
#[derive(Debug)]
pub struct Folders(RulesetCreated);

/// Whether the kernel has Landlock, and lets this process use it.
pub fn are_possible() -> bool {
    let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules.handle_access(AccessFs::from_all(ABI::V1)).and_then(Ruleset::create).is_ok()
}

impl Folders {
    /// Rules that leave `folders` only: files there may be made, replaced and removed. `None` where there is no Landlock, or it is refused.
    pub fn new(folders: &[PathBuf]) -> Option<Self> {
        Self::rules(folders).ok().map(Self)
    }

    fn rules(folders: &[PathBuf]) -> Result<RulesetCreated, RulesetError> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))?
            .handle_access(AccessNet::from_all(KNOWN))?
            .scope(Scope::AbstractUnixSocket)?
            .create()?;
        // What is renamed leaves one name and takes another (rename(2)).
        let rights = AccessFs::MakeReg | AccessFs::RemoveFile;
        // One that can't be opened is named when a file is made in it.
        for folder in folders.iter().filter_map(|folder| PathFd::new(folder).ok()) {
            rules = rules.add_rule(PathBeneath::new(folder, rights))?;
        }
        Ok(rules)
    }

    /// Lets them hold for this thread. False where they do not.
    pub fn enter(&self) -> bool {
        let status = self.0.try_clone().map(RulesetCreated::restrict_self);
        status.is_ok_and(|status| status.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced))
    }
}
