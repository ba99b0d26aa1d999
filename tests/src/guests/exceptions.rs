//! Guests that die of an exception before they have an IDT, and one that ends without any, with what the diagnosis must say.

use super::guest::Guest;

/// All of them.
pub fn all() -> Vec<Guest> {
    [faults(), extensions(), interrupts()].concat()
}

fn faults() -> Vec<Guest> {
    vec![
        Guest::tiny("early page fault", "guests/early_fault", 102, "early_fault: reading 0xDEAD0000\n").says(&[
            "#PF (page fault) at 0xc01",
            "(kernel_main+0x",
            "(guests/early_fault.c:8)",
            ": supervisor read of 0xdead0000: no page is mapped there\n",
            "  error code 0x0: P 0 (not present), W/R 0 (read), U/S 0 (supervisor), ",
            "  page directory entry 890 at 0x1de8 = 0x00000000: not present\n",
            "  mapped are 0x00000000-0x003fffff, 0xc0000000-0xc03fffff, 0xff400000-0xff7fffff\n",
            "    > 0xc01",
            "    it reads 4 bytes at 0xdead0000",
            ": the address that faulted\n",
            " trampoline, which calls the kernel\n",
            "CR2 dead0000",
        ]),
        Guest::tiny("early division by zero", "guests/divide", 102, "divide: 1 / 0\n")
            .says(&["#DE (divide error)", "meaning: a division by zero", "> 0xc01", "  div    %"])
            .never_says(&["8259", "interrupt"]),
        Guest::tiny("null write", "guests/null_write", 102, "null_write: 42 to NULL\n").says(&[
            "#PF (page fault) at 0xc01",
            "(guests/null_write.c:6) before the kernel had its own IDT: supervisor write to 0x00000000",
            "  page directory entry 0 at 0x1000 = 0x00000000: not present\n",
            "  mapped are 0xc0000000-0xc03fffff, ",
            "  hint: a NULL pointer was used\n",
            "    it writes 4 bytes at 0x00000000 = E",
            " kernel_main+0x",
            "(guests/null_write.c:17)\n",
        ])
        .never_says(&["stack protector", "thread-local"]),
        Guest::tiny("stack protector", "guests/canary", 102, "canary: greeting\n")
            .says(&[
                "#PF (page fault) at 0xc01",
                "(greet",
                ": supervisor read of 0x00000014: no page is mapped there\n",
                "  hint: `%gs:0x14` is where the stack protector of the compiler keeps its canary, and nothing has set it up: GS \
                 has base 0. Compile the kernel with `-fno-stack-protector`\n",
                "%gs:0x14,%e",
            ])
            .never_says(&["NULL"]),
        Guest::tiny("null call", "guests/null_call", 102, "null_call: calling NULL\n").says(&[
            "#PF (page fault) at 0x00000000 before the kernel had its own IDT: supervisor instruction fetch from 0x00000000",
            "  hint: EIP 0x00000000 is not mapped: the call of a function pointer that is NULL; called from 0xc01",
            " run+0x",
            "(guests/null_call.c:6)\n",
            " kernel_main+0x",
        ]),
        Guest::tiny("bad stack", "guests/bad_stack", 102, "bad_stack: pushing at 0xDEAD0000\n").says(&[
            "#DF (double fault) at 0xc01",
            "(guests/bad_stack.c:8)",
            ": the stack is bad (0xdeacfffc below ESP 0xdead0000 is not mapped), so an exception could not be delivered\n",
            "  page directory entry 890 at 0x1de8 = 0x00000000: not present\n",
            "  hint: the stack is bad: ESP is 0xdead0000",
            "  push   $0x2a\n",
            "    it writes 4 bytes at 0xdeacfffc = ESP 0xdead0000 - 0x4\n",
        ]),
        Guest::tiny("stack overflow", "guests/stack_overflow", 102, "stack_overflow: recursing\n").says(&[
            "#DF (double fault) at 0xc01",
            "(depth+0x",
            "  hint: stack overflow: the stack has grown down to ESP 0xff4000",
            " times more, up to #",
            ": recursion\n",
            " recurse+0x",
            " kernel_main+0x",
        ]),
        Guest::tiny("bad selector", "guests/bad_selector", 102, "bad_selector: 0x38 to DS\n").says(&[
            "#GP (general protection) at 0xc01",
            ": through selector 0x38 (entry 7 of the GDT)\n",
            "  error code 0x38: EXT 0 (by the program), IDT 0 (no), TI 0 (GDT), index 7: entry 7 of the GDT\n",
            "  the GDT at 0xc0002000 has 6 entries (limit 0x2f); entry 7 lies past its end\n",
            "    0x0028  32-bit task state segment, free, base 0xc0002180, limit 0x00000067, DPL 0, present\n",
            ",%ds\n",
        ]),
        Guest::tiny("invalid opcode", "guests/invalid_opcode", 102, "invalid_opcode: ud2\n").says(&[
            "#UD (invalid opcode) at 0xc01",
            "(guests/invalid_opcode.c:8)",
            "    > 0xc01",
            "  ud2\n",
            "meaning: the bytes at EIP are no instruction of this CPU, or they are `ud2`",
        ])
        .never_says(&["SSE", "CR4.", "-mgeneral-regs-only"]),
        Guest::tiny("page tables with a hole", "guests/page_hole", 102, "page_hole: loading CR3\n")
            .says(&[
                "#PF (page fault) at 0xc01",
                ": supervisor write to 0xc00b8000: no page is mapped there, right after `mov %e",
                ",%cr3` at 0xc01",
                "  hint: the page tables at CR3 0x10",
                " map the code, but not 0xc00b8000, what the next instruction uses: before, that was physical 0xb8000\n",
            ])
            .never_says(&["may be a physical address"]),
        Guest::tiny("kernel returns", "guests/kernel_return", 104, "kernel_return: returning\n")
            .says(&["the kernel's entry function returned, which a kernel must never do"]),
    ]
}

