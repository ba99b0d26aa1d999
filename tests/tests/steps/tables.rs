//! The guest's memory: descriptor tables, page tables, task states and handlers of exceptions. All pages are where their addresses say.

/// Where its code begins.
pub const CODE: u32 = 0x8000;
/// Its descriptor tables.
pub const GDT: u32 = 0x2000;
/// See [`GDT`].
pub const IDT: u32 = 0x2800;
/// Its page directory; the table is in the next page.
pub const DIRECTORY: u32 = 0x5000;
/// Where the stack of privilege level 0 ends, and that of level 3.
pub const STACK: u32 = 0x7ff0;
/// See [`STACK`].
pub const USER_STACK: u32 = 0x7800;
/// Memory to compute in.
pub const DATA: u32 = 0xd000;
/// Pages that are missing, read-only, and the supervisor's.
pub const MISSING: u32 = 0x9000;
/// See [`MISSING`].
pub const READ_ONLY: u32 = 0xb000;
/// See [`MISSING`].
pub const SUPERVISOR: u32 = 0xa000;
/// The code of the other task, of what the call gate leads to, and of virtual-8086 mode.
pub const TASK: u32 = 0xc000;
/// See [`TASK`].
pub const GATE: u32 = 0xc100;
/// See [`TASK`].
pub const V86: u32 = 0xc200;
/// The interrupt that leads back to privilege level 0, and one that returns.
pub const TO_KERNEL: u8 = 0x32;
/// See [`TO_KERNEL`].
pub const RETURNING: u8 = 0x31;

/// Selectors.
pub const CODE_0: u32 = 0x08;
pub const DATA_0: u32 = 0x10;
pub const CODE_3: u32 = 0x1b;
pub const DATA_3: u32 = 0x23;
pub const TASK_A: u32 = 0x28;
pub const TASK_B: u32 = 0x30;
pub const TASK_GATE: u32 = 0x3b;
pub const CALL_GATE: u32 = 0x43;
pub const NOT_PRESENT: u32 = 0x48;

const HANDLERS: u32 = 0x3000;
const STATE_A: u32 = 0x4000;
const STATE_B: u32 = 0x4100;
const SIZE: usize = 0x1_0000;

const fn gate(selector: u32, offset: u32, access: u64) -> u64 {
    (selector as u64) << 16 | (offset & 0xffff) as u64 | access << 40 | ((offset >> 16) as u64) << 48
}

const fn task_state(base: u32, access: u64) -> u64 {
    0x67 | (base as u64) << 16 | access << 40
}

/// The whole memory, with code at its place.
pub fn memory(pieces: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let mut memory = vec![0; SIZE];
    let mut put = |at: u32, bytes: &[u8]| memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    let descriptors = [
        0,
        0x00cf_9b00_0000_ffff,
        0x00cf_9300_0000_ffff,
        0x00cf_fb00_0000_ffff,
        0x00cf_f300_0000_ffff,
        task_state(STATE_A, 0x89),
        task_state(STATE_B, 0x89),
        gate(TASK_B, 0, 0xe5),
        gate(CODE_0, GATE, 0xec),
        0x00cf_1300_0000_ffff,
    ];
    for (at, descriptor) in (GDT..).step_by(8).zip(descriptors) {
        put(at, &u64::to_le_bytes(descriptor));
    }
    for vector in 0..0x20_u32 {
        let handler = HANDLERS + 16 * vector;
        let has_code = matches!(vector, 8 | 10..=14 | 17);
        // POP EAX; MOV EBX, CR2; MOV [ESP], EDI; IRET. Without an error code, no POP.
        let bytes = b"\x58\x0f\x20\xd3\x89\x3c\x24\xcf";
        put(handler, &bytes[usize::from(!has_code)..]);
        let access = if matches!(vector, 3 | 4) { 0xee } else { 0x8e };
        put(IDT + 8 * vector, &gate(CODE_0, handler, access).to_le_bytes());
    }
    // INC ESI; IRET.
    put(HANDLERS + 0x300, b"\x46\xcf");
    put(IDT + 8 * u32::from(RETURNING), &gate(CODE_0, HANDLERS + 0x300, 0xee).to_le_bytes());
    // MOV ESP, STACK; MOV EAX, 0x10; MOV DS, EAX; MOV ES, EAX; JMP EDI.
    put(HANDLERS + 0x310, b"\xbc\xf0\x7f\0\0\xb8\x10\0\0\0\x8e\xd8\x8e\xc0\xff\xe7");
    put(IDT + 8 * u32::from(TO_KERNEL), &gate(CODE_0, HANDLERS + 0x310, 0xee).to_le_bytes());
    // ESP0, SS0 and CR3; of the other task all that is loaded.
    for (offset, value) in [(4, STACK), (8, DATA_0), (28, DIRECTORY), (100, 0x68 << 16)] {
        put(STATE_A + offset, &value.to_le_bytes());
        put(STATE_B + offset, &value.to_le_bytes());
    }
    let registers = [(32, TASK), (36, 2), (40, 1), (44, 2), (48, 3), (52, 4), (56, 0x7400), (60, 6)];
    let segments = [(72, DATA_0), (76, CODE_0), (80, DATA_0), (84, DATA_0), (88, DATA_3), (92, 0)];
    for (offset, value) in registers.into_iter().chain(segments) {
        put(STATE_B + offset, &value.to_le_bytes());
    }
    put(DIRECTORY, &((DIRECTORY + 0x1000) | 7).to_le_bytes());
    for page in (0..0x1_0000).step_by(0x1000) {
        let access = match page {
            MISSING => 0,
            READ_ONLY => 5,
            SUPERVISOR => 3,
            _ => 7,
        };
        put(DIRECTORY + 0x1000 + (page >> 10), &(page | access).to_le_bytes());
    }
    for (at, bytes) in pieces {
        put(*at, bytes);
    }
    memory
}
