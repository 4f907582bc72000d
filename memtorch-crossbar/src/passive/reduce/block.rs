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
        inner: pool.zeros(shared * shared),
        coupling: pool.zeros(shared * p),
        outer: pool.zeros(p * p),
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
    scatter(&first, out, starts(&a, false), &mut joint);
    scatter(&second, into, starts(&b, true), &mut joint);
    pool.give_back(first.between);
    pool.give_back(second.between);
    joint
}

/// Adds a block's conductances to a joint.
#[inline(always)]
fn scatter<T: Lane>(block: &Block<T>, shared_side: usize, starts: [usize; 4], joint: &mut Joint<T>) {
    let (n, p, shared) = (block.ports.count(), joint.ports.count(), joint.shared);
    let sides = block.ports.sides();
    for one in 0..4 {
        for other in one..4 {
            let (rows, columns) = (sides[one].clone(), sides[other].clone());
            for (r, i) in rows.enumerate() {
                let begin = if one == other { r + 1 } else { 0 };
                let source = &block.between[i * n + columns.start + begin..i * n + columns.end];
                if one == shared_side && other == shared_side {
                    let row = &mut joint.inner[r * shared + begin..(r + 1) * shared];
                    for (to, from) in row.iter_mut().zip(source) {
                        *to += *from;
                    }
                } else if one == shared_side {
                    let start = r * p + starts[other];
                    joint.coupling[start..start + source.len()].copy_from_slice(source);
                } else if other == shared_side {
                    for (c, from) in source.iter().enumerate() {
                        joint.coupling[c * p + starts[one] + r] = *from;
                    }
                } else {
                    let start = (starts[one] + r) * p + starts[other] + begin;
                    joint.outer[start..start + source.len()].copy_from_slice(source);
                }
            }
        }
    }
}
