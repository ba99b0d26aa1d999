//! Guests with any memory and any registers, and what is told of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use stos_run::fuzzing::{Delivered, Facts, LoadedGuest};
use stos_x86::registers::{CR0_PG, CR4_PAE, CR4_PSE, CpuState, TableRegister};

use super::told;
use crate::fuzz::bench::Bench;
use crate::fuzz::corpus::Corpus;
use crate::fuzz::input::{Input, Words};
use crate::fuzz::target::{ChangeBytes, Target};

/// Most writes to memory, samples and exceptions of one case.
const MOST: u8 = 16;

/// Everything that is told of guests.
#[derive(Debug)]
pub struct DiagnosisTarget {
    images: Vec<PathBuf>,
}

impl DiagnosisTarget {
    /// Packs the images that the guests are of.
    ///
    /// # Errors
    /// When a fixture can't be read, or nothing can be written below `folder`.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let bench = Bench::new(&folder.join("seeds"))?;
        let mut images = Vec::new();
        for case in &Corpus::load(false)?.cases[..Corpus::RIGHT] {
            let Some(image) = bench.image(case)? else { continue };
            let path = folder.join(format!("guest-{}.img", images.len()));
            fs::write(&path, image)?;
            images.push(path);
        }
        Ok(Self { images })
    }

    fn guest(&self, number: u8) -> LoadedGuest {
        let path = &self.images[usize::from(number) % self.images.len()];
        LoadedGuest::load(path).unwrap_or_else(|error| panic!("the guest is gone: {error}"))
    }
}

impl Target for DiagnosisTarget {
    fn seeds(&self) -> io::Result<Vec<Vec<u8>>> {
        let mut seeds = Vec::new();
        for number in (0..).take(self.images.len()) {
            let guest = self.guest(number);
            let entry = guest.at_entry();
            let paged = CpuState { cr0: entry.cr0 | CR0_PG, cr4: CR4_PSE, ..entry.clone() };
            let extended = CpuState { cr0: entry.cr0 | CR0_PG, cr3: 0x8000, cr4: CR4_PAE, ..entry.clone() };
            let own =
                CpuState { idtr: TableRegister { base: 0x9000, limit: 0x7ff }, cr2: 0xdead_beef, ..paged.clone() };
            for (index, cpu) in [entry, paged, extended, own].into_iter().enumerate() {
                for ending in [0, 5, 6, 8, 13] {
                    seeds.push(seed(number, ending, index % 2 == 0, &cpu));
                }
            }
        }
        Ok(seeds)
    }

    fn mutate(&self, case: &mut Vec<u8>, other: &[u8], rng: &mut Rng, change: &mut ChangeBytes<'_>) {
        if rng.bool() {
            return change(case, rng);
        }
        let word = match rng.u8(..4) {
            0 => self.an_address(rng),
            1 => other
                .get(rng.usize(..=other.len())..)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |word| u32::from_le_bytes(*word)),
            2 => 1 << rng.u32(..32),
            _ => *rng.choice(&WORDS).unwrap_or(&0),
        };
        let step = rng.choice([0, 0, 0, 1, 4, 0x1000, u32::MAX, 0xffff_fffc]).unwrap_or(0);
        let at = rng.usize(..=case.len().saturating_sub(4));
        for (place, byte) in case.iter_mut().skip(at).zip(word.wrapping_add(step).to_le_bytes()) {
            *place = byte;
        }
    }

    fn run(&self, case: &[u8]) -> bool {
        let mut input = Input::new(case);
        let guest = self.guest(input.byte());
        let (ending, flags, value) = (input.byte() % Facts::ENDINGS, input.byte(), input.word());
        let mut facts = Facts { ending, value, is_kvm: flags & 1 != 0, ..Facts::default() };
        for _ in 0..input.byte() % MOST {
            let (address, times, count) = (input.word(), input.byte(), input.byte());
            // One value again and again fills tables.
            let bytes = input.bytes(count.into()).repeat(usize::from(times % 64) + 1);
            guest.write(address.into(), &bytes);
        }
        facts.cpu = (flags & 2 != 0).then(|| cpu(&mut input));
        facts.interrupts = (flags & 4 != 0).then(|| std::array::from_fn(|_| input.byte()));
        facts.end = (flags & 8 != 0).then(|| input.byte().into());
        facts.samples = (0..input.byte() % MOST).map(|_| cpu(&mut input)).collect();
        facts.deliveries = (0..input.byte() % MOST).map(|_| delivery(&mut input)).collect();
        facts.output = input.rest().to_vec();
        told::check(&guest.tell(facts));
        true
    }
}

impl DiagnosisTarget {
    /// An address that means something in one of the guests.
    fn an_address(&self, rng: &mut Rng) -> u32 {
        let cpu = self.guest(rng.u8(..)).at_entry();
        let places =
            [cpu.eip, cpu.cr3, cpu.gdtr.base, cpu.idtr.base, cpu.general.esp, cpu.eip.wrapping_add(0xc000_0000)];
        rng.choice(places).unwrap_or(0)
    }
}

