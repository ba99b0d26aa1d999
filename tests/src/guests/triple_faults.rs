//! Guests that die of a triple fault after they have loaded an IDT of their own, with what must be told of the exceptions that
//! led to it.

use super::guest::Guest;
use super::hostile::{SHORT, TABLES_NOWHERE};

fn fault(name: &'static str, kernel: &'static str, stdout: &'static str) -> Guest {
    Guest::tiny(name, kernel, 100, stdout).says(&["stos-run: triple fault: "])
}

/// One for each thing that can be wrong on the way to a handler.
pub fn all() -> Vec<Guest> {
    let guests = vec![
        fault("triple fault", "guests/triple_fault", "triple_fault: breakpoint without an IDT\n").explained(&[
            "triple fault: #BP (breakpoint) at 0xc01",
            "(kernel_main+0x",
            "(guests/triple_fault.c:14); it could not be delivered (IDT entry 3 lies past the IDT's limit 0x0), and neither \
             could #GP (entry 13: the same), nor #DF (entry 8: the same)\n",
            "  chain:\n    #BP (breakpoint) at 0xc01",
            "    #GP (general protection), through entry 0x3 of the IDT\n",
            "    #DF (double fault), made of two: the second was #GP\n",
            "    > 0xc01",
            "  int3\n",
            " trampoline, which calls the kernel\n",
            "  IDT at 0x00000000, limit 0x0: 0 entries\n",
        ]),
        fault("no gate present", "guests/idt_not_present", "idt_not_present: reading 0xDEAD0000\n").explained(&[
            "triple fault: #PF (page fault) at 0xc01",
            "(guests/idt_not_present.c:11): supervisor read of 0xdead0000: no page is mapped there; it could not be \
             delivered (IDT entry 14 is not present), and neither could #DF (entry 8: the same)\n",
            "    entry 14 at 0xc01",
            " = 00 00 00 00 00 00 00 00: not present: all zeros\n",
            "  error code 0x0: P 0 (not present)",
            "  page directory entry 890 at 0x1de8 = 0x00000000: not present\n",
            "    it reads 4 bytes at 0xdead0000: the address that faulted\n",
        ]),
        fault("idt limit too small", "guests/idt_limit", "idt_limit: writing to 0xDEAD0000\n").explained(&[
            "(IDT entry 14 lies past the IDT's limit 0x3f), and neither could #DF (entry 8: the same)\n",
            "past the IDT's limit 0x3f\n",
            "limit 0x3f: 8 entries\n",
        ]),
        fault("gates to no segment", "guests/idt_selector", "idt_selector: breakpoint\n").explained(&[
            "(IDT entry 3 names selector 0x38, which lies past the GDT's limit 0x2f)",
            "    #GP (general protection), through selector 0x38 (entry 7 of the GDT)\n",
            ": 32-bit interrupt gate to 0x0038:0xc01",
            "  the GDT at 0xc0002000 has 6 entries (limit 0x2f); entry 7 lies past its end\n",
        ]),
        fault("handlers that are not mapped", "guests/idt_handler", "idt_handler: dividing by zero\n").explained(&[
            "triple fault: #DE (divide error) at 0xc01",
            "; in its handler came #PF (page fault) at 0xbadc0de0 510 times, and the last could not be delivered (the stack \
             is bad: 0xff3ffffc below ESP 0xff40000c is not mapped), and neither could #DF\n",
            "    IDT entry 0 has led to its handler, 0xbadc0de0, which is not mapped\n",
            ", 510 times, each in the handler of the one before, CR2 0xbadc0de0\n",
            "  meaning: a division by zero",
            " kernel_main+0x",
        ]),
        fault("gates without a stack", "guests/idt_stack", "idt_stack: pushing at 0xDEAD0000\n").explained(&[
            "(the stack is bad: 0xdeacfffc below ESP 0xdead0000 is not mapped), and neither could #DF\n",
            "; the handler is 0xc01",
            " (halt+0x0) (guests/guest.h:",
            "  hint: the stack is bad: ESP is 0xdead0000",
            "  push   $0x2a\n",
        ]),
        fault("idt that is not mapped", "guests/idt_base", "idt_base: invalid opcode\n").explained(&[
            "triple fault: #UD (invalid opcode) at 0xc01",
            "(IDT entry 6 at 0xdeadbf18 is not mapped), and neither could #PF (IDT entry 14 at 0xdeadbf58 is not mapped), nor \
             #DF (IDT entry 8 at 0xdeadbf28 is not mapped)\n",
            "    #PF (page fault), CR2 0xdeadbf18\n",
            "  IDT at 0xdeadbee8, limit 0xff: 32 entries\n",
        ]),
        fault("timer without a gate", "guests/idt_interrupt", "idt_interrupt: waiting for the timer\n").explained(&[
            "triple fault: hardware interrupt with vector 0x20 at 0xc01",
            "; it could not be delivered (IDT entry 32 lies past the IDT's limit 0xff), and neither could #GP (IDT entry 13 is \
             not present), nor #DF (entry 8: the same)\n",
        ]),
    ];
    guests.into_iter().chain(page_tables()).collect()
}

