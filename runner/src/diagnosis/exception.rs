//! What each of the CPU's exceptions means.

use stos_x86::interrupts::{self, Exception};

/// Stands for the vector of an exception where there is none.
pub const NO_VECTOR: u32 = u32::MAX;
/// `int3`. Vectors here have 32 bits, as in a fault record, which may hold any number.
pub const BREAKPOINT: u32 = interrupts::BREAKPOINT as u32;
/// `into`.
pub const OVERFLOW: u32 = interrupts::OVERFLOW as u32;
/// #DF.
pub const DOUBLE_FAULT: u32 = interrupts::DOUBLE_FAULT as u32;
/// #GP.
pub const GENERAL_PROTECTION: u32 = interrupts::GENERAL_PROTECTION as u32;
/// #PF.
pub const PAGE_FAULT: u32 = interrupts::PAGE_FAULT as u32;

/// The exception of a vector, which may be any number.
pub fn exception(vector: u32) -> Exception {
    interrupts::exception(u8::try_from(vector).unwrap_or(u8::MAX))
}

/// What an exception means, in one sentence without a full stop.
pub fn meaning(vector: u32) -> &'static str {
    match vector {
        0 => "a division by zero, or one whose quotient does not fit into its register",
        1 => "a breakpoint of the debug registers, or a single step (EFLAGS.TF)",
        2 => "the hardware reports what can't wait",
        3 => "`int3` was executed, and nobody handles breakpoints yet",
        4 => "`into` was executed with the overflow flag set",
        5 => "`bound` found an index outside its limits",
        6 => {
            "the bytes at EIP are no instruction of this CPU, or they are `ud2`, which compilers put where code must not get"
        }
        7 => "a floating-point instruction while CR0.EM or CR0.TS is set",
        8 => "a second exception came while the CPU was calling the handler of a first one",
        9 => "no CPU since the 386 raises it",
        10 => "the task state segment or a selector in it is of no use",
        11 => "a segment or gate was used whose descriptor is not present",
        12 => "the stack went past its segment's limit, or SS was loaded with a segment that is not present",
        13 => {
            "an instruction broke a rule of protection: a bad selector, a value that a register does not take, or an address \
             past its segment's limit"
        }
        14 => "an address was used that no page maps, or whose page forbids that use",
        16 => "an earlier floating-point instruction failed",
        17 => "a misaligned access in user mode with EFLAGS.AC and CR0.AM set",
        18 => "the hardware found a fault in itself",
        19 => "an SSE instruction failed",
        21 => "a return or a jump broke the shadow stack's rules",
        20 | 28..=30 => "the CPU raises it for a hypervisor only",
        _ => "no CPU raises it by itself",
    }
}
