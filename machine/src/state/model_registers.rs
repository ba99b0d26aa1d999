//! Model-specific registers (Intel SDM volume 4, section 2.1): those that the CPU has.

/// `IA32_MTRRCAP`: eight ranges of any size, the fixed ones, and write combining.
const RANGES: u64 = 0x508;
/// How many ranges of any size there are.
const VARIABLE: usize = 8;
/// How many fixed ones, eight to a register.
const FIXED: usize = 11;
/// `IA32_MCG_CAP`: ten banks and a control register.
const MACHINE_CHECK: u64 = 0x10a;
/// How many banks that is, of four registers each.
const BANKS: usize = 10;
/// `IA32_PAT` after reset (Intel SDM volume 3A, table 11-12).
const PAT_AFTER_RESET: u64 = 0x0007_0406_0007_0406;
/// `IA32_MISC_ENABLE`: fast strings.
const FAST_STRINGS: u64 = 1;
/// `IA32_APIC_BASE`: the local APIC is enabled.
const APIC_ENABLED: u64 = 1 << 11;
/// `IA32_APIC_BASE` after reset: enabled (bit 11), on the first processor (bit 8).
const APIC_AFTER_RESET: u64 = 0xfee0_0900;

/// The registers that only RDMSR and WRMSR reach, and SYSENTER. That of the time is with the count of instructions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRegisters {
    /// `IA32_SYSENTER_CS`.
    pub sysenter_cs: u32,
    /// `IA32_SYSENTER_ESP`.
    pub sysenter_esp: u32,
    /// `IA32_SYSENTER_EIP`.
    pub sysenter_eip: u32,
    /// `IA32_APIC_BASE`.
    pub apic_base: u64,
    /// What is added to the count of instructions for `IA32_TIME_STAMP_COUNTER`.
    pub time_offset: u64,
    misc_enable: u64,
    pat: u64,
    default_type: u64,
    variable: [u64; 2 * VARIABLE],
    fixed: [u64; FIXED],
    check_status: u64,
    check_control: u64,
    banks: [u64; 4 * BANKS],
}

impl Default for ModelRegisters {
    fn default() -> Self {
        Self {
            sysenter_cs: 0,
            sysenter_esp: 0,
            sysenter_eip: 0,
            apic_base: APIC_AFTER_RESET,
            time_offset: 0,
            misc_enable: FAST_STRINGS,
            pat: PAT_AFTER_RESET,
            default_type: 0,
            variable: [0; 2 * VARIABLE],
            fixed: [0; FIXED],
            check_status: 0,
            check_control: 0,
            banks: [0; 4 * BANKS],
        }
    }
}

