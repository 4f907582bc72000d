//! Large buffers that a thread uses again and again.
//!
//! The system takes a large buffer back as soon as it is freed, and clears its pages when the next one is
//! asked for: that can cost as much as the arithmetic on it. A thread that gives its buffers back here
//! finds them again.

use std::cell::RefCell;

/// Buffers of fewer elements are left to the allocator, which keeps them itself.
const LEAST: usize = 1 << 12;
/// The most elements that a thread keeps: 64 MiB.
const MOST: usize = 1 << 24;

thread_local! {
    static KEPT: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of `len` elements of any value: the smallest of those given back that has room, or a new one.
///
/// ```
/// use memtorch_utils::buffers;
///
/// let mut volts = buffers::take(10_000);
/// volts.fill(0.3);
/// buffers::give(volts);
/// assert_eq!(buffers::take(5_000).len(), 5_000);
/// ```
pub fn take(len: usize) -> Vec<f32> {
    let fitting = |kept: &mut Vec<Vec<f32>>| {
        let with_room = kept.iter().enumerate().filter(|(_, buffer)| buffer.capacity() >= len);
        let (at, _) = with_room.min_by_key(|(_, buffer)| buffer.capacity())?;
        Some(kept.swap_remove(at))
    };
    let found = if len < LEAST { None } else { KEPT.with_borrow_mut(fitting) };
    let mut buffer = found.unwrap_or_default();
    buffer.resize(len, 0.0);
    if cfg!(debug_assertions) {
        // Whoever reads what nobody wrote shall notice.
        buffer.fill(f32::NAN);
    }
    buffer
}

/// Gives a buffer back. What would be more than a thread keeps is freed.
pub fn give(buffer: Vec<f32>) {
    if buffer.capacity() < LEAST {
        return;
    }
    // A thread that ends has nothing to keep any more.
    let _ = KEPT.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        let held: usize = kept.iter().map(Vec::capacity).sum();
        if held + buffer.capacity() <= MOST {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_buffer_with_room_is_found_again() {
        let (small, large) = (take(LEAST), take(4 * LEAST));
        let address = small.as_ptr();
        give(large);
        give(small);
        let again = take(LEAST - 1);
        assert_ne!(again.as_ptr(), address, "small ones are not kept");
        let again = take(LEAST);
        assert_eq!((again.as_ptr(), again.len()), (address, LEAST));
    }

    #[test]
    fn a_thread_keeps_no_more_than_it_may() {
        give(vec![0.0; MOST]);
        give(vec![0.0; LEAST]);
        assert_eq!(KEPT.with_borrow(|kept| kept.iter().map(Vec::capacity).sum::<usize>()), MOST);
    }
}
