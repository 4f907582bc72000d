use std::sync::Mutex;

use super::lane::Lane;

/// Memory that is used again: blocks come and go by the hundred.
#[derive(Default)]
pub(super) struct Pool<T> {
    /// By the binary logarithm of their capacities.
    free: Vec<Vec<Vec<T>>>,
}

impl<T: Lane> Pool<T> {
    /// So many zeros.
    #[inline(always)]
    pub(super) fn zeros(&mut self, len: usize) -> Vec<T> {
        let mut memory = self.any(len);
        memory.fill(T::default());
        memory
    }

    /// So many numbers, whatever they are.
    #[inline(always)]
    pub(super) fn any(&mut self, len: usize) -> Vec<T> {
        let mut memory = self.take(len);
        memory.resize(len, T::default());
        memory
    }

    /// Nothing, and room for so many numbers.
    #[inline(always)]
    pub(super) fn empty(&mut self, len: usize) -> Vec<T> {
        let mut memory = self.take(len);
        memory.clear();
        memory
    }

    #[inline(always)]
    fn take(&mut self, len: usize) -> Vec<T> {
        let capacity = len.next_power_of_two();
        let memory = self.free.get_mut(capacity.ilog2() as usize).and_then(Vec::pop);
        memory.unwrap_or_else(|| Vec::with_capacity(capacity))
    }

    /// Takes memory that is no longer used.
    #[inline(always)]
    pub(super) fn give_back(&mut self, memory: Vec<T>) {
        // Of what it holds for certain.
        let Some(class) = memory.capacity().checked_ilog2() else { return };
        let class = class as usize;
        if self.free.len() <= class {
            self.free.resize_with(class + 1, Vec::new);
        }
        self.free[class].push(memory);
    }

    /// Frees what is more than so many bytes, the largest first. Gives how many are kept.
    fn trim(&mut self, most: usize) -> usize {
        let mut kept = 0;
        for (class, free) in self.free.iter_mut().enumerate() {
            let size = size_of::<T>() << class;
            free.truncate((most - kept) / size);
            kept += size * free.len();
        }
        kept
    }
}

/// The pools of all threads that work on reductions.
pub(super) struct Pools<T>(Mutex<Vec<Pool<T>>>);

/// Bytes that stay for the next reduction: enough for tiles of 128 x 128 on a few threads. Asking the system for
/// them again and again takes longer than the arithmetic.
const KEPT: usize = 32 << 20;

impl<T: Lane> Pools<T> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Frees what is too much to be kept for the next reduction.
    pub(super) fn trim(&self) {
        let mut pools = self.0.lock().expect("no thread that has the lock panics");
        let mut left = KEPT;
        for pool in &mut *pools {
            left -= pool.trim(left);
        }
        pools.retain(|pool| pool.free.iter().any(|free| !free.is_empty()));
    }

    /// Works with a pool that no other thread has at the time.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Pool<T>) -> R) -> R {
        let pools = || self.0.lock().expect("no thread that has the lock panics");
        let pool = pools().pop();
        let mut pool = pool.unwrap_or(Pool { free: Vec::new() });
        let result = work(&mut pool);
        pools().push(pool);
        result
    }
}
