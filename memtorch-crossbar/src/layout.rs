use std::ops::Range;

use ndarray::{Array3, ArrayView3, s};

use crate::CrossbarError;

/// The size of the tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TileShape {
    /// Every tile has this size; the last of a row or column may be partly used.
    Sized {
        /// Rows.
        word_lines: usize,
        /// Columns.
        bit_lines: usize,
    },
    /// One array as large as the matrix.
    Layer,
}

/// How the matrices of a layer lie on tiles.
///
/// A layer is `groups` matrices of `[rows, columns]` (one for all but grouped convolutions), each on
/// tiles of its own: row tiles are consecutive blocks of word lines, column tiles of bit lines.
///
/// The devices in use, and only they, are stored: tile after tile (groups outermost, then tile
/// columns, then tile rows), each tile row-major `[word line, bit line]`. Tile rows are innermost
/// because a product sums over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Layout {
    groups: usize,
    rows: usize,
    columns: usize,
    tile: [usize; 2],
}

/// The used part of one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Its number: the place in the order of storage.
    pub index: usize,
    /// The matrix on it.
    pub group: usize,
    /// Row of the matrix at its first word line.
    pub row: usize,
    /// Column of the matrix at its first bit line.
    pub column: usize,
    /// Word lines in use.
    pub word_lines: usize,
    /// Bit lines in use.
    pub bit_lines: usize,
    /// Index of its first device in the order of storage.
    pub offset: usize,
}

impl Tile {
    /// The tile's part of a slice of all devices, `[word_lines, bit_lines]` row-major.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.word_lines * self.bit_lines
    }
}

impl Layout {
    /// The layout of `groups` matrices of `[rows, columns]`.
    ///
    /// # Errors
    /// An empty matrix, a tile without lines, more devices than can be counted.
    pub fn new(groups: usize, rows: usize, columns: usize, tile: TileShape) -> Result<Self, CrossbarError> {
        let tile = match tile {
            TileShape::Sized { word_lines, bit_lines } => [word_lines, bit_lines],
            TileShape::Layer => [rows, columns],
        };
        for (what, value) in [("groups", groups), ("rows", rows), ("columns", columns)] {
            if value == 0 {
                return Err(CrossbarError::value(what, value, "at least 1"));
            }
        }
        if tile.contains(&0) {
            return Err(CrossbarError::value(
                "tile",
                format!("{tile:?}"),
                "at least 1 word line and 1 bit line",
            ));
        }
        let limit = u32::MAX as usize;
        let devices = groups.checked_mul(rows).and_then(|n| n.checked_mul(columns));
        if rows > limit || columns > limit || devices.is_none_or(|n| n > isize::MAX as usize / 16) {
            let value = format!("{groups} x {rows} x {columns}");
            return Err(CrossbarError::value("groups x rows x columns", value, "fewer devices"));
        }
        Ok(Self { groups, rows, columns, tile })
    }

    /// How many matrices there are.
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Rows of one matrix: its inputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns of one matrix: its outputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Word lines and bit lines of a whole tile.
    pub fn tile_shape(&self) -> [usize; 2] {
        self.tile
    }

    /// Tiles that one matrix has down its rows.
    pub fn tile_rows(&self) -> usize {
        self.rows.div_ceil(self.tile[0])
    }

    /// Tiles that one matrix has along its columns.
    pub fn tile_columns(&self) -> usize {
        self.columns.div_ceil(self.tile[1])
    }

    /// All tiles.
    pub fn tile_count(&self) -> usize {
        self.groups * self.tile_rows() * self.tile_columns()
    }

    /// Devices in use.
    pub fn device_count(&self) -> usize {
        self.groups * self.rows * self.columns
    }

    /// Share of the tiles' devices that is in use.
    pub fn utilisation(&self) -> f64 {
        self.device_count() as f64 / (self.tile_count() as f64 * self.tile[0] as f64 * self.tile[1] as f64)
    }

    /// A tile by its number, which must be below [`Layout::tile_count`].
    #[inline]
    pub fn tile(&self, index: usize) -> Tile {
        let (per_column, per_row) = (self.tile_rows(), self.tile_columns());
        let group = index / (per_column * per_row);
        let within = index % (per_column * per_row);
        let row = within % per_column * self.tile[0];
        let column = within / per_column * self.tile[1];
        let word_lines = self.tile[0].min(self.rows - row);
        let bit_lines = self.tile[1].min(self.columns - column);
        // Before it: whole groups, whole tile columns of this group, whole tiles of this column.
        let offset = (group * self.columns + column) * self.rows + row * bit_lines;
        Tile { index, group, row, column, word_lines, bit_lines, offset }
    }

