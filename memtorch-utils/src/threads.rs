//! Who divides work among threads.

use std::cell::Cell;

thread_local! {
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Runs work that shall stay on this thread where it can: others have enough of their own. Dividing it would only make
/// its parts smaller.
///
/// ```
/// use memtorch_utils::threads;
/// assert!(threads::alone(threads::is_alone) && !threads::is_alone());
/// ```
pub fn alone<R>(work: impl FnOnce() -> R) -> R {
    /// Puts things back, also after a panic.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            ALONE.set(self.0);
        }
    }

    let _before = Before(ALONE.replace(true));
    work()
}

/// Whether this thread's work shall not be divided.
pub fn is_alone() -> bool {
    ALONE.get()
}
