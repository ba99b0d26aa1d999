//! The rules that sources keep: rooms import from rooms below them only, as `docs/architecture.md` has them, no two files need
//! each other, files are short, and each says in its first line what it owns.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use stos_tests::tools::{root, run};

/// The crates that keep the rules, by their folders.
const CRATES: [&str; 6] = ["image", "machine", "builder", "runner", "x86", "tests"];

/// The most lines of a source file.
const LONGEST: usize = 400;

/// The rooms of each crate, from top to bottom; several on one level know nothing of each other.
fn rooms() -> BTreeMap<String, Vec<Vec<String>>> {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let blocks = page.split("```rooms\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let mut rooms = BTreeMap::<String, String>::new();
    let mut current = String::new();
    for line in blocks.flat_map(str::lines) {
        // A line without a colon goes on with the crate of the line before.
        let levels = match line.split_once(':') {
            Some((name, levels)) => {
                name.trim().clone_into(&mut current);
                levels
            }
            None => line,
        };
        *rooms.entry(current.clone()).or_default() += levels;
    }
    let names = |level: &str| level.split('|').map(|name| name.trim().to_owned()).collect();
    rooms.into_iter().map(|(name, levels)| (name, levels.split('>').map(names).collect())).collect()
}

/// A module: its path from the crate's root, which has none.
type Module = Vec<String>;

/// One path that begins at the crate's root, and the line in which it stands.
struct Import {
    path: Module,
    line: usize,
}

/// What a source file imports from its own crate, tests left out.
#[derive(Default)]
struct Source {
    imports: Vec<Import>,
    /// Modules in other files that are there for tests alone.
    test_modules: Vec<Module>,
}

impl Source {
    fn read(file: &Path, module: &[String]) -> Self {
        let tokens: TokenStream = fs::read_to_string(file).unwrap().parse().unwrap();
        let mut source = Self::default();
        source.scan(tokens, module);
        source
    }

    fn scan(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            if is_attribute_of_tests(&tokens[at..]) {
                let item = &tokens[at + 2..];
                let ends = |token: &TokenTree| match token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    other => other.to_string() == ";",
                };
                let end = item.iter().position(ends).unwrap_or(item.len() - 1);
                if let Some(at) = item[..end].iter().position(|token| token.to_string() == "mod") {
                    self.test_modules.push([module, &[item[at + 1].to_string()]].concat());
                }
                at += 2 + end + 1;
                continue;
            }
            let ups = tokens[at..].chunks(3).take_while(|step| is_step(step, "super")).count();
            let start = match &tokens[at..] {
                rest if is_step(rest, "crate") => Some((Vec::new(), 3)),
                _ if ups > 0 && ups <= module.len() => Some((module[..module.len() - ups].to_vec(), 3 * ups)),
                _ => None,
            };
            if let Some((base, length)) = start {
                let line = tokens[at].span().start().line;
                let paths = paths_behind(&base, &tokens[at + length..]);
                self.imports.extend(paths.into_iter().map(|path| Import { path, line }));
                at += length;
                continue;
            }
            if let TokenTree::Group(group) = &tokens[at] {
                self.scan(group.stream(), module);
            }
            at += 1;
        }
    }
}

