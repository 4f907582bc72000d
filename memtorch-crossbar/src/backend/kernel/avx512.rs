//! AVX-512: sixteen lanes, 32 registers.

use std::arch::x86_64::*;

use super::simd::Simd;

// SAFETY of the whole implementation: the intrinsics need AVX-512F, AVX-512DQ (and what they imply), which
// is the caller's promise; loads and stores need no alignment.
#[allow(clippy::undocumented_unsafe_blocks, reason = "stated once above")]
impl Simd for __m512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        unsafe { _mm512_fmadd_ps(self, b, c) }
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        unsafe { _mm512_mul_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        unsafe { _mm512_add_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn floor(self) -> Self {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(self) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        unsafe { _mm512_abs_ps(self) }
    }

    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        unsafe { _mm512_min_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        unsafe { _mm512_max_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn differing(self, b: Self) -> u32 {
        unsafe { u32::from(_mm512_cmp_ps_mask::<_CMP_NEQ_OQ>(self, b)) }
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        unsafe { _mm512_reduce_max_ps(self) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        unsafe { _mm512_maskz_loadu_ps(first(n), from) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        unsafe { _mm512_mask_storeu_ps(to, first(n), self) }
    }

    #[inline(always)]
    unsafe fn split(self, b: Self) -> (Self, Self) {
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            (_mm512_permutex2var_ps(self, even, b), _mm512_permutex2var_ps(self, odd, b))
        }
    }

    #[inline(always)]
    unsafe fn pick(self, b: Self, order: *const i32) -> Self {
        unsafe {
            let order = _mm512_loadu_epi32(order);
            let there = !_mm512_movepi32_mask(order);
            _mm512_maskz_permutex2var_ps(there, self, order, b)
        }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}

/// A bit for each of the first `n` lanes.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    if n < 16 { (1 << n) - 1 } else { __mmask16::MAX }
}

super::isa!(
    Avx512, __m512, "avx512",
    blocks: [13, 13, 6, 3], columns: [3, 6],
    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,popcnt")]
);
