//! Numbers that many devices have at once.
//!
//! A model is written once, on [`Lane`]; the kernels run it on [`Lanes`] of a width that fits the
//! instruction set. Everything here is built of additions, multiplications, divisions, square roots, fused
//! multiply-adds and bit operations, which are exact to the last bit everywhere: a device gives the same bits
//! alone, in any population, and on every machine.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// One number for each of several devices. Implemented by [`Lanes`] only.
///
/// `exp`, `ln`, `sinh` and their relatives are within 4 units in the last place of the exact value.
pub trait Lane:
    Copy
    + Debug
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sized
{
    /// A truth value for each device.
    type Mask: Copy + Debug;

    /// The same number for all.
    fn splat(value: f64) -> Self;
    /// A function of each number.
    fn map(self, f: impl Fn(f64) -> f64) -> Self;
    /// A function of each pair of numbers.
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self;
    /// Compares each pair of numbers.
    fn compare(self, other: Self, f: impl Fn(f64, f64) -> bool) -> Self::Mask;
    /// `self * factor + term`, rounded once.
    fn mul_add(self, factor: Self, term: Self) -> Self;
    /// `a` where the mask holds, else `b`.
    fn select(mask: Self::Mask, a: Self, b: Self) -> Self;
    /// Whether a mask holds anywhere.
    fn any(mask: Self::Mask) -> bool;

    /// Whether each number is below the other's.
    #[inline(always)]
    fn below(self, other: Self) -> Self::Mask {
        self.compare(other, |a, b| a < b)
    }

    /// Whether each number is above the other's.
    #[inline(always)]
    fn above(self, other: Self) -> Self::Mask {
        self.compare(other, |a, b| a > b)
    }

    /// Whether each number equals the other's.
    #[inline(always)]
    fn equal(self, other: Self) -> Self::Mask {
        self.compare(other, |a, b| a == b)
    }

    /// The lesser of each pair.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.zip(other, |a, b| if a < b { a } else { b })
    }

    /// The greater of each pair.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    /// Each number between two bounds; what is not a number stays so, that a fault is seen.
    #[inline(always)]
    fn clamp(self, low: Self, high: Self) -> Self {
        let above = self.zip(low, |x, low| if x < low { low } else { x });
        above.zip(high, |x, high| if x > high { high } else { x })
    }

    /// The magnitude.
    #[inline(always)]
    fn abs(self) -> Self {
        self.map(f64::abs)
    }

    /// The square root.
    #[inline(always)]
    fn sqrt(self) -> Self {
        self.map(f64::sqrt)
    }

    /// The exponential.
    #[inline(always)]
    fn exp(self) -> Self {
        let x = self.clamp(Self::splat(-746.0), Self::splat(710.0));
        let (n, r) = reduce(x);
        let value = horner(r, &EXP);
        // Two factors, so that subnormal and the largest results are reached.
        let half = n.map(|n| (0.5 * n + ROUND) - ROUND);
        // Not a number stays what it is: the polynomial is none either.
        value * half.map(power_of_two) * (n - half).map(power_of_two)
    }

    /// `exp(x) - 1` without loss near 0.
    #[inline(always)]
    fn exp_m1(self) -> Self {
        let small = horner(self, &EXP_M1) * self;
        let large = self.exp() - Self::splat(1.0);
        Self::select(self.abs().below(Self::splat(0.35)), small, large)
    }

    /// The natural logarithm; minus infinity for 0, not a number below it.
    #[inline(always)]
    fn ln(self) -> Self {
        // Subnormal numbers are brought into range first.
        let tiny = self.below(Self::splat(f64::MIN_POSITIVE));
        let x = Self::select(tiny, self * Self::splat(TWO_54), self);
        let shift = Self::select(tiny, Self::splat(-54.0), Self::splat(0.0));
        let exponent = x.map(|x| exponent(x) as f64) + shift;
        let f = x.map(mantissa) - Self::splat(1.0);
        let s = f / (f + Self::splat(2.0));
        let z = s * s;
        let tail = horner(z, &LN) * z;
        let log = s.mul_add(tail, s) * Self::splat(2.0);
        let log = exponent.mul_add(Self::splat(LN2_LOW), log);
        let log = exponent.mul_add(Self::splat(LN2_HIGH), log);
        let infinity = Self::splat(f64::INFINITY);
        let end = Self::select(self.equal(Self::splat(0.0)), -infinity, Self::splat(f64::NAN));
        let end = Self::select(self.equal(infinity), infinity, end);
        let inside = self.max(Self::splat(5e-324)).min(Self::splat(f64::MAX));
        Self::select(self.equal(inside), log, end)
    }

    /// `ln(1 + x)` without loss near 0.
    #[inline(always)]
    fn ln_1p(self) -> Self {
        let one = Self::splat(1.0);
        let u = self + one;
        let lost = (self - (u - one)) / u;
        let log = u.ln() + lost;
        // Where 1 + x is 1, or infinite, x itself is the answer.
        let log = Self::select(u.equal(Self::splat(f64::INFINITY)), self, log);
        Self::select(u.equal(one), self, log)
    }

    /// The hyperbolic sine.
    #[inline(always)]
    fn sinh(self) -> Self {
        // exp(|x|) overflows before sinh does; half the argument, squared, does not.
        let magnitude = self.abs();
        let e = magnitude.exp_m1();
        let near = Self::splat(0.5) * (e + e / (e + Self::splat(1.0)));
        let half = (magnitude * Self::splat(0.5)).exp();
        let far = Self::splat(0.5) * half * half;
        let value = Self::select(magnitude.above(Self::splat(700.0)), far, near);
        value.zip(self, f64::copysign)
    }

    /// A power of a base that is not negative; 0 to a positive power is 0.
    ///
    /// Whole exponents from 0 to 8 are products, exact to a few roundings; others go through the logarithm,
    /// with a relative error of about `|exponent ln(base)|` times 2^-52.
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        // One comparison each: conditions that are joined keep the compiler from vectors.
        let near = exponent.max(Self::splat(0.0)).min(Self::splat(8.0)).map(f64::floor);
        let whole = exponent.equal(near);
        let real = exponent.compare(near, |y, near| y != near);
        let mut result = Self::splat(1.0);
        if Self::any(whole) {
            let mut product = Self::splat(1.0);
            for k in 1..=8 {
                let more = exponent.compare(Self::splat(f64::from(k)), |y, k| y >= k);
                if !Self::any(more) {
                    break;
                }
                product = Self::select(more, product * self, product);
            }
            result = product;
        }
        if Self::any(real) {
            let power = (exponent * self.ln()).exp();
            let power = Self::select(self.equal(Self::splat(0.0)), Self::splat(0.0), power);
            result = Self::select(whole, result, power);
        }
        result
    }

    /// `cos(2 pi x)` for x in [0, 1].
    #[inline(always)]
    fn cos_turns(self) -> Self {
        // Quarter turns away, and the rest within an eighth of a turn.
        let quarters = (self * Self::splat(4.0)).map(|x| (x + ROUND) - ROUND);
        let rest = quarters.mul_add(Self::splat(-0.25), self) * Self::splat(2.0 * std::f64::consts::PI);
        let square = rest * rest;
        let cosine = horner(square, &COS);
        let sine = horner(square, &SIN) * rest;
        let which = quarters.map(|q| q - 4.0 * (q * 0.25).floor());
        let even = which.compare(which, |q, _| 2.0 * (0.5 * q).floor() == q);
        let value = Self::select(even, cosine, -sine);
        let turned = which.compare(which, |q, _| q >= 2.0);
        Self::select(turned, -value, value)
    }
}

