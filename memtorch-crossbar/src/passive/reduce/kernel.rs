//! The parts that take the time, compiled for what the processor can do.
//!
//! Every path does the same operations in the same order; only the widths of registers differ.

#[cfg(target_arch = "x86_64")]
mod product;

use super::block::{Block, Joint, join};
use super::lane::Wide;
use super::leaf::{Shape, reduce_wide};
use super::pool::Pool;
use super::{blocked, star_mesh};
use crate::passive::kernel::for_each_processor;

for_each_processor!(
    /// Reduces several equal leaves side by side.
    wide_leaf, reduce_wide,
    (shape: Shape, cells: &[[Wide; 3]], pool: &mut Pool<Wide>) -> Block<Wide>
);
for_each_processor!(
    /// Joins two blocks and eliminates what they share.
    merge, merge_plain, (first: Block<f64>, second: Block<f64>, below: bool, pool: &mut Pool<f64>) -> Block<f64>
);
for_each_processor!(
    /// Eliminates the shared nodes of a joint.
    eliminate, eliminate_plain, (joint: Joint<f64>, pool: &mut Pool<f64>) -> Block<f64>
);
for_each_processor!(
    /// [`blocked::solve_few`].
    solve_panel, blocked::solve_few, (inner: &[f64], n: usize, coupling: &mut [f64], p: usize) -> ()
);

#[inline(always)]
fn merge_plain(first: Block<f64>, second: Block<f64>, below: bool, pool: &mut Pool<f64>) -> Block<f64> {
    let joint = join(first, second, below, pool);
    eliminate_plain(joint, pool)
}

#[inline(always)]
fn eliminate_plain(joint: Joint<f64>, pool: &mut Pool<f64>) -> Block<f64> {
    if joint.shared < blocked::WORTHWHILE {
        star_mesh::eliminate(joint, pool)
    } else {
        blocked::eliminate(joint, pool)
    }
}

/// `C += A B`, for matrices that are parts of others.
///
/// `a` is `[m, k]` with strides `a_strides` (row, column); `b` `[k, n]` and `c` `[m, n]` have unit
/// column strides and the row strides given.
#[allow(clippy::too_many_arguments)]
pub(super) fn multiply_add(
    [m, k, n]: [usize; 3],
    a: &[f64],
    a_strides: [usize; 2],
    b: &[f64],
    b_stride: usize,
    c: &mut [f64],
    c_stride: usize,
) {
    if m == 0 || k == 0 || n == 0 {
        return;
    }
    assert!(a.len() > (m - 1) * a_strides[0] + (k - 1) * a_strides[1]);
    assert!(b.len() >= (k - 1) * b_stride + n);
    assert!(c.len() >= (m - 1) * c_stride + n && (m == 1 || c_stride >= n));
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
        let parts = product::Parts { a, a_strides, b, b_stride, c, c_stride };
        // SAFETY: the processor has AVX-512F; the assertions keep every element inside its slice, and c is borrowed
        // alone.
        return unsafe { product::multiply_add([m, k, n], parts) };
    }
    // SAFETY: the assertions keep every element inside its slice.
    unsafe { general([m, k, n], a, a_strides, b, b_stride, c, c_stride) }
}

/// [`multiply_add`] on any processor.
///
/// # Safety
/// Every element of the matrices is inside its slice; rows of `c` do not overlap.
#[allow(clippy::too_many_arguments)]
pub(super) unsafe fn general(
    [m, k, n]: [usize; 3],
    a: &[f64],
    a_strides: [usize; 2],
    b: &[f64],
    b_stride: usize,
    c: &mut [f64],
    c_stride: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        matrixmultiply::dgemm(
            m,
            k,
            n,
            1.0,
            a.as_ptr(),
            a_strides[0] as isize,
            a_strides[1] as isize,
            b.as_ptr(),
            b_stride as isize,
            1,
            1.0,
            c.as_mut_ptr(),
            c_stride as isize,
            1,
        );
    }
}
