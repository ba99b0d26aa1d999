//! What modules use and nobody defines. A kernel's linker finds out when it loads the module; here it is known before.

use std::collections::BTreeSet;

use super::module::{ModuleElf, NAMES_SHOWN};
use crate::diagnostics::{Code, Diagnostic, Diagnostics, nearest};
use crate::input::InputFile;

/// One warning for each module that uses names which neither the kernel nor any of the modules exports. `kernel` is what
/// the kernel exports; without it, nothing is known.
pub fn undefined_symbols(kernel: Option<&BTreeSet<String>>, modules: &[(&InputFile, ModuleElf)]) -> Diagnostics {
    let mut found = Diagnostics::default();
    let Some(kernel) = kernel else { return found };
    let exported: BTreeSet<&str> =
        modules.iter().flat_map(|(_, module)| &module.exports).chain(kernel).map(String::as_str).collect();
    let names: Vec<&str> = exported.iter().copied().collect();
    for (input, module) in modules {
        let missing: Vec<&str> =
            module.undefined.iter().map(String::as_str).filter(|name| !exported.contains(name)).collect();
        if !missing.is_empty() {
            found.push(undefined(input, &missing, &names));
        }
    }
    found
}

fn undefined(input: &InputFile, missing: &[&str], exported: &[&str]) -> Diagnostic {
    let path = &input.path;
    let message = match missing {
        [name] => format!("`{path}` uses `{name}`, which neither the kernel nor a module defines"),
        _ => format!("`{path}` uses {} names that neither the kernel nor a module defines", missing.len()),
    };
    let fact = |name: &&str| match nearest(name, exported) {
        Some(close) => format!("`{name}`: did you mean `{close}`?"),
        None => format!("`{name}`: there is no name like it"),
    };
    input
        .complain(Code::UndefinedSymbols, message)
        .first_notes(missing.iter().map(fact), NAMES_SHOWN)
        .help("correct the spelling, define it without `static`, or list the module that defines it under `modules`")
}
