//! Vectors of integers: what each operation makes of two of them. Vectors of MMX are the lower half, and the upper half is zero.

/// Vectors of one kind of lane.
macro_rules! vectors {
    ($($each:ident, $of:ident, $from:ident: $lane:ty, $count:literal;)*) => {$(
        /// The lanes of a vector.
        pub fn $of(vector: u128) -> [$lane; $count] {
            let bytes = vector.to_le_bytes();
            let mut lanes = [0; $count];
            for (lane, bytes) in lanes.iter_mut().zip(bytes.chunks_exact(size_of::<$lane>())) {
                let mut own = [0; size_of::<$lane>()];
                own.copy_from_slice(bytes);
                *lane = <$lane>::from_le_bytes(own);
            }
            lanes
        }

        /// The vector of these lanes.
        pub fn $from(lanes: [$lane; $count]) -> u128 {
            let mut bytes = [0; 16];
            for (lane, bytes) in lanes.iter().zip(bytes.chunks_exact_mut(size_of::<$lane>())) {
                bytes.copy_from_slice(&lane.to_le_bytes());
            }
            u128::from_le_bytes(bytes)
        }

        /// What comes of each pair of lanes.
        pub fn $each(left: u128, right: u128, f: impl Fn($lane, $lane) -> $lane) -> u128 {
            let (mut left, right) = ($of(left), $of(right));
            left.iter_mut().zip(right).for_each(|(left, right)| *left = f(*left, right));
            $from(left)
        }
    )*};
}

vectors! {
    each_u8, u8s, from_u8s: u8, 16;
    each_i8, i8s, from_i8s: i8, 16;
    each_u16, u16s, from_u16s: u16, 8;
    each_i16, i16s, from_i16s: i16, 8;
    each_u32, u32s, from_u32s: u32, 4;
    each_i32, i32s, from_i32s: i32, 4;
    each_u64, u64s, from_u64s: u64, 2;
}

/// Bytes of one vector and of another in turn, `size` at a time, from the lower or upper halves of both.
pub fn unpack(left: u128, right: u128, size: usize, is_high: bool, is_wide: bool) -> u128 {
    let width = if is_wide { 16 } else { 8 };
    let from = if is_high { width / 2 } else { 0 };
    let (left, right) = (left.to_le_bytes(), right.to_le_bytes());
    let mut bytes = [0; 16];
    for (at, pair) in bytes[..width].chunks_exact_mut(2 * size).enumerate() {
        let from = from + at * size;
        pair[..size].copy_from_slice(&left[from..from + size]);
        pair[size..].copy_from_slice(&right[from..from + size]);
    }
    u128::from_le_bytes(bytes)
}

/// Puts the narrowed lanes of `right` behind those of `left`.
fn concatenate(left: u64, right: u64, is_wide: bool) -> u128 {
    if is_wide {
        u128::from(left) | u128::from(right) << 64
    } else {
        u128::from(left & u64::from(u32::MAX)) | u128::from(right & u64::from(u32::MAX)) << 32
    }
}

/// Lanes of 16 bits become lanes of 8.
pub fn pack_words(left: u128, right: u128, is_wide: bool, narrow: impl Fn(i16) -> u8) -> u128 {
    let half = |vector| u64::from_le_bytes(i16s(vector).map(&narrow));
    concatenate(half(left), half(right), is_wide)
}

/// Lanes of 32 bits become lanes of 16.
pub fn pack_doubles(left: u128, right: u128, is_wide: bool) -> u128 {
    let half = |vector| {
        i32s(vector).iter().rev().fold(0, |half, lane| {
            let narrow = (*lane).clamp(i16::MIN.into(), i16::MAX.into()).cast_unsigned() as u16;
            half << 16 | u64::from(narrow)
        })
    };
    concatenate(half(left), half(right), is_wide)
}

/// PMADDWD.
pub fn multiply_add(left: u128, right: u128) -> u128 {
    let (left, right) = (i16s(left), i16s(right));
    from_i32s(std::array::from_fn(|at| {
        let product = |at: usize| i32::from(left[at]) * i32::from(right[at]);
        product(2 * at).wrapping_add(product(2 * at + 1))
    }))
}

/// PSADBW: the sum of the distances of each eight bytes.
pub fn distances(left: u128, right: u128) -> u128 {
    let (left, right) = (u8s(left), u8s(right));
    let sum = |from: usize| -> u64 { (from..from + 8).map(|at| u64::from(left[at].abs_diff(right[at]))).sum() };
    from_u64s([sum(0), sum(8)])
}
