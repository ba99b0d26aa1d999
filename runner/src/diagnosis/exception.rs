//! The CPU's exceptions: mnemonic, name, meaning, and what sort of error code each has (Intel SDM volume 3A, table 6-1 and
//! section 6.15).

/// One of the vectors 0 to 31.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// The manual's short name, such as `#PF`.
    pub mnemonic: &'static str,
    /// Its name in words.
    pub name: &'static str,
    /// What it means, in one sentence without a full stop.
    pub meaning: &'static str,
    /// What its error code is.
    pub code: CodeKind,
}

/// What an error code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeKind {
    /// There is none.
    None,
    /// A selector, or 0.
    Selector,
    /// Always 0.
    Zero,
    /// Bits that describe an access.
    PageFault,
    /// A number.
    ControlProtection,
}

/// The exception of a vector.
pub fn exception(vector: u32) -> Exception {
    use CodeKind::{ControlProtection, None, PageFault, Selector, Zero};
    let (mnemonic, name, code, meaning) = match vector {
        0 => ("#DE", "divide error", None, "a division by zero, or one whose quotient does not fit into its register"),
        1 => ("#DB", "debug exception", None, "a breakpoint of the debug registers, or a single step (EFLAGS.TF)"),
        2 => ("NMI", "non-maskable interrupt", None, "the hardware reports what can't wait"),
        3 => ("#BP", "breakpoint", None, "`int3` was executed, and nobody handles breakpoints yet"),
        4 => ("#OF", "overflow", None, "`into` was executed with the overflow flag set"),
        5 => ("#BR", "bound range exceeded", None, "`bound` found an index outside its limits"),
        6 => (
            "#UD",
            "invalid opcode",
            None,
            "the bytes at EIP are no instruction of this CPU, or they are `ud2`, which compilers put where code must not get",
        ),
        7 => ("#NM", "no floating-point unit", None, "a floating-point instruction while CR0.EM or CR0.TS is set"),
        8 => (
            "#DF",
            "double fault",
            Zero,
            "a second exception came while the CPU was calling the handler of a first one",
        ),
        9 => ("vector 9", "coprocessor segment overrun", None, "no CPU since the 386 raises it"),
        10 => {
            ("#TS", "invalid task state segment", Selector, "the task state segment or a selector in it is of no use")
        }
        11 => ("#NP", "segment not present", Selector, "a segment or gate was used whose descriptor is not present"),
        12 => (
            "#SS",
            "stack segment fault",
            Selector,
            "the stack went past its segment's limit, or SS was loaded with a segment that is not present",
        ),
        13 => (
            "#GP",
            "general protection",
            Selector,
            "an instruction broke a rule of protection: a bad selector, a value that a register does not take, or an address \
             past its segment's limit",
        ),
        14 => ("#PF", "page fault", PageFault, "an address was used that no page maps, or whose page forbids that use"),
        16 => ("#MF", "floating-point error", None, "an earlier floating-point instruction failed"),
        17 => ("#AC", "alignment check", Zero, "a misaligned access in user mode with EFLAGS.AC and CR0.AM set"),
        18 => ("#MC", "machine check", None, "the hardware found a fault in itself"),
        19 => ("#XM", "SIMD floating-point error", None, "an SSE instruction failed"),
        21 => ("#CP", "control protection", ControlProtection, "a return or a jump broke the shadow stack's rules"),
        _ => ("reserved vector", "reserved exception", None, "no CPU raises it by itself"),
    };
    Exception { mnemonic, name, meaning, code }
}