/// Entries of tables, and the registers' own bits.
const WORDS: [u32; 22] = [
    0,
    1,
    3,
    7,
    0x83,
    0x87,
    0xe7,
    0x1003,
    0x10_0000,
    0xc010_0000,
    0xc000_0000,
    0xffff_ffff,
    0x8000_0011,
    0x20,
    0x10,
    0x0008_0000,
    0x00cf_9a00,
    0x00cf_9200,
    0x0000_8e00,
    0x0000_8500,
    0x0000_8900,
    0xf4fa_cf0f,
];

fn cpu(input: &mut Input<'_>) -> CpuState {
    let mut cpu = CpuState::default();
    let general = &mut cpu.general;
    for register in [
        &mut general.eax,
        &mut general.ebx,
        &mut general.ecx,
        &mut general.edx,
        &mut general.esi,
        &mut general.edi,
        &mut general.ebp,
        &mut general.esp,
        &mut cpu.eip,
        &mut cpu.eflags,
        &mut cpu.cr0,
        &mut cpu.cr2,
        &mut cpu.cr3,
        &mut cpu.cr4,
        &mut cpu.gdtr.base,
        &mut cpu.idtr.base,
    ] {
        *register = input.word();
    }
    let selectors = &mut cpu.selectors;
    for half in [
        &mut selectors.cs,
        &mut selectors.ds,
        &mut selectors.es,
        &mut selectors.fs,
        &mut selectors.gs,
        &mut selectors.ss,
        &mut selectors.ldtr,
        &mut selectors.tr,
        &mut cpu.gdtr.limit,
        &mut cpu.idtr.limit,
    ] {
        *half = input.half();
    }
    cpu.is_halted = input.byte() & 1 != 0;
    cpu
}

fn delivery(input: &mut Input<'_>) -> Delivered {
    let (vector, source, during, raised) = (input.byte(), input.byte(), input.byte(), input.byte());
    let known = |value: u8| (value != 0xff).then_some(u32::from(value));
    // One of 256 is none that a processor has.
    let vector = if source == 0xff { input.word() } else { vector.into() };
    let (error_code, eip) = (input.word(), input.word());
    Delivered { vector, error_code, source, during: known(during), raised: known(raised), eip, cpu: cpu(input) }
}

/// A case: a guest with tables of its own at 0x8000 and 0x9000 that ended so with this CPU, and the exceptions before.
fn seed(guest: u8, ending: u8, is_kvm: bool, cpu: &CpuState) -> Vec<u8> {
    let mut words = Words::default();
    let is_double = ending == 5;
    words.bytes(&[guest, ending, 0x0e | u8::from(is_kvm)]).word(1).bytes(&[3]);
    words.word(0x8000).bytes(&[3, 8]).bytes(&0x1001_u64.to_le_bytes());
    words.word(0x9000).bytes(&[31, 8]).bytes(&0x0010_8e00_0008_0000_u64.to_le_bytes());
    words.word(cpu.eip).bytes(&[0, 3]).bytes(&[0x8b, 0x03, 0xcf]);
    put(&mut words, cpu);
    words.bytes(&[0x10, 0xfe, 1, 0, 0, 0xff, 0, 0, 14]);
    words.bytes(&[1]);
    put(&mut words, cpu);
    words.bytes(&[if is_double { 3 } else { 0 }]);
    if is_double {
        for (vector, during) in [(13, 0xff), (14, 0xff), (8, 14)] {
            words.bytes(&[vector, 0, during, 0xff]).word(2).word(cpu.eip);
            put(&mut words, cpu);
        }
    }
    words.bytes(b"hello\n").take()
}

fn put(words: &mut Words, cpu: &CpuState) {
    let start = words.len();
    let CpuState { general, selectors, .. } = cpu;
    for word in [general.eax, general.ebx, general.ecx, general.edx, general.esi, general.edi, general.ebp, general.esp]
    {
        words.word(word);
    }
    for word in [cpu.eip, cpu.eflags, cpu.cr0, cpu.cr2, cpu.cr3, cpu.cr4, cpu.gdtr.base, cpu.idtr.base] {
        words.word(word);
    }
    let halves = [selectors.cs, selectors.ds, selectors.es, selectors.fs, selectors.gs, selectors.ss, selectors.ldtr];
    for half in halves.into_iter().chain([selectors.tr, cpu.gdtr.limit, cpu.idtr.limit]) {
        words.bytes(&half.to_le_bytes());
    }
    words.bytes(&[u8::from(cpu.is_halted)]);
    debug_assert_eq!(words.len() - start, 4 * 16 + 2 * 10 + 1);
}
