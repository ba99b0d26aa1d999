//! Instructions with a VEX or EVEX prefix, which are those of AVX and AVX-512 (Intel SDM volume 2A, sections 2.3 and 2.7). No guest's CPU
//! has them, so that the decoder of all other instructions goes without their tables: making those takes longer than starting a small guest.

/// Prefixes of segments, which may stand before VEX and EVEX.
const SEGMENTS: [u8; 6] = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65];
/// The first map of opcodes: those behind 0x0F in older instructions.
const FIRST_MAP: u8 = 1;
/// The map whose opcodes have an immediate byte each.
const IMMEDIATE_MAP: u8 = 3;
/// VZEROUPPER and VZEROALL, which have no operands.
const ZERO: u8 = 0x77;

/// Such an instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vector {
    /// Where it is.
    pub address: u32,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it belongs to.
    pub family: &'static str,
    /// It uses registers of vectors: those of BMI have the prefix, and go without.
    pub has_vectors: bool,
}

impl Vector {
    /// The one that `bytes`, which lie at `address`, begin with.
    pub fn decode(bytes: &[u8], address: u32) -> Option<Self> {
        let start = bytes.iter().position(|byte| !SEGMENTS.contains(byte))?;
        // In 32-bit code, these are LES, LDS and BOUND with another second byte.
        let (family, map, size) = match bytes.get(start..)? {
            [0xc5, 0xc0..=0xff, ..] => ("AVX", FIRST_MAP, 2),
            [0xc4, second @ 0xc0..=0xff, ..] => ("AVX", second & 0x1f, 3),
            [0x62, second @ 0xc0..=0xff, ..] => ("AVX-512", second & 7, 4),
            _ => return None,
        };
        let opcode = *bytes.get(start + size)?;
        let is_general = map > FIRST_MAP && opcode >= 0xf0 && family == "AVX";
        let operands = if (map, opcode) == (FIRST_MAP, ZERO) { 0 } else { operands(bytes.get(start + size + 1..)?)? };
        let has_immediate =
            map == IMMEDIATE_MAP || (map == FIRST_MAP && matches!(opcode, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6));
        let length = start + size + 1 + operands + usize::from(has_immediate);
        Some(Self { address, bytes: bytes.get(..length)?.to_vec(), family, has_vectors: !is_general })
    }

    /// The address behind it.
    pub fn end(&self) -> u32 {
        self.address.wrapping_add(u32::try_from(self.bytes.len()).unwrap_or(0))
    }

    /// Its bytes, as a person writes them.
    pub fn text(&self) -> String {
        self.bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    }

    /// As a line of a listing in AT&T syntax has it.
    pub fn line(&self) -> String {
        let bytes: Vec<String> = self.bytes.iter().map(|byte| format!("{byte:#04x}")).collect();
        format!(".byte  {}  # {}", bytes.join(","), self.family)
    }
}

/// How many bytes the ModR/M byte takes that these begin with, with what follows it (volume 2A, section 2.1.5).
fn operands(bytes: &[u8]) -> Option<usize> {
    let modrm = *bytes.first()?;
    let has_sib = modrm < 0xc0 && modrm & 7 == 4;
    let base = if has_sib { bytes.get(1)? & 7 } else { modrm & 7 };
    let displacement = match modrm >> 6 {
        0 if base == 5 => 4,
        1 => 1,
        2 => 4,
        _ => 0,
    };
    Some(1 + usize::from(has_sib) + displacement)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Instructions as GNU as 2.40 assembles them, each before a byte that belongs to the next.
    #[test]
    fn instructions_of_vectors_have_lengths_and_families() {
        let decoded = |bytes: &[u8]| {
            let vector = Vector::decode(bytes, 0x1000)?;
            assert_eq!(vector.end(), 0x1000 + u32::try_from(vector.bytes.len()).unwrap());
            Some((vector.bytes.len(), vector.family, vector.has_vectors))
        };
        // vxorps %xmm0,%xmm0,%xmm0; vzeroupper; vmovdqu %gs:(%eax),%xmm0; vmovdqu 0x1000(%esp),%ymm1
        assert_eq!(decoded(&[0xc5, 0xf8, 0x57, 0xc0, 0x90]), Some((4, "AVX", true)));
        assert_eq!(decoded(&[0xc5, 0xf8, 0x77, 0x90]), Some((3, "AVX", true)));
        assert_eq!(decoded(&[0x65, 0xc5, 0xfa, 0x6f, 0x00, 0x90]), Some((5, "AVX", true)));
        assert_eq!(decoded(&[0xc5, 0xfe, 0x6f, 0x8c, 0x24, 0, 0x10, 0, 0, 0x90]), Some((9, "AVX", true)));
        // vmovaps 0x100000,%xmm0; vpshufd $1,%xmm0,%xmm1; vpermq $0x4e,%ymm0,%ymm0; vmovdqu 8(,%ecx,4),%xmm0
        assert_eq!(decoded(&[0xc5, 0xf8, 0x28, 0x05, 0, 0, 0x10, 0, 0x90]), Some((8, "AVX", true)));
        assert_eq!(decoded(&[0xc5, 0xf9, 0x70, 0xc8, 0x01, 0x90]), Some((5, "AVX", true)));
        assert_eq!(decoded(&[0xc4, 0xe3, 0xfd, 0x00, 0xc0, 0x4e, 0x90]), Some((6, "AVX", true)));
        assert_eq!(decoded(&[0xc5, 0xfa, 0x6f, 0x04, 0x8d, 8, 0, 0, 0, 0x90]), Some((9, "AVX", true)));
        // andn %ecx,%eax,%eax; vxorps %zmm0,%zmm0,%zmm0; vmovdqu64 0x40(%eax),%zmm0
        assert_eq!(decoded(&[0xc4, 0xe2, 0x78, 0xf2, 0xc1, 0x90]), Some((5, "AVX", false)));
        assert_eq!(decoded(&[0x62, 0xf1, 0x7c, 0x48, 0x57, 0xc0, 0x90]), Some((6, "AVX-512", true)));
        assert_eq!(decoded(&[0x62, 0xf1, 0xfe, 0x48, 0x6f, 0x40, 0x01, 0x90]), Some((7, "AVX-512", true)));
    }

    #[test]
    fn what_is_none_of_them_is_left_to_the_other_decoder() {
        let other =
            [&[][..], &[0xc5], &[0x65], &[0xc5, 0x10], &[0xc4, 0x45, 0x08], &[0x62, 0x45, 0x08], &[0xc5, 0xf8, 0x57]];
        for bytes in other {
            assert_eq!(Vector::decode(bytes, 0), None, "{bytes:x?}");
        }
    }

    #[test]
    fn it_is_shown_by_its_bytes() {
        let vector = Vector::decode(&[0xc5, 0xf8, 0x57, 0xc0], 0).unwrap();
        assert_eq!(vector.text(), "c5 f8 57 c0");
        assert_eq!(vector.line(), ".byte  0xc5,0xf8,0x57,0xc0  # AVX");
    }
}
