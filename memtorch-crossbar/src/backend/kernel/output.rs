//! An output that several tasks write at once.

use std::marker::PhantomData;

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
}

/// Copies a slice, a short one without a call: by eights, of which the last two may overlap.
#[inline]
pub(super) fn copy(target: &mut [f32], source: &[f32]) {
    let len = source.len();
    if !(8..128).contains(&len) {
        if len < 8 {
            target.iter_mut().zip(source).for_each(|(slot, x)| *slot = *x);
        } else {
            target.copy_from_slice(source);
        }
        return;
    }
    for (target, source) in target.chunks_exact_mut(8).zip(source.chunks_exact(8)) {
        target.copy_from_slice(source);
    }
    target[len - 8..len].copy_from_slice(&source[len - 8..len]);
}
