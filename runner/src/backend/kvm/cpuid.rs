//! The CPU that a guest sees. Usually that is one model, whatever the host: what every 64-bit PC has, in 32-bit view. It is
//! fixed, so that a kernel behaves the same on every machine, and it needs no query at start.

use kvm_bindings::{CpuId, KVM_MAX_CPUID_ENTRIES, kvm_cpuid_entry2};
use kvm_ioctls::{Kvm, VcpuFd};

use crate::machine::CpuModel;

/// Leaves 0 and `0x8000_0000`: EBX, EDX and ECX spell the vendor. In the second, Intel's processors have zeros; here it
/// is as in the emulator, and on AMD's.
const VENDOR: [u32; 3] = [u32::from_le_bytes(*b"Genu"), u32::from_le_bytes(*b"ineI"), u32::from_le_bytes(*b"ntel")];
/// Leaves 1 and `0x8000_0001`, EAX: family 6, model 0, stepping 0.
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

/// Gives `vcpu` this `model`.
///
/// # Errors
/// Those of `KVM_SET_CPUID2` and, for the host's model, of opening `/dev/kvm` and of `KVM_GET_SUPPORTED_CPUID`.
pub fn set(vcpu: &VcpuFd, model: CpuModel) -> Result<(), kvm_ioctls::Error> {
    let table = match model {
        // Six entries are far below the most that the wrapper takes.
        CpuModel::Fixed => CpuId::from_entries(&table()).map_err(|_| kvm_ioctls::Error::new(libc::E2BIG))?,
        CpuModel::Host => {
            let mut supported = Kvm::new()?.get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)?;
            supported.as_mut_slice().iter_mut().for_each(make_single);
            supported
        }
    };
    vcpu.set_cpuid2(&table)
}

/// Makes an entry that was asked of one of the host's CPUs that of a machine with a single one, whose APIC id is 0 (KVM's
/// api.rst, section 4.46: ids and topology in the answer are those of the CPU that happened to execute).
fn make_single(entry: &mut kvm_cpuid_entry2) {
    match entry.function {
        // EBX: APIC id in bits 31 to 24, logical processors in bits 23 to 16.
        1 => entry.ebx = entry.ebx & 0xffff | 1 << 16,
        // EAX: cores in the package and processors that share the cache, each less one, in bits 31 to 14.
        4 | 0x8000_001d => entry.eax &= 0x3fff,
        // Extended topology: EDX is the x2APIC id; EAX and EBX count processors.
        0xb | 0x1f => (entry.eax, entry.ebx, entry.edx) = (0, 1, 0),
        // AMD. ECX: cores less one in bits 7 to 0, bits of the APIC id for them in bits 15 to 12.
        0x8000_0008 => entry.ecx &= !0xf0ff,
        // AMD: extended APIC id, core and node.
        0x8000_001e => (entry.eax, entry.ebx, entry.ecx) = (0, 0, 0),
        _ => {}
    }
}

fn table() -> [kvm_cpuid_entry2; 6] {
    let entry = |function, eax, ebx, ecx, edx| kvm_cpuid_entry2 { function, eax, ebx, ecx, edx, ..Default::default() };
    let [ebx, edx, ecx] = VENDOR;
    [
        entry(0, HIGHEST_BASIC, ebx, ecx, edx),
        entry(1, SIGNATURE, CLFLUSH_LINE, 0, FEATURES),
        // Where hypervisors name themselves. Without these, KVM would answer with leaf 1; the emulator has zeros.
        entry(0x4000_0000, 0, 0, 0, 0),
        entry(0x4000_0001, 0, 0, 0, 0),
        entry(0x8000_0000, HIGHEST_EXTENDED, ebx, ecx, edx),
        entry(0x8000_0001, SIGNATURE, 0, 0, 0),
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

    #[test]
    fn the_hosts_cpu_is_single_and_has_apic_id_0() {
        let ids = kvm_cpuid_entry2 { function: 1, ebx: 0x0310_0800, ecx: 0x8000_0001, ..Default::default() };
        let topology = kvm_cpuid_entry2 { function: 0xb, index: 1, eax: 4, ebx: 16, ecx: 0x201, edx: 3, ..ids };
        let other = kvm_cpuid_entry2 { function: 7, ..topology };
        let single = [ids, topology, other].map(|mut entry| {
            make_single(&mut entry);
            [entry.eax, entry.ebx, entry.ecx, entry.edx]
        });
        assert_eq!(single, [[0, 0x0001_0800, 0x8000_0001, 0], [0, 1, 0x201, 0], [4, 16, 0x201, 3]]);
    }
}
