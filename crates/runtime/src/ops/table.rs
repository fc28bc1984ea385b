//! Functions of integers as tables: of 8-bit ones complete, of 16-bit ones with linear interpolation (`LUTPopulate`,
//! `LUTLookup`).

use alloc::boxed::Box;

use crate::interpreter::Numerics;
use crate::kernels::Engine;
use crate::kernels::elementwise::{BLOCK, Steps};
use crate::ops::integer::Integer;

/// The precision in which a table is made, or scales are multiplied and divided; the rule is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Precision {
    /// Every intermediate result is rounded to single precision.
    Single,
    /// Double precision.
    Double,
}

impl Precision {
    /// The precision of the rescaling elementwise operators' factors: LiteRT's scales stay floats, tflite-micro's become
    /// doubles first.
    pub(crate) fn of_scales(numerics: Numerics) -> Self {
        match numerics {
            Numerics::LiteRt => Self::Single,
            Numerics::TfLiteMicro => Self::Double,
        }
    }

    /// The result of one operation, rounded. Double precision has more than twice the bits of single precision, so
    /// rounding its sums, products and quotients gives single precision's own.
    pub(crate) fn round(self, value: f64) -> f64 {
        match self {
            Self::Single => f64::from(value as f32),
            Self::Double => value,
        }
    }

    /// `e^x`.
    pub(crate) fn exp(self, x: f64) -> f64 {
        self.round(libm::exp(x))
    }
}

/// A function of 8-bit integers: the result for each.
#[derive(Debug, Clone)]
pub(crate) struct Table8(Box<[i8; 256]>);

impl Table8 {
    /// Tabulates a function of integers.
    pub(crate) fn new(function: impl Fn(i8) -> i8) -> Self {
        Self(Box::new(core::array::from_fn(|index| function(index as u8 as i8))))
    }

    /// Tabulates a function of real numbers, in single precision, between the given scales and zero points.
    ///
    /// Results that 32-bit integers cannot hold, which are undefined in the reference, saturate.
    pub(crate) fn of_reals(input: (f32, i32), output: (f32, i32), function: impl Fn(f32) -> f32) -> Self {
        let per_unit = 1.0 / output.0;
        Self::new(|q| {
            let y = function(input.0 * (i32::from(q) - input.1) as f32);
            i8::saturating_from((libm::roundf(y * per_unit) + output.1 as f32) as i32)
        })
    }

    #[inline]
    pub(crate) fn lookup(&self, value: i8) -> i8 {
        self.0[usize::from(value as u8)]
    }
}

/// What a table maps from and to: scales and zero points.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table16Parameters {
    pub(crate) input: (f64, i32),
    pub(crate) output: (f64, i32),
    pub(crate) precision: Precision,
}

/// Intervals of a table.
const INTERVALS: usize = 512;

/// A function of 16-bit integers: 512 intervals of 128 integers, interpolated.
#[derive(Debug, Clone)]
pub(crate) struct Table16(Box<[i16; INTERVALS + 1]>);

impl Table16 {
    /// Tabulates `function` of real numbers. Each interval's start is moved by half of the error at its middle.
    pub(crate) fn new(parameters: &Table16Parameters, function: impl Fn(f64) -> f64) -> Self {
        let r = |value| parameters.precision.round(value);
        let bound = |(scale, zero_point): (f64, i32), q: i32| r(r(scale) * f64::from(q - zero_point));
        let (min, max) = (bound(parameters.input, -32_768), bound(parameters.input, 32_767));
        let (out_min, out_max) = (bound(parameters.output, -32_768), bound(parameters.output, 32_767));
        let step = r(r(max - min) / INTERVALS as f64);
        let half_step = r(step / 2.0);
        let per_unit = r(65_536.0 / r(out_max - out_min));
        let saturate = |value: f64| value.clamp(-32_768.0, 32_767.0) as i16;
        let at = |index: usize| r(min + r(index as f64 * step));
        let mut table = Box::new([0; INTERVALS + 1]);
        for (index, entry) in table.iter_mut().take(INTERVALS).enumerate() {
            let start = libm::round(r(function(at(index)) * per_unit));
            let next = r(function(at(index + 1)) * per_unit);
            let middle = libm::round(r(function(r(at(index) + half_step)) * per_unit));
            let interpolated = libm::round(r(r(next + start) / 2.0));
            let bias = libm::round(r(r(interpolated - middle) / 2.0));
            *entry = saturate(start - bias);
        }
        table[INTERVALS] = saturate(libm::round(r(function(max) * per_unit)));
        Self(table)
    }

    /// The function's value, interpolated with rounding half up; the slope and the result wrap.
    #[inline]
    pub(crate) fn lookup(&self, value: i16) -> i16 {
        let value = i32::from(value);
        let index = (256 + (value >> 7)).unsigned_abs() as usize;
        let (base, next) = (self.0[index], self.0[index + 1]);
        let slope = i32::from(next.wrapping_sub(base));
        base.wrapping_add(((slope * (value & 127) + 64) >> 7) as i16)
    }
}

impl Steps<i16, i16> for Table16 {
    #[inline]
    fn of(&self, x: i16) -> i16 {
        self.lookup(x)
    }
    #[inline(always)]
    fn block(&self, engine: Engine, lanes: &mut [i32]) {
        let mut pairs = [0; BLOCK];
        let pairs = &mut pairs[..lanes.len()];
        for (index, value) in pairs.iter_mut().zip(&*lanes) {
            *index = 256 + (value >> 7);
        }
        engine.pairs(bytemuck::cast_slice(&self.0[..]), pairs);
        for (value, pair) in lanes.iter_mut().zip(pairs) {
            let (base, next) = (*pair as i16, (*pair >> 16) as i16);
            let slope = i32::from(next.wrapping_sub(base));
            *value = base.wrapping_add(((slope * (*value & 127) + 64) >> 7) as i16).into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_precisions_differ_where_the_reference_implementations_do() {
        let table = |precision: Precision| {
            let parameters = Table16Parameters {
                input: (1.0 / 65_535.0, -32_768),
                output: (2.0 / 65_535.0, 0),
                precision,
            };
            Table16::new(&parameters, |x| precision.round(1.0 / precision.round(1.0 + x)))
        };
        let (double, single) = (table(Precision::Double), table(Precision::Single));
        let differing: alloc::vec::Vec<_> = (0..=INTERVALS)
            .filter(|&index| double.0[index] != single.0[index])
            .map(|index| (index, double.0[index], single.0[index]))
            .collect();
        assert_eq!(differing, [(160, 24_967, 24_966), (294, 20_815, 20_816)]);
    }
}
