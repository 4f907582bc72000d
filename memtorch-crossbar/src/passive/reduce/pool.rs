use super::lane::Lane;

/// Memory that is used again: small blocks come and go by the hundred.
#[derive(Default)]
pub(super) struct Pool<T> {
    free: Vec<Vec<T>>,
}

impl<T: Lane> Pool<T> {
    /// So many zeros.
    #[inline(always)]
    pub(super) fn zeros(&mut self, len: usize) -> Vec<T> {
        let mut memory = self.free.pop().unwrap_or_default();
        memory.clear();
        memory.resize(len, T::default());
        memory
    }

    /// Takes memory that is no longer used.
    #[inline(always)]
    pub(super) fn give_back(&mut self, memory: Vec<T>) {
        self.free.push(memory);
    }
}
