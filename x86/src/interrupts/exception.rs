//! The exceptions of the CPU (Intel SDM volume 3A, table 6-1 and section 6.15; AMD64 APM volume 2, table 8-1, for 28 to 30).

/// #DE.
pub const DIVIDE: u8 = 0;
/// #DB.
pub const DEBUG: u8 = 1;
/// The interrupt that can't be masked.
pub const NMI: u8 = 2;
/// #BP.
pub const BREAKPOINT: u8 = 3;
/// #OF.
pub const OVERFLOW: u8 = 4;
/// #BR.
pub const BOUND: u8 = 5;
/// #UD.
pub const INVALID_OPCODE: u8 = 6;
/// #NM.
pub const DEVICE_NOT_AVAILABLE: u8 = 7;
/// #DF.
pub const DOUBLE_FAULT: u8 = 8;
/// #TS.
pub const INVALID_TSS: u8 = 10;
/// #NP.
pub const NOT_PRESENT: u8 = 11;
/// #SS.
pub const STACK_FAULT: u8 = 12;
/// #GP.
pub const GENERAL_PROTECTION: u8 = 13;
/// #PF.
pub const PAGE_FAULT: u8 = 14;
/// #MF.
pub const MATH_FAULT: u8 = 16;
/// #AC.
pub const ALIGNMENT: u8 = 17;
/// #XM.
pub const SIMD_FAULT: u8 = 19;

/// One of the vectors 0 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The manual's short name, such as `#PF`.
    pub mnemonic: &'static str,
    /// Its name in words.
    pub name: &'static str,
    /// How it is reported.
    pub class: ExceptionClass,
    /// What its error code is.
    pub error_code: ErrorCode,
}

/// How an exception is reported (Intel SDM volume 3A, section 6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionClass {
    /// Before the instruction, which can be executed again.
    Fault,
    /// After the instruction.
    Trap,
    /// A fault or a trap, as its cause has it: #DB.
    FaultOrTrap,
    /// Nowhere in particular; the program can't go on.
    Abort,
    /// Not by an instruction: NMI.
    Interrupt,
    /// No CPU raises it.
    Reserved,
}

/// What an error code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// There is none.
    None,
    /// A selector, or 0: [`super::SelectorCode`].
    Selector,
    /// Always 0.
    Zero,
    /// Bits that describe an access: [`super::PageFaultCode`].
    PageFault,
    /// A number.
    Number,
}

impl ErrorCode {
    /// True when the CPU pushes one.
    pub const fn is_pushed(self) -> bool {
        !matches!(self, Self::None)
    }
}

/// True for the vectors at which the CPU pushes an error code when it raises them by itself.
pub const fn has_error_code(vector: u8) -> bool {
    exception(vector).error_code.is_pushed()
}

/// The exception of a vector.
pub const fn exception(vector: u8) -> Exception {
    use ErrorCode::{None, Number, PageFault, Selector, Zero};
    use ExceptionClass::{Abort, Fault, FaultOrTrap, Interrupt, Reserved, Trap};
    let (mnemonic, name, class, error_code) = match vector {
        0 => ("#DE", "divide error", Fault, None),
        1 => ("#DB", "debug exception", FaultOrTrap, None),
        2 => ("NMI", "non-maskable interrupt", Interrupt, None),
        3 => ("#BP", "breakpoint", Trap, None),
        4 => ("#OF", "overflow", Trap, None),
        5 => ("#BR", "bound range exceeded", Fault, None),
        6 => ("#UD", "invalid opcode", Fault, None),
        7 => ("#NM", "no floating-point unit", Fault, None),
        8 => ("#DF", "double fault", Abort, Zero),
        9 => ("vector 9", "coprocessor segment overrun", Fault, None),
        10 => ("#TS", "invalid task state segment", Fault, Selector),
        11 => ("#NP", "segment not present", Fault, Selector),
        12 => ("#SS", "stack segment fault", Fault, Selector),
        13 => ("#GP", "general protection", Fault, Selector),
        14 => ("#PF", "page fault", Fault, PageFault),
        16 => ("#MF", "floating-point error", Fault, None),
        17 => ("#AC", "alignment check", Fault, Zero),
        18 => ("#MC", "machine check", Abort, None),
        19 => ("#XM", "SIMD floating-point error", Fault, None),
        20 => ("#VE", "virtualization exception", Fault, None),
        21 => ("#CP", "control protection", Fault, Number),
        28 => ("#HV", "hypervisor injection exception", Fault, None),
        29 => ("#VC", "VMM communication exception", Fault, Number),
        30 => ("#SX", "security exception", Fault, Number),
        _ => ("reserved vector", "reserved exception", Reserved, None),
    };
    Exception { mnemonic, name, class, error_code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_codes_are_pushed_where_the_manuals_say_so() {
        let with: Vec<u8> = (0..=255).filter(|&vector| has_error_code(vector)).collect();
        assert_eq!(with, [8, 10, 11, 12, 13, 14, 17, 21, 29, 30]);
    }

    #[test]
    fn named_vectors_have_the_names_of_the_manual() {
        let mnemonic = |vector| exception(vector).mnemonic;
        assert_eq!(
            [BREAKPOINT, DOUBLE_FAULT, GENERAL_PROTECTION, PAGE_FAULT].map(mnemonic),
            ["#BP", "#DF", "#GP", "#PF"]
        );
        let reserved = (0..32).filter(|&vector| exception(vector).class == ExceptionClass::Reserved);
        assert_eq!(reserved.collect::<Vec<u8>>(), [15, 22, 23, 24, 25, 26, 27, 31]);
    }
}
