//! Reduction of arguments, and the series on what is left.

use super::Lane;

/// `x = n ln 2 + r`, n whole, |r| at most half of ln 2.
#[inline(always)]
pub(super) fn reduce<L: Lane>(x: L) -> (L, L) {
    let n = (x * L::splat(std::f64::consts::LOG2_E)).map(|x| (x + ROUND) - ROUND);
    let r = n.mul_add(L::splat(-LN2_HIGH), x);
    (n, n.mul_add(L::splat(-LN2_LOW), r))
}

/// The exponential of numbers some of which are so large or small that one power of two does not scale the result.
#[inline(always)]
pub(super) fn exp_far<L: Lane>(x: L) -> L {
    let (n, r) = reduce(x.clamp(L::splat(-746.0), L::splat(710.0)));
    // Two factors, so that subnormal and the largest results are reached.
    let half = n.map(|n| (0.5 * n + ROUND) - ROUND);
    // Not a number stays what it is: the polynomial is none either.
    horner(r, &EXP) * half.map(power_of_two) * (n - half).map(power_of_two)
}

/// The logarithm of positive normal numbers, times 2 to a power.
#[inline(always)]
pub(super) fn ln_normal<L: Lane>(x: L, power: L) -> L {
    let exponent = x.map(|x| exponent(x) as f64) + power;
    let f = x.map(mantissa) - L::splat(1.0);
    let s = f / (f + L::splat(2.0));
    let z = s * s;
    let tail = horner(z, &LN) * z;
    let log = s.mul_add(tail, s) * L::splat(2.0);
    let log = exponent.mul_add(L::splat(LN2_LOW), log);
    exponent.mul_add(L::splat(LN2_HIGH), log)
}

/// The logarithm of any numbers.
#[inline(always)]
pub(super) fn ln_far<L: Lane>(x: L) -> L {
    // Subnormal numbers are brought into range first.
    let tiny = x.below(L::splat(f64::MIN_POSITIVE));
    let scaled = L::select(tiny, x * L::splat(TWO_54), x);
    let log = ln_normal(scaled, L::select(tiny, L::splat(-54.0), L::splat(0.0)));
    let infinity = L::splat(f64::INFINITY);
    let end = L::select(x.equal(L::splat(0.0)), -infinity, L::splat(f64::NAN));
    let end = L::select(x.equal(infinity), infinity, end);
    let inside = x.max(L::splat(5e-324)).min(L::splat(f64::MAX));
    L::select(x.equal(inside), log, end)
}

/// A polynomial, coefficients from the highest power down.
#[inline(always)]
pub(super) fn horner<L: Lane, const N: usize>(x: L, coefficients: &[f64; N]) -> L {
    let mut sum = L::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, L::splat(*coefficient));
    }
    sum
}

/// Adding and taking away 1.5 * 2^52 rounds to the nearest whole number.
pub(super) const ROUND: f64 = 6_755_399_441_055_744.0;
const TWO_54: f64 = 18_014_398_509_481_984.0;
/// The leading 32 bits of ln 2, and the rest.
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

const fn factorials<const N: usize>(first: usize) -> [f64; N] {
    // 1 / first!, 1 / (first + 1)!, ..., from the highest down.
    let mut result = [0.0; N];
    let mut i = 0;
    while i < N {
        let mut factorial = 1.0;
        let mut k = 2;
        while k <= first + N - 1 - i {
            factorial *= k as f64;
            k += 1;
        }
        result[i] = 1.0 / factorial;
        i += 1;
    }
    result
}

/// Taylor's series up to the 13th power: on half of ln 2 the next term is below 4e-18.
pub(super) const EXP: [f64; 14] = factorials(0);
/// `(exp(x) - 1) / x` up to the 13th power, for |x| below 0.35.
pub(super) const EXP_M1: [f64; 14] = factorials(1);

/// `(atanh(s) / s - 1) / s^2` in s^2 up to its 10th power: for s below 0.172 the next term is below 1e-18.
const LN: [f64; 11] = {
    let mut result = [0.0; 11];
    let mut i = 0;
    while i < 11 {
        result[10 - i] = 1.0 / (2 * i + 3) as f64;
        i += 1;
    }
    result
};

/// Every second term of the exponential's series with alternating signs: cosine and sine / x in x^2.
const fn alternating<const N: usize>(first: usize) -> [f64; N] {
    let mut result = [0.0; N];
    let mut i = 0;
    while i < N {
        let mut factorial = 1.0;
        let mut k = 2;
        while k <= first + 2 * i {
            factorial *= k as f64;
            k += 1;
        }
        result[N - 1 - i] = if i % 2 == 0 { 1.0 } else { -1.0 } / factorial;
        i += 1;
    }
    result
}

pub(super) const COS: [f64; 9] = alternating(0);
pub(super) const SIN: [f64; 9] = alternating(1);

/// 2 to a whole power from -1022 to 1023.
#[inline(always)]
pub(super) fn power_of_two(n: f64) -> f64 {
    // The whole number stands in the low bits of n + 1.5 * 2^52.
    let low = (n + ROUND).to_bits() as i64;
    f64::from_bits((low.wrapping_add(1023) as u64) << 52)
}

/// The exponent that brings a normal number's mantissa nearest to 1.
#[inline(always)]
fn exponent(x: f64) -> i32 {
    let bits = x.to_bits().wrapping_sub(SQRT_HALF) as i64;
    (bits >> 52) as i32
}

/// The number divided by 2 to that exponent: from the root of 1/2 to the root of 2.
#[inline(always)]
fn mantissa(x: f64) -> f64 {
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    f64::from_bits((bits & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF))
}

/// The bits of the root of 1/2.
const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
