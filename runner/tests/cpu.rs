//! The processor that a guest finds.

use stos_tests::backends::unpaged;
use stos_tests::bare::{BareGuest, run};

/// Ends with the highest basic leaf of CPUID, 0x7f at most.
const HIGHEST_LEAF: [u8; 19] = [
    0x31, 0xc0, // xor eax, eax
    0x0f, 0xa2, // cpuid
    0x3c, 0x7f, // cmp al, 0x7f
    0x76, 0x02, // jbe past the next
    0xb0, 0x7f, // mov al, 0x7f
    0x66, 0xba, 0xf4, 0x00, // mov dx, 0xf4
    0xef, // out dx, eax
    0xf4, 0xf4, 0xf4, 0xf4,
];

#[test]
fn the_fixed_processor_has_one_leaf_and_the_hosts_has_more() {
    let image = BareGuest::new(&HIGHEST_LEAF).image();
    for backend in unpaged() {
        let fixed = run(backend, &[], &image);
        assert_eq!(fixed.status, Some(1), "{backend}: {}", fixed.stderr);
        assert!(!fixed.stderr.contains("the guest's CPU is"), "{backend}: {}", fixed.stderr);
        let host = run(backend, &["--cpu", "host"], &image);
        // Above 63 all values give 63; below 7, no processor of this century remains. The embedded machine has one only.
        let leaves = if backend == "embedded" { 1..=1 } else { 7..=63 };
        assert!(host.status.is_some_and(|leaf| leaves.contains(&leaf)), "{backend}: {host:?}");
        assert!(host.stderr.contains("the guest's CPU is "), "{backend}: {}", host.stderr);
    }
}
