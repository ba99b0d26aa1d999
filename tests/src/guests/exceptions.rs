//! Guests that die of an exception before they have an IDT, and one that ends without any, with what the diagnosis must say.

use super::guest::Guest;

/// All of them.
pub fn all() -> Vec<Guest> {
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
            .says(&["#DE (divide error)", "meaning: a division by zero", "> 0xc01", "  div    %"]),
        Guest::tiny("null write", "guests/null_write", 102, "null_write: 42 to NULL\n").says(&[
            "#PF (page fault) at 0xc01",
            "(guests/null_write.c:6) before the kernel had its own IDT: supervisor write to 0x00000000",
            "  page directory entry 0 at 0x1000 = 0x00000000: not present\n",
            "  mapped are 0xc0000000-0xc03fffff, ",
            "  hint: a NULL pointer was used\n",
            "    it writes 4 bytes at 0x00000000 = E",
            " kernel_main+0x",
            "(guests/null_write.c:17)\n",
        ]),
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
        ]),
        Guest::tiny("kernel returns", "guests/kernel_return", 104, "kernel_return: returning\n")
            .says(&["the kernel's entry function returned, which a kernel must never do"]),
    ]
}
