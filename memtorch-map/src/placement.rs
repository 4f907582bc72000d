//! Where the matrices of a layer lie on tiles.

use memtorch_crossbar::{Layout, Tile, TileShape};

use crate::hardware::GroupPacking;
use crate::{MapError, MappingScheme};

/// Where the matrices of a layer lie on physical tiles, and what of it a product sees.
///
/// Several groups of a convolution may share a tile, one behind the other along its diagonal; a reference
/// column may be the last bit line in use of every tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    groups: usize,
    rows: usize,
    columns: usize,
    /// Groups on a tile.
    together: usize,
    /// All devices.
    pub(crate) physical: Layout,
    /// All devices but those of reference columns: the operand of a product.
    pub(crate) read: Layout,
}

/// What a layer costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Footprint {
    /// Tiles of one array.
    pub tiles: usize,
    /// Devices on all tiles of all arrays, used or not.
    pub devices: usize,
    /// Devices that hold a weight or are a reference.
    pub devices_used: usize,
    /// Devices in use for each weight.
    pub devices_per_weight: f64,
    /// Share of the devices on the tiles that hold a weight, 0 to 1.
    pub utilisation: f64,
}

impl Footprint {
    /// What `groups` matrices of `[rows, columns]` cost.
    ///
    /// # Errors
    /// Sizes that are not possible; a tile without room for a weight beside its reference column.
    pub fn new(
        sizes: [usize; 3],
        tile: TileShape,
        packing: GroupPacking,
        scheme: &dyn MappingScheme,
    ) -> Result<Self, MapError> {
        Ok(Placement::new(sizes, tile, packing, scheme.reference().is_some())?.footprint(scheme.arrays()))
    }
}

/// What a device is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A weight.
    Weight {
        /// Its matrix.
        group: usize,
        /// Its row there.
        row: usize,
        /// Its column there.
        column: usize,
    },
    /// Nothing: it joins a word line of one group and a bit line of another.
    BetweenGroups,
    /// A reference column.
    Reference,
}

impl Placement {
    /// Places `groups` matrices of `[rows, columns]`.
    ///
    /// # Errors
    /// Sizes that are not possible; a tile without room for a weight beside its reference column.
    pub(crate) fn new(
        [groups, rows, columns]: [usize; 3],
        tile: TileShape,
        packing: GroupPacking,
        reference: bool,
    ) -> Result<Self, MapError> {
        // Sizes that are not possible are found here.
        Layout::new(groups, rows, columns, tile)?;
        let spare = usize::from(reference);
        let together = match (packing, tile) {
            (GroupPacking::Separate, _) => 1,
            (GroupPacking::BlockDiagonal, TileShape::Sized { word_lines, bit_lines }) => {
                let room = (word_lines / rows).min(bit_lines.saturating_sub(spare) / columns);
                // So that all tiles are alike, the largest divisor of the groups for which there is room.
                (1..=room.min(groups)).rev().find(|n| groups % n == 0).unwrap_or(1)
            }
            (GroupPacking::BlockDiagonal, _) => groups,
        };
        let (all_rows, all_columns) = (rows.saturating_mul(together), columns.saturating_mul(together));
        let [word_lines, bit_lines] = match tile {
            TileShape::Sized { word_lines, bit_lines } => [word_lines, bit_lines],
            _ => [all_rows, all_columns.saturating_add(spare)],
        };
        if bit_lines <= spare {
            return Err(MapError::Setting {
                key: "tile",
                value: format!("[{word_lines}, {bit_lines}]"),
                expected: "at least 2 bit lines: one is a reference".to_owned(),
            });
        }
        let references = spare * all_columns.div_ceil(bit_lines - spare);
        let layout = |columns, bit_lines| {
            Layout::new(groups / together, all_rows, columns, TileShape::Sized { word_lines, bit_lines })
        };
        Ok(Self {
            groups,
            rows,
            columns,
            together,
            physical: layout(all_columns + references, bit_lines)?,
            read: layout(all_columns, bit_lines - spare)?,
        })
    }

