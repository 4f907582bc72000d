//! Star-mesh reduction of a whole array to its terminals.

mod block;
mod blocked;
mod grid;
mod kernel;
mod lane;
mod leaf;
mod pool;
mod solver;
mod star_mesh;

use std::ops::Range;

use ndarray::{Array2, ArrayView2, s};

use super::wiring::conductance;
use super::{PassiveCircuit, Wiring};
use block::Block;
use grid::{Grid, Pair};
use lane::Wide;
use leaf::{Cells, Leaf, Shape, reduce_leaves};
use pool::{Pool, Pools};
pub use solver::Reduce;

/// What a circuit of ohmic devices is, seen from its sources: `I = G^T V_word + H V_bit`.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// `G`, siemens, `[word line, bit line]`: current into a bit line's sink for a volt on a word line.
    pub conductances: Array2<f64>,
    /// `H`, siemens, `[bit line, bit line]`: current into the sink of the first for a volt at the second.
    pub bit_lines: Array2<f64>,
    /// `[word line, word line]`: current out of the source of the first for a volt at the second.
    pub word_lines: Array2<f64>,
}

/// Reduces a circuit of ohmic devices to its terminals, in about `34 n^3` operations for `n x n`.
///
/// Every entry has full relative accuracy (about 1e-14), whatever the conductances and resistances.
pub fn reduce(circuit: &PassiveCircuit) -> Effective {
    let (m, n) = (circuit.word_lines(), circuit.bit_lines());
    let between = terminals(circuit.conductances(), circuit.wiring());
    let total = m + n;
    let mut effective = Effective {
        conductances: Array2::zeros((m, n)),
        bit_lines: Array2::zeros((n, n)),
        word_lines: Array2::zeros((m, m)),
    };
    // What leaves a terminal to all others.
    let mut leaves = vec![0.0; total];
    for (i, row) in between.chunks_exact(total.max(1)).enumerate() {
        for (j, g) in row.iter().enumerate().skip(i + 1) {
            leaves[i] += g;
            leaves[j] += g;
        }
        if i < m {
            for (j, g) in row[..m].iter().enumerate().skip(i + 1) {
                effective.word_lines[(i, j)] = -g;
                effective.word_lines[(j, i)] = -g;
            }
            effective.conductances.row_mut(i).iter_mut().zip(&row[m..]).for_each(|(to, g)| *to = *g);
        } else {
            for (j, g) in row.iter().enumerate().skip(i + 1) {
                effective.bit_lines[(i - m, j - m)] = *g;
                effective.bit_lines[(j - m, i - m)] = *g;
            }
        }
    }
    effective.word_lines.diag_mut().iter_mut().zip(&leaves).for_each(|(to, g)| *to = *g);
    effective.bit_lines.diag_mut().iter_mut().zip(&leaves[m..]).for_each(|(to, g)| *to = -g);
    SINGLE.with(|pool| pool.give_back(between));
    effective
}

/// The conductances between the terminals, word lines first, above the diagonal of a square.
pub(super) fn terminals(conductances: ArrayView2<f64>, wiring: &Wiring) -> Vec<f64> {
    // Sources at the left and at the top; an array that has them elsewhere is mirrored.
    let (mut g, mut wiring) = (conductances, *wiring);
    let (mirrored_rows, mirrored_columns) = (wiring.bit_top.is_none(), wiring.word_left.is_none());
    if mirrored_rows {
        g = g.slice_move(s![..;-1, ..]);
        std::mem::swap(&mut wiring.bit_top, &mut wiring.bit_bottom);
    }
    if mirrored_columns {
        g = g.slice_move(s![.., ..;-1]);
        std::mem::swap(&mut wiring.word_left, &mut wiring.word_right);
    }
    let (m, n) = g.dim();
    let source = |r: Option<f64>| conductance(r.expect("mirrored so that this end is driven"));
    let (source_word, source_bit) = (source(wiring.word_left), source(wiring.bit_top));
    let (word, bit) = (conductance(wiring.word_line), conductance(wiring.bit_line));
    let (right_end, bottom_end) = (wiring.word_right.map(conductance), wiring.bit_bottom.map(conductance));

    let cells = Driven { g, source_word, source_bit, word, bit };
    let block = reduce_to_ports(&cells, [m, n], right_end.is_some(), bottom_end.is_some());
    finish(block, m, n, right_end, bottom_end, mirrored_rows, mirrored_columns)
}

