//! Flags that the manual leaves undefined after an instruction, so that two machines may differ in them.

use iced_x86::{Decoder, DecoderOptions, Mnemonic, RflagsBits};

use crate::state::State;

/// VM.
const VM: u32 = 1 << 17;

/// Those at one state after the other.
#[derive(Default)]
pub struct Undefined {
    flags: u32,
    /// What the instruction before sets and leaves undefined, and where it leads when it is executed to its end.
    before: Option<(u32, u32, u32)>,
}

impl Undefined {
    /// Those at this state, which follows the one that was asked for before. Pages are where their addresses say.
    pub fn at(&mut self, memory: &[u8], state: &State) -> u32 {
        if let Some((modified, undefined, next)) = self.before
            && next == state.eip
        {
            self.flags = self.flags & !modified | undefined;
        }
        let is_v86 = state.eflags & VM != 0;
        let (bits, base) = if is_v86 { (16, u32::from(state.selectors[1]) << 4) } else { (32, 0) };
        let code = memory.get((base + state.eip) as usize..).unwrap_or_default();
        let instruction = Decoder::with_ip(bits, code, state.eip.into(), DecoderOptions::NONE).decode();
        // What these take from the stack may have been undefined before.
        let keeps = matches!(instruction.mnemonic(), Mnemonic::Iretd | Mnemonic::Iret | Mnemonic::Popfd);
        let modified = if keeps { 0 } else { flags(instruction.rflags_modified()) };
        self.before = Some((modified, flags(instruction.rflags_undefined()), instruction.next_ip32()));
        self.flags
    }
}

fn flags(names: u32) -> u32 {
    let bits = [
        (RflagsBits::CF, 1),
        (RflagsBits::PF, 1 << 2),
        (RflagsBits::AF, 1 << 4),
        (RflagsBits::ZF, 1 << 6),
        (RflagsBits::SF, 1 << 7),
        (RflagsBits::OF, 1 << 11),
    ];
    bits.into_iter().filter(|(name, _)| names & name != 0).fold(0, |flags, (_, bit)| flags | bit)
}
