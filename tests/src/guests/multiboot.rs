//! Multiboot guests: one program, linked in six ways, and told by its command line what to do.

use super::guest::Guest;
use super::text::Text;
use crate::tools::root;

/// Multiboot kernels that check what they are handed, and some that die before they have an IDT.
pub fn all() -> Vec<Guest> {
    let guest = |name, kernel, words: &str, status, stdout| {
        let guest = Guest::tiny(name, kernel, status, stdout).memory("4MiB").cmdline(words);
        Guest { protocol: "multiboot", ..guest }
    };
    let right = Text::With(
        &[
            "eax 0x2BADB002\n",
            "cmdline \"checked\"\n",
            "loader \"stos-pack\"\n",
            "sections: names and symbols found\n",
            "mem_lower 639 KiB, mem_upper 3072 KiB\n",
            "0x00000000 0x0009FC00 1\n0x0009FC00 0x00000400 2\n0x000F0000 0x00010000 2\n0x00100000 0x00300000 1\n",
            "multiboot: everything is right\n",
        ],
        &["FAILED"],
    );
    let checked = |name, kernel| Guest { stdout: right.clone(), ..guest(name, kernel, "checked", 0, "") };
    let modules = format!(
        "modules: [{{path: {0}/hello.txt, cmdline: 'hello --loud'}}, {{path: {0}/hello.txt, name: again}}]\n\
         segments: [{{start: 8MiB, size: 1MiB, kind: reserved}}]\n",
        root().join("examples/multiboot").display()
    );
    let after = |text: &'static [&'static str]| Text::With(text, &["FAILED"]);
    vec![
        checked("multiboot", "multiboot/check"),
        checked("multiboot with a loose header", "multiboot/loose"),
        checked("multiboot in the upper half", "multiboot/upper"),
        checked("multiboot behind its ELF headers", "multiboot/headers"),
        Guest {
            stdout: after(&["flags 0x0000024D\n", "multiboot: everything is right\n"]),
            ..guest("multiboot flat binary", "multiboot/flat.bin", "flat", 0, "")
        },
        Guest {
            lines: modules,
            stdout: after(&[
                "module \"hello --loud\", 38 bytes: hello from a module\n",
                "module \"again\", 38 bytes: hello from a module\n",
                "mem_lower 639 KiB, mem_upper 7168 KiB\n",
                "0x00800000 0x00100000 2\n0x00900000 0x00700000 1\n",
                "multiboot: everything is right\n",
            ]),
            ..guest("multiboot modules", "multiboot/check", "", 0, "").memory("16MiB")
        },
        Guest {
            stdout: after(&["dividing by zero\n"]),
            ..guest("multiboot early division by zero", "multiboot/check", "divide", 102, "")
        }
        .says(&["#DE (divide error) at 0x0010", "(multiboot_main+0x", "(multiboot/check.c:"]),
        Guest {
            stdout: after(&["interrupt: taken\n", "multiboot: everything is right\n"]),
            ..guest("multiboot interrupt on the loader's selectors", "multiboot/check", "gdt", 0, "")
        },
        Guest { stdout: after(&["calling NULL\n"]), ..guest("multiboot null call", "multiboot/check", "call", 102, "") }
            .says(&[
                "#UD (invalid opcode) at 0x00000000",
                "EIP 0x00000000 lies in `real-mode interrupt vectors`, which is no code: the call of a function pointer that is NULL",
                "called from 0x0010",
            ]),
        Guest {
            stdout: after(&["pushing at 0xDEAD0000\n"]),
            ..guest("multiboot double fault", "multiboot/upper", "stack", 102, "")
        }
        .says(&["#DF (double fault) at 0xc010", "the stack is bad: ESP is 0xdead0000"]),
        checked("multiboot at 0x1000", "multiboot/low"),
        Guest {
            stdout: after(&["pushing at 0xDEAD0000\n"]),
            ..guest("multiboot double fault at 0x1000", "multiboot/low", "stack", 102, "")
        }
        .says(&["#DF (double fault) at 0xc000", "the stack is bad: ESP is 0xdead0000"]),
        Guest {
            stdout: after(&["cmdline \"return\"\n"]),
            ..guest("multiboot kernel at 0x1000 returns", "multiboot/low", "return", 104, "")
        }
        .says(&["the kernel's entry function returned, which a kernel must never do"]),
        Guest {
            stdout: after(&["cmdline \"return\"\n"]),
            ..guest("multiboot kernel returns", "multiboot/check", "return", 104, "")
        }
        .says(&["the kernel's entry function returned, which a kernel must never do"]),
    ]
}
