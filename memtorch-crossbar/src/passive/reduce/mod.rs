//! Star-mesh reduction of a whole array to its terminals.

mod block;
mod lane;

use ndarray::{Array2, ArrayView2, s};

use super::wiring::conductance;
use super::{PassiveCircuit, Wiring};
use block::{Block, eliminate, join};

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
    let at = |i: usize, j: usize| between[i.min(j) * total + i.max(j)];
    let conductances = Array2::from_shape_fn((m, n), |(i, j)| at(i, m + j));
    // The diagonal is what leaves a terminal to all others.
    let leaves = |i: usize| (0..total).filter(|&j| j != i).map(|j| at(i, j)).sum::<f64>();
    let bit_lines =
        Array2::from_shape_fn((n, n), |(i, j)| if i == j { -leaves(m + i) } else { at(m + i, m + j) });
    let word_lines = Array2::from_shape_fn((m, m), |(i, j)| if i == j { leaves(i) } else { -at(i, j) });
    Effective { conductances, bit_lines, word_lines }
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

    let mut grid: Vec<Block<f64>> = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let left = if j == 0 { source_word } else { word };
            let top = if i == 0 { source_bit } else { bit };
            let right_port = j + 1 < n || right_end.is_some();
            let bottom_port = i + 1 < m || bottom_end.is_some();
            grid.push(Block::cell(left, g[(i, j)], top, right_port, bottom_port));
        }
    }
    let (mut rows, mut columns, mut height, mut width) = (m, n, 1, 1);
    while rows * columns > 1 {
        let below = rows > 1 && (height < width || columns == 1);
        grid = if below {
            let pairs = rows.div_ceil(2);
            let mut next = Vec::with_capacity(pairs * columns);
            for i in 0..pairs {
                for j in 0..columns {
                    let first = 2 * i * columns + j;
                    next.push(match grid.get(first + columns) {
                        Some(second) => eliminate(join(&grid[first], second, true)),
                        None => grid[first].clone(),
                    });
                }
            }
            (rows, height) = (pairs, 2 * height);
            next
        } else {
            let mut next = Vec::with_capacity(rows * columns.div_ceil(2));
            for row in grid.chunks(columns) {
                for pair in row.chunks(2) {
                    next.push(match pair {
                        [first, second] => eliminate(join(first, second, false)),
                        _ => pair[0].clone(),
                    });
                }
            }
            (columns, width) = (columns.div_ceil(2), 2 * width);
            next
        };
    }
    let block = grid.pop().expect("an array has at least one cell");
    finish(block, m, n, right_end, bottom_end, mirrored_rows, mirrored_columns)
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
        block = eliminate(Joint { shared: count, ports, inner, coupling, outer });
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
