//! Who called the code that faulted: the chain of saved frame pointers (System V ABI, i386 supplement, chapter 3).

use stos_image::RegionKind;

use super::place::{Place, describe_address, describe_return, shorten};
use super::scene::Scene;

/// Most lines that are shown, and most frames that are followed for them: frames that look alike, as those of a recursion
/// do, share a line.
const LINES: usize = 16;
const FRAMES: u32 = 1 << 16;
/// Bytes before a return address in which its call lies.
const CALL_LENGTH: u32 = 7;

/// True when `address` comes right after the bytes of a call: `call rel32`, or `call r/m32` of any length.
fn follows_a_call(scene: &Scene<'_>, address: u32) -> bool {
    let bytes = scene.memory.bytes(address.wrapping_sub(CALL_LENGTH), CALL_LENGTH);
    let Ok(bytes) = <[u8; CALL_LENGTH as usize]>::try_from(bytes) else { return false };
    // FF /2 (Intel SDM volume 2A, "CALL"): 2, 3, 4, 6 or 7 bytes.
    let indirect = |length: usize| bytes[7 - length] == 0xff && bytes[8 - length] & 0x38 == 0x10;
    bytes[2] == 0xe8 || [2, 3, 4, 6, 7].into_iter().any(indirect)
}

/// The return address on top of the stack, if a call has just put it there.
pub fn top_return_address(scene: &Scene<'_>) -> Option<u32> {
    scene.memory.word(scene.cpu.general.esp).filter(|&address| follows_a_call(scene, address))
}

/// The return address that the frame pointer does not lead to: that of code that has no frame yet, because it is the first
/// instruction of its function or nothing at all.
fn frameless_caller(scene: &Scene<'_>) -> Option<u32> {
    let cpu = &scene.cpu;
    let begins = scene.guest.symbols.find(cpu.eip).is_some_and(|(_, offset)| offset == 0);
    let is_wild = !scene.is_code(cpu.eip);
    (begins || is_wild).then(|| top_return_address(scene))?
}

/// The source line that an exception comes from: that of its instruction or, where code has no line because nothing is there, that of
/// the call that led to it.
pub fn source_of(scene: &Scene<'_>) -> Place {
    let place = |address| Place::new(Some(scene.guest.symbols), address);
    let own = place(scene.cpu.eip);
    if own.line.is_some() {
        return own;
    }
    let caller = frameless_caller(scene).map(|address| place(address.wrapping_sub(1)));
    caller.filter(|caller| caller.line.is_some()).unwrap_or(own)
}

fn is_boot_code(scene: &Scene<'_>, address: u32) -> bool {
    scene.region(address).is_some_and(|region| region.kind == RegionKind::BootCode)
}

fn frame(scene: &Scene<'_>, address: u32) -> String {
    match scene.region(address) {
        Some(region) if region.kind == RegionKind::BootCode => {
            format!("{address:#010x} {}, which calls the kernel", shorten(&region.name))
        }
        _ => describe_return(scene.guest.symbols, address),
    }
}

/// Frames that were found, in lines.
#[derive(Default)]
struct Lines {
    text: Vec<String>,
    /// Frames so far.
    count: u32,
    /// The last return address and how many frames have had it in a row.
    last: Option<(u32, u32)>,
}

impl Lines {
    fn add(&mut self, scene: &Scene<'_>, address: u32) {
        match &mut self.last {
            Some((last, times)) if *last == address => *times += 1,
            _ => {
                self.close();
                self.last = Some((address, 1));
                self.text.push(format!("#{} {}", self.count, frame(scene, address)));
            }
        }
        self.count += 1;
    }

    /// Says how often the last frame was seen.
    fn close(&mut self) {
        if let Some((_, times @ 2..)) = self.last.take() {
            self.text.push(format!("   the same {} times more, up to #{}: recursion", times - 1, self.count - 1));
        }
    }
}

/// A line for each frame, and one that says why there are no more.
pub fn backtrace(scene: &Scene<'_>) -> Vec<String> {
    let cpu = &scene.cpu;
    let first = format!("#0 {}", describe_address(scene.guest.symbols, cpu.eip));
    let mut found = Lines { text: vec![first], count: 1, last: None };
    let caller = frameless_caller(scene);
    if let Some(address) = caller {
        found.add(scene, address);
    }
    let end = match caller {
        Some(address) if is_boot_code(scene, address) => None,
        _ => follow(scene, &mut found),
    };
    found.close();
    found.text.extend(end);
    found.text
}

