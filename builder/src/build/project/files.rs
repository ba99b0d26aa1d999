//! The files of each project, as they are carried in this program. What they have in `@` is replaced by [`super::values`].

use super::language::Language;
use crate::manifest::Protocol;

/// A file of a project.
pub struct File<'a> {
    /// Where in the project.
    pub path: &'a str,
    /// Its text.
    pub text: &'a str,
    /// Whether it is a program.
    pub is_program: bool,
}

/// One that is no program.
pub const fn text<'a>(path: &'a str, text: &'a str) -> File<'a> {
    File { path, text, is_program: false }
}

const fn program<'a>(path: &'a str, text: &'a str) -> File<'a> {
    File { path, text, is_program: true }
}

/// The files of a project.
pub fn files(protocol: Protocol, language: Language) -> Vec<File<'static>> {
    let mut files = vec![
        text(".gitignore", template!("shared/gitignore")),
        text("README.md", template!("shared/README.md")),
        text("manifest.yaml", manifest(protocol)),
        text(".vscode/tasks.json", template!("shared/tasks.json")),
        text(".github/workflows/ci.yml", template!("shared/ci.yml")),
    ];
    files.extend(building(protocol, language));
    files.extend(sources(protocol, language));
    match protocol {
        Protocol::Stos => files.push(text("kernel.ld", template!("stos/kernel.ld"))),
        Protocol::Multiboot | Protocol::Elf => files.push(text("kernel.ld", template!("bare/kernel.ld"))),
        Protocol::Linux => {
            files.push(program("fetch-kernel.sh", template!("linux/fetch-kernel.sh")));
            files.push(program("where.sh", template!("linux/where.sh")));
        }
    }
    if protocol != Protocol::Linux {
        files.push(text(".vscode/launch.json", template!("shared/launch.json")));
    }
    files
}

fn manifest(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Stos => template!("stos/manifest.yaml"),
        Protocol::Multiboot => template!("multiboot/manifest.yaml"),
        Protocol::Elf => template!("elf/manifest.yaml"),
        Protocol::Linux => template!("linux/manifest.yaml"),
    }
}

/// What builds and runs it.
fn building(protocol: Protocol, language: Language) -> Vec<File<'static>> {
    let is_linux = protocol == Protocol::Linux;
    match language {
        Language::C | Language::Asm => {
            vec![text("Makefile", if is_linux { template!("make/linux.mk") } else { template!("make/kernel.mk") })]
        }
        Language::Rust => {
            let script = if is_linux {
                program("run.sh", template!("cargo/linux.sh"))
            } else {
                program("gdb.sh", template!("cargo/gdb.sh"))
            };
            vec![
                text("Cargo.toml", template!("cargo/manifest.toml")),
                text(".cargo/config.toml", template!("cargo/config.toml")),
                script,
            ]
        }
    }
}

fn sources(protocol: Protocol, language: Language) -> Vec<File<'static>> {
    match (protocol, language) {
        (Protocol::Stos, Language::C) => vec![
            text("kernel.c", template!("stos/kernel.c")),
            text("console.h", template!("c/console.h")),
            text("words.h", template!("c/words.h")),
            text("stos_boot.h", template!("stos/stos_boot.h")),
        ],
        (Protocol::Stos, Language::Asm) => vec![
            text("kernel.S", template!("stos/kernel.S")),
            text("console.S", template!("asm/console.S")),
            text("words.S", template!("asm/words.S")),
            text("stos_boot.h", template!("stos/stos_boot.h")),
        ],
        (Protocol::Stos, Language::Rust) => vec![
            text("src/main.rs", template!("stos/main.rs")),
            text("src/start.rs", template!("rust/start.rs")),
            text("src/boot.rs", template!("stos/boot.rs")),
            text("src/console.rs", template!("rust/console.rs")),
            text("src/runtime.rs", template!("rust/runtime.rs")),
            text("src/words.rs", template!("rust/words.rs")),
        ],
        (Protocol::Multiboot, Language::C) => vec![
            text("kernel.c", template!("multiboot/kernel.c")),
            text("start.S", template!("multiboot/start.S")),
            text("console.h", template!("c/console.h")),
            text("words.h", template!("c/words.h")),
            text("multiboot.h", template!("multiboot/multiboot.h")),
        ],
        (Protocol::Multiboot, Language::Asm) => vec![
            text("kernel.S", template!("multiboot/kernel.S")),
            text("start.S", template!("multiboot/start.S")),
            text("console.S", template!("asm/console.S")),
            text("words.S", template!("asm/words.S")),
        ],
        (Protocol::Multiboot, Language::Rust) => vec![
            text("src/main.rs", template!("multiboot/main.rs")),
            text("src/start.rs", template!("multiboot/start.rs")),
            text("src/multiboot.rs", template!("multiboot/multiboot.rs")),
            text("src/console.rs", template!("rust/console.rs")),
            text("src/runtime.rs", template!("rust/runtime.rs")),
            text("src/words.rs", template!("rust/words.rs")),
        ],
        (Protocol::Elf, Language::C) => vec![
            text("kernel.c", template!("elf/kernel.c")),
            text("start.S", template!("elf/start.S")),
            text("console.h", template!("c/console.h")),
        ],
        (Protocol::Elf, Language::Asm) => {
            vec![text("kernel.S", template!("elf/kernel.S")), text("console.S", template!("asm/console.S"))]
        }
        (Protocol::Elf, Language::Rust) => vec![
            text("src/main.rs", template!("elf/main.rs")),
            text("src/start.rs", template!("rust/start.rs")),
            text("src/console.rs", template!("rust/console.rs")),
            text("src/runtime.rs", template!("rust/runtime.rs")),
        ],
        (Protocol::Linux, Language::C) => vec![
            text("init.c", template!("linux/init.c")),
            text("start.S", template!("linux/start.S")),
            text("system.h", template!("linux/system.h")),
            text("words.h", template!("c/words.h")),
        ],
        (Protocol::Linux, Language::Asm) => {
            vec![text("init.S", template!("linux/init.S")), text("words.S", template!("asm/words.S"))]
        }
        (Protocol::Linux, Language::Rust) => vec![
            text("src/main.rs", template!("linux/main.rs")),
            text("src/start.rs", template!("linux/start.rs")),
            text("src/console.rs", template!("linux/console.rs")),
            text("src/runtime.rs", template!("rust/runtime.rs")),
            text("src/words.rs", template!("rust/words.rs")),
        ],
    }
}