/// Page tables that are not as they were meant.
fn page_tables() -> Vec<Guest> {
    vec![
        Guest::tiny("page tables", "guests/page_tables", 0, "page_tables: loading CR3\npage_tables: loaded\n"),
        Guest::tiny("code mapped to a copy", "guests/page_tables", 0, "page_tables: loading CR3\npage_tables: loaded\n")
            .cmdline("tables=4"),
        Guest::tiny("code mapped to other memory", "guests/page_tables", 102, "page_tables: loading CR3\n")
            .cmdline("tables=3")
            .says(&[
                "#UD (invalid opcode) at 0xc01",
                "  hint: right after `mov %e",
                ", which loaded CR3 with 0x10",
                "; the page tables at CR3 0x10",
                " map the next instruction, at 0xc01",
                ", but the code lies at physical 0x10",
                ": ff ff ff ff is there instead of ",
            ])
            .never_says(&["damaged stack", "NULL"]),
        Guest::tiny("stack that new tables leave out", "guests/page_tables", 102, "page_tables: loading CR3\n")
            .cmdline("tables=5")
            .says(&[
                "#DF (double fault) at 0xc01",
                ": the stack is bad (0xc03ff",
                " is not mapped), so an exception could not be delivered, right after `mov %e",
                ", which loaded CR3 with 0x10",
                "  hint: the page tables at CR3 0x10",
                " map the code, but not 0xc03ff",
                ", the stack (ESP is 0xc03ff",
                ": before, that was physical 0x3ff",
                "    > 0xc01",
                "  push   $0x1\n",
                " has loaded: a double fault does not keep it)\n",
            ])
            .never_says(&["ESP was never set", "stack overflow", "that of the image"]),
        fault("pae over tables of 32 bits", "guests/page_tables", "page_tables: loading CR3\n")
            .cmdline("tables=6")
            // A processor refuses the instruction itself, which the image's fault catcher catches.
            .on_kvm(&[102])
            .says_on_kvm(&[
                "#GP (general protection) at 0xc01",
                ": `mov %e",
                ",%cr4` turns on paging with CR4.PAE, and entry 0 of the four that CR3 leads to, 0xa",
                " at 0x1000, has reserved bits set\n",
                "  hint: with CR4.PAE (bit 5), page tables have entries of 64 bits",
            ])
            // QEMU does not look at the entries before it walks through them.
            .says(&[
                "  a second run, on the embedded machine, did not reproduce it: #GP (general protection) at 0xc01",
                ",%cr4` turns on paging with CR4.PAE, and entry 0 of the four that CR3 leads to, 0xa3 at 0x1000, has reserved bits set\n",
            ])
            .never_says(&["damaged stack", "NULL"]),
        fault("misaligned page directory", "guests/page_tables", "page_tables: loading CR3\n")
            .cmdline("tables=1")
            .explained(&[
                ": supervisor instruction fetch from 0xc01",
                ": no page is mapped there, right after `mov %e",
                ",%cr3` at 0xc01",
                "(guests/page_tables.c:68), which loaded CR3 with 0x1",
                "  hint: CR3 was loaded with 0x001",
                ", but a page directory begins at a multiple of 4096: the CPU ignores the low 12 bits and reads the directory at 0x001",
                "000, 0x4 bytes lower. `__attribute__((aligned(4096)))` on the table itself",
                "mov    %e",
                " trampoline, which calls the kernel\n",
            ])
            .never_says(&["damaged stack", "NULL", "to use it"]),
        Guest {
            on_kvm: TABLES_NOWHERE,
            options: SHORT,
            ..fault("page directory by its virtual address", "guests/page_tables", "page_tables: loading CR3\n")
            .cmdline("tables=2")
            .explained(&[
                "(guests/page_tables.c:68), which loaded CR3 with 0xc01",
                "  hint: CR3 takes a physical address, and there is no memory at 0xc01",
                "; this virtual address was mapped to 0x1",
            ])
            .never_says(&["damaged stack", "NULL", "to use it"])
        },
    ]
}
