use super::block::{Block, join};
use super::grid::Grid;
use super::kernel;
use super::lane::{LANES, Wide};
use super::pool::{Pool, Pools};
use super::star_mesh::eliminate;

/// A rectangle of cells of an array, small enough to be reduced node by node.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) row: usize,
    pub(super) column: usize,
    pub(super) shape: Shape,
}

/// What leaves must have in common to be reduced side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Shape {
    pub(super) height: usize,
    pub(super) width: usize,
    /// Whether the word lines go on, or are driven, at its right.
    pub(super) right: bool,
    /// Whether the bit lines go on, or are driven, at its bottom.
    pub(super) bottom: bool,
}

/// The conductances of an array whose lines have their sources at the left and at the top.
pub(super) trait Cells: Sync {
    /// Of a cell: the segment at its left, its device, the segment at its top.
    fn cell(&self, row: usize, column: usize) -> [f64; 3];
}

/// Reduces up to [`LANES`] leaves of one shape.
pub(super) fn reduce_leaves(
    cells: &impl Cells,
    leaves: &[Leaf],
    pools: &Pools<Wide>,
    blocks: &mut Pool<f64>,
) -> Vec<Block<f64>> {
    let shape = leaves[0].shape;
    // Lanes without a leaf repeat the first.
    let leaf = |lane: usize| leaves.get(lane).unwrap_or(&leaves[0]);
    let mut loaded = Vec::with_capacity(shape.height * shape.width);
    for i in 0..shape.height {
        for j in 0..shape.width {
            let mut cell = [Wide::default(); 3];
            for lane in 0..LANES {
                let numbers = cells.cell(leaf(lane).row + i, leaf(lane).column + j);
                for (wide, number) in cell.iter_mut().zip(numbers) {
                    wide.0[lane] = number;
                }
            }
            loaded.push(cell);
        }
    }
    pools.with(|pool| {
        let wide = kernel::wide_leaf(shape, &loaded, pool);
        let block = |lane: usize| {
            let mut between = blocks.empty(wide.between.len());
            between.extend(wide.between.iter().map(|c| c.0[lane]));
            Block { ports: wide.ports, between }
        };
        let reduced = (0..leaves.len()).map(block).collect();
        pool.give_back(wide.between);
        reduced
    })
}

/// Reduces [`LANES`] leaves whose cells are given row by row.
#[inline(always)]
pub(super) fn reduce_wide(shape: Shape, cells: &[[Wide; 3]], pool: &mut Pool<Wide>) -> Block<Wide> {
    let Shape { height, width, right, bottom } = shape;
    let mut blocks = Vec::with_capacity(height * width);
    for (k, cell) in cells.iter().enumerate() {
        let (right_port, bottom_port) = (right || k % width + 1 < width, bottom || k / width + 1 < height);
        blocks.push(Block::cell(*cell, right_port, bottom_port, pool));
    }
    // Loops, not closures: those would not be compiled for the processor at hand.
    let mut grid = Grid { rows: height, columns: width, height: 1, width: 1 };
    while blocks.len() > 1 {
        let (pairs, below) = grid.pair(blocks);
        blocks = Vec::with_capacity(pairs.len());
        for (first, second) in pairs {
            blocks.push(match second {
                Some(second) => {
                    let joint = join(first, second, below, pool);
                    eliminate(joint, pool)
                }
                None => first,
            });
        }
    }
    blocks.pop().expect("a leaf has at least one cell")
}
