//! Lanes that are arrays: they compile for any processor.

use std::cmp::Ordering;

use super::simd::Simd;

/// Eight f32: two NEON registers, or one of AVX.
#[derive(Clone, Copy)]
pub(super) struct Lanes([f32; 8]);

impl Lanes {
    #[inline(always)]
    fn zip(self, b: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], b.0[i])))
    }
}

impl Simd for Lanes {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        Self([x; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; the read needs no alignment.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise; the write needs no alignment.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].mul_add(b.0[i], c.0[i])))
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        self.zip(b, |x, y| x * y)
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        self.zip(b, |x, y| x + y)
    }

    #[inline(always)]
    unsafe fn floor(self) -> Self {
        Self(self.0.map(f32::floor))
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        self.zip(b, |x, y| if x < y { x } else { y })
    }

    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        self.zip(b, |x, y| if x > y { x } else { y })
    }

    #[inline(always)]
    unsafe fn differing(self, b: Self) -> u32 {
        let differ = |i: usize| self.0[i].partial_cmp(&b.0[i]).is_some_and(Ordering::is_ne);
        (0..8).map(|i| u32::from(differ(i)) << i).sum()
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        self.0.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        // SAFETY: the caller's promise.
        Self(std::array::from_fn(|i| if i < n { unsafe { from.add(i).read() } } else { 0.0 }))
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        for (i, x) in self.0.into_iter().enumerate().take(n) {
            // SAFETY: the caller's promise.
            unsafe { to.add(i).write(x) };
        }
    }

    #[inline(always)]
    unsafe fn split(self, b: Self) -> (Self, Self) {
        let get = |i: usize| if i < 8 { self.0[i] } else { b.0[i - 8] };
        (Self(std::array::from_fn(|i| get(2 * i))), Self(std::array::from_fn(|i| get(2 * i + 1))))
    }

    #[inline(always)]
    unsafe fn pick(self, b: Self, order: *const i32) -> Self {
        let get = |i: usize| if i < 8 { self.0[i] } else { b.0[i & 7] };
        // SAFETY: the caller's promise.
        Self(std::array::from_fn(|i| usize::try_from(unsafe { order.add(i).read() }).map_or(0.0, get)))
    }

    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}
}

super::isa!(PortableLanes, Lanes, "lanes", blocks: [6, 6, 3, 1], columns: [1, 3],);
