//! A matrix as the kernels want it.

use std::sync::OnceLock;

use crate::Layout;

/// The devices of a layout as they came, and, made when first wanted, in panels.
pub(super) struct Packed {
    values: Vec<f32>,
    panels: [OnceLock<Panels>; 2],
}

impl Packed {
    pub(super) fn new(values: Vec<f32>) -> Self {
        Self { values, panels: [OnceLock::new(), OnceLock::new()] }
    }

    /// In the order of the layout.
    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    /// In panels for registers of 8 or 16 lanes.
    pub(super) fn panels(&self, layout: &Layout, lanes: usize) -> &Panels {
        self.panels[usize::from(lanes > 8)].get_or_init(|| Panels::new(layout, &self.values, lanes))
    }
}

/// Tile after tile in the order of the layout, each `[panel][word line][bit line of the panel]`. A panel
/// has two registers' bit lines, the last of a tile perhaps one; the last register is filled up with zeros.
pub(super) struct Panels {
    values: Vec<f32>,
    start: usize,
    lanes: usize,
}

impl Panels {
    fn new(layout: &Layout, matrix: &[f32], lanes: usize) -> Self {
        let last = layout.tile(layout.tile_count() - 1);
        let len = Self::offset(layout, last.index, lanes)
            + last.word_lines * last.bit_lines.next_multiple_of(lanes);
        // From a cache line on: a register's load must not straddle two.
        let mut values = vec![0.0; len + 16];
        let start = values.as_ptr().align_offset(64).min(16);
        for tile in layout.tiles() {
            let source = &matrix[tile.range()];
            let mut at = start + Self::offset(layout, tile.index, lanes);
            for first in (0..tile.bit_lines).step_by(2 * lanes) {
                let used = (2 * lanes).min(tile.bit_lines - first);
                let width = used.next_multiple_of(lanes);
                for row in source.chunks_exact(tile.bit_lines) {
                    values[at..at + used].copy_from_slice(&row[first..first + used]);
                    at += width;
                }
            }
        }
        Self { values, start, lanes }
    }

    fn offset(layout: &Layout, tile: usize, lanes: usize) -> usize {
        let tile = layout.tile(tile);
        let whole = layout.tile_shape()[1].min(layout.columns()).next_multiple_of(lanes);
        let last = layout.columns() - (layout.tile_columns() - 1) * layout.tile_shape()[1];
        let group = ((layout.tile_columns() - 1) * whole + last.next_multiple_of(lanes)) * layout.rows();
        let before = tile.column / layout.tile_shape()[1] * whole * layout.rows();
        tile.group * group + before + tile.row * tile.bit_lines.next_multiple_of(lanes)
    }

    /// The tile of this number and all that follow.
    pub(super) fn starting_at(&self, layout: &Layout, tile: usize) -> &[f32] {
        &self.values[self.start + Self::offset(layout, tile, self.lanes)..]
    }
}
