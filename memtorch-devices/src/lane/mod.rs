//! Numbers that many devices have at once.
//!
//! A model is written once, on [`Lane`]; the kernels run it on [`Lanes`] of a width that fits the
//! instruction set. Everything here is built of additions, multiplications, divisions, square roots, fused
//! multiply-adds and bit operations, which are exact to the last bit everywhere: a device gives the same bits
//! alone, in any population, and on every machine. Where a function goes a shorter way, because no device needs the
//! longer one, both ways give the same bits.

mod lanes;
mod series;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

pub use lanes::Lanes;
use series::{COS, EXP, EXP_M1, ROUND, SIN, exp_far, horner, ln_far, ln_normal, power_of_two, reduce};

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
        let far = self.compare(Self::splat(708.0), |x, far| !(x.abs() <= far));
        if Self::any(far) {
            return exp_far(self);
        }
        let (n, r) = reduce(self);
        horner(r, &EXP) * n.map(power_of_two)
    }

    /// `exp(x) - 1` without loss near 0.
    #[inline(always)]
    fn exp_m1(self) -> Self {
        let near = self.compare(Self::splat(0.35), |x, near| x.abs() < near);
        let far = self.compare(Self::splat(0.35), |x, near| !(x.abs() < near));
        let mut value = self;
        if Self::any(near) {
            value = horner(self, &EXP_M1) * self;
        }
        if Self::any(far) {
            value = Self::select(near, value, self.exp() - Self::splat(1.0));
        }
        value
    }

    /// The natural logarithm; minus infinity for 0, not a number below it.
    #[inline(always)]
    fn ln(self) -> Self {
        let inside = self.max(Self::splat(f64::MIN_POSITIVE)).min(Self::splat(f64::MAX));
        if Self::any(self.compare(inside, |x, inside| x != inside)) {
            return ln_far(self);
        }
        ln_normal(self, Self::splat(0.0))
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
        let magnitude = self.abs();
        let e = magnitude.exp_m1();
        let mut value = Self::splat(0.5) * (e + e / (e + Self::splat(1.0)));
        let far = magnitude.above(Self::splat(700.0));
        if Self::any(far) {
            // exp(|x|) overflows before sinh does; half the argument, squared, does not.
            let half = (magnitude * Self::splat(0.5)).exp();
            value = Self::select(far, Self::splat(0.5) * half * half, value);
        }
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
