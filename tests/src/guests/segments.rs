//! Guests that use segments as the CPU does not allow, with what must be said of it.

use super::guest::Guest;

/// All of them.
pub fn all() -> Vec<Guest> {
    let guest =
        |name, words, status| Guest::tiny(name, "guests/segments", status, "segments: using them\n").cmdline(words);
    let used = "segments: using them\nsegments: used them\n";
    vec![
        Guest::tiny("segments", "guests/segments", 0, used),
        guest("far jump past a limit", "segments=1", 102)
            .says(&[
                "#GP (general protection) at 0xc01",
                ": `ljmp` goes to 0x18:0xc01",
                ", past the limit 0xfffff of the segment in CS 0x18; its granularity bit (G, bit 55) is 0, so that counts bytes, not \
                 pages of 4 KiB\n",
                "error code 0x0: it names no selector\n",
            ])
            .never_says(&["no selector is at fault"]),
        guest("stack segment of code", "segments=2", 102).says(&[
            ": through selector 0x8 (entry 1 of the GDT)\n",
            "  `mov` loads SS with selector 0x8, and SS takes data that can be written: that one is 32-bit code, readable",
        ]),
        guest("loose table register", "segments=3", 100)
            .explained(&[
                "  hint: GDTR has base 0x20",
                ": `lgdt` has read it from the structure at 0xc01",
                " (loose",
                ", at offset 2, and that has 0xc01",
                "`__attribute__((packed))`\n",
            ])
            .never_says(&["NULL"]),
        guest("stack in the gdt", "segments=4", 102).says(&[
            "#UD (invalid opcode) at 0xc01",
            "  hint: ESP 0xc01",
            " lies in the GDT, 0xc01",
            ": whatever is pushed overwrites it.",
        ]),
        guest("int from user mode", "segments=5", 102)
            .says(&[
                ": through entry 0x3 of the IDT\n",
                "  hint: `int 0x3` at privilege level 3 needs a gate of DPL 3 or more, and IDT entry 0x3 has DPL 0: its sixth byte, \
                 type and attributes, is 0xee with DPL 3\n",
            ])
            .never_says(&["found no gate"]),
        guest("segment that is not present", "segments=6", 102).says(&[
            "#NP (segment not present) at 0xc01",
            "  `mov` loads ES with selector 0x28, whose segment is not present\n",
        ]),
    ]
}
