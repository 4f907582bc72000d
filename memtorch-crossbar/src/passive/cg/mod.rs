//! Line-preconditioned conjugate gradients: one or many inputs, all node voltages.

mod conjugate;
mod kept;
mod kernel;
mod law;
mod lines;
mod newton;

use ndarray::{Array1, Array2, Array3, Array4, ArrayView2, Axis};
use rayon::prelude::*;

use super::solver::check_voltages;
use super::{Detail, PassiveCircuit, PassiveSolver, Solution};
use crate::CrossbarError;
use conjugate::{Network, Outcome, Scratch};
pub(crate) use kept::{Drive, Kept};
pub use law::{DeviceLaw, Ohmic, Sinh};
use lines::Wires;
pub use newton::Newton;

/// Conjugate gradients on the bit-line nodes, preconditioned with the exact solution of each line.
///
/// The right method for a few inputs, for node voltages, and inside Newton's method. It takes about
/// `4 + 1.6 n sqrt(R_line g)` iterations for `n x n` devices of mean conductance g, each about 27
/// operations per cell. Where a device conducts more than a million times better than its lines, so that digits
/// are lost, it answers with the error of no convergence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConjugateGradients {
    /// When to stop: the residual of Kirchhoff's current law summed over each bit line, relative to
    /// the currents of its devices.
    pub tolerance: f64,
    /// How many iterations to try.
    pub max_iterations: usize,
}

impl Default for ConjugateGradients {
    fn default() -> Self {
        Self { tolerance: 1e-12, max_iterations: 20_000 }
    }
}

impl PassiveSolver for ConjugateGradients {
    fn name(&self) -> &str {
        "cg"
    }

    fn solve(
        &self,
        circuit: &PassiveCircuit,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
        detail: Detail,
    ) -> Result<Solution, CrossbarError> {
        check_voltages(circuit, word_lines, bit_lines)?;
        let wires = Wires::new(circuit.wiring());
        let (m, n) = (circuit.word_lines(), circuit.bit_lines());
        let network = Network::new(circuit.row_major(), n, &wires);
        let found = (0..word_lines.nrows())
            .into_par_iter()
            .map_init(
                || Scratch::new(m * n, n),
                |scratch, input| {
                    let (word, bit) = (word_lines.row(input).to_vec(), bit_lines.row(input).to_vec());
                    let (state, outcome) = linear(&network, &wires, &word, &bit, self, scratch);
                    if !outcome.converged {
                        return Err(CrossbarError::NotConverged {
                            what: format!("conjugate gradients, input {input}"),
                            iterations: outcome.iterations,
                            residual: outcome.residual,
                            tolerance: self.tolerance,
                        });
                    }
                    Ok(state.found(&wires, n, &bit, outcome, detail))
                },
            )
            .collect();
        collect(found, circuit, detail, "conjugate gradients".into())
    }
}

/// The network at one input: voltages and device currents that agree with the wires.
#[derive(Clone)]
struct State {
    /// Volt, at the nodes of word lines.
    word: Vec<f64>,
    /// Volt above the bit line's voltage, at the nodes of bit lines.
    rise: Vec<f64>,
    /// Ampere through each device.
    currents: Vec<f64>,
}

impl State {
    /// What is asked of it.
    fn found(&self, wires: &Wires, n: usize, bit: &[f64], outcome: Outcome, detail: Detail) -> Found {
        let last = self.rise.len() - n;
        // Through the source resistances: the sum over the devices is noisier.
        let column = |j: usize| wires.bit_top * self.rise[j] + wires.bit_bottom * self.rise[last + j];
        let nodes = || {
            let bits = self.rise.chunks_exact(n).flat_map(|row| row.iter().zip(bit).map(|(u, v)| u + v));
            self.word.iter().copied().chain(bits).collect()
        };
        Found {
            columns: (0..n).map(column).collect(),
            sources: self.currents.chunks_exact(n).map(|row| row.iter().sum()).collect(),
            nodes: (detail == Detail::Nodes).then(nodes),
            outcome,
        }
    }
}

/// The solution of one input.
struct Found {
    /// Ampere into the sink of each bit line.
    columns: Vec<f64>,
    /// Ampere out of the source of each word line.
    sources: Vec<f64>,
    /// Volt, the nodes of word lines first.
    nodes: Option<Vec<f64>>,
    outcome: Outcome,
}

/// The share of a bit line's currents that may be missing at its end: far more than rounding takes
/// unless a device conducts far better than its wires.
const UNBALANCED: f64 = 1e-10;

