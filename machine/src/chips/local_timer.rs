//! The local APIC's timer (Intel SDM volume 3A, section 11.5.4): it counts down, once or again and again.

/// How long a tick of its bus is, in nanoseconds, as on KVM.
const TICK: u64 = 1;

/// The timer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalTimer {
    initial: u32,
    /// `APIC_TDCR`.
    divider: u32,
    /// When it will be 0.
    end: Option<u64>,
}

impl LocalTimer {
    /// How many ticks of the bus are one of its own: bits 0, 1 and 3 of the register.
    fn period(&self) -> u64 {
        let code = self.divider & 3 | self.divider >> 1 & 4;
        TICK << ((code + 1) & 7)
    }

    fn whole(&self) -> u64 {
        u64::from(self.initial) * self.period()
    }

    /// `APIC_TMICT`.
    pub fn initial(&self) -> u32 {
        self.initial
    }

    /// Starts it at this count, or stops it with 0.
    pub fn set_initial(&mut self, count: u32, now: u64) {
        self.initial = count;
        self.end = (count != 0).then(|| now.saturating_add(self.whole()));
    }

    /// `APIC_TDCR`.
    pub fn divider(&self) -> u32 {
        self.divider
    }

    /// Sets how fast it counts from now on.
    pub fn set_divider(&mut self, value: u32, now: u64) {
        let left = self.current(now);
        self.divider = value & 0xb;
        self.end = self.end.map(|_| now.saturating_add(u64::from(left) * self.period()));
    }

    /// `APIC_TMCCT`: what is left.
    pub fn current(&self, now: u64) -> u32 {
        let left = self.end.map_or(0, |end| end.saturating_sub(now).div_ceil(self.period()));
        u32::try_from(left).unwrap_or(u32::MAX)
    }

    /// When it will be 0 next.
    pub fn next(&self, now: u64) -> Option<u64> {
        self.end.map(|end| end.max(now))
    }

    /// True when it has been 0 by `now`; it goes on when it `repeats`, from the last time.
    pub fn has_expired(&mut self, now: u64, repeats: bool) -> bool {
        let Some(end) = self.end.filter(|end| *end <= now) else { return false };
        let whole = self.whole().max(1);
        self.end = repeats.then(|| end + ((now - end) / whole + 1) * whole);
        true
    }
}
