//! Sizes as people read them.

/// Units of sizes and how often a byte is doubled for one, the largest first.
const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// Bytes in the largest unit that divides them.
pub fn exact_size(bytes: u64) -> String {
    let unit = UNITS.into_iter().find(|(_, shift)| bytes > 0 && bytes.is_multiple_of(1 << shift));
    unit.map_or_else(|| format!("{bytes} B"), |(unit, shift)| format!("{} {unit}", bytes >> shift))
}

/// Bytes in the unit that people think in: exact if that is short, else to a tenth of the unit.
pub fn rounded_size(bytes: u64) -> String {
    match UNITS.into_iter().find(|(_, shift)| bytes >> shift > 0) {
        // Below 10 KiB the exact number is as short as any other.
        Some((unit, shift)) if !bytes.is_multiple_of(1 << shift) && bytes >= 10 << 10 => {
            let tenths = (u128::from(bytes) * 10 + (1_u128 << (shift - 1))) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        _ => exact_size(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (419, "419 B"),
            (2016, "2016 B"),
            (4096, "4 KiB"),
            (4097, "4097 B"),
            (0x60400, "385 KiB"),
            (3_120_688, "3.0 MiB"),
            (11_168 << 10, "10.9 MiB"),
            (3584 << 20, "3.5 GiB"),
            (64 << 20, "64 MiB"),
            (u64::MAX, "17179869184.0 GiB"),
        ] {
            assert_eq!(rounded_size(bytes), text);
        }
    }

    #[test]
    fn sizes_are_exact() {
        for (bytes, text) in
            [(0, "0 B"), (4095, "4095 B"), (0x60400, "385 KiB"), (64 << 20, "64 MiB"), (3 << 30, "3 GiB")]
        {
            assert_eq!(exact_size(bytes), text);
        }
    }
}
