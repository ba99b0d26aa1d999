//! Virtual time: instructions, nanoseconds, and ticks of the timer.

/// How long an instruction takes.
pub const NANOSECONDS_PER_INSTRUCTION: u64 = 2;
/// The timer ticks 105 times in 88 microseconds: at a twelfth of the colour carrier of NTSC times four, 1,193,181.8 Hz.
const TICKS: u128 = 105;
/// See [`TICKS`].
const IN_NANOSECONDS: u128 = 88_000;

/// The nanosecond of an instruction.
pub fn nanosecond(instruction: u64) -> u64 {
    instruction.saturating_mul(NANOSECONDS_PER_INSTRUCTION)
}

/// The first instruction that is not before a nanosecond.
pub fn instruction_at(nanosecond: u64) -> u64 {
    nanosecond.div_ceil(NANOSECONDS_PER_INSTRUCTION)
}

fn saturated(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Ticks of the timer up to an instruction.
pub fn ticks(instructions: u64) -> u64 {
    let nanoseconds = u128::from(instructions) * u128::from(NANOSECONDS_PER_INSTRUCTION);
    saturated(nanoseconds * TICKS / IN_NANOSECONDS)
}

/// The first instruction that is not before a tick.
pub fn instruction_of(tick: u64) -> u64 {
    let scaled = u128::from(tick) * IN_NANOSECONDS;
    saturated(scaled.div_ceil(TICKS * u128::from(NANOSECONDS_PER_INSTRUCTION)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_at_a_tick_is_the_first_one_that_sees_it() {
        for tick in [0, 1, 2, 104, 105, 1_193_182, u64::from(u32::MAX)] {
            let instruction = instruction_of(tick);
            assert_eq!(ticks(instruction), tick);
            assert!(instruction == 0 || ticks(instruction - 1) < tick, "{tick}");
        }
        assert_eq!(ticks(500_000_000), 1_193_181, "a second");
        assert_eq!(instruction_of(u64::MAX), u64::MAX);
    }
}