/// `x = n ln 2 + r`, n whole, |r| at most half of ln 2.
#[inline(always)]
fn reduce<L: Lane>(x: L) -> (L, L) {
    let n = (x * L::splat(std::f64::consts::LOG2_E)).map(|x| (x + ROUND) - ROUND);
    let r = n.mul_add(L::splat(-LN2_HIGH), x);
    (n, n.mul_add(L::splat(-LN2_LOW), r))
}

/// A polynomial, coefficients from the highest power down.
#[inline(always)]
fn horner<L: Lane, const N: usize>(x: L, coefficients: &[f64; N]) -> L {
    let mut sum = L::splat(coefficients[0]);
    for coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, L::splat(*coefficient));
    }
    sum
}

/// Adding and taking away 1.5 * 2^52 rounds to the nearest whole number.
const ROUND: f64 = 6_755_399_441_055_744.0;
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
const EXP: [f64; 14] = factorials(0);
/// `(exp(x) - 1) / x` up to the 13th power, for |x| below 0.35.
const EXP_M1: [f64; 14] = factorials(1);

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

const COS: [f64; 9] = alternating(0);
const SIN: [f64; 9] = alternating(1);

/// 2 to a whole power from -1022 to 1023.
#[inline(always)]
fn power_of_two(n: f64) -> f64 {
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

/// The numbers of W devices.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Lanes<const W: usize>(pub [f64; W]);

macro_rules! arithmetic {
    ($($trait:ident $method:ident $operator:tt;)*) => {$(
        impl<const W: usize> $trait for Lanes<W> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let mut result = self;
                for i in 0..W {
                    result.0[i] = self.0[i] $operator other.0[i];
                }
                result
            }
        }
    )*};
}

