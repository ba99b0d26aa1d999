//! Floating-point numbers in vectors: how each lane is computed, and what becomes of the exceptions (Intel SDM volume 1, section 11.5).

use stos_x86::registers::CR4_OSXMMEXCPT;

use super::lanes::{from_u32s, from_u64s, u32s, u64s};
use crate::cpu::operands::Op;
use crate::float::exact::{Exact, Rounded};
use crate::float::format::{BEFORE, DENORMAL, DOUBLE, Environment, Format, INVALID, SINGLE};
use crate::float::value::{Kind, Value};
use crate::state::core::{Core, Parts, Raised};
use crate::state::fault::{Fault, Reason};

/// What comes of a lane.
pub struct Lane {
    pub bits: u64,
    pub flags: u8,
}

/// How lanes are computed.
pub struct Context {
    pub environment: Environment,
    /// Denormal operands are zeros.
    pub zeros: bool,
}

/// Single or double precision.
pub const fn format(is_double: bool) -> &'static Format {
    if is_double { &DOUBLE } else { &SINGLE }
}

impl Context {
    pub fn format(&self) -> &'static Format {
        self.environment.format
    }

    /// An operand of the format of the results.
    pub fn operand(&self, bits: u64) -> Value {
        self.number(bits, self.environment.format)
    }

    /// An operand of a format.
    pub fn number(&self, bits: u64, format: &Format) -> Value {
        let value = Value::from_bits(bits, format);
        if self.zeros && value.is_denormal() { Value::zero(value.negative) } else { value }
    }

    pub fn lane(&self, rounded: &Rounded) -> Lane {
        Lane { bits: rounded.value.bits(self.environment.format), flags: rounded.flags }
    }

    /// A number in the format of the results.
    pub fn round(&self, value: Value) -> Lane {
        let rounded = match value.kind {
            Kind::Normal | Kind::Denormal => {
                let denormal = if value.is_denormal() { DENORMAL } else { 0 };
                let rounded = Exact::of(&value).round(&self.environment);
                Rounded { flags: rounded.flags | denormal, ..rounded }
            }
            Kind::Signaling => Rounded { value: value.quieted(), flags: INVALID, up: false },
            _ => value.into(),
        };
        self.lane(&rounded)
    }
}

/// The NaN that comes of two operands one of which is one: the first (volume 1, table 4-7).
pub fn nan_of(left: Value, right: Value) -> Option<Rounded> {
    let flags = if left.is_invalid() || right.is_invalid() { INVALID } else { 0 };
    let nan = [left, right].into_iter().find(Value::is_nan)?;
    Some(Rounded { value: nan.quieted(), flags, up: false })
}

impl<P: Parts> Core<P> {
    pub(super) fn context(&self, is_double: bool) -> Context {
        Context { environment: self.sse.environment(format(is_double)), zeros: self.sse.has_no_denormals() }
    }

    /// Remembers the exceptions of all lanes.
    ///
    /// # Errors
    /// #XM, or #UD while the kernel has not said that it knows that, when one of them is not masked. Then those that come after computing
    /// are not told if one has come before it (volume 1, section 11.5.2).
    pub(super) fn signal_simd(&mut self, flags: u8) -> Result<(), Raised> {
        let before = flags & BEFORE;
        let flags = if self.sse.environment(&SINGLE).stops(before) { before } else { flags };
        if !self.sse.signal(flags) {
            return Ok(());
        }
        let fault = if self.cr4 & CR4_OSXMMEXCPT == 0 { Fault::invalid(Reason::SseException) } else { Fault::simd() };
        Err(self.raise(fault))
    }

    /// The second operand of an instruction with numbers.
    pub(super) fn numbers_source(&mut self, op: &Op<P>, is_double: bool, is_scalar: bool) -> Result<u128, Raised> {
        match (is_double, is_scalar) {
            (false, true) => self.xmm_source::<4>(op),
            (true, true) => self.xmm_source::<8>(op),
            _ => self.xmm_source::<16>(op),
        }
    }

    /// Computes the lanes of the first operand from both; a scalar instruction leaves all but the lowest.
    pub(super) fn each_lane<const IS_DOUBLE: bool, const IS_SCALAR: bool>(
        &mut self,
        op: &Op<P>,
        f: impl Fn(u64, u64, &Context) -> Lane,
    ) -> Result<(), Raised> {
        self.check_sse()?;
        let right = self.numbers_source(op, IS_DOUBLE, IS_SCALAR)?;
        let left = self.xmm(op.first);
        let context = self.context(IS_DOUBLE);
        let mut flags = 0;
        let result = if IS_DOUBLE {
            let (mut lanes, right) = (u64s(left), u64s(right));
            for (lane, right) in lanes.iter_mut().zip(right).take(if IS_SCALAR { 1 } else { 2 }) {
                let found = f(*lane, right, &context);
                flags |= found.flags;
                *lane = found.bits;
            }
            from_u64s(lanes)
        } else {
            let (mut lanes, right) = (u32s(left), u32s(right));
            for (lane, right) in lanes.iter_mut().zip(right).take(if IS_SCALAR { 1 } else { 4 }) {
                let found = f((*lane).into(), right.into(), &context);
                flags |= found.flags;
                *lane = (found.bits & u64::from(u32::MAX)) as u32;
            }
            from_u32s(lanes)
        };
        self.signal_simd(flags)?;
        self.set_xmm(op.first, result);
        Ok(())
    }
}