/// Instructions that control bits refuse, and the same ones with the bits as the hint has them.
fn extensions() -> Vec<Guest> {
    let refused = |name, words, says| {
        Guest::tiny(name, "guests/extensions", 102, "extensions: using one\n").cmdline(words).says(says)
    };
    let works = |name, words| {
        let printed = "extensions: using one\nextensions: used it\n";
        Guest::tiny(name, "guests/extensions", 0, printed).cmdline(words)
    };
    vec![
        refused(
            "sse without osfxsr",
            "use=2",
            &[
                "#UD (invalid opcode) at 0xc01",
                "(use_sse+0x",
                "(guests/extensions.c:",
                " before the kernel had its own IDT: `movups` is an instruction of SSE, and CR4.OSFXSR is 0\n",
                "  meaning: the CPU has this instruction, but executes it only when bit 9 of CR4 (OSFXSR) is 1\n",
                "  hint: compilers use these registers by themselves, to copy and to clear structures: compile the kernel with \
                 `-mgeneral-regs-only` (or `-mno-sse -mno-mmx -mno-80387`). A kernel that is to use them clears CR0.EM (bit 2)",
                "  movups %xmm0,",
            ],
        )
        .never_says(&["no instruction of this CPU", "interrupt"]),
        works("sse with osfxsr", "use=2 bits.osfxsr=1"),
        refused(
            "sse with task switched",
            "use=2 bits.osfxsr=1 bits.ts=1",
            &[
                "#NM (no floating-point unit) at 0xc01",
                ": `movups` is an instruction of SSE, and CR0.TS is 1\n",
                "hint: CR0.TS is set by a task switch of the CPU",
            ],
        ),
        refused(
            "mmx with emulation",
            "use=1 bits.em=1",
            &["#UD (invalid opcode) at 0xc01", ": `pxor` is an instruction of MMX, and CR0.EM is 1\n"],
        ),
        works("mmx", "use=1"),
        refused(
            "x87 with emulation",
            "use=0 bits.em=1",
            &[
                "#NM (no floating-point unit) at 0xc01",
                ": `fldpi` is an instruction of the x87 FPU, and CR0.EM is 1\n",
                "  meaning: the CPU has this instruction, but executes it only when bit 2 of CR0 (EM) is 0\n",
                "A kernel that is to use the FPU clears CR0.EM (bit 2) and executes `fninit` first\n",
            ],
        )
        .never_says(&["interrupt"]),
        works("x87", "use=0"),
        refused(
            "wait with task switched",
            "use=4 bits.ts=1",
            &["#NM (no floating-point unit) at 0xc01", ": `fwait` is an instruction of the x87 FPU, and CR0.TS is 1\n"],
        ),
        refused(
            "avx",
            "use=3 bits.osfxsr=1",
            &[
                "#UD (invalid opcode) at 0xc01",
                ": `c5 f8 57 c0` is an instruction of AVX, and CR4.OSXSAVE is 0\n",
                ".byte  0xc5,0xf8,0x57,0xc0  # AVX\n",
                "hint: compile the kernel for a CPU without AVX",
            ],
        ),
    ]
}

/// Interrupts that have the vectors of exceptions.
fn interrupts() -> Vec<Guest> {
    let call = |name, words, says| {
        Guest::tiny(name, "guests/bios_call", 102, "bios_call: calling\n").cmdline(words).says(says)
    };
    vec![
        Guest::tiny("early interrupt", "guests/early_sti", 102, "early_sti: interrupts on\n")
            .says(&[
                "stos-run: hardware interrupt with vector 0x0, that of #DE (IRQ 0 (timer) or IRQ 8 (real-time clock): program \
                 the 8259s before `sti`), at 0xc01",
                "(kernel_main+0x",
                "  hint: until the kernel programs the 8259s, their interrupts come with the vectors of exceptions",
                "(0xFF to ports 0x21 and 0xA1 masks all)\n",
                "\"name\": \"hardware interrupt\"",
            ])
            .never_says(&["divi", "meaning: "]),
        call(
            "bios screen call",
            "bios.vector=16",
            &["stos-run: `int 0x10` at 0xc01", ": a BIOS call (screen), which only real mode has\n", "0xB8000 (0xC00B8000 "],
        )
        .never_says(&["#MF", "floating-point"]),
        call(
            "bios disk call",
            "bios.vector=19",
            &[
                "stos-run: `int 0x13` at 0xc01",
                "(guests/bios_call.c:12) before the kernel had its own IDT: a BIOS call (disk), which only real mode has\n",
                "  hint: in real mode, `int 0x13` is a BIOS call (disk); in protected mode it calls what the kernel's own IDT \
                 has as entry 0x13, and no BIOS can be called: files come with the image",
                "    > 0xc01",
                "  int    $0x13\n",
                "\"mnemonic\": \"int 0x13\"",
            ],
        )
        .never_says(&["#XM", "SSE"]),
        // The CPU pushes an error code for its own exception with this vector, and none here.
        call(
            "bios memory call",
            "bios.vector=21",
            &[
                "stos-run: `int 0x15` at 0xc01",
                "(guests/bios_call.c:15) before the kernel had its own IDT: a BIOS call (memory map and more), which only real mode has\n",
                " trampoline, which calls the kernel\n",
            ],
        )
        .never_says(&["#CP", "error code"]),
        call(
            "dos call",
            "bios.vector=33",
            &[
                "#GP (general protection) at 0xc01",
                "  hint: an `int` instruction (in real mode a DOS call, and here there is none) with vector 0x21 found no gate",
            ],
        ),
    ]
}
