use super::kernel;
use crate::passive::PassiveCircuit;
use crate::passive::wiring::conductance;
use ndarray::ArrayView2;

/// The conductances of the wires, in siemens; 0 is an open end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wires {
    pub(super) word_left: f64,
    pub(super) word_right: f64,
    pub(super) bit_top: f64,
    pub(super) bit_bottom: f64,
    pub(super) word: f64,
    pub(super) bit: f64,
}

impl Wires {
    pub(super) fn new(circuit: &PassiveCircuit) -> Self {
        let wiring = circuit.wiring();
        let end = |r: Option<f64>| r.map_or(0.0, conductance);
        Self {
            word_left: end(wiring.word_left),
            word_right: end(wiring.word_right),
            bit_top: end(wiring.bit_top),
            bit_bottom: end(wiring.bit_bottom),
            word: conductance(wiring.word_line),
            bit: conductance(wiring.bit_line),
        }
    }
}

/// One direction's lines, each a tridiagonal system: its wires and, from each of its nodes, a device
/// to a node whose voltage is given. All arrays are `[word line, bit line]`, row-major.
///
/// `leak` is what leads to ground from a node and all before it. With it, pivots are sums of
/// conductances and nothing is subtracted.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    /// The inverse pivots.
    pub(super) inverse: Vec<f64>,
    /// The share of a pivot that is the segment to the next node; 0 at the last.
    pub(super) share: Vec<f64>,
}

impl Lines {
    /// The word lines, along the second axis.
    pub(super) fn word(g: ArrayView2<f64>, wires: &Wires) -> Self {
        let (m, n) = g.dim();
        let (mut inverse, mut share) = (vec![0.0; m * n], vec![0.0; m * n]);
        for i in 0..m {
            let mut leak = wires.word_left;
            for j in 0..n {
                leak += g[(i, j)];
                let next = if j + 1 < n { wires.word } else { wires.word_right };
                let pivot = 1.0 / (leak + next);
                inverse[i * n + j] = pivot;
                if j + 1 < n {
                    share[i * n + j] = next * pivot;
                    leak *= next * pivot;
                }
            }
        }
        Self { inverse, share }
    }

    /// The bit lines, along the first axis.
    pub(super) fn bit(g: ArrayView2<f64>, wires: &Wires) -> Self {
        let (m, n) = g.dim();
        let (mut inverse, mut share) = (vec![0.0; m * n], vec![0.0; m * n]);
        let mut leaks = vec![wires.bit_top; n];
        for i in 0..m {
            let next = if i + 1 < m { wires.bit } else { wires.bit_bottom };
            for (j, leak) in leaks.iter_mut().enumerate() {
                *leak += g[(i, j)];
                let pivot = 1.0 / (*leak + next);
                inverse[i * n + j] = pivot;
                if i + 1 < m {
                    share[i * n + j] = next * pivot;
                    *leak *= next * pivot;
                }
            }
        }
        Self { inverse, share }
    }

    /// Solves all word lines for the currents in `x`, in place.
    pub(super) fn solve_word(&self, n: usize, x: &mut [f64]) {
        kernel::solve_word(n, &self.inverse, &self.share, x);
    }

    /// Solves all bit lines for the currents in `x`, in place.
    pub(super) fn solve_bit(&self, n: usize, x: &mut [f64]) {
        kernel::solve_bit(n, &self.inverse, &self.share, x);
    }
}
