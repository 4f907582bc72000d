//! `C += A B` for the small matrices of a reduction, with AVX-512.
//!
//! Eight rows by 24 columns of C are summed in registers over ascending k, then added to C: the order in which
//! `matrixmultiply` does it too, which serves all other processors, so that both give the same bits. What is saved
//! is that A is not packed, and B only where more than a few rows use it.

#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Elements of a register.
const LANES: usize = 8;
/// Registers of a row of C.
const VECTORS: usize = 3;
/// Rows of C.
const ROWS: usize = 8;
/// The longest sum before it is added to C.
const DEPTH: usize = 256;
/// From how many rows on B is packed.
const PACKED: usize = 3 * ROWS;

/// A panel of B.
#[repr(align(64))]
struct Panel([MaybeUninit<f64>; DEPTH * VECTORS * LANES]);

/// Matrices that are parts of others, with their strides in elements.
#[derive(Clone, Copy)]
pub(super) struct Parts {
    pub(super) a: *const f64,
    /// From row to row, and from column to column.
    pub(super) a_strides: [usize; 2],
    pub(super) b: *const f64,
    /// From row to row.
    pub(super) b_stride: usize,
    pub(super) c: *mut f64,
    /// From row to row.
    pub(super) c_stride: usize,
}

/// `C += A B`, A being `[m, k]`, B `[k, n]`.
///
/// # Safety
/// The processor has AVX-512F; every element of the matrices is valid at its place, and C shares none with A and B.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply_add([m, k, n]: [usize; 3], parts: Parts) {
    let mut panel = Panel([MaybeUninit::uninit(); DEPTH * VECTORS * LANES]);
    for first in (0..k).step_by(DEPTH) {
        let depth = DEPTH.min(k - first);
        for column in (0..n).step_by(VECTORS * LANES) {
            let width = (n - column).min(VECTORS * LANES);
            let vectors = width.div_ceil(LANES);
            // Of the last register.
            let mask = (0xffu16 >> (vectors * LANES - width)) as __mmask8;
            // SAFETY: offsets stay inside the matrices, and the panel has `depth` rows of whole registers.
            unsafe {
                let mut b = (parts.b.add(first * parts.b_stride + column), parts.b_stride);
                if m >= PACKED {
                    let to: *mut f64 = panel.0.as_mut_ptr().cast();
                    for row in 0..depth {
                        for v in 0..vectors {
                            let from = b.0.add(row * b.1 + v * LANES);
                            let some = if v + 1 == vectors { mask } else { 0xff };
                            let values = _mm512_maskz_loadu_pd(some, from);
                            _mm512_store_pd(to.add((row * vectors + v) * LANES), values);
                        }
                    }
                    b = (to, vectors * LANES);
                }
                let blocks = m.div_ceil(ROWS);
                for block in 0..blocks {
                    let (row, end) = (block * m / blocks, (block + 1) * m / blocks);
                    let block = Block {
                        depth,
                        mask,
                        a: parts.a.add(row * parts.a_strides[0] + first * parts.a_strides[1]),
                        a_strides: parts.a_strides,
                        b,
                        c: (parts.c.add(row * parts.c_stride + column), parts.c_stride),
                    };
                    match vectors {
                        1 => rows::<1>(end - row, &block),
                        2 => rows::<2>(end - row, &block),
                        _ => rows::<3>(end - row, &block),
                    }
                }
            }
        }
    }
}

/// Some rows by some registers of C.
struct Block {
    depth: usize,
    mask: __mmask8,
    a: *const f64,
    a_strides: [usize; 2],
    b: (*const f64, usize),
    c: (*mut f64, usize),
}

/// # Safety
/// As [`multiply_add`].
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn rows<const V: usize>(count: usize, block: &Block) {
    // SAFETY: the caller's promise.
    unsafe {
        match count {
            1 => add::<1, V>(block),
            2 => add::<2, V>(block),
            3 => add::<3, V>(block),
            4 => add::<4, V>(block),
            5 => add::<5, V>(block),
            6 => add::<6, V>(block),
            7 => add::<7, V>(block),
            _ => add::<8, V>(block),
        }
    }
}

/// # Safety
/// As [`multiply_add`], for `R` rows and `V` registers.
#[target_feature(enable = "avx512f")]
#[inline]
unsafe fn add<const R: usize, const V: usize>(block: &Block) {
    let [row, column] = block.a_strides;
    let mut sums = [[_mm512_setzero_pd(); V]; R];
    let mut b = block.b.0;
    let mut a: [*const f64; R] = std::array::from_fn(|r| block.a.wrapping_add(r * row));
    for _ in 0..block.depth {
        // SAFETY: the caller's promise; of the last register only what the mask says is read.
        unsafe {
            let mut values = [_mm512_setzero_pd(); V];
            for (v, values) in values.iter_mut().enumerate() {
                let some = if v + 1 == V { block.mask } else { 0xff };
                *values = _mm512_maskz_loadu_pd(some, b.wrapping_add(v * LANES));
            }
            for (sums, a) in sums.iter_mut().zip(&mut a) {
                let factor = _mm512_set1_pd(**a);
                for (sum, values) in sums.iter_mut().zip(values) {
                    *sum = _mm512_fmadd_pd(factor, values, *sum);
                }
                *a = a.wrapping_add(column);
            }
        }
        b = b.wrapping_add(block.b.1);
    }
    for (r, sums) in sums.iter().enumerate() {
        for (v, sum) in sums.iter().enumerate() {
            let some = if v + 1 == V { block.mask } else { 0xff };
            let c = block.c.0.wrapping_add(r * block.c.1 + v * LANES);
            // SAFETY: the caller's promise.
            unsafe { _mm512_mask_storeu_pd(c, some, _mm512_add_pd(*sum, _mm512_maskz_loadu_pd(some, c))) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super as kernel;

    /// Numbers that tell orders of summation apart.
    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..count).map(|_| next() * 10f64.powf(8.0 * next() - 4.0)).collect()
    }

    #[test]
    fn products_have_the_bits_of_matrixmultiply() {
        if !std::arch::is_x86_feature_detected!("avx512f") {
            println!("SKIPPED: this processor has no AVX-512");
            return;
        }
        let sizes = [1, 2, 7, 8, 9, 16, 23, 24, 25, 31, 48, 50, 97];
        for (case, &m) in sizes.iter().enumerate() {
            for &n in &sizes {
                for k in [1, 2, 15, 16, 64, 255, 256, 257, 300] {
                    // Rows with gaps, and A by columns.
                    let by_columns = (case + k) % 2 == 0;
                    let a_strides = if by_columns { [1, m + 3] } else { [k + 2, 1] };
                    let a = numbers((m + 3) * (k + 2), 1 + k as u64);
                    let b = numbers(k * (n + 1), 2 + n as u64);
                    let c = numbers(m * (n + 5), 3 + m as u64);
                    let (mut found, mut expected) = (c.clone(), c);
                    kernel::multiply_add([m, k, n], &a, a_strides, &b, n + 1, &mut found, n + 5);
                    // SAFETY: as the lengths say, and as the call before has asserted.
                    unsafe { kernel::general([m, k, n], &a, a_strides, &b, n + 1, &mut expected, n + 5) };
                    let bits = |list: &[f64]| list.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert!(bits(&found) == bits(&expected), "{m} {k} {n}, by columns: {by_columns}");
                }
            }
        }
    }
}