    /// The tiles in the order of storage.
    pub fn tiles(&self) -> impl ExactSizeIterator<Item = Tile> + '_ {
        (0..self.tile_count()).map(|index| self.tile(index))
    }

    /// The device of a matrix element in the order of storage.
    #[inline]
    pub fn device(&self, group: usize, row: usize, column: usize) -> usize {
        let (tile_row, tile_column) = (row / self.tile[0], column / self.tile[1]);
        let index = (group * self.tile_columns() + tile_column) * self.tile_rows() + tile_row;
        let tile = self.tile(index);
        tile.offset + (row - tile.row) * tile.bit_lines + (column - tile.column)
    }

    /// Where a device is, `[tile, word line, bit line]`: the place of its random draws.
    #[inline]
    pub fn place(&self, device: usize) -> [u32; 3] {
        let group = device / (self.rows * self.columns);
        let within = device % (self.rows * self.columns);
        let tile_column = within / (self.rows * self.tile[1]);
        let column = tile_column * self.tile[1];
        let bit_lines = self.tile[1].min(self.columns - column);
        let within = within - column * self.rows;
        let (row, bit_line) = (within / bit_lines, within % bit_lines);
        let tile = (group * self.tile_columns() + tile_column) * self.tile_rows() + row / self.tile[0];
        [tile as u32, (row % self.tile[0]) as u32, bit_line as u32]
    }

    /// The places of consecutive devices, as [`Layout::place`] gives each.
    pub fn places(&self, devices: Range<usize>) -> Vec<[u32; 3]> {
        let mut places = Vec::with_capacity(devices.len());
        let mut left = devices.len();
        if left == 0 {
            return places;
        }
        let [index, mut row, mut bit_line] = self.place(devices.start);
        let mut tile = self.tile(index as usize);
        loop {
            let line = (tile.bit_lines - bit_line as usize).min(left);
            places.extend((bit_line..).take(line).map(|bit_line| [tile.index as u32, row, bit_line]));
            left -= line;
            if left == 0 {
                return places;
            }
            (row, bit_line) = (row + 1, 0);
            if row as usize == tile.word_lines {
                (tile, row) = (self.tile(tile.index + 1), 0);
            }
        }
    }

    /// Values in the order of storage as matrices `[groups, rows, columns]`.
    ///
    /// # Panics
    /// Another number of values than devices.
    pub fn to_matrices<T: Copy + Default>(&self, values: &[T]) -> Array3<T> {
        assert_eq!(values.len(), self.device_count(), "one value for each device");
        let mut matrices = Array3::default((self.groups, self.rows, self.columns));
        for tile in self.tiles() {
            let (rows, columns) =
                (tile.row..tile.row + tile.word_lines, tile.column..tile.column + tile.bit_lines);
            let mut block = matrices.slice_mut(s![tile.group, rows, columns]);
            block.iter_mut().zip(&values[tile.range()]).for_each(|(to, value)| *to = *value);
        }
        matrices
    }

    /// Matrices `[groups, rows, columns]` as values in the order of storage.
    ///
    /// # Panics
    /// Matrices of another size.
    pub fn from_matrices<T: Copy>(&self, matrices: ArrayView3<'_, T>) -> Vec<T> {
        assert_eq!(matrices.dim(), (self.groups, self.rows, self.columns), "matrices of the layout's size");
        let mut values = Vec::with_capacity(self.device_count());
        for tile in self.tiles() {
            let (rows, columns) =
                (tile.row..tile.row + tile.word_lines, tile.column..tile.column + tile.bit_lines);
            values.extend(matrices.slice(s![tile.group, rows, columns]).iter().copied());
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_has_a_device_and_every_device_a_place() {
        for (groups, rows, columns, word_lines, bit_lines) in
            [(1, 1, 1, 1, 1), (1, 5, 7, 2, 3), (3, 4, 4, 4, 4), (2, 9, 1, 128, 128), (2, 130, 70, 64, 32)]
        {
            let layout =
                Layout::new(groups, rows, columns, TileShape::Sized { word_lines, bit_lines }).unwrap();
            let mut seen = vec![false; layout.device_count()];
            let mut end = 0;
            for tile in layout.tiles() {
                assert_eq!(tile.offset, end);
                end = tile.range().end;
                for w in 0..tile.word_lines {
                    for b in 0..tile.bit_lines {
                        let device = layout.device(tile.group, tile.row + w, tile.column + b);
                        assert_eq!(device, tile.offset + w * tile.bit_lines + b);
                        assert_eq!(layout.place(device), [tile.index as u32, w as u32, b as u32]);
                        assert!(!std::mem::replace(&mut seen[device], true));
                    }
                }
            }
            assert_eq!(end, layout.device_count());
            assert!(seen.into_iter().all(|s| s));
            for (first, last) in [(0, end), (0, 0), (end / 3, end / 2), (end - 1, end)] {
                let places: Vec<[u32; 3]> = (first..last).map(|device| layout.place(device)).collect();
                assert_eq!(layout.places(first..last), places);
            }
            let numbers: Vec<usize> = (0..end).collect();
            let matrices = layout.to_matrices(&numbers);
            assert!(matrices.indexed_iter().all(|((g, r, c), &n)| layout.device(g, r, c) == n));
            assert_eq!(layout.from_matrices(matrices.view()), numbers);
        }
    }

    #[test]
    fn the_utilisation_counts_whole_tiles() {
        let layout = Layout::new(1, 130, 60, TileShape::Sized { word_lines: 128, bit_lines: 64 }).unwrap();
        assert_eq!(layout.tile_count(), 2);
        assert_eq!(layout.utilisation(), (130.0 * 60.0) / (2.0 * 128.0 * 64.0));
        assert_eq!(Layout::new(4, 9, 1, TileShape::Layer).unwrap().utilisation(), 1.0);
    }

    #[test]
    fn impossible_layouts_are_errors() {
        assert!(Layout::new(1, 0, 1, TileShape::Layer).is_err());
        assert!(Layout::new(1, 1, 1, TileShape::Sized { word_lines: 0, bit_lines: 1 }).is_err());
        assert!(Layout::new(usize::MAX, 2, 2, TileShape::Layer).is_err());
    }
}