/// An array whose lines have their sources at the left and at the top.
struct Driven<'a> {
    g: ArrayView2<'a, f64>,
    source_word: f64,
    source_bit: f64,
    word: f64,
    bit: f64,
}

impl Cells for Driven<'_> {
    #[inline]
    fn cell(&self, row: usize, column: usize) -> [f64; 3] {
        let left = if column == 0 { self.source_word } else { self.word };
        let top = if row == 0 { self.source_bit } else { self.bit };
        [left, self.g[(row, column)], top]
    }
}

/// Reduces an array to the terminals at its left and top and, where they are asked for, the ends at
/// its right and bottom.
fn reduce_to_ports(cells: &impl Cells, [m, n]: [usize; 2], right: bool, bottom: bool) -> Block<f64> {
    let side = leaf_side(m, n);
    let (row_cuts, column_cuts) = (cuts(m, m.div_ceil(side)), cuts(n, n.div_ceil(side)));
    let whole = [0..row_cuts.len() - 1, 0..column_cuts.len() - 1];
    let ends = Ends { right, bottom };
    let array = Cut { cells, row_cuts, column_cuts, ends };
    let block = array.reduce(whole);
    WIDE.trim();
    SINGLE.trim();
    block
}

/// Whether word lines are driven at their right, bit lines at their bottom.
struct Ends {
    right: bool,
    bottom: bool,
}

/// An array cut into leaves.
struct Cut<'a, C> {
    cells: &'a C,
    row_cuts: Vec<usize>,
    column_cuts: Vec<usize>,
    ends: Ends,
}

/// Memory of leaves that go side by side, and of all other blocks.
static WIDE: Pools<Wide> = Pools::new();
static SINGLE: Pools<f64> = Pools::new();

/// Leaves that are reduced one after another, so that enough of them are of one shape to go side by side.
const LEAVES: usize = 64;

impl<C: Cells> Cut<'_, C> {
    /// Reduces so many rows and columns of leaves. Halves are done one after the other, unless another
    /// thread has time: what was just written is read again soon.
    fn reduce(&self, [rows, columns]: [Range<usize>; 2]) -> Block<f64> {
        if rows.len() * columns.len() <= LEAVES {
            return self.reduce_leaves(rows, columns);
        }
        let length = |cuts: &[usize], range: &Range<usize>| cuts[range.end] - cuts[range.start];
        let below = length(&self.row_cuts, &rows) >= length(&self.column_cuts, &columns);
        let halves = |range: Range<usize>| {
            let middle = range.start + range.len().div_ceil(2);
            [range.start..middle, middle..range.end]
        };
        let [first, second] = if below {
            halves(rows).map(|rows| [rows, columns.clone()])
        } else {
            halves(columns).map(|columns| [rows.clone(), columns])
        };
        let (first, second) = rayon::join(|| self.reduce(first), || self.reduce(second));
        SINGLE.with(|pool| kernel::merge(first, second, below, pool))
    }

    fn reduce_leaves(&self, rows: Range<usize>, columns: Range<usize>) -> Block<f64> {
        let mut grid = Grid {
            rows: rows.len(),
            columns: columns.len(),
            height: self.row_cuts[rows.start + 1] - self.row_cuts[rows.start],
            width: self.column_cuts[columns.start + 1] - self.column_cuts[columns.start],
        };
        let (row_ends, column_ends) = (&self.row_cuts[rows.start..], &self.column_cuts[columns.start..]);
        let (bottom, right) = (self.row_cuts.last(), self.column_cuts.last());
        let leaf = |k: usize| {
            let (i, j) = (k / columns.len(), k % columns.len());
            let shape = Shape {
                height: row_ends[i + 1] - row_ends[i],
                width: column_ends[j + 1] - column_ends[j],
                right: self.ends.right || column_ends.get(j + 1) != right,
                bottom: self.ends.bottom || row_ends.get(i + 1) != bottom,
            };
            Leaf { row: row_ends[i], column: column_ends[j], shape }
        };
        let leaves: Vec<Leaf> = (0..rows.len() * columns.len()).map(leaf).collect();
        // Leaves of one shape go side by side.
        let mut order: Vec<usize> = (0..leaves.len()).collect();
        order.sort_by_key(|&k| leaves[k].shape);
        let mut placed = Vec::with_capacity(leaves.len());
        for same in order.chunk_by(|a, b| leaves[*a].shape == leaves[*b].shape) {
            for group in same.chunks(lane::LANES) {
                let leaves: Vec<Leaf> = group.iter().map(|&k| leaves[k]).collect();
                let blocks = SINGLE.with(|pool| reduce_leaves(self.cells, &leaves, &WIDE, pool));
                placed.extend(group.iter().copied().zip(blocks));
            }
        }
        placed.sort_by_key(|(k, _)| *k);
        let mut blocks: Vec<Block<f64>> = placed.into_iter().map(|(_, block)| block).collect();
        while blocks.len() > 1 {
            let (pairs, below) = grid.pair(blocks);
            let merged = |(first, second): Pair<f64>| match second {
                Some(second) => SINGLE.with(|pool| kernel::merge(first, second, below, pool)),
                None => first,
            };
            blocks = pairs.into_iter().map(merged).collect();
        }
        blocks.pop().expect("an array has at least one cell")
    }
}

