//! Machine code of common pieces.

/// `mov dx, PORT; mov esi, ADDRESS; mov ecx, COUNT; rep outsb`: prints a text that the code carries, then goes on.
pub fn print(port: u16, text: &[u8]) -> Vec<u8> {
    // call over the text; pop esi
    let length = u32::try_from(text.len()).unwrap();
    let mut code = vec![0xe8];
    code.extend(length.to_le_bytes());
    code.extend(text);
    code.push(0x5e);
    code.extend([0xb9]);
    code.extend(length.to_le_bytes());
    code.extend([0x66, 0xba]);
    code.extend(port.to_le_bytes());
    code.extend([0xfc, 0xf3, 0x6e]);
    code
}

/// `mov eax, VALUE; mov dx, PORT; out dx, eax`.
pub fn out32(port: u16, value: u32) -> Vec<u8> {
    let mut code = vec![0xb8];
    code.extend(value.to_le_bytes());
    code.extend([0x66, 0xba]);
    code.extend(port.to_le_bytes());
    code.push(0xef);
    code
}

/// `mov al, VALUE; mov dx, PORT; out dx, al`.
pub fn out8(port: u16, value: u8) -> Vec<u8> {
    [&[0xb0, value][..], &out_al(port)].concat()
}

/// `mov dx, PORT; in al, dx`.
pub fn in8(port: u16) -> Vec<u8> {
    let mut code = vec![0x66, 0xba];
    code.extend(port.to_le_bytes());
    code.push(0xec);
    code
}

/// `mov dx, PORT; out dx, al`.
pub fn out_al(port: u16) -> Vec<u8> {
    let mut code = vec![0x66, 0xba];
    code.extend(port.to_le_bytes());
    code.push(0xee);
    code
}

/// Ends with this status.
pub fn exit(value: u32) -> Vec<u8> {
    [out32(0xf4, value), HALT.to_vec()].concat()
}

/// `cli; hlt` for ever.
pub const HALT: [u8; 4] = [0xfa, 0xf4, 0xeb, 0xfc];
/// `jmp` to itself.
pub const SPIN: [u8; 2] = [0xeb, 0xfe];
/// `ud2`, which finds no handler in an empty IDT.
pub const CRASH: [u8; 2] = [0x0f, 0x0b];
/// COM1.
pub const COM1: u16 = 0x3f8;

/// Prints to COM1.
pub fn say(text: &str) -> Vec<u8> {
    print(COM1, text.as_bytes())
}

/// Echoes bytes from COM1 until `q`, then ends with 0.
pub const ECHO: [u8; 34] = [
    0x66, 0xba, 0xfd, 0x03, // mov dx, 0x3fd
    0xec, // in al, dx
    0xa8, 0x01, // test al, 1
    0x74, 0xf7, // jz back
    0x66, 0xba, 0xf8, 0x03, // mov dx, 0x3f8
    0xec, // in al, dx
    0xee, // out dx, al
    0x3c, b'q', // cmp al, 'q'
    0x75, 0xed, // jne back
    0x31, 0xc0, // xor eax, eax
    0x66, 0xba, 0xf4, 0x00, // mov dx, 0xf4
    0xef, // out dx, eax
    0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4, 0xf4,
];

/// Prints `count` times 64 KiB of `x`, and a line at the end.
pub fn flood(count: u32) -> Vec<u8> {
    let mut body = vec![0xb9, 0x00, 0x00, 0x01, 0x00]; // mov ecx, 65536
    body.extend([0x66, 0xba, 0xf8, 0x03, 0xb0, b'x']); // mov dx, 0x3f8; mov al, 'x'
    body.extend([0xee, 0xe2, 0xfd]); // out dx, al; loop
    body.extend([0x4d, 0x75, 0_u8.wrapping_sub(body.len().to_le_bytes()[0] + 3)]); // dec ebp; jnz
    let mut code = vec![0xbd];
    code.extend(count.to_le_bytes());
    code.extend(body);
    code.extend(say("\nend\n"));
    code.extend(exit(0));
    code
}