arithmetic! { Add add +; Sub sub -; Mul mul *; Div div /; }

impl<const W: usize> Neg for Lanes<W> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|x| -x)
    }
}

// Counted loops over arrays are what the compiler turns into vector instructions.
#[allow(clippy::needless_range_loop)]
impl<const W: usize> Lane for Lanes<W> {
    type Mask = [bool; W];

    #[inline(always)]
    fn splat(value: f64) -> Self {
        Self([value; W])
    }

    #[inline(always)]
    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let mut result = self;
        for i in 0..W {
            result.0[i] = f(self.0[i]);
        }
        result
    }

    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut result = self;
        for i in 0..W {
            result.0[i] = f(self.0[i], other.0[i]);
        }
        result
    }

    #[inline(always)]
    fn compare(self, other: Self, f: impl Fn(f64, f64) -> bool) -> [bool; W] {
        let mut mask = [false; W];
        for i in 0..W {
            mask[i] = f(self.0[i], other.0[i]);
        }
        mask
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        let mut result = self;
        for i in 0..W {
            result.0[i] = self.0[i].mul_add(factor.0[i], term.0[i]);
        }
        result
    }

    #[inline(always)]
    fn select(mask: [bool; W], a: Self, b: Self) -> Self {
        let mut result = a;
        for i in 0..W {
            result.0[i] = if mask[i] { a.0[i] } else { b.0[i] };
        }
        result
    }

    #[inline(always)]
    fn any(mask: [bool; W]) -> bool {
        let mut any = false;
        for held in mask {
            any |= held;
        }
        any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of the expected value.
    fn ulps(found: f64, expected: f64) -> f64 {
        if found == expected || (found.is_nan() && expected.is_nan()) {
            return 0.0;
        }
        let step = f64::from_bits(expected.abs().to_bits() + 1) - expected.abs();
        ((found - expected) / step).abs()
    }

    #[track_caller]
    fn check(
        name: &str,
        bound: f64,
        points: impl Iterator<Item = f64>,
        f: fn(Lanes<2>) -> Lanes<2>,
        exact: fn(f64) -> f64,
    ) {
        for x in points {
            let Lanes([found, other]) = f(Lanes([x, x]));
            assert_eq!(found.to_bits(), other.to_bits());
            let distance = ulps(found, exact(x));
            assert!(distance <= bound, "{name}({x:e}) = {found:e}, expected {:e}: {distance} ulp", exact(x));
        }
    }

    fn spread(low: f64, high: f64) -> impl Iterator<Item = f64> {
        (0..20_000).map(move |i| low + (high - low) * (f64::from(i) * 0.618_033_988_749).fract())
    }

    fn decades() -> impl Iterator<Item = f64> {
        spread(-300.0, 300.0).map(|x| 10f64.powf(x))
    }

    /// The references are the standard library's, themselves within an ulp.
    #[test]
    fn functions_are_near_the_exact_ones() {
        check("exp", 3.0, spread(-740.0, 709.7), Lane::exp, f64::exp);
        check("exp", 2.0, spread(-1.0, 1.0), Lane::exp, f64::exp);
        check("exp_m1", 4.0, spread(-2.0, 2.0), Lane::exp_m1, f64::exp_m1);
        check("exp_m1", 2.0, spread(-1e-8, 1e-8), Lane::exp_m1, f64::exp_m1);
        check("ln", 2.0, decades(), Lane::ln, f64::ln);
        check("ln", 3.0, spread(0.5, 2.0), Lane::ln, f64::ln);
        check("ln_1p", 4.0, spread(-0.999, 3.0), Lane::ln_1p, f64::ln_1p);
        check("ln_1p", 2.0, spread(-1e-9, 1e-9), Lane::ln_1p, f64::ln_1p);
        check("sinh", 5.0, spread(-3.0, 3.0), Lane::sinh, f64::sinh);
        check("sinh", 6.0, spread(-710.0, 710.0), Lane::sinh, f64::sinh);
        check("sqrt", 0.0, decades(), Lane::sqrt, f64::sqrt);
    }

    #[test]
    fn ends_and_numbers_that_are_none() {
        let one = |f: fn(Lanes<1>) -> Lanes<1>, x: f64| f(Lanes([x])).0[0];
        assert_eq!(one(Lane::exp, f64::NEG_INFINITY), 0.0);
        assert_eq!(one(Lane::exp, f64::INFINITY), f64::INFINITY);
        assert_eq!(one(Lane::exp, 0.0), 1.0);
        assert_eq!(one(Lane::ln, 0.0), f64::NEG_INFINITY);
        assert_eq!(one(Lane::ln, f64::INFINITY), f64::INFINITY);
        assert_eq!(one(Lane::ln, 1.0), 0.0);
        assert!(ulps(one(Lane::ln, 5e-324), (5e-324f64).ln()) < 2.0);
        assert!(one(Lane::ln, -1.0).is_nan() && one(Lane::exp, f64::NAN).is_nan());
        assert_eq!(one(Lane::ln_1p, 0.0), 0.0);
        assert_eq!(one(Lane::sinh, -0.0).to_bits(), (-0.0f64).to_bits());
    }

    #[test]
    fn clamping_does_not_hide_what_is_not_a_number() {
        let Lanes([below, within, above, none]) =
            Lanes([-3.0, 0.5, f64::INFINITY, f64::NAN]).clamp(Lanes([0.0; 4]), Lanes([1.0; 4]));
        assert_eq!((below, within, above), (0.0, 0.5, 1.0));
        assert!(none.is_nan());
    }

    #[test]
    fn powers_by_products_and_by_logarithms() {
        for base in spread(0.0, 20.0).take(500).chain([0.0, 1.0]) {
            for exponent in [0.0, 1.0, 2.0, 3.0, 8.0, 0.5, 2.7, 11.0] {
                let Lanes([found, _]) = Lanes([base, base]).pow(Lanes([exponent, 3.3]));
                let alone = Lanes([base]).pow(Lanes([exponent])).0[0];
                // A device does not see which exponents its neighbours have.
                assert_eq!(found.to_bits(), alone.to_bits());
                let expected = base.powf(exponent);
                assert!(
                    (found - expected).abs() <= 1e-14 * expected,
                    "{base} {exponent}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn cosine_of_turns() {
        for x in spread(0.0, 1.0).chain([0.0, 0.25, 0.5, 0.75, 1.0]) {
            let found = Lanes([x]).cos_turns().0[0];
            let expected = (2.0 * std::f64::consts::PI * x).cos();
            // The reference rounds 2 pi x first, by up to 4.4e-16.
            assert!((found - expected).abs() < 1e-15, "{x} {found} {expected}");
        }
    }
}
