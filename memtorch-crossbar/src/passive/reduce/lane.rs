use std::ops::{Add, AddAssign, Div, Mul};

/// A number, or one number for each of several equal networks that are reduced side by side.
pub(super) trait Lane:
    Copy + Default + Add<Output = Self> + AddAssign + Mul<Output = Self> + Div<Output = Self>
{
    /// One in every network.
    const ONE: Self;

    /// [`star_mesh::add_products`](super::star_mesh::add_products) with as many columns at a time as
    /// registers hold.
    fn add_products(row: &mut [Self], i: usize, shares: &[Self], coupling: &[Self]);
}

impl Lane for f64 {
    const ONE: Self = 1.0;

    #[inline(always)]
    fn add_products(row: &mut [Self], i: usize, shares: &[Self], coupling: &[Self]) {
        super::star_mesh::add_products::<Self, 32, 8>(row, i, shares, coupling);
    }
}

/// How many equal networks are reduced side by side.
pub(super) const LANES: usize = 8;

/// One number for each of [`LANES`] networks.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
pub(super) struct Wide(pub(super) [f64; LANES]);

macro_rules! lanewise {
    ($trait:ident, $method:ident, $op:tt) => {
        impl $trait for Wide {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let mut out = [0.0; LANES];
                for l in 0..LANES {
                    out[l] = self.0[l] $op other.0[l];
                }
                Self(out)
            }
        }
    };
}
lanewise!(Add, add, +);
lanewise!(Mul, mul, *);
lanewise!(Div, div, /);

impl AddAssign for Wide {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Lane for Wide {
    const ONE: Self = Self([1.0; LANES]);

    #[inline(always)]
    fn add_products(row: &mut [Self], i: usize, shares: &[Self], coupling: &[Self]) {
        super::star_mesh::add_products::<Self, 8, 4>(row, i, shares, coupling);
    }
}
