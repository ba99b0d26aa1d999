//! The fault record: what an image's fault catcher writes into guest memory when the guest takes an exception before it
//! has an interrupt descriptor table of its own.

use serde::Serialize;
use stos_x86::ports;
use stos_x86::registers::{CpuState, GeneralRegisters, Selectors, TableRegister};
use wincode::{SchemaRead, SchemaWrite};

use crate::address::{GuestRange, PhysAddr};
use crate::error::ImageError;
use crate::limits::broken;

/// Where an image's fault catcher leaves its record and how it tells that it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct FaultCatcher {
    /// Guest-physical address of the [`FaultRecord`].
    pub record: PhysAddr,
    /// I/O port that nothing else uses, to which the catcher writes one byte once the record is complete. It then halts with interrupts off.
    pub port: u16,
}

impl FaultCatcher {
    pub(crate) fn check(&self, memory_size: u64) -> Result<(), ImageError> {
        if !GuestRange::new(self.record.0, FAULT_RECORD_SIZE as u64).ends_within(memory_size) {
            return Err(broken("fault_catcher.record", self.record, "the record must lie within guest memory"));
        }
        let user = ports::user(&(self.port..=self.port)).filter(|_| self.port != ports::FAULT_CATCHER);
        user.map_or(Ok(()), |user| {
            Err(broken("fault_catcher.port", format!("{:#x}", self.port), format!("{user} must not use it")))
        })
    }
}

/// The first word of a complete record: `FLT!` in memory order. Any other value means that no exception was caught.
pub const FAULT_MAGIC: u32 = u32::from_le_bytes(*b"FLT!");

