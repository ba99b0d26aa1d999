//! Exceptions, each with the check that failed.

use stos_x86::interrupts::{
    ALIGNMENT, BOUND, DEBUG, DEVICE_NOT_AVAILABLE, DIVIDE, DOUBLE_FAULT, GENERAL_PROTECTION, INVALID_OPCODE,
    INVALID_TSS, MATH_FAULT, NOT_PRESENT, OVERFLOW, PAGE_FAULT, PageFaultCode, SIMD_FAULT, STACK_FAULT,
};
use stos_x86::segments::{Descriptor, Refusal};

/// An exception that an instruction or its delivery has raised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its vector.
    pub vector: u8,
    /// Its error code, if it pushes one.
    pub error_code: Option<u32>,
    /// Which of the manual's checks failed.
    pub reason: Reason,
}

/// A use of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// Data is read.
    Read,
    /// Data is written, or read to be written.
    Write,
    /// An instruction is fetched.
    Fetch,
}

/// A segment register, in the order of their numbers in instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "their names")]
pub enum SegmentName {
    Es,
    Cs,
    Ss,
    Ds,
    Fs,
    Gs,
}

impl SegmentName {
    /// All, by number.
    pub const ALL: [Self; 6] = [Self::Es, Self::Cs, Self::Ss, Self::Ds, Self::Fs, Self::Gs];
}

/// What was wrong with something that a selector led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorProblem {
    /// The null selector, where a segment is needed.
    Null,
    /// It lies past the limit of its table, or in an LDT that there is not.
    PastTable,
    /// The descriptor can't be loaded there.
    Refused(Refusal),
    /// The descriptor is not of a kind that may stand there.
    Kind,
}

/// Which check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The instruction always raises this: INT n, INT3, INTO, UD2 and the like.
    Asked,
    /// Bytes that are no instruction of this CPU.
    NoInstruction,
    /// An instruction that is not for this mode or these operands.
    NotHere,
    /// More than 15 bytes.
    TooLong,
    /// Division by zero.
    DivisorZero,
    /// A quotient that does not fit.
    QuotientTooLarge,
    /// An index that is out of the bounds of BOUND.
    OutOfBounds,
    /// An offset past the limit of a segment, or before the start of one that expands down.
    Limit {
        /// The segment register.
        segment: SegmentName,
        /// The offset.
        offset: u32,
        /// How many bytes.
        size: u32,
    },
    /// A segment register that holds the null selector was used.
    NullSegment(SegmentName),
    /// Data was written to a segment that can't be written, or read from code that can't be read.
    SegmentType {
        /// The segment register.
        segment: SegmentName,
        /// The use.
        wanted: Use,
    },
    /// The page tables refuse an access.
    Page {
        /// The linear address.
        linear: u32,
        /// The use.
        wanted: Use,
        /// Guest-physical address of the entry that decided, and the entry.
        entry: Option<(u64, u64)>,
    },
    /// An operand is not aligned, and has to be.
    Misaligned {
        /// Its linear address.
        linear: u32,
        /// What it must be a multiple of.
        alignment: u32,
    },
    /// A selector leads nowhere that it may.
    Selector {
        /// The selector.
        selector: u16,
        /// What was found there.
        descriptor: Option<Descriptor>,
        /// What is wrong with it.
        problem: SelectorProblem,
    },
    /// An entry of the IDT can't be used.
    Gate {
        /// Its vector.
        vector: u8,
        /// What was found; `None` past the table's limit.
        descriptor: Option<Descriptor>,
        /// What is wrong with it.
        problem: SelectorProblem,
    },
    /// A TSS is too small for what is read from it.
    TssTooSmall {
        /// The offset that was needed.
        offset: u32,
    },
    /// An instruction for privilege level 0 only.
    Privileged,
    /// I/O, or an instruction for I/O, that IOPL and the I/O permission bitmap forbid.
    Io(Option<u16>),
    /// A value that a control, debug or model-specific register can't have.
    RegisterValue {
        /// The value.
        value: u64,
    },
    /// A register that there is not.
    NoRegister,
    /// IRET in a state in which it can't return.
    Return,
    /// The FPU is not to be used: EM, TS or MP in CR0.
    FpuOff,
    /// SSE is not to be used: EM in CR0, or OSFXSR clear in CR4.
    SseOff,
    /// An x87 exception that is not masked waits.
    FpuException,
    /// An SSE exception that is not masked.
    SseException,
    /// A debug register that watches data, the trap flag, or a task switch asked for this, after the instruction.
    Debug,
    /// A debug register asked for this, before the instruction.
    Breakpoint,
    /// The second of two exceptions that can't both be delivered.
    Double {
        /// Vector of the first.
        first: u8,
        /// Vector of the second.
        second: u8,
    },
}

