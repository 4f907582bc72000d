//! The kernels on the CPU, for tests: the calls are those to a GPU, the driver behind them is not.

use std::ffi::{CStr, CString, c_char, c_int, c_void};

unsafe extern "C" {
    fn memtorch_emulated_function(name: *const c_char) -> *mut c_void;
    fn memtorch_emulator_choose(order: c_int, variant: *const c_char);
    fn memtorch_emulator_complaint() -> *const c_char;
    fn memtorch_emulator_allocations() -> usize;
}

/// The faults that [`choose`] knows, and the files of the kernels that have them.
pub const FAULTS: &[(&str, &str)] = &include!(concat!(env!("OUT_DIR"), "/faults.rs"));

/// The order in which the threads of a block, and the blocks of a grid, take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By number.
    Forward,
    /// From the last to the first.
    Reverse,
    /// Another one in each turn, from a seed.
    Random(u16),
}

/// Chooses, for launches from this thread, the order and, for tests of tests, the fault that kernels have: one of
/// [`FAULTS`], or none for `""`.
///
/// # Panics
/// The name has a zero in it.
pub fn choose(order: Order, fault: &str) {
    let order = match order {
        Order::Forward => 0,
        Order::Reverse => 1,
        Order::Random(seed) => 2 + c_int::from(seed),
    };
    let prefix = if fault.is_empty() { String::new() } else { format!("{fault}:") };
    let prefix = CString::new(prefix).expect("a name without zeros");
    // SAFETY: the text is copied before the call returns.
    unsafe { memtorch_emulator_choose(order, prefix.as_ptr()) };
}

/// What was wrong with the last launch of this thread that failed.
pub fn complaint() -> String {
    // SAFETY: a text that ends with a zero and stays until this thread's next launch.
    let text = unsafe { CStr::from_ptr(memtorch_emulator_complaint()) };
    text.to_string_lossy().into_owned()
}

/// How many buffers there are on the emulated GPU.
pub fn allocations() -> usize {
    // SAFETY: it takes a lock of its own.
    unsafe { memtorch_emulator_allocations() }
}

/// A function of the emulated driver; null for one that it lacks.
pub(crate) fn function(name: &CStr) -> *mut c_void {
    // SAFETY: a text that ends with a zero.
    unsafe { memtorch_emulated_function(name.as_ptr()) }
}