/// Declares the record once: the struct, its decoder and the offset of each word.
macro_rules! fault_record {
    ($($(#[$doc:meta])* $name:ident = $offset:literal;)*) => {
        /// The record's words, each a little-endian `u32` at four times its place in this struct.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct FaultRecord {
            $($(#[$doc])* pub $name: u32,)*
        }

        /// Byte offset of each word of a [`FaultRecord`].
        pub mod fault_offset {
            $(#[doc = concat!("Offset of [`super::FaultRecord::", stringify!($name), "`].")]
            #[allow(non_upper_case_globals, reason = "the names are those of the fields")]
            pub const $name: u32 = $offset;)*
        }

        impl FaultRecord {
            /// Decodes a record, or `None` when the bytes hold no complete one.
            pub fn decode(bytes: &[u8; FAULT_RECORD_SIZE]) -> Option<Self> {
                let word = |offset: u32| {
                    let start = offset as usize;
                    u32::from_le_bytes([bytes[start], bytes[start + 1], bytes[start + 2], bytes[start + 3]])
                };
                let record = Self { $($name: word(fault_offset::$name),)* };
                (record.magic == FAULT_MAGIC).then_some(record)
            }
        }
    };
}

/// Bytes that a record takes.
pub const FAULT_RECORD_SIZE: usize = 128;

fault_record! {
    /// [`FAULT_MAGIC`], written last.
    magic = 0;
    /// Vector of the exception, 0 to 31 (Intel SDM volume 3A, table 6-1).
    vector = 4;
    /// Error code that the CPU pushed, or 0 for a vector that has none.
    error_code = 8;
    /// Address of the instruction that faulted (or the one after it, for traps).
    eip = 12;
    /// CS at the exception.
    cs = 16;
    /// EFLAGS at the exception.
    eflags = 20;
    /// EAX.
    eax = 24;
    /// ECX.
    ecx = 28;
    /// EDX.
    edx = 32;
    /// EBX.
    ebx = 36;
    /// ESP before the CPU pushed anything, for an exception without a change of privilege level.
    esp = 40;
    /// EBP.
    ebp = 44;
    /// ESI.
    esi = 48;
    /// EDI.
    edi = 52;
    /// CR0. A double fault that comes through a task gate has set TS (bit 3).
    cr0 = 56;
    /// CR2: for a page fault, the linear address that was accessed.
    cr2 = 60;
    /// CR3. For a double fault that comes through a task gate, that of the catcher's task: the CPU does not keep the other.
    cr3 = 64;
    /// CR4.
    cr4 = 68;
    /// DS.
    ds = 72;
    /// ES.
    es = 76;
    /// FS.
    fs = 80;
    /// GS.
    gs = 84;
    /// SS.
    ss = 88;
    /// Base of the global descriptor table.
    gdtr_base = 92;
    /// Bytes of the global descriptor table, less one.
    gdtr_limit = 96;
    /// Base of the interrupt descriptor table.
    idtr_base = 100;
    /// Bytes of the interrupt descriptor table, less one.
    idtr_limit = 104;
    /// LDTR.
    ldtr = 108;
    /// TR of the code that faulted.
    tr = 112;
}

const _: () = assert!(fault_offset::tr as usize + 4 <= FAULT_RECORD_SIZE);
const _: () = assert!(size_of::<FaultRecord>() == fault_offset::tr as usize + 4);

impl FaultRecord {
    /// The state in which the fault catcher found the CPU.
    pub fn cpu_state(&self) -> CpuState {
        let FaultRecord { eip, eflags, cr0, cr2, cr3, cr4, .. } = *self;
        let general = GeneralRegisters {
            eax: self.eax,
            ebx: self.ebx,
            ecx: self.ecx,
            edx: self.edx,
            esi: self.esi,
            edi: self.edi,
            ebp: self.ebp,
            esp: self.esp,
        };
        // The catcher stores these with zeros above them; a guest that has written over the record may have put anything.
        let low = |value: u32| u16::try_from(value & 0xffff).unwrap_or(0);
        let selectors = Selectors {
            cs: low(self.cs),
            ds: low(self.ds),
            es: low(self.es),
            fs: low(self.fs),
            gs: low(self.gs),
            ss: low(self.ss),
            ldtr: low(self.ldtr),
            tr: low(self.tr),
        };
        let gdtr = TableRegister { base: self.gdtr_base, limit: low(self.gdtr_limit) };
        let idtr = TableRegister { base: self.idtr_base, limit: low(self.idtr_limit) };
        CpuState { general, eip, eflags, selectors, cr0, cr2, cr3, cr4, gdtr, idtr, is_halted: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_without_its_magic_is_no_record() {
        assert_eq!(FaultRecord::decode(&[0; FAULT_RECORD_SIZE]), None);
    }

    #[test]
    fn each_word_is_read_from_its_documented_offset() {
        let mut bytes = [0; FAULT_RECORD_SIZE];
        bytes[..4].copy_from_slice(b"FLT!");
        bytes[4] = 14;
        bytes[12..16].copy_from_slice(&0xc010_0516_u32.to_le_bytes());
        bytes[88] = 0x10;
        bytes[112] = 0x20;
        let record = FaultRecord::decode(&bytes).unwrap();
        assert_eq!((record.vector, record.eip, record.ss, record.tr), (14, 0xc010_0516, 0x10, 0x20));
    }

    #[test]
    fn a_record_holds_all_of_a_cpu_that_runs() {
        // Each word of the record is its own offset.
        let mut bytes = [0; FAULT_RECORD_SIZE];
        for (offset, word) in (0_u32..).step_by(4).zip(bytes.chunks_exact_mut(4)) {
            word.copy_from_slice(&offset.to_le_bytes());
        }
        bytes[..4].copy_from_slice(b"FLT!");
        let cpu = CpuState {
            general: GeneralRegisters { eax: 24, ecx: 28, edx: 32, ebx: 36, esp: 40, ebp: 44, esi: 48, edi: 52 },
            eip: 12,
            eflags: 20,
            selectors: Selectors { cs: 16, ds: 72, es: 76, fs: 80, gs: 84, ss: 88, ldtr: 108, tr: 112 },
            cr0: 56,
            cr2: 60,
            cr3: 64,
            cr4: 68,
            gdtr: TableRegister { base: 92, limit: 96 },
            idtr: TableRegister { base: 100, limit: 104 },
            is_halted: false,
        };
        let record = FaultRecord::decode(&bytes).unwrap();
        assert_eq!((record.vector, record.error_code), (4, 8));
        assert_eq!(record.cpu_state(), cpu);
    }
}
