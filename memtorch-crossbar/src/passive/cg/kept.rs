//! A network that is solved again and again while its devices change.

use super::conjugate::{Network, Scratch};
use super::lines::Wires;
use super::{balance, scale};
use crate::CrossbarError;
use crate::passive::Wiring;

/// The voltages at which lines are driven, in V; `None` for a line that is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drive {
    /// Of each word line, at its left end.
    pub(crate) word: Vec<Option<f64>>,
    /// Of each bit line, at its lower end.
    pub(crate) bit: Vec<Option<f64>>,
}

impl Drive {
    /// Whether the same lines are open.
    fn is_open_where(&self, other: &Self) -> bool {
        let same = |a: &[Option<f64>], b: &[Option<f64>]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_some() == b.is_some())
        };
        same(&self.word, &other.word) && same(&self.bit, &other.bit)
    }
}

/// Word lines driven at the left, bit lines at the bottom, each by a voltage of its own or not at all. Solutions
/// begin at the last one.
#[derive(Debug)]
pub(crate) struct Kept {
    n: usize,
    wires: Wires,
    network: Network,
    scratch: Scratch,
    drive: Drive,
    /// Volt at the nodes of word lines.
    word: Vec<f64>,
    /// Volt above the bit line's voltage at the nodes of bit lines.
    rise: Vec<f64>,
    /// Ampere that the wires of bit lines take away from each node.
    leaving: Vec<f64>,
    /// Volt across each device.
    across: Vec<f64>,
    residual: Vec<f64>,
    change: Vec<f64>,
}

/// Iterations at most.
const LIMIT: usize = 20_000;

impl Kept {
    pub(crate) fn new([m, n]: [usize; 2], wiring: &Wiring) -> Self {
        let v = || vec![0.0; m * n];
        Self {
            n,
            wires: Wires::new(wiring),
            network: Network::empty(m * n, n),
            scratch: Scratch::new(m * n, n),
            drive: Drive::default(),
            word: v(),
            rise: v(),
            leaving: v(),
            across: v(),
            residual: v(),
            change: v(),
        }
    }

    /// The voltages across devices of these conductances, until the residual of Kirchhoff's current law, summed
    /// over each bit line, is at most `tolerance` times the currents of its devices.
    ///
    /// # Errors
    /// No convergence, with the residual.
    pub(crate) fn solve(
        &mut self,
        g: &[f64],
        drive: &Drive,
        tolerance: f64,
    ) -> Result<&[f64], CrossbarError> {
        let n = self.n;
        let ends = |line: &[Option<f64>], end: f64| -> Vec<f64> {
            line.iter().map(|volt| if volt.is_some() { end } else { 0.0 }).collect()
        };
        let left = ends(&drive.word, self.wires.word_left);
        let bottom = ends(&drive.bit, self.wires.bit_bottom);
        self.network.set_ends(g, &self.wires, &left, &bottom);
        if !drive.is_open_where(&self.drive) {
            self.rise.fill(0.0);
            self.leaving.fill(0.0);
        }
        self.drive.clone_from(drive);
        let volts = |line: &[Option<f64>]| line.iter().map(|volt| volt.unwrap_or(0.0)).collect();
        let (word, bit): (Vec<f64>, Vec<f64>) = (volts(&drive.word), volts(&drive.bit));
        self.follow(&left, &word, &bit);
        // What devices bring to a node, less what the wires take.
        for (k, r) in self.residual.iter_mut().enumerate() {
            *r = g[k] * self.across[k];
        }
        let scale = scale(g, n, &word, &bit, &self.residual);
        for (r, leaving) in self.residual.iter_mut().zip(&self.leaving) {
            *r -= leaving;
        }
        self.change.fill(0.0);
        let (r, change) = (&mut self.residual, &mut self.change);
        let mut outcome = self.network.solve(r, change, &scale, tolerance, LIMIT, &mut self.scratch);
        for (rise, change) in self.rise.iter_mut().zip(&self.change) {
            *rise += change;
        }
        self.follow(&left, &word, &bit);
        let currents = || g.iter().zip(&self.across).map(|(g, v)| g * v);
        for ((leaving, current), r) in self.leaving.iter_mut().zip(currents()).zip(&self.residual) {
            *leaving = current - r;
        }
        let currents: Vec<f64> = currents().collect();
        balance(&mut outcome, &currents, &scale, tolerance, |j| bottom[j] * self.rise[g.len() - n + j]);
        if outcome.converged {
            return Ok(&self.across);
        }
        Err(CrossbarError::NotConverged {
            what: "conjugate gradients".to_owned(),
            iterations: outcome.iterations,
            residual: outcome.residual,
            tolerance,
        })
    }

    /// The word lines, and with them the voltages across devices, that go with the bit lines.
    fn follow(&mut self, left: &[f64], word: &[f64], bit: &[f64]) {
        let n = self.n;
        let nodes = self.rise.chunks_exact(n).zip(self.network.g.chunks_exact(n));
        for (((w, (rise, g)), end), volt) in self.word.chunks_exact_mut(n).zip(nodes).zip(left).zip(word) {
            for j in 0..n {
                w[j] = g[j] * (bit[j] + rise[j]);
            }
            w[0] += end * volt;
        }
        self.network.word.solve_word(n, &mut self.word);
        let nodes = self.word.chunks_exact(n).zip(self.rise.chunks_exact(n));
        for (across, (w, rise)) in self.across.chunks_exact_mut(n).zip(nodes) {
            for j in 0..n {
                across[j] = (w[j] - bit[j]) - rise[j];
            }
        }
    }
}
