//! Tasks (Intel SDM volume 3A, chapter 8): the 32-bit task state segment (section 8.2.1, figure 8-2).

use crate::registers::GeneralRegisters;

/// Bytes of a 32-bit task state segment without an I/O permission map.
pub const TSS_SIZE: u32 = 104;

/// Offsets into a 32-bit task state segment.
pub mod tss_offset {
    /// Stack pointer for a change to privilege level 0; the selector of its segment follows.
    pub const ESP0: u32 = 4;
    /// CR3 of the task. The CPU reads it and never writes it.
    pub const CR3: u32 = 28;
    /// EIP.
    pub const EIP: u32 = 32;
    /// EFLAGS.
    pub const EFLAGS: u32 = 36;
    /// EAX, and ECX, EDX, EBX, ESP, EBP, ESI and EDI after it.
    pub const EAX: u32 = 40;
    /// ESP.
    pub const ESP: u32 = 56;
    /// ES, and CS, SS, DS, FS and GS after it, each in a word of 32 bits.
    pub const ES: u32 = 72;
    /// Offset of the I/O permission map, in the upper half of the last word.
    pub const IO_MAP: u32 = 102;
}

/// Offsets into a 16-bit task state segment (section 8.6, figure 8-10).
pub mod tss16_offset {
    /// Stack pointer of 16 bits for a change to privilege level 0.
    pub const SP0: u32 = 2;
}

/// What a task begins with. Words that are not here are zero, and there is no I/O permission map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskState {
    /// Stack pointer for a change to privilege level 0.
    pub esp0: u32,
    /// Selector of that stack.
    pub ss0: u16,
    /// CR3.
    pub cr3: u32,
    /// EIP.
    pub eip: u32,
    /// EFLAGS.
    pub eflags: u32,
    /// General-purpose registers.
    pub general: GeneralRegisters,
    /// Selector of CS.
    pub cs: u16,
    /// Selector of DS, ES, FS, GS and SS.
    pub data: u16,
}

impl TaskState {
    /// The segment's [`TSS_SIZE`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let Self { esp0, ss0, cr3, eip, eflags, general, cs, data } = self;
        let mut words = [0_u32; TSS_SIZE as usize / 4];
        let mut put = |offset: u32, word: u32| words[offset as usize / 4] = word;
        put(tss_offset::ESP0, *esp0);
        put(tss_offset::ESP0 + 4, (*ss0).into());
        put(tss_offset::CR3, *cr3);
        put(tss_offset::EIP, *eip);
        put(tss_offset::EFLAGS, *eflags);
        for (offset, register) in (tss_offset::EAX..).step_by(4).zip(general.by_number()) {
            put(offset, register);
        }
        for (offset, selector) in (tss_offset::ES..).step_by(4).zip([data, cs, data, data, data, data]) {
            put(offset, (*selector).into());
        }
        // Past the limit, the map forbids all ports to user mode.
        put(tss_offset::IO_MAP - 2, TSS_SIZE << 16);
        words.into_iter().flat_map(u32::to_le_bytes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_where_the_manual_has_them() {
        let general = GeneralRegisters { eax: 1, ecx: 2, edx: 3, ebx: 4, esp: 5, ebp: 6, esi: 7, edi: 8 };
        let task = TaskState { esp0: 9, ss0: 0x10, cr3: 0x1000, eip: 11, eflags: 2, general, cs: 0x08, data: 0x18 };
        let bytes = task.encode();
        let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let expected = [
            0, 9, 0x10, 0, 0, 0, 0, 0x1000, 11, 2, 1, 2, 3, 4, 5, 6, 7, 8, 0x18, 0x08, 0x18, 0x18, 0x18, 0x18, 0,
            0x68_0000,
        ];
        assert_eq!(words, expected);
    }
}