    /// Whether there are reference columns.
    pub(crate) fn has_reference(&self) -> bool {
        self.physical.columns() != self.read.columns()
    }

    /// Matrices, inputs of one, outputs of one.
    pub(crate) fn sizes(&self) -> [usize; 3] {
        [self.groups, self.rows, self.columns]
    }

    /// What so many arrays cost.
    pub(crate) fn footprint(&self, arrays: usize) -> Footprint {
        let weights = self.groups * self.rows * self.columns;
        let references = (self.physical.columns() - self.read.columns()) * self.read.rows();
        let (tiles, [word_lines, bit_lines]) = (self.physical.tile_count(), self.physical.tile_shape());
        let devices_used = (weights + references * self.physical.groups()).saturating_mul(arrays);
        Footprint {
            tiles,
            devices: [word_lines, bit_lines, arrays].into_iter().fold(tiles, usize::saturating_mul),
            devices_used,
            devices_per_weight: devices_used as f64 / weights as f64,
            utilisation: weights as f64 / (tiles as f64 * word_lines as f64 * bit_lines as f64),
        }
    }

    /// What the device at each crossing of a tile of the physical layout is there for, `[word line, bit line]`.
    pub(crate) fn roles(&self, tile: Tile) -> impl Iterator<Item = Role> + '_ {
        let read = self.read.tile(tile.index);
        let crossings = (0..tile.word_lines).flat_map(move |i| (0..tile.bit_lines).map(move |j| (i, j)));
        crossings.map(move |(word_line, bit_line)| {
            if bit_line == read.bit_lines {
                return Role::Reference;
            }
            let (row, column) = (read.row + word_line, read.column + bit_line);
            if self.together == 1 {
                return Role::Weight { group: tile.group, row, column };
            }
            if row / self.rows != column / self.columns {
                return Role::BetweenGroups;
            }
            let group = tile.group * self.together + row / self.rows;
            Role::Weight { group, row: row % self.rows, column: column % self.columns }
        })
    }

    /// The column of the physical layout that holds a column of the read layout, and that of its reference.
    pub(crate) fn physical_columns(&self, column: usize) -> (usize, usize) {
        let (all, used) = (self.physical.tile_shape()[1], self.read.tile_shape()[1]);
        let first = column / used * all;
        let last = (first + all).min(self.physical.columns()) - 1;
        (first + column % used, last)
    }
}

