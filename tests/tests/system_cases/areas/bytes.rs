//! Pieces of machine code.

/// `mov ax, SELECTOR`.
pub fn mov_ax(selector: u16) -> Vec<u8> {
    [&[0x66, 0xb8][..], &selector.to_le_bytes()].concat()
}

/// `mov REGISTER, VALUE`; the register by its number.
pub fn mov(register: u8, value: u32) -> Vec<u8> {
    [&[0xb8 + register][..], &value.to_le_bytes()].concat()
}

/// `push VALUE`.
pub fn push(value: u32) -> Vec<u8> {
    [&[0x68][..], &value.to_le_bytes()].concat()
}

/// `push` of each.
pub fn pushes(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| push(*value)).collect()
}

/// A far jump (0xea) or call (0x9a).
pub fn far(opcode: u8, selector: u16, offset: u32) -> Vec<u8> {
    [&[opcode][..], &offset.to_le_bytes(), &selector.to_le_bytes()].concat()
}

/// `OPCODE [ADDRESS]`, where the opcode ends with a `ModRM` byte for an address of 32 bits.
pub fn at(opcode: &[u8], address: u32) -> Vec<u8> {
    [opcode, &address.to_le_bytes()].concat()
}