/// A register, found by its number.
enum Place<'a> {
    Short(&'a mut u32),
    Long(&'a mut u64, fn(u64) -> bool),
    Constant(u64),
    /// Reads as zero, and takes whatever is written.
    Void,
}

impl ModelRegisters {
    /// Where the local APIC is, while it is enabled (volume 3A, section 11.4.3).
    pub const fn apic_page(&self) -> Option<u64> {
        if self.has_apic() { Some(self.apic_base & !0xfff) } else { None }
    }

    /// True while the local APIC is enabled.
    pub const fn has_apic(&self) -> bool {
        self.apic_base & APIC_ENABLED != 0
    }

    fn find(&mut self, number: u32) -> Option<Place<'_>> {
        let offset = |first: u32| (number - first) as usize;
        Some(match number {
            // `IA32_PLATFORM_ID` and `IA32_DEBUGCTL`, of which this model has nothing; `IA32_BIOS_SIGN_ID`: no microcode was loaded.
            0x17 | 0x8b | 0x1d9 => Place::Void,
            0x1b => Place::Long(&mut self.apic_base, is_apic_base),
            0xfe => Place::Constant(RANGES),
            0x174 => Place::Short(&mut self.sysenter_cs),
            0x175 => Place::Short(&mut self.sysenter_esp),
            0x176 => Place::Short(&mut self.sysenter_eip),
            0x179 => Place::Constant(MACHINE_CHECK),
            0x17a => Place::Long(&mut self.check_status, |value| value <= 7),
            0x17b => Place::Long(&mut self.check_control, is_all_or_nothing),
            0x1a0 => Place::Long(&mut self.misc_enable, |_| true),
            0x200..0x210 if number.is_multiple_of(2) => {
                Place::Long(&mut self.variable[offset(0x200)], is_variable_base)
            }
            0x200..0x210 => Place::Long(&mut self.variable[offset(0x200)], is_variable_mask),
            0x250 => Place::Long(&mut self.fixed[0], are_range_types),
            0x258 | 0x259 => Place::Long(&mut self.fixed[1 + offset(0x258)], are_range_types),
            0x268..0x270 => Place::Long(&mut self.fixed[3 + offset(0x268)], are_range_types),
            0x277 => Place::Long(&mut self.pat, are_page_types),
            0x2ff => Place::Long(&mut self.default_type, is_default_type),
            0x400..0x428 if number.is_multiple_of(4) => Place::Long(&mut self.banks[offset(0x400)], is_all_or_nothing),
            // The status can be cleared only (Intel SDM volume 3B, section 16.3.2.2).
            0x400..0x428 if number % 4 == 1 => Place::Long(&mut self.banks[offset(0x400)], |value| value == 0),
            0x400..0x428 => Place::Long(&mut self.banks[offset(0x400)], |_| true),
            _ => return None,
        })
    }

    /// What is in a register; `None` where there is none.
    pub fn read(&mut self, number: u32) -> Option<u64> {
        self.find(number).map(|place| match place {
            Place::Short(word) => (*word).into(),
            Place::Long(value, _) => *value,
            Place::Constant(value) => value,
            Place::Void => 0,
        })
    }

    /// Puts `value` into a register.
    ///
    /// # Errors
    /// True where there is the register, but not with such a value.
    pub fn write(&mut self, number: u32, value: u64) -> Result<(), bool> {
        match self.find(number).ok_or(false)? {
            // The high half is not there (Intel SDM volume 4, table 2-2: these have the width of an address).
            Place::Short(word) => *word = (value & 0xffff_ffff) as u32,
            Place::Long(place, may_be) if may_be(value) => *place = value,
            Place::Long(..) | Place::Constant(_) => return Err(true),
            Place::Void => {}
        }
        Ok(())
    }
}

/// The reserved bits are clear: 36 bits of address, enable and first processor.
fn is_apic_base(value: u64) -> bool {
    value & !0xf_ffff_f900 == 0
}

fn is_all_or_nothing(value: u64) -> bool {
    value == 0 || value == u64::MAX
}

/// Uncached, write combining, write through, write protected, write back (Intel SDM volume 3A, table 11-8).
fn is_range_type(value: u64) -> bool {
    matches!(value, 0 | 1 | 4 | 5 | 6)
}

fn are_range_types(value: u64) -> bool {
    value.to_le_bytes().into_iter().all(|byte| is_range_type(byte.into()))
}

/// The same, and uncached but for the ranges (table 11-10).
fn are_page_types(value: u64) -> bool {
    value.to_le_bytes().into_iter().all(|byte| is_range_type(byte.into()) || byte == 7)
}

fn is_variable_base(value: u64) -> bool {
    value & !0xf_ffff_f0ff == 0 && is_range_type(value & 0xff)
}

fn is_variable_mask(value: u64) -> bool {
    value & !0xf_ffff_f800 == 0
}

fn is_default_type(value: u64) -> bool {
    value & !0xcff == 0 && is_range_type(value & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_keep_what_they_can_be_and_refuse_the_rest() {
        let mut registers = ModelRegisters::default();
        for (number, value) in
            [(0x174, 0x08), (0x277, 0x0606_0606_0606_0606), (0x2ff, 0xc06), (0x20f, 0xf_f000_0800), (0x400, u64::MAX)]
        {
            assert_eq!(registers.write(number, value), Ok(()), "{number:#x}");
            assert_eq!(registers.read(number), Some(value), "{number:#x}");
        }
        for (number, value) in [(0x277, 2), (0x2ff, 7), (0x20e, 2), (0x400, 1), (0x401, 1), (0xfe, 0x508), (0x1b, 1)] {
            let before = registers.read(number);
            assert_eq!(registers.write(number, value), Err(true), "{number:#x}");
            assert_eq!(registers.read(number), before, "{number:#x}");
        }
        assert_eq!((registers.read(0x5a5a), registers.write(0x5a5a, 0)), (None, Err(false)));
    }
}
