use std::ops::Range;

use super::lane::Lane;
use super::pool::Pool;

/// How many nodes a block shares with the outside at each of its sides. All sides that exist have
/// the length of the side; at an open edge of the array there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ports {
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) top: usize,
    pub(super) bottom: usize,
}

impl Ports {
    pub(super) fn count(&self) -> usize {
        self.left + self.right + self.top + self.bottom
    }

    /// Where each side's nodes are, in the order left, right, top, bottom.
    fn sides(&self) -> [Range<usize>; 4] {
        let right = self.left + self.right;
        let top = right + self.top;
        [0..self.left, self.left..right, right..top, top..top + self.bottom]
    }
}

/// A rectangle of cells reduced to its ports.
///
/// A cell owns its device and the wire segments to its left and top neighbours. So the left and top
/// ports of a block are nodes of its neighbours (or terminals), the right and bottom ones its own.
/// Only the conductances between ports are kept, all of them non-negative, above the diagonal of a
/// square matrix: whatever is below it is not used. The diagonal would be minus the row sum.
#[derive(Clone, Debug)]
pub(super) struct Block<T> {
    pub(super) ports: Ports,
    pub(super) between: Vec<T>,
}

impl<T: Lane> Block<T> {
    /// One cell: the segment at its left, its device, the segment at its top; whether its word-line
    /// node is the right port and its bit-line node the bottom port.
    #[inline(always)]
    pub(super) fn cell(
        [left, device, top]: [T; 3],
        right_port: bool,
        bottom_port: bool,
        pool: &mut Pool<T>,
    ) -> Self {
        let ports = Ports { left: 1, right: right_port as usize, top: 1, bottom: bottom_port as usize };
        let n = ports.count();
        let mut between = pool.zeros(n * n);
        match (right_port, bottom_port) {
            // left 0, word node 1, top 2, bit node 3
            (true, true) => {
                between[1] = left;
                between[n + 3] = device;
                between[2 * n + 3] = top;
            }
            // left 0, word node 1, top 2; the bit node joins device and top
            (true, false) => {
                between[1] = left;
                between[n + 2] = series(device, top);
            }
            // left 0, top 1, bit node 2; the word node joins left and device
            (false, true) => {
                between[2] = series(left, device);
                between[n + 2] = top;
            }
            (false, false) => between[1] = series(series(left, device), top),
        }
        Self { ports, between }
    }
}

/// Two conductances in series; the second may not be zero.
#[inline(always)]
pub(super) fn series<T: Lane>(a: T, b: T) -> T {
    a * (b / (a + b))
}

/// What two blocks share, and the network around it before the shared nodes are eliminated.
pub(super) struct Joint<T> {
    /// Nodes to be eliminated.
    pub(super) shared: usize,
    /// Ports of the union.
    pub(super) ports: Ports,
    /// Between shared nodes: `[shared, shared]`, above the diagonal.
    pub(super) inner: Vec<T>,
    /// From shared nodes to ports: `[shared, ports]`.
    pub(super) coupling: Vec<T>,
    /// Between ports: `[ports, ports]`, above the diagonal.
    pub(super) outer: Vec<T>,
}

/// Puts `second` to the right of `first` (or below it): the shared nodes are first's right (bottom)
/// and second's left (top) ports.
#[inline(always)]
pub(super) fn join<T: Lane>(first: Block<T>, second: Block<T>, below: bool, pool: &mut Pool<T>) -> Joint<T> {
    let (a, b) = (first.ports, second.ports);
    let (ports, out, into) = if below {
        let ports = Ports { left: a.left + b.left, right: a.right + b.right, top: a.top, bottom: b.bottom };
        (ports, 3, 2)
    } else {
        let ports = Ports { left: a.left, right: b.right, top: a.top + b.top, bottom: a.bottom + b.bottom };
        (ports, 1, 0)
    };
    let (shared, p) = (first.ports.sides()[out].len(), ports.count());
    debug_assert_eq!(shared, second.ports.sides()[into].len());
    let mut joint = Joint {
        shared,
        ports,
        inner: pool.any(shared * shared),
        coupling: pool.any(shared * p),
        outer: pool.any(p * p),
    };
    // Where each side of each block goes among the ports of the union.
    let to = ports.sides();
    let starts = |block: &Ports, is_second: bool| -> [usize; 4] {
        let mut start = [to[0].start, to[1].start, to[2].start, to[3].start];
        if is_second {
            for side in if below { [0, 1] } else { [2, 3] } {
                start[side] = to[side].end - block.sides()[side].len();
            }
        }
        start
    };
    let (of_first, of_second) = (starts(&a, false), starts(&b, true));
    scatter(&first, out, of_first, false, &mut joint);
    scatter(&second, into, of_second, true, &mut joint);
    // Nothing leads from the one to the other but through what they share.
    for one in (0..4).filter(|side| *side != out) {
        let rows = of_first[one]..of_first[one] + a.sides()[one].len();
        for other in (0..4).filter(|side| *side != into) {
            let columns = of_second[other]..of_second[other] + b.sides()[other].len();
            let (rows, columns) =
                if rows.start < columns.start { (&rows, columns) } else { (&columns, rows.clone()) };
            for i in rows.clone() {
                joint.outer[i * p + columns.start..i * p + columns.end].fill(T::default());
            }
        }
    }
    pool.give_back(first.between);
    pool.give_back(second.between);
    joint
}

/// Puts a block's conductances into a joint, those between shared nodes on top of what is there if `add`.
#[inline(always)]
fn scatter<T: Lane>(
    block: &Block<T>,
    shared_side: usize,
    starts: [usize; 4],
    add: bool,
    joint: &mut Joint<T>,
) {
    let (n, p, shared) = (block.ports.count(), joint.ports.count(), joint.shared);
    let sides = block.ports.sides();
    for one in 0..4 {
        for other in one..4 {
            let (rows, columns) = (sides[one].clone(), sides[other].clone());
            if other == shared_side && one != shared_side {
                let from = &block.between[rows.start * n + columns.start..];
                transpose([rows.len(), columns.len()], from, n, &mut joint.coupling[starts[one]..], p);
                continue;
            }
            for (r, i) in rows.enumerate() {
                let begin = if one == other { r + 1 } else { 0 };
                let source = &block.between[i * n + columns.start + begin..i * n + columns.end];
                if one == shared_side && other == shared_side {
                    let row = &mut joint.inner[r * shared + begin..(r + 1) * shared];
                    if add {
                        row.iter_mut().zip(source).for_each(|(to, from)| *to += *from);
                    } else {
                        row.copy_from_slice(source);
                    }
                } else if one == shared_side {
                    let start = r * p + starts[other];
                    joint.coupling[start..start + source.len()].copy_from_slice(source);
                } else {
                    let start = (starts[one] + r) * p + starts[other] + begin;
                    joint.outer[start..start + source.len()].copy_from_slice(source);
                }
            }
        }
    }
}

/// `to[j][i] = from[i][j]` for a matrix of this size and these row lengths, in squares that fit cache lines.
#[inline(always)]
fn transpose<T: Lane>([rows, columns]: [usize; 2], from: &[T], row: usize, to: &mut [T], to_row: usize) {
    const SQUARE: usize = 8;
    for top in (0..rows).step_by(SQUARE) {
        let bottom = (top + SQUARE).min(rows);
        for j in 0..columns {
            let line = &mut to[j * to_row + top..j * to_row + bottom];
            for (to, i) in line.iter_mut().zip(top..) {
                *to = from[i * row + j];
            }
        }
    }
}
