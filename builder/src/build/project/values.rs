//! What a project's files have in the place of words in `@`.

use super::language::Language;
use crate::manifest::{Protocol, quoted};

/// The commands of a project.
pub struct Commands {
    /// Builds it.
    pub build: &'static str,
    /// Packs and runs it.
    pub run: &'static str,
    /// Checks what it prints.
    pub test: &'static str,
    /// Has it take an exception.
    pub fault: &'static str,
    /// Starts it for gdb.
    pub gdb: &'static str,
}

impl Commands {
    /// Those of a language.
    pub const fn of(language: Language) -> Self {
        match language {
            Language::C | Language::Asm => {
                Self { build: "make", run: "make run", test: "make test", fault: "make fault", gdb: "make gdb" }
            }
            Language::Rust => Self {
                build: "cargo build",
                run: "cargo run",
                test: "cargo run -- -p test",
                fault: "cargo run -- -p fault",
                gdb: "./gdb.sh",
            },
        }
    }
}

/// What must be installed to build it.
pub const fn needs(language: Language) -> &'static str {
    match language {
        Language::C | Language::Asm => "gcc for x86 and make",
        Language::Rust => "Rust 1.85 or newer with the target i686-unknown-linux-gnu, and ld",
    }
}

/// What it is.
pub fn what(protocol: Protocol, language: Language) -> String {
    let language = match language {
        Language::C => "C",
        Language::Rust => "Rust",
        Language::Asm => "assembly",
    };
    match protocol {
        Protocol::Linux => format!("the first program of Linux for 32-bit x86, in {language}"),
        Protocol::Elf => format!("a kernel for 32-bit x86 without a boot protocol, in {language}"),
        other => format!("a kernel for 32-bit x86 and the boot protocol {}, in {language}", other.name()),
    }
}

/// Where to go on.
pub const fn source(protocol: Protocol, language: Language) -> &'static str {
    match (protocol, language) {
        (_, Language::Rust) => "src/main.rs",
        (Protocol::Linux, Language::C) => "init.c",
        (Protocol::Linux, Language::Asm) => "init.S",
        (_, Language::C) => "kernel.c",
        (_, Language::Asm) => "kernel.S",
    }
}

/// Each word in `@`, and what a project has in its place. Those whose values have such words come first.
fn values(name: &str, protocol: Protocol, language: Language) -> Vec<(&'static str, String)> {
    let Commands { build, run, test, fault, gdb } = Commands::of(language);
    let is_rust = language == Language::Rust;
    let is_linux = protocol == Protocol::Linux;
    let either = |condition: bool, yes: &str, no: &str| if condition { yes.to_owned() } else { no.to_owned() };
    let part = |text: &str| text.trim_end().to_owned();
    let more = either(is_linux, template!("linux/more.md"), template!("shared/more.md"));
    let target = either(is_rust, template!("cargo/ci.yml"), "");
    let linux = either(is_linux, template!("linux/ci.yml"), "");
    vec![
        ("@tools@", part(template!("make/tools.mk"))),
        ("@compile@", part(template!("make/compile.mk"))),
        ("@compiler@", part(if is_rust { template!("shared/rustc.json") } else { template!("shared/gcc.json") })),
        ("@debug-task@", part(if is_linux { "" } else { template!("shared/debug-task.json") })),
        ("@more@", part(&more)),
        ("@prepare@", target + &linux),
        ("@ignored@", either(is_rust, "/target/\n", "") + if is_linux { "/vmlinuz\n" } else { "" }),
        ("@packages@", either(is_linux, "binutils gcc make debian-archive-keyring", "binutils gcc make")),
        ("@what@", what(protocol, language)),
        ("@needs@", needs(language).to_owned()),
        ("@source@", source(protocol, language).to_owned()),
        ("@runner@", either(is_linux, "[\"sh\", \"run.sh\"]", "[\"stos-run\", \"manifest.yaml\", \"--kernel\"]")),
        ("@kernel@", either(is_rust, "target/i686-unknown-linux-gnu/debug/kernel", "build/kernel.elf")),
        ("@binary@", either(is_linux, "init", "kernel")),
        ("@layout@", either(is_linux, "", "-T kernel.ld ")),
        ("@name@", name.to_owned()),
        ("@quoted@", quoted(name).into_owned()),
        ("@build@", build.to_owned()),
        ("@run@", run.to_owned()),
        ("@test@", test.to_owned()),
        ("@fault@", fault.to_owned()),
        ("@gdb@", gdb.to_owned()),
    ]
}

/// `text` with values in the place of words in `@`.
pub fn filled(text: &str, name: &str, protocol: Protocol, language: Language) -> String {
    let values = values(name, protocol, language);
    values.into_iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, &value))
}

#[cfg(test)]
mod tests {
    use super::super::files::files;
    use super::*;

    #[test]
    fn no_word_is_left_and_every_word_is_used() {
        let mut unused: Vec<&str> =
            values("k", Protocol::Stos, Language::C).into_iter().map(|(word, _)| word).collect();
        for (_, protocol) in Protocol::ALL {
            for language in Language::ALL {
                let values = values("my-kernel", *protocol, language);
                for file in files(*protocol, language) {
                    unused.retain(|word| {
                        !file.text.contains(word) && !values.iter().any(|(_, value)| value.contains(word))
                    });
                    let text = filled(file.text, "my-kernel", *protocol, language);
                    let is_word = |word: &str| {
                        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                    };
                    let left: Vec<&str> = text.split('@').skip(1).filter(|part| is_word(part)).collect();
                    assert!(left.is_empty(), "{}: {left:?}", file.path);
                    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{}", file.path);
                }
            }
        }
        assert!(unused.is_empty(), "{unused:?}");
    }
}