/// The side of a leaf: small arrays need small leaves to fill the lanes.
fn leaf_side(m: usize, n: usize) -> usize {
    match m * n {
        0..4096 => 4,
        _ => 8,
    }
}

/// Where a length is cut into parts that differ by one at most.
fn cuts(length: usize, parts: usize) -> Vec<usize> {
    (0..=parts).map(|k| k * length / parts).collect()
}

/// Ties ends that are driven too to their lines' terminals and puts mirrored lines back.
fn finish(
    mut block: Block<f64>,
    m: usize,
    n: usize,
    right_end: Option<f64>,
    bottom_end: Option<f64>,
    mirrored_rows: bool,
    mirrored_columns: bool,
) -> Vec<f64> {
    use block::{Joint, Ports};
    // A second source of a line joins the line's terminal with its far node.
    for (end, right) in [(right_end, true), (bottom_end, false)] {
        let Some(end) = end else { continue };
        let old = block.ports;
        let (ports, from, count, terminal) = if right {
            (Ports { right: 0, ..old }, old.left, m, 0)
        } else {
            (Ports { bottom: 0, ..old }, old.left + old.right + old.top, n, old.left + old.right)
        };
        let (total, p) = (old.count(), ports.count());
        let at = |i: usize, j: usize| block.between[i.min(j) * total + i.max(j)];
        // Old index of a port that stays.
        let stays = |i: usize| if i < from { i } else { i + count };
        let mut inner = vec![0.0; count * count];
        let mut coupling = vec![0.0; count * p];
        let mut outer = vec![0.0; p * p];
        for i in 0..count {
            for j in i + 1..count {
                inner[i * count + j] = at(from + i, from + j);
            }
            for j in 0..p {
                coupling[i * p + j] = at(from + i, stays(j));
            }
            coupling[i * p + terminal + i] += end;
        }
        for i in 0..p {
            for j in i + 1..p {
                outer[i * p + j] = at(stays(i), stays(j));
            }
        }
        let joint = Joint { shared: count, ports, inner, coupling, outer };
        block = kernel::eliminate(joint, &mut Pool::default());
    }
    if !(mirrored_rows || mirrored_columns) {
        return block.between;
    }
    // Rows were mirrored: word lines stand in reverse order; columns: bit lines.
    let total = m + n;
    let place = |i: usize| match i < m {
        true if mirrored_rows => m - 1 - i,
        false if mirrored_columns => m + n - 1 - (i - m),
        _ => i,
    };
    let mut out = vec![0.0; total * total];
    for i in 0..total {
        for j in i + 1..total {
            let (a, b) = (place(i), place(j));
            out[i * total + j] = block.between[a.min(b) * total + a.max(b)];
        }
    }
    out
}