impl Placement {
    /// Subtracts from what each column of the physical layout gave what its reference gave, for all vectors;
    /// both are laid out as [`Input`](memtorch_crossbar::Input) states.
    pub(crate) fn subtract_references(&self, currents: &[f32], positions: usize, output: &mut [f32]) {
        let groups = currents.chunks_exact(self.physical.columns() * positions);
        for (currents, output) in groups.zip(output.chunks_exact_mut(self.read.columns() * positions)) {
            for (column, output) in output.chunks_exact_mut(positions).enumerate() {
                let (own, reference) = self.physical_columns(column);
                let pairs = currents[own * positions..].iter().zip(&currents[reference * positions..]);
                output.iter_mut().zip(pairs).for_each(|(y, (own, reference))| *y = own - reference);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn tile(word_lines: usize, bit_lines: usize) -> TileShape {
        TileShape::Sized { word_lines, bit_lines }
    }

    fn place(sizes: [usize; 3], tile: TileShape, packing: GroupPacking, reference: bool) -> Placement {
        Placement::new(sizes, tile, packing, reference).unwrap()
    }

    #[test]
    fn every_weight_has_one_device_and_every_tile_its_reference() {
        use GroupPacking::{BlockDiagonal, Separate};
        for (sizes, tile, packing, reference) in [
            ([1, 5, 7], tile(2, 3), Separate, false),
            ([1, 5, 7], tile(2, 3), Separate, true),
            ([3, 5, 8], tile(4, 3), Separate, true),
            ([1, 4, 6], TileShape::Layer, Separate, true),
            ([6, 2, 1], tile(8, 8), BlockDiagonal, false),
            ([6, 2, 2], tile(8, 7), BlockDiagonal, true),
            ([4, 3, 2], TileShape::Layer, BlockDiagonal, true),
            ([4, 9, 5], tile(4, 4), BlockDiagonal, true),
        ] {
            let placed = place(sizes, tile, packing, reference);
            let [groups, rows, columns] = sizes;
            let mut seen = vec![0; groups * rows * columns];
            let mut references = 0;
            assert_eq!(placed.physical.tile_count(), placed.read.tile_count());
            for tile in placed.physical.tiles() {
                let mut on_tile = vec![0; tile.word_lines];
                for (at, role) in placed.roles(tile).enumerate() {
                    let (word_line, bit_line) = (at / tile.bit_lines, at % tile.bit_lines);
                    match role {
                        Role::Weight { group, row, column } => {
                            seen[(group * rows + row) * columns + column] += 1;
                            let read = placed.read.tile(tile.index);
                            let (own, last) = placed.physical_columns(read.column + bit_line);
                            assert_eq!(own, tile.column + bit_line);
                            assert!(!reference || last == tile.column + tile.bit_lines - 1);
                        }
                        Role::Reference => on_tile[word_line] += 1,
                        Role::BetweenGroups => assert_eq!(packing, BlockDiagonal),
                    }
                }
                assert!(on_tile.iter().all(|n| *n == usize::from(reference)), "{sizes:?}");
                references += on_tile.iter().sum::<usize>();
            }
            assert!(seen.iter().all(|n| *n == 1), "{sizes:?}: {seen:?}");
            assert_eq!(placed.footprint(1).devices_used, groups * rows * columns + references);
        }
    }

    #[test]
    fn groups_share_tiles_where_there_is_room() {
        // A depthwise convolution of 96 channels with 3 x 3 kernels: 14 groups fit in 128 word lines, 12 divide 96.
        let packed = place([96, 9, 1], tile(128, 128), GroupPacking::BlockDiagonal, false);
        assert_eq!(packed.physical.tile_count(), 8);
        assert_eq!(packed.footprint(2).utilisation, 96.0 * 9.0 / (8.0 * 128.0 * 128.0));
        let separate = place([96, 9, 1], tile(128, 128), GroupPacking::Separate, false);
        assert_eq!(separate.physical.tile_count(), 96);
        // A group larger than half a tile stays alone.
        assert_eq!(
            place([2, 70, 1], tile(128, 128), GroupPacking::BlockDiagonal, false).physical.groups(),
            2
        );
        assert_eq!(
            place([8, 3, 2], TileShape::Layer, GroupPacking::BlockDiagonal, false).physical.tile_count(),
            1
        );
    }

    #[test]
    fn the_cost_counts_whole_tiles_of_all_arrays() {
        let cost = place([1, 130, 60], tile(128, 64), GroupPacking::Separate, false).footprint(2);
        assert_eq!((cost.tiles, cost.devices, cost.devices_used), (2, 2 * 128 * 64 * 2, 2 * 130 * 60));
        assert_eq!((cost.devices_per_weight, cost.utilisation), (2.0, 130.0 * 60.0 / (2.0 * 128.0 * 64.0)));
        // 64 bit lines hold 63 weights and a reference: a second tile for the last column of 64.
        let cost = place([1, 10, 64], tile(16, 64), GroupPacking::Separate, true).footprint(1);
        assert_eq!((cost.tiles, cost.devices_used), (2, 10 * 66));
    }

    #[test]
    fn a_tile_of_one_bit_line_has_no_room_for_a_reference() {
        let error = Placement::new([1, 2, 2], tile(4, 1), GroupPacking::Separate, true).unwrap_err();
        assert!(error.to_string().contains("at least 2 bit lines"), "{error}");
    }
}
