//! The general-purpose registers.

use serde::Serialize;
use wincode::{SchemaRead, SchemaWrite};

/// EAX to ESP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, SchemaWrite, SchemaRead)]
pub struct GeneralRegisters {
    /// EAX.
    pub eax: u32,
    /// EBX.
    pub ebx: u32,
    /// ECX.
    pub ecx: u32,
    /// EDX.
    pub edx: u32,
    /// ESI.
    pub esi: u32,
    /// EDI.
    pub edi: u32,
    /// EBP.
    pub ebp: u32,
    /// ESP.
    pub esp: u32,
}

impl GeneralRegisters {
    /// From the order of [`GeneralRegisters::by_number`].
    pub const fn from_numbers([eax, ecx, edx, ebx, esp, ebp, esi, edi]: [u32; 8]) -> Self {
        Self { eax, ebx, ecx, edx, esi, edi, ebp, esp }
    }

    /// The registers in the order of their numbers in instructions, in PUSHAD's frame downward, and in a TSS: EAX, ECX, EDX,
    /// EBX, ESP, EBP, ESI, EDI (Intel SDM volume 2A, table 2-2).
    pub const fn by_number(&self) -> [u32; 8] {
        let Self { eax, ebx, ecx, edx, esi, edi, ebp, esp } = *self;
        [eax, ecx, edx, ebx, esp, ebp, esi, edi]
    }
}
