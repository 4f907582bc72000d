//! How much memory a thread asks for. An allocator cannot be written without `unsafe`: there is none elsewhere.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has asked for and not given back, and the most that there were.
    static BYTES: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

/// The system's memory, counted thread by thread.
pub struct Counting;

fn count(change: isize) {
    // A thread that ends is not counted any more.
    let _ = BYTES.try_with(|bytes| {
        let (now, most) = bytes.get();
        let now = now + change;
        bytes.set((now, most.max(now)));
    });
}

// SAFETY: all calls go to the system's allocator as they are.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: what the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: what the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both are there while one is copied to the other.
        count(size as isize);
        count(-(layout.size() as isize));
        // SAFETY: what the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// The most memory that this thread had at once while it did something, beyond what it had before.
pub fn memory<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = BYTES.with(|bytes| {
        let (now, _) = bytes.get();
        bytes.set((now, now));
        now
    });
    let result = work();
    let most = BYTES.with(|bytes| bytes.get().1);
    (result, (most - before).max(0) as usize)
}
