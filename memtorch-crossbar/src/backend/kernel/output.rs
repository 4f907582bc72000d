//! An output that several tasks write at once.

use std::marker::PhantomData;

use super::{Kernel, Spread, single::Results};
use crate::Accumulate;

/// A slice whose elements tasks share out among them.
pub(super) struct Output<'a> {
    start: *mut f32,
    len: usize,
    accumulate: Accumulate,
    owner: PhantomData<&'a mut [f32]>,
}

// SAFETY: `add` is the only access, and its callers promise that no two tasks have an element in common.
unsafe impl Sync for Output<'_> {}

impl<'a> Output<'a> {
    pub(super) fn new(slice: &'a mut [f32], accumulate: Accumulate) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), accumulate, owner: PhantomData }
    }

    /// Puts results from `at` on.
    ///
    /// # Safety
    /// No other thread writes these elements meanwhile.
    #[inline]
    pub(super) unsafe fn put(&self, at: usize, results: &[f32]) {
        assert!(at <= self.len && results.len() <= self.len - at, "a result within the output");
        // SAFETY: inside the slice that `new` borrowed for 'a; alone, as the caller promises.
        let target = unsafe { std::slice::from_raw_parts_mut(self.start.add(at), results.len()) };
        match self.accumulate {
            Accumulate::Set => copy(target, results),
            Accumulate::Add => target.iter_mut().zip(results).for_each(|(y, x)| *y += x),
            Accumulate::Subtract => target.iter_mut().zip(results).for_each(|(y, x)| *y -= x),
        }
    }

    /// Puts rows of results, the first of them from `at` on, neighbouring ones `results_step` apart in `results`.
    ///
    /// # Safety
    /// The instructions of `K`; no other thread writes these elements meanwhile.
    #[inline]
    pub(super) unsafe fn put_rows<K: Kernel>(
        &self,
        at: usize,
        Rows { rows, len, step }: Rows,
        results: &[f32],
        results_step: usize,
    ) {
        if self.accumulate != Accumulate::Set {
            for row in 0..rows {
                let results = &results[row * results_step..][..len];
                // SAFETY: the caller's promise.
                unsafe { self.put(at + row * step, results) };
            }
            return;
        }
        let last = |step: usize| (rows - 1) * step + len;
        assert!(rows > 0 && results.len() >= last(results_step), "rows of results");
        assert!(at <= self.len && last(step) <= self.len - at, "rows within the output");
        let target = self.start.wrapping_add(at);
        let spread = Spread {
            source: results.as_ptr(),
            source_step: results_step,
            targets: [target; 2],
            target_step: step,
            rows,
            len,
            pairs: false,
        };
        // SAFETY: the instructions are the caller's promise; all rows were seen to be inside both slices, and
        // `new` borrowed the output for 'a.
        unsafe { K::spread(&spread) };
    }

    /// Results that are set, and not added to what is there.
    pub(super) fn is_set(&self) -> bool {
        self.accumulate == Accumulate::Set
    }

    /// Puts the results of a group of one bit line from `at` on; `lanes` has what [`Results::lanes`] says.
    ///
    /// # Safety
    /// The instructions of `K`, whose registers the plan was made for; no other thread writes these elements meanwhile.
    pub(super) unsafe fn put_pieces<K: Kernel>(&self, at: usize, results: &Results, lanes: &[f32]) {
        assert!(results.lanes() <= lanes.len(), "lanes of results");
        assert!(at <= self.len && results.end() <= self.len - at, "pieces within the output");
        let (pieces, order) = results.pieces();
        // SAFETY: the instructions are the caller's promise. Lanes of pieces are two registers below the end of
        // all lanes at most, and no piece ends behind `end`, which is inside the slice that `new` borrowed for 'a.
        unsafe { K::collect(pieces, order, lanes.as_ptr(), self.start.wrapping_add(at)) };
    }
}

/// Rows of an output that lie apart.
pub(super) struct Rows {
    pub(super) rows: usize,
    /// Elements of a row.
    pub(super) len: usize,
    /// From row to row.
    pub(super) step: usize,
}

/// Copies a slice, a short one without a call: by eights or fours, of which the last two may overlap.
#[inline(always)]
pub(super) fn copy(target: &mut [f32], source: &[f32]) {
    match source.len() {
        0..4 => target.iter_mut().zip(source).for_each(|(slot, x)| *slot = *x),
        4..8 => overlapping::<4>(target, source),
        8..128 => overlapping::<8>(target, source),
        _ => target.copy_from_slice(source),
    }
}

#[inline(always)]
fn overlapping<const N: usize>(target: &mut [f32], source: &[f32]) {
    let last = source.len() - N;
    for (target, source) in target.chunks_exact_mut(N).zip(source.chunks_exact(N)) {
        target.copy_from_slice(source);
    }
    target[last..last + N].copy_from_slice(&source[last..]);
}
