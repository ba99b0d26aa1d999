//! What an emulator says: on its control connection, in its log, and with its exit status.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use stos_run::fuzzing::LoadedGuest;

use super::told;
use crate::fuzz::bench::Bench;
use crate::fuzz::bytes::splice;
use crate::fuzz::corpus::Corpus;
use crate::fuzz::parts;
use crate::fuzz::target::{ChangeBytes, Target};

/// Bytes that a connection holds before somebody reads them.
const SAID: usize = 64 << 10;
/// Pieces of what it says.
const PIECES: [&str; 20] = [
    "{\"QMP\": {}}\n",
    "{\"return\": {}}\n",
    "{\"return\": \"EAX=00000001\\r\\n\"}\n",
    "{\"error\": {\"desc\": \"x\"}}\n",
    "{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\n",
    "{\"event\": \"GUEST_PANICKED\"}\n",
    "\n",
    "\u{202e}",
    "\\u001b[2J",
    "[[[[[[[[[[[[[[[[",
    "Triple fault\n",
    "CR0=80000011 CR2=deadbeef CR3=00001000 CR4=00000010\n",
    "GDT=     ffffffff 0000ffff\n",
    "CS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]\n",
    "EIP=ffffffff EFL=00000206 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\n",
    "pic0: irr=11 imr=fe isr=01 hprio=ff irq_base=20 rr_sel=0 elcr=00 fnm=0\r\n",
    "qemu-system-i386: something \u{1b}]0;x\u{7}broke\n",
    "ERROR:cpu.c:1: x\n",
    "portb[0x0064] = 0x1c\r\n",
    "00000000",
];

/// The registers as the monitor prints them.
const REGISTERS: &str = "EAX=00000001 EBX=00000002 ECX=00000003 EDX=00000004\\r\\nESI=00000005 EDI=00000006 EBP=00000007 \
    ESP=00000008\\r\\nEIP=00100003 EFL=00000002 [-------] CPL=0 II=0 A20=1 SMM=0 HLT=1\\r\\nES =0010 0 0 0\\r\\nCS =0008 0 0 \
    0\\r\\nSS =0018 0 0 0\\r\\nDS =0020 0 0 0\\r\\nFS =0028 0 0 0\\r\\nGS =0030 0 0 0\\r\\nLDT=0038 0 0 0\\r\\nTR =0040 0 0 \
    0\\r\\nGDT=     00002000 0000002f\\r\\nIDT=     00002300 000000ff\\r\\nCR0=00000011 CR2=deadbeef CR3=00001000 \
    CR4=00000010\\r\\n";
const PICS: &str = "pic1: irr=00 imr=ff isr=00 hprio=3 fnm=1\\r\\npic0: irr=11 imr=fe isr=01 hprio=0 fnm=0\\r\\n";
const APIC: &str = "LVTT\\t 0x00010000 active-hi edge  masked         one-shot     Fixed  (vec 0)\\r\\n";

/// The emulator's end of every connection.
#[derive(Debug)]
pub struct EmulatorTarget {
    image: PathBuf,
}

impl EmulatorTarget {
    /// Packs the image that it runs.
    ///
    /// # Errors
    /// When a fixture can't be read, or nothing can be written below `folder`.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let image = folder.join("guest.img");
        let packed = Bench::new(&folder.join("seeds"))?.image(&Corpus::load(false)?.cases[0])?;
        fs::write(&image, packed.unwrap_or_default())?;
        Ok(Self { image })
    }
}

impl Target for EmulatorTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        let answers = [REGISTERS, PICS, APIC].map(|text| format!("{{\"return\": \"{text}\"}}\n")).concat();
        let greeting = "{\"QMP\": {\"version\": {}}}\n{\"return\": {}}\n";
        let ready = "{\"return\": {}}\n{\"return\": \"portb[0x0064] = 0x1c\\r\\n\"}\n{\"return\": {}}\n";
        let mut seeds = Vec::new();
        for log in ["CPU Reset (CPU 0)\nEAX=00000000 EBX=00000000\nTriple fault\n", "qemu-system-i386: it broke\n"] {
            for (says, status) in [(format!("{greeting}{answers}"), 0_u16), (ready.to_owned(), 0x0300)] {
                seeds.push(parts::encode(&[says.into_bytes(), log.into(), vec![3], status.to_le_bytes().to_vec()]));
            }
        }
        Ok(seeds)
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        let mut parts: [Vec<u8>; 4] = parts::decode(case);
        let others: [Vec<u8>; 4] = parts::decode(other);
        let number = [0, 0, 0, 1, 1, 1, 2, 3][rng.usize(..8)];
        let part = &mut parts[number];
        match rng.u8(..4) {
            0 => splice(part, &others[number], rng),
            1 => {
                let at = rng.usize(..=part.len());
                let piece = rng.choice(PIECES).unwrap_or_default();
                part.splice(at..at, piece.bytes());
            }
            _ => change(part, rng),
        }
        *case = parts::encode(&parts);
    }

    fn run(&self, case: &[u8]) -> bool {
        let [mut says, log, outstanding, status] = parts::decode(case);
        says.truncate(SAID);
        let guest = LoadedGuest::load(&self.image).unwrap_or_else(|error| panic!("the guest is gone: {error}"));
        let outstanding = usize::from(outstanding.first().copied().unwrap_or(0) % 4);
        let status = status.first_chunk().map_or(0, |status| u16::from_le_bytes(*status));
        told::check(&guest.tell_heard(&says, &log, outstanding, status.into()));
        true
    }
}
