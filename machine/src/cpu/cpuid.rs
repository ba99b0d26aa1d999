//! What CPUID says (Intel SDM volume 2A, "CPUID"): the same CPU for everybody, and the one that a guest sees on KVM.

/// Leaves 0 and `0x8000_0000`: EBX, EDX and ECX spell the vendor.
const VENDOR: [u32; 3] = [u32::from_le_bytes(*b"Genu"), u32::from_le_bytes(*b"ineI"), u32::from_le_bytes(*b"ntel")];
/// EAX of leaves 1 and `0x8000_0001`: family 6, model 0, stepping 0.
const SIGNATURE: u32 = 0x600;
/// EBX of leaf 1: CLFLUSH works on 64 bytes.
const CLFLUSH_LINE: u32 = 8 << 8;
/// EDX of leaf 1: FPU, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE36, CLFSH, MMX, FXSR, SSE and SSE2.
const FEATURES: u32 = 0x078b_fbfd;

/// In EDX of leaf 1: there is a local APIC, and it is enabled (Intel SDM volume 3A, section 11.4.3).
const APIC: u32 = 1 << 9;

/// EAX, EBX, ECX and EDX of a leaf.
pub const fn leaf(number: u32, has_apic: bool) -> [u32; 4] {
    let [ebx, edx, ecx] = VENDOR;
    match number {
        0 => [1, ebx, ecx, edx],
        0x8000_0000 => [0x8000_0001, ebx, ecx, edx],
        0x8000_0001 => [SIGNATURE, 0, 0, 0],
        // Where hypervisors name themselves: none does.
        0x4000_0000 | 0x4000_0001 => [0; 4],
        // Past the highest one, an Intel processor answers with the highest basic leaf.
        _ => [SIGNATURE, CLFLUSH_LINE, 0, if has_apic { FEATURES } else { FEATURES & !APIC }],
    }
}