/// Adds the frames that EBP leads to; returns why they end, unless with the code that calls the kernel.
fn follow(scene: &Scene<'_>, found: &mut Lines) -> Option<String> {
    let mut frame_pointer = scene.cpu.general.ebp;
    loop {
        if frame_pointer == 0 {
            return (found.count == 1)
                .then(|| "EBP is 0: no function with a frame pointer has called this code".to_owned());
        }
        if found.text.len() >= LINES || found.count >= FRAMES {
            return Some("and so on".to_owned());
        }
        let slot = frame_pointer.checked_add(4);
        let (saved, address) = (scene.memory.word(frame_pointer), slot.and_then(|slot| scene.memory.word(slot)));
        let (Some(saved), Some(address)) = (saved, address) else {
            return Some(format!("the chain of frame pointers ends at {frame_pointer:#010x}, which is not mapped"));
        };
        if scene.memory.physical(address).is_none() {
            return Some(format!("the next return address, {address:#010x}, is not mapped"));
        }
        found.add(scene, address);
        if is_boot_code(scene, address) {
            return None;
        }
        // A stack grows down, so a caller's frame lies higher.
        if saved != 0 && saved <= frame_pointer {
            return Some(format!(
                "the next frame pointer, {saved:#010x}, is none (code without -fno-omit-frame-pointer?)"
            ));
        }
        frame_pointer = saved;
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Case;
    use super::*;
    use stos_image::FaultRecord;

    fn case(ebp: u32) -> Case {
        let record = FaultRecord { eip: 0x1004, ebp, esp: 0x8000, ..FaultRecord::default() };
        Case::new(record)
            .with_symbol(0x1000, 0x100, "inner")
            .with_symbol(0x1100, 0x100, "outer")
            .with_region(0x1000, 0x200, RegionKind::Kernel, 5, "kernel .text")
            .with_region(0x3000, 0x100, RegionKind::BootCode, 5, "trampoline")
    }

    fn lines(case: &Case) -> Vec<String> {
        backtrace(&case.scene())
    }

    #[test]
    fn the_chain_leads_to_the_code_that_called_the_kernel() {
        let case = case(0x8010).with_words(0x8010, &[0x8020, 0x1105]).with_words(0x8020, &[0, 0x3010]);
        assert_eq!(
            lines(&case),
            [
                "#0 0x00001004 (inner+0x4)",
                "#1 0x00001105 outer+0x5",
                "#2 0x00003010 trampoline, which calls the kernel"
            ]
        );
    }

    #[test]
    fn code_without_a_frame_yet_is_called_by_what_is_on_the_stack() {
        let mut case = case(0).with_words(0x8000, &[0x1107]).with(0x1102, &[0xe8]);
        case.record.eip = 0x1000;
        assert_eq!(lines(&case), ["#0 0x00001000 (inner+0x0)", "#1 0x00001107 outer+0x7"]);
        // The same word where no call comes before it is anything.
        let other = case.with(0x1102, &[0x90]);
        assert_eq!(lines(&other).len(), 2);
        assert!(lines(&other)[1].starts_with("EBP is 0"), "{:?}", lines(&other));
    }

    #[test]
    fn indirect_calls_are_calls() {
        for call in [&[0xff, 0xd0][..], &[0xff, 0x50, 4], &[0xff, 0x54, 0x24, 8], &[0xff, 0x15, 0, 0, 1, 0]] {
            let case = case(0).with(0x1180 - call.len() as u64, call);
            assert!(follows_a_call(&case.scene(), 0x1180), "{call:x?}");
        }
    }

    #[test]
    fn a_chain_that_goes_wrong_ends_with_the_reason() {
        let loops = case(0x8010).with_words(0x8010, &[0x8010, 0x1105]);
        assert!(lines(&loops)[2].contains("frame pointer, 0x00008010, is none"), "{:?}", lines(&loops));
        let unmapped = case(0xdead_0000);
        assert!(lines(&unmapped)[1].contains("ends at 0xdead0000"), "{:?}", lines(&unmapped));
        let endless = |address: fn(u32) -> u32| {
            let frames = (0..100).fold(case(0x8000), |case, frame| {
                let at = 0x8000 + 8 * frame;
                case.with_words(at.into(), &[at + 8, address(frame)])
            });
            lines(&frames.with_words(0x8000 + 800, &[0, 0x3010]))
        };
        let different = endless(|frame| 0x1105 + frame);
        assert_eq!((different.len(), &**different.last().unwrap()), (LINES + 1, "and so on"));
        let recursion = endless(|_| 0x1105);
        assert_eq!(recursion[1..3], ["#1 0x00001105 outer+0x5", "   the same 99 times more, up to #100: recursion"]);
        assert_eq!(recursion[3..], ["#101 0x00003010 trampoline, which calls the kernel"]);
    }
}
