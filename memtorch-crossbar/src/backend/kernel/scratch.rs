//! Buffers that a thread keeps from product to product.

use std::cell::RefCell;

use super::{Order, Run, patches::Panel, single::Results};
use crate::Tile;

/// f32 from the start of a cache line.
#[derive(Default)]
pub(super) struct Buffer(Vec<f32>);

impl Buffer {
    /// `len` elements of any value.
    pub(super) fn get(&mut self, len: usize) -> &mut [f32] {
        if self.0.len() < len + 16 {
            self.0.resize(len + 16, 0.0);
        }
        let start = self.0.as_ptr().align_offset(64).min(16);
        &mut self.0[start..start + len]
    }
}

/// All that a task needs.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) inputs: Buffer,
    pub(super) panel: Buffer,
    pub(super) sums: Buffer,
    pub(super) totals: Buffer,
    pub(super) column: Vec<f32>,
    pub(super) runs: Vec<Run>,
    pub(super) results: Vec<Run>,
    pub(super) tiles: Vec<Tile>,
    pub(super) panels: Vec<Panel>,
    pub(super) offsets: Vec<usize>,
    pub(super) order: Order,
    pub(super) plan: Results,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Runs something with the thread's buffers. They are taken out meanwhile, so that whoever comes in
/// between (a converter that computes a product of its own) has new ones.
pub(super) fn with<R>(f: impl FnOnce(&mut Scratch) -> R) -> R {
    let mut scratch = SCRATCH.with(RefCell::take);
    let result = f(&mut scratch);
    SCRATCH.with(|cell| cell.replace(scratch));
    result
}
