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
            Accumulate::Set => target.copy_from_slice(results),
            Accumulate::Add => target.iter_mut().zip(results).for_each(|(y, x)| *y += x),
            Accumulate::Subtract => target.iter_mut().zip(results).for_each(|(y, x)| *y -= x),
        }
    }
}
