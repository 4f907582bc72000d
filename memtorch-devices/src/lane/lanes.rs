use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Lane;

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
