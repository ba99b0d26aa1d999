//! Guests that overwrite what nobody may write to, and others that only look as if they had, with what must be said of it.

use super::guest::{Guest, OVERWRITES};
use crate::tools::root;

/// All of them.
pub fn all() -> Vec<Guest> {
    let guest = |name, words, status, more: &str| {
        Guest::tiny(name, OVERWRITES, status, &format!("overwrite: beginning\n{more}")).cmdline(words)
    };
    let said = "what a kernel has to say, as it was compiled into it";
    let initramfs = format!("initramfs: {{directory: {}}}\n", root().join("examples/ministos/initramfs").display());
    let module = format!("modules: [{{path: {}}}]\n", root().join("examples/ministos/timer.ko").display());
    let with_module = |name, words| Guest { lines: module.clone(), ..guest(name, "", 104, said) }.cmdline(words);
    vec![
        guest("stack over code", "overwrite=1", 102, "").says(&[
            "; kernel .text and kernel .rodata were overwritten\n",
            "  overwritten:\n    kernel .text: ",
            " addresses inside functions now, ",
            " of them in `depth`, as a stack does\n",
            "  hint: the stack lies over kernel .text: ESP is 0xc01000",
        ]),
        guest("text over constants", "overwrite=2", 104, "good morningl has to say, as it was compiled into it").says(
            &[
                "the guest halted for good: HLT with interrupts disabled before 0xc01",
                "; kernel .rodata was overwritten\n",
                "    kernel .rodata: 10 of ",
                " bytes, 0xc01010",
                " (greeting+0x0) to 0xc01010",
                " (greeting+0xb)\n      it holds the text \"good morning\" now\n",
            ],
        ),
        guest("damaged fault catcher", "overwrite=3", 103, "")
            .says(&[
                "the image's fault catcher",
                "had overwritten",
                "    fault catcher: 4 of ",
                "it holds the text \"none\" now\n",
            ])
            .never_says(&["the guest reported status"]),
        guest("damaged boot tables", "overwrite=4", 100, "").explained(&[
            "; boot GDT and 5 other regions were overwritten\n",
            "    boot GDT: 48 of 48 bytes, ",
            "    boot IDT: 256 of 256 bytes, ",
            "    fault catcher: ",
            "      every byte is 0x55 now\n",
        ]),
        guest("boot tables that are no longer used", "overwrite=5", 104, said)
            .says(&["HLT with interrupts disabled before 0xc01"])
            .never_says(&["overwritten", "returned"]),
        guest("jump into the trampoline", "overwrite=6", 104, "")
            .says(&["HLT with interrupts disabled before 0xc0003", ", in the image's trampoline\n"])
            .never_says(&["overwritten", "returned"]),
        guest("instruction that was overwritten", "overwrite=7", 102, "").says(&[
            "#UD (invalid opcode) at 0xc01",
            " (depth+0x0) ",
            "; kernel .text was overwritten\n",
            "    kernel .text: 4 of ",
            "      it is 0f 0f f1 f1 now, and was 55 ",
        ]),
        Guest { lines: initramfs, ..guest("initramfs that was overwritten", "", 104, said) }
            .cmdline("overwrite=8")
            .says(&["; initramfs was overwritten\n", "    initramfs: ", " it is all zeros now\n"]),
        guest("own status over a catcher that is gone", "overwrite=9", 1, "")
            .says(&["the guest reported status 1\n"])
            .never_says(&["overwritten"]),
        with_module("module that was overwritten in use", "overwrite=10").says(&[
            "; module timer.ko was overwritten\n",
            "    module timer.ko: ",
            "      every byte is 0x55 now\n",
        ]),
        with_module("module that is not used where it lies", "overwrite=11").never_says(&["overwritten"]),
        with_module("data of a module in use", "overwrite=12").never_says(&["overwritten"]),
    ]
}