impl Fault {
    const fn with(vector: u8, error_code: u32, reason: Reason) -> Self {
        Self { vector, error_code: Some(error_code), reason }
    }

    const fn without(vector: u8, reason: Reason) -> Self {
        Self { vector, error_code: None, reason }
    }

    /// #GP(0).
    pub const fn protection(reason: Reason) -> Self {
        Self::with(GENERAL_PROTECTION, 0, reason)
    }

    /// #GP, #NP, #SS or #TS with a selector's error code.
    pub const fn selector(vector: u8, selector: u16, descriptor: Option<Descriptor>, problem: SelectorProblem) -> Self {
        Self::with(vector, selector as u32 & 0xfffc, Reason::Selector { selector, descriptor, problem })
    }

    /// An access past a segment's limit, or to one that can't be used so: #SS(0) for SS, #GP(0) else.
    pub const fn segment(name: SegmentName, reason: Reason) -> Self {
        let vector = if matches!(name, SegmentName::Ss) { STACK_FAULT } else { GENERAL_PROTECTION };
        Self::with(vector, 0, reason)
    }

    /// #PF.
    pub const fn page(code: PageFaultCode, reason: Reason) -> Self {
        Self::with(PAGE_FAULT, code.bits(), reason)
    }

    /// #UD.
    pub const fn invalid(reason: Reason) -> Self {
        Self::without(INVALID_OPCODE, reason)
    }

    /// #DE.
    pub const fn divide(reason: Reason) -> Self {
        Self::without(DIVIDE, reason)
    }

    /// #DB.
    pub const fn debug() -> Self {
        Self::without(DEBUG, Reason::Debug)
    }

    /// #DB that comes before an instruction.
    pub const fn breakpoint() -> Self {
        Self::without(DEBUG, Reason::Breakpoint)
    }

    /// #OF.
    pub const fn overflow() -> Self {
        Self::without(OVERFLOW, Reason::Asked)
    }

    /// #BR.
    pub const fn bound() -> Self {
        Self::without(BOUND, Reason::OutOfBounds)
    }

    /// #NM.
    pub const fn no_device() -> Self {
        Self::without(DEVICE_NOT_AVAILABLE, Reason::FpuOff)
    }

    /// #MF.
    pub const fn math() -> Self {
        Self::without(MATH_FAULT, Reason::FpuException)
    }

    /// #XM.
    pub const fn simd() -> Self {
        Self::without(SIMD_FAULT, Reason::SseException)
    }

    /// #AC(0).
    pub const fn alignment(linear: u32, alignment: u32) -> Self {
        Self::with(ALIGNMENT, 0, Reason::Misaligned { linear, alignment })
    }

    /// #TS for a TSS that ends too early; `external` is the EXT bit.
    pub const fn tss(selector: u16, offset: u32, external: u32) -> Self {
        Self::with(INVALID_TSS, selector as u32 & 0xfffc | external, Reason::TssTooSmall { offset })
    }

    /// #NP for what a selector leads to.
    pub const fn not_present(selector: u16, descriptor: Descriptor) -> Self {
        Self::selector(NOT_PRESENT, selector, Some(descriptor), SelectorProblem::Refused(Refusal::NotPresent))
    }

    /// #DF(0).
    pub const fn double(first: u8, second: u8) -> Self {
        Self::with(DOUBLE_FAULT, 0, Reason::Double { first, second })
    }
}
