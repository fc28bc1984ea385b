//! The exponential function of floats, without branches, so that loops of it become vectors.
//!
//! All are FreeBSD's (`e_expf.c`, `e_exp.c`, `s_expm1f.c`), operation by operation, and so have the bits of `libm`'s: with
//! `x = k ln 2 + r`, `e^x = 2^k e^r`, where `e^r` is a rational function of `r`.

/// `e^x` in single precision.
#[inline]
pub(crate) fn exp_single(x: f32) -> f32 {
    const LN_2: [f32; 2] = [6.931_457_5e-1, 1.428_606_8e-6];
    const FACTORS: [f32; 2] = [1.666_662_5e-1, -2.766_733_3e-3];
    // Beyond these, which the bounds of the argument bring about as well, are 0 and infinity.
    let x = if x < -110.0 { -110.0 } else { x };
    let x = if x > 90.0 { 90.0 } else { x };
    let magnitude = x.abs();
    let half = f32::copysign(0.5, x);
    let many = (core::f32::consts::LOG2_E * x + half) as i32;
    let one = if x < 0.0 { -1 } else { 1 };
    let k = if magnitude > f32::from_bits(0x3f85_1592) { many } else { one };
    let k = if magnitude > f32::from_bits(0x3eb1_7218) { k } else { 0 };
    let (high, low) = (x - k as f32 * LN_2[0], k as f32 * LN_2[1]);
    let r = high - low;
    let square = r * r;
    let c = r - square * (FACTORS[0] + square * FACTORS[1]);
    let y = 1.0 + (r * c / (2.0 - c) - low + high);
    let y = if magnitude > f32::from_bits(0x3900_0000) { y } else { 1.0 + x };
    // In two steps, of which the first is exact: a result too small for full precision is rounded once.
    let power = |k: i32| f32::from_bits((127 + k).cast_unsigned() << 23);
    y * power(k >> 1) * power(k - (k >> 1))
}

/// `e^x`, computed in double precision and rounded once.
#[inline]
pub(crate) fn exp(x: f32) -> f32 {
    const LN_2: [f64; 2] = [6.931_471_803_691_238e-1, 1.908_214_929_270_587_7e-10];
    const FACTORS: [f64; 5] = [
        1.666_666_666_666_660_2e-1,
        -2.777_777_777_701_559_3e-3,
        6.613_756_321_437_934e-5,
        -1.653_390_220_546_525_2e-6,
        4.138_136_797_057_238_5e-8,
    ];
    // Beyond these the result is 0 or infinity in single precision.
    let x = if x < -110.0 { -110.0 } else { x };
    let x = f64::from(if x > 90.0 { 90.0 } else { x });
    let magnitude = x.abs();
    let many = (core::f64::consts::LOG2_E * x + f64::copysign(0.5, x)) as i32;
    let one = if x < 0.0 { -1 } else { 1 };
    let k = if magnitude >= f64::from_bits(0x3ff0_a2b2 << 32) { many } else { one };
    let k = if magnitude >= f64::from_bits(0x3fd6_2e43 << 32) { k } else { 0 };
    let (high, low) = (x - f64::from(k) * LN_2[0], f64::from(k) * LN_2[1]);
    let r = high - low;
    let square = r * r;
    let rest = FACTORS[3] + square * FACTORS[4];
    let rest = FACTORS[1] + square * (FACTORS[2] + square * rest);
    let c = r - square * (FACTORS[0] + square * rest);
    let y = 1.0 + (r * c / (2.0 - c) - low + high);
    (y * f64::from_bits(((1023 + i64::from(k)) << 52).cast_unsigned())) as f32
}

/// `e^x - 1` in single precision, also where `x` is near 0.
#[inline]
pub(crate) fn exp_minus_1(x: f32) -> f32 {
    const LN_2: [f32; 2] = [6.931_381e-1, 9.058_001e-6];
    const FACTORS: [f32; 2] = [-3.333_321_2e-2, 1.580_717e-3];
    // Beyond these the result is -1 or infinity.
    let x = if x < -20.0 { -20.0 } else { x };
    let x = if x > 90.0 { 90.0 } else { x };
    let magnitude = x.abs();
    let many = (core::f32::consts::LOG2_E * x + f32::copysign(0.5, x)) as i32;
    let one = if x < 0.0 { -1 } else { 1 };
    let k = if magnitude >= f32::from_bits(0x3f85_1592) { many } else { one };
    let k = if magnitude > f32::from_bits(0x3eb1_7218) { k } else { 0 };
    let (high, low) = (x - k as f32 * LN_2[0], k as f32 * LN_2[1]);
    let r = high - low;
    // What `r` lacks of the difference.
    let rest = (high - r) - low;
    let half_square = r * (0.5 * r);
    let factor = 1.0 + half_square * (FACTORS[0] + half_square * FACTORS[1]);
    let t = 3.0 - factor * (0.5 * r);
    let e = half_square * ((factor - t) / (6.0 - r * t));
    // `e^r - 1 = r - e`; what follows differs in what is added first.
    let e = (r * (e - rest) - rest) - half_square;
    let power = |k: i32| f32::from_bits((127 + k).cast_unsigned() << 23);
    let inverse = power(-k.clamp(0, 56));
    let sum = if k < 23 { r - e + (1.0 - inverse) } else { r - (e + inverse) + 1.0 };
    let is_far = !(0..=56).contains(&k);
    let sum = if is_far { r - e + 1.0 } else { sum };
    let y = sum * power(k >> 1) * power(k - (k >> 1));
    let y = if is_far { y - 1.0 } else { y };
    let near = if r < -0.25 { -2.0 * (e - (r + 0.5)) } else { 1.0 + 2.0 * (r - e) };
    let y = if k == 1 { near } else { y };
    let y = if k == -1 { 0.5 * (r - e) - 0.5 } else { y };
    if k == 0 { r - e } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_the_bits_of_libm() {
        // Bits that are prime steps apart, and those around every bound.
        let bounds = [
            0x3f85_1592u32,
            0x3eb1_7218,
            0x3900_0000,
            0x3300_0000,
            0x4195_b844,
            0x42ae_ac50,
            0x42b1_7218,
            0x42cf_f1b5,
            0x7f80_0000,
        ];
        let near = bounds.into_iter().flat_map(|bits| bits - 2..bits + 3);
        for bits in (0..u32::MAX).step_by(1009).chain(near.clone()).chain(near.map(|bits| bits | 1 << 31)) {
            let x = f32::from_bits(bits);
            let same = |a: f32, b: f32| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
            assert!(same(exp_single(x), libm::expf(x)), "{x:e}: {:e}, {:e}", exp_single(x), libm::expf(x));
            let once = libm::exp(x.into()) as f32;
            assert!(same(exp(x), once), "{x:e}: {:e}, {once:e}", exp(x));
            let less = libm::expm1f(x);
            assert!(same(exp_minus_1(x), less), "{x:e}: {:e}, {less:e}", exp_minus_1(x));
        }
    }
}
