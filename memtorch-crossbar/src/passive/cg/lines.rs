use super::kernel;
use crate::passive::Wiring;
use crate::passive::wiring::conductance;

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
    pub(super) fn new(wiring: &Wiring) -> Self {
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
    /// Lines to be factored, of so many cells in all.
    pub(super) fn new(cells: usize) -> Self {
        Self { inverse: vec![0.0; cells], share: vec![0.0; cells] }
    }

    /// Factors word lines, along rows of length `n`, whose left ends conduct `left`.
    pub(super) fn factor_word(&mut self, n: usize, g: &[f64], wires: &Wires, left: &[f64]) {
        let right = vec![wires.word_right; left.len()];
        kernel::factor_word(n, g, left, wires.word, &right, &mut self.inverse, &mut self.share);
    }

    /// Factors bit lines, along columns, whose lower ends conduct `bottom`; rows have length `n`.
    pub(super) fn factor_bit(&mut self, n: usize, g: &[f64], wires: &Wires, bottom: &[f64]) {
        let top = vec![wires.bit_top; n];
        kernel::factor_bit(n, g, &top, wires.bit, bottom, &mut self.inverse, &mut self.share);
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