/// Solves for ohmic devices.
fn linear(
    network: &Network,
    wires: &Wires,
    word: &[f64],
    bit: &[f64],
    options: &ConjugateGradients,
    scratch: &mut Scratch,
) -> (State, Outcome) {
    let n = network.n;
    let cells = network.g.len();
    // Word lines with all bit lines held at their voltages.
    let drive = |x: &mut Vec<f64>| {
        for (row, v) in x.chunks_exact_mut(n).zip(word) {
            row[0] += wires.word_left * v;
            row[n - 1] += wires.word_right * v;
        }
    };
    let mut held: Vec<f64> = network.g.iter().enumerate().map(|(k, g)| g * bit[k % n]).collect();
    drive(&mut held);
    network.word.solve_word(n, &mut held);
    let mut r: Vec<f64> = (0..cells).map(|k| network.g[k] * (held[k] - bit[k % n])).collect();
    let scale = scale(&network.g, n, word, bit, &r);
    let mut u = vec![0.0; cells];
    let mut outcome =
        network.solve(&mut r, &mut u, &scale, options.tolerance, options.max_iterations, scratch);
    let mut w: Vec<f64> = (0..cells).map(|k| network.g[k] * (bit[k % n] + u[k])).collect();
    drive(&mut w);
    network.word.solve_word(n, &mut w);
    let currents: Vec<f64> = (0..cells).map(|k| network.g[k] * ((w[k] - bit[k % n]) - u[k])).collect();
    let leaves = |j: usize| wires.bit_top * u[j] + wires.bit_bottom * u[cells - n + j];
    balance(&mut outcome, &currents, &scale, options.tolerance, leaves);
    rounded(&mut outcome, network, wires);
    (State { word: w, rise: u, currents }, outcome)
}

/// The residual is carried along and does not see what rounding did. What devices bring to a bit line and what
/// leaves it does.
fn balance(
    outcome: &mut Outcome,
    currents: &[f64],
    scale: &[f64],
    tolerance: f64,
    leaves: impl Fn(usize) -> f64,
) {
    let n = scale.len();
    for j in 0..n {
        let brought: f64 = currents[j..].iter().step_by(n).sum();
        let size: f64 = currents[j..].iter().step_by(n).map(|i| i.abs()).sum();
        let missing = (brought - leaves(j)).abs() / size.max(scale[j]);
        if missing > outcome.residual {
            outcome.residual = missing;
            outcome.converged &= missing <= UNBALANCED.max(tolerance);
        }
    }
}

/// The share of the currents that rounding may take.
const ROUNDED: f64 = 4e-10;

/// The Schur complement has the difference of a device's conductance and nearly the same number, of which what the
/// wires conduct is left: the rounding of the former must be little beside the latter. Currents need not be out of
/// balance for it.
fn rounded(outcome: &mut Outcome, network: &Network, wires: &Wires) {
    let (n, m) = (network.n, network.g.len() / network.n);
    // To the end of a line that is farther from its cells.
    let path = |end: f64, segment: f64, cells: usize| 1.0 / (1.0 / end + (cells - 1) as f64 / segment);
    let word = path(wires.word_left.max(wires.word_right), wires.word, n);
    let bit = path(wires.bit_top.max(wires.bit_bottom), wires.bit, m);
    let strongest = network.g.iter().copied().fold(0.0, f64::max);
    let lost = f64::EPSILON * strongest / (word + bit);
    if lost > ROUNDED {
        outcome.residual = outcome.residual.max(lost);
        outcome.converged = false;
    }
}

/// What the residual of each bit line is measured by: the sum of its devices' currents, and where
/// there is next to none, a millionth of what the largest voltage would drive.
fn scale(g: &[f64], n: usize, word: &[f64], bit: &[f64], currents: &[f64]) -> Vec<f64> {
    let largest = word.iter().chain(bit).fold(0.0f64, |m, v| m.max(v.abs()));
    let mut scale = vec![0.0; n];
    for (k, (g, i)) in g.iter().zip(currents).enumerate() {
        scale[k % n] += i.abs().max(1e-6 * g * largest);
    }
    scale
}

/// Puts the solutions of a batch together.
fn collect(
    found: Vec<Result<Found, CrossbarError>>,
    circuit: &PassiveCircuit,
    detail: Detail,
    method: String,
) -> Result<Solution, CrossbarError> {
    let (m, n, batch) = (circuit.word_lines(), circuit.bit_lines(), found.len());
    let mut solution = Solution {
        method,
        column_currents: Array2::zeros((batch, n)),
        source_currents: Array2::zeros((batch, m)),
        node_voltages: (detail == Detail::Nodes).then(|| Array4::zeros((batch, 2, m, n))),
        iterations: 0,
        residual: 0.0,
    };
    for (input, found) in found.into_iter().enumerate() {
        let found = found?;
        solution.iterations = solution.iterations.max(found.outcome.iterations);
        solution.residual = solution.residual.max(found.outcome.residual);
        solution.column_currents.row_mut(input).assign(&Array1::from(found.columns));
        solution.source_currents.row_mut(input).assign(&Array1::from(found.sources));
        if let (Some(all), Some(nodes)) = (&mut solution.node_voltages, found.nodes) {
            let nodes = Array3::from_shape_vec((2, m, n), nodes).expect("two nodes a cell");
            all.index_axis_mut(Axis(0), input).assign(&nodes);
        }
    }
    Ok(solution)
}