/// `#[cfg(test)]`.
fn is_attribute_of_tests(tokens: &[TokenTree]) -> bool {
    let [TokenTree::Punct(mark), TokenTree::Group(attribute), _, ..] = tokens else { return false };
    mark.as_char() == '#' && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// `word::`.
fn is_step(tokens: &[TokenTree], word: &str) -> bool {
    let [TokenTree::Ident(name), TokenTree::Punct(first), TokenTree::Punct(second), ..] = tokens else { return false };
    name == word && first.as_char() == ':' && second.as_char() == ':'
}

/// The paths that go on from `base`, one for each name in braces.
fn paths_behind(base: &[String], tokens: &[TokenTree]) -> Vec<Module> {
    match tokens {
        [TokenTree::Ident(name), rest @ ..] => {
            let path = [base, &[name.to_string()]].concat();
            match rest {
                [TokenTree::Punct(first), TokenTree::Punct(second), rest @ ..]
                    if first.as_char() == ':' && second.as_char() == ':' =>
                {
                    paths_behind(&path, rest)
                }
                _ => vec![path],
            }
        }
        [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
            let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
            let parts = tokens.split(|token| token.to_string() == ",").filter(|part| !part.is_empty());
            parts.flat_map(|part| paths_behind(base, part)).collect()
        }
        _ => vec![base.to_vec()],
    }
}

/// Every source file of a crate, by its path below `src`; programs in `bin` are crates of their own.
fn files(crate_name: &str) -> Vec<String> {
    let mut found = rust_files(crate_name, "src");
    found.retain(|file| !file.starts_with("bin/"));
    assert!(found.len() > 1, "{crate_name} has no sources");
    found
}

/// The Rust files below the folder `part` of a crate, by their paths in it.
fn rust_files(crate_name: &str, part: &str) -> Vec<String> {
    let top = root().join(crate_name).join(part);
    let mut found = Vec::new();
    let mut folders: Vec<_> = Some(top.clone()).filter(|top| top.is_dir()).into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The module that a file holds.
fn module_of(file: &str) -> Module {
    let path = file.strip_suffix(".rs").unwrap();
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if ["lib", "main"].contains(&path) { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

/// The imports of each file of a crate but of its root and of tests.
fn imports(crate_name: &str) -> BTreeMap<String, (Module, Vec<Import>)> {
    let mut sources = BTreeMap::new();
    let mut test_modules = Vec::new();
    for file in files(crate_name) {
        let module = module_of(&file);
        let source = Source::read(&root().join(crate_name).join("src").join(&file), &module);
        test_modules.extend(source.test_modules);
        if !module.is_empty() {
            sources.insert(file, (module, source.imports));
        }
    }
    sources.retain(|_, (module, _)| !test_modules.iter().any(|tests| module.starts_with(tests)));
    sources
}

#[test]
fn rooms_import_from_rooms_below_them_only() {
    let rooms = rooms();
    let mut mistakes = Vec::new();
    for crate_name in CRATES {
        let levels =
            rooms.get(crate_name).unwrap_or_else(|| panic!("{crate_name} has no line in docs/architecture.md"));
        let level_of = |room: &str| levels.iter().position(|level| level.iter().any(|name| name == room));
        let imports = imports(crate_name);
        let there: BTreeSet<&str> = imports.values().map(|(module, _)| &*module[0]).collect();
        let listed: BTreeSet<&str> = levels.iter().flatten().map(|room| &**room).collect();
        mistakes.extend(
            there.symmetric_difference(&listed).map(|room| format!("{crate_name}: `{room}` is only on one side")),
        );
        for (file, (module, imports)) in &imports {
            for Import { path, line } in imports {
                let (own, other) = (&*module[0], path.first().map_or("", |room| &**room));
                let allowed = match (level_of(own), level_of(other)) {
                    _ if own == other => true,
                    (Some(own), Some(other)) => own < other,
                    _ => false,
                };
                if !allowed {
                    let path = path.join("::");
                    mistakes.push(format!("{crate_name}/src/{file}:{line}: `{own}` must not know `crate::{path}`"));
                }
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn no_two_files_need_each_other() {
    for crate_name in CRATES {
        let imports = imports(crate_name);
        let modules: BTreeSet<&Module> = imports.values().map(|(module, _)| module).collect();
        let file_of =
            |path: &[String]| (1..=path.len()).rev().find_map(|length| modules.get(&path[..length].to_vec()).copied());
        let mut needs: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
        for (module, imports) in imports.values() {
            let others = imports.iter().filter_map(|import| file_of(&import.path)).filter(|other| *other != module);
            needs.insert(module, others.collect());
        }
        // What needs nothing that is left, or is needed by nothing that is left, is in no circle, and leaves.
        let is_free = |module: &Module, needs: &BTreeMap<&Module, BTreeSet<&Module>>| {
            needs[module].iter().all(|other| !needs.contains_key(other))
                || needs.values().all(|others| !others.contains(module))
        };
        while let Some(free) = needs.keys().find(|module| is_free(module, &needs)).copied() {
            needs.remove(free);
        }
        let circle: Vec<String> = needs.keys().map(|module| module.join("::")).collect();
        assert!(circle.is_empty(), "{crate_name}: a circle goes through {circle:?}");
    }
}

#[test]
fn files_are_short_and_say_what_they_own() {
    let mut mistakes = Vec::new();
    for crate_name in CRATES {
        for part in ["src", "tests", "benches"] {
            for file in rust_files(crate_name, part) {
                let path = format!("{crate_name}/{part}/{file}");
                let text = fs::read_to_string(root().join(&path)).unwrap();
                if !text.starts_with("//! ") {
                    mistakes.push(format!("{path} does not say what it owns"));
                }
                let lines = text.lines().count();
                if lines > LONGEST {
                    mistakes.push(format!("{path} has {lines} lines, more than {LONGEST}"));
                }
            }
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn no_folder_has_one_file() {
    for crate_name in CRATES {
        let mut folders = vec![root().join(crate_name).join("src")];
        while let Some(folder) = folders.pop() {
            let inside: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(inside.len() > 1, "{} has one file", folder.display());
            folders.extend(inside.into_iter().filter(|path| path.is_dir()));
        }
    }
}

#[test]
fn released_programs_check_sums_of_what_strangers_gave() {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    // What cargo is about to do is told by none but its unstable options.
    cargo.current_dir(root()).env("RUSTC_BOOTSTRAP", "1").args(["build", "--release", "--offline", "--locked"]);
    let told = run(cargo.args(["-p", "stos-pack", "-p", "stos-run", "--unit-graph", "-Zunstable-options"]));
    assert_eq!(told.status, Some(0), "{}", told.stderr);
    let graph: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let checked = |unit: &serde_json::Value| unit["profile"]["overflow_checks"] == true;
    for name in ["stos_image", "stos_pack", "stos-pack"] {
        let mut units =
            graph["units"].as_array().unwrap().iter().filter(|unit| unit["target"]["name"] == name).peekable();
        assert!(units.peek().is_some() && units.all(checked), "{name} is built without overflow checks");
    }
}
