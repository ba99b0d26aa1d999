//! Who has made the processor that the tests run on: what the manual leaves open, each maker has decided for itself.

use std::fs;
use std::sync::LazyLock;

/// True on processors of AMD, and those made from their design.
pub fn is_amd() -> bool {
    static IS_AMD: LazyLock<bool> = LazyLock::new(|| {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let vendor = text.lines().find_map(|line| line.strip_prefix("vendor_id")).unwrap_or_default();
        ["AuthenticAMD", "HygonGenuine"].iter().any(|name| vendor.contains(name))
    });
    *IS_AMD
}
