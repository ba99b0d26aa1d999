//! Code that goes on in other memory after `mov` to CR0 or CR3: the new tables map EIP, but not to where the code is.

use stos_x86::registers::CR0_PG;

use super::delivery::EXCEPTIONS;
use super::pattern::hexadecimal;
use super::scene::Scene;
use super::switch::Switch;

/// Bytes that are compared: the longest instruction.
const COMPARED: u32 = 15;
/// Bytes of that that are shown.
const SHOWN: usize = 4;

/// That the instruction at EIP is another one than the one that lay there before the tables were changed.
pub fn hint(scene: &Scene<'_>) -> Option<String> {
    let eip = scene.cpu.eip;
    if scene.vector >= EXCEPTIONS || scene.cpu.cr0 & CR0_PG == 0 {
        return None;
    }
    let physical = scene.memory.physical(eip)?;
    let switch = Switch::before_eip(scene)?;
    let before = switch.before();
    let code_at = before.physical(eip).filter(|&code_at| code_at != physical)?;
    let (was, is) = (before.bytes(eip, COMPARED), scene.memory.bytes(eip, COMPARED));
    // Without what it was, or where both are the same, nothing is wrong with that.
    if was.len() < SHOWN || is == was {
        return None;
    }
    let there = match is.get(..SHOWN) {
        Some(is) => format!("{} is there", hexadecimal(is)),
        None => "no memory is there".to_owned(),
    };
    Some(format!(
        "{}; the page tables at CR3 {:#x} map the next instruction, at {eip:#010x}, to physical {physical:#x}, but the code lies at \
         physical {code_at:#x}: {there} instead of {}",
        switch.clause(scene),
        scene.cpu.cr3,
        hexadecimal(&was[..SHOWN])
    ))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Case, PAGED};
    use super::*;
    use stos_image::FaultRecord;

    /// An invalid opcode at 0x5003, behind `code` at 0x5000. That page is mapped to `page`, where these bytes are.
    fn told(code: &[u8], page: u32, bytes: &[u8]) -> Option<String> {
        let record = FaultRecord { vector: 6, eip: 0x5003, eax: PAGED, ..FaultRecord::default() };
        let case = Case::paged(record)
            .with(0x5000, code)
            .with_words(0x1000, &[0x6003])
            .with_words(0x6014, &[page | 3])
            .with(u64::from(page) + 3, bytes);
        hint(&case.scene())
    }

    #[test]
    fn code_that_goes_on_elsewhere_is_told() {
        const CODE: [u8; 18] = [0x0f, 0x22, 0xc0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
        assert_eq!(
            told(&CODE, 0x8000, &[0xff; 15]).unwrap(),
            "right after `mov %eax,%cr0` at 0x00005000, which turned paging on; the page tables at CR3 0x1000 map the next instruction, \
             at 0x00005003, to physical 0x8003, but the code lies at physical 0x5003: ff ff ff ff is there instead of 01 02 03 04"
        );
        assert!(told(&CODE, 0x5000, &CODE[3..]).is_none(), "it is where it was");
        assert!(told(&CODE, 0x8000, &CODE[3..]).is_none(), "a copy of the code");
        let other = [&[0x90; 3], &CODE[3..]].concat();
        assert!(told(&other, 0x8000, &[0xff; 15]).is_none(), "no switch");
    }
}
