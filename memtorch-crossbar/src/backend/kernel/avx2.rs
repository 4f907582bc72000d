//! AVX2 with FMA: eight lanes, 16 registers.

use std::arch::x86_64::*;

use super::simd::Simd;

// SAFETY of the whole implementation: the intrinsics need AVX2 and FMA, which is the caller's promise;
// loads and stores need no alignment.
#[allow(clippy::undocumented_unsafe_blocks, reason = "stated once above")]
impl Simd for __m256 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        unsafe { _mm256_fmadd_ps(self, b, c) }
    }

    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        unsafe { _mm256_mul_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        unsafe { _mm256_add_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn floor(self) -> Self {
        unsafe { _mm256_floor_ps(self) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), self) }
    }

    #[inline(always)]
    unsafe fn min(self, b: Self) -> Self {
        unsafe { _mm256_min_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn max(self, b: Self) -> Self {
        unsafe { _mm256_max_ps(self, b) }
    }

    #[inline(always)]
    unsafe fn differing(self, b: Self) -> u32 {
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_OQ>(self, b)) as u32 }
    }

    #[inline(always)]
    unsafe fn largest(self) -> f32 {
        unsafe {
            let half = _mm_max_ps(_mm256_extractf128_ps::<1>(self), _mm256_castps256_ps128(self));
            let pair = _mm_max_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
        }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> Self {
        unsafe { _mm256_maskload_ps(from, first(n)) }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, n: usize) {
        unsafe { _mm256_maskstore_ps(to, first(n), self) }
    }

    #[inline(always)]
    unsafe fn split(self, b: Self) -> (Self, Self) {
        unsafe {
            // Within halves of 128 bits; then the four pairs in order.
            let order =
                |x: __m256| _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(x)));
            let even = order(_mm256_shuffle_ps::<0b10_00_10_00>(self, b));
            (even, order(_mm256_shuffle_ps::<0b11_01_11_01>(self, b)))
        }
    }

    #[inline(always)]
    unsafe fn pick(self, b: Self, order: *const i32) -> Self {
        unsafe {
            let order = _mm256_loadu_si256(order.cast());
            let (first, second) = (_mm256_permutevar8x32_ps(self, order), _mm256_permutevar8x32_ps(b, order));
            // The fourth bit tells which of the two, the sign whether any.
            let which = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(order));
            let missing = _mm256_castsi256_ps(_mm256_srai_epi32::<31>(order));
            _mm256_andnot_ps(missing, _mm256_blendv_ps(first, second, which))
        }
    }

    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
}

/// All ones in the first `n` lanes.
#[inline(always)]
#[allow(clippy::undocumented_unsafe_blocks, reason = "stated once above")]
unsafe fn first(n: usize) -> __m256i {
    unsafe {
        _mm256_cmpgt_epi32(_mm256_set1_epi32(n.min(8) as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
    }
}

super::isa!(
    Avx2, __m256, "avx2",
    blocks: [6, 6, 3, 1], columns: [1, 3],
    #[target_feature(enable = "avx2,fma,popcnt")]
);
