//! The one CPU model that every guest sees, whatever the host: what every 64-bit PC has, in 32-bit view. It is fixed, so
//! that a kernel behaves the same on every machine, and it needs no query at start.

use kvm_bindings::{CpuId, kvm_cpuid_entry2};
use kvm_ioctls::VcpuFd;

/// Leaf 0: EBX, EDX and ECX spell the vendor.
const VENDOR: [u32; 3] = [u32::from_le_bytes(*b"Genu"), u32::from_le_bytes(*b"ineI"), u32::from_le_bytes(*b"ntel")];
/// Leaf 1 EAX: family 6, model 0, stepping 0.
const SIGNATURE: u32 = 0x0600;
/// Leaf 1 EBX: CLFLUSH works on 8 times 8 bytes, APIC id 0.
const CLFLUSH_LINE: u32 = 8 << 8;
/// Leaf 1 EDX: FPU, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE36, CLFSH, MMX, FXSR,
/// SSE and SSE2 (Intel SDM volume 2A, table 3-11). Not VME: the emulator lacks it.
const FEATURES: u32 = 0x078b_fbfd;
/// Highest basic leaf.
const HIGHEST_BASIC: u32 = 1;
/// Leaf `0x8000_0000`: highest extended leaf.
const HIGHEST_EXTENDED: u32 = 0x8000_0001;

/// Gives `vcpu` this model.
///
/// # Errors
/// Those of `KVM_SET_CPUID2`.
pub fn set(vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
    // Four entries are far below the most that the wrapper takes.
    let table = CpuId::from_entries(&table()).map_err(|_| kvm_ioctls::Error::new(libc::E2BIG))?;
    vcpu.set_cpuid2(&table)
}

fn table() -> [kvm_cpuid_entry2; 4] {
    let entry = |function, eax, ebx, ecx, edx| kvm_cpuid_entry2 { function, eax, ebx, ecx, edx, ..Default::default() };
    let [ebx, edx, ecx] = VENDOR;
    [
        entry(0, HIGHEST_BASIC, ebx, ecx, edx),
        entry(1, SIGNATURE, CLFLUSH_LINE, 0, FEATURES),
        entry(0x8000_0000, HIGHEST_EXTENDED, 0, 0, 0),
        entry(0x8000_0001, 0, 0, 0, 0),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vendor_is_spelled_in_the_order_ebx_edx_ecx() {
        let [vendor, features, ..] = table();
        let text = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).concat();
        assert_eq!(text, b"GenuineIntel");
        assert_eq!((features.eax, features.edx), (0x600, 0x078b_fbfd));
    }
}
