//! Diagnostics as people see them: all of a step's, one below the other.

use super::code::Severity;
use super::diagnostic::Diagnostics;
use super::source::Sources;

/// Most diagnostics that are shown; nobody reads more.
const SHOWN: usize = 20;

/// What people read of `diagnostics`, which point into `sources`. `styled` adds terminal colours.
pub fn listing(sources: &Sources, diagnostics: &Diagnostics, styled: bool) -> String {
    let list = &diagnostics.list;
    let shown = list.iter().take(SHOWN).map(|diagnostic| diagnostic.render(sources, styled));
    let mut parts: Vec<String> = shown.collect();
    let hidden = list.get(SHOWN..).unwrap_or_default();
    if let Some(first) = hidden.first() {
        let what = match first.code.severity() {
            Severity::Error => "errors; mend these first",
            Severity::Warning => "warnings",
        };
        parts.push(format!("… and {} more {what}.", hidden.len()));
    }
    if let Some(first) = list.first() {
        parts.push(format!("`stos-pack explain {}` tells more.\n", first.code));
    }
    parts.join("\n\n")
}
