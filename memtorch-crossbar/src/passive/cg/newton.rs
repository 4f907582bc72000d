use std::fmt::Debug;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use super::conjugate::{Network, Outcome, Scratch};
use super::lines::Wires;
use super::{State, collect};
use crate::CrossbarError;
use crate::passive::solver::check_voltages;
use crate::passive::{Detail, PassiveCircuit, Solution};

/// How the current of a device depends on its voltage.
///
/// The current must be 0 at 0 V and rise with the voltage.
pub trait DeviceLaw: Debug + Send + Sync {
    /// The current (ampere) and its slope (siemens, not negative) at `voltage` (volt) of the device at
    /// `[word line, bit line]`, whose conductance at small voltage is `conductance` (siemens).
    fn current_and_slope(&self, conductance: f64, voltage: f64, place: [usize; 2]) -> (f64, f64);
}

/// `i = g v`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ohmic;

impl DeviceLaw for Ohmic {
    #[inline]
    fn current_and_slope(&self, conductance: f64, voltage: f64, _place: [usize; 2]) -> (f64, f64) {
        (conductance * voltage, conductance)
    }
}

/// `i = g sinh(b v) / b`, b in 1/V.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sinh {
    b: f64,
}

impl Sinh {
    /// The law of this b (1/V).
    ///
    /// # Errors
    /// b that is not finite and positive.
    pub fn new(b: f64) -> Result<Self, CrossbarError> {
        if !(b > 0.0 && b.is_finite()) {
            return Err(CrossbarError::value("b", b, "a positive number of 1/V"));
        }
        Ok(Self { b })
    }

    /// The parameter, in 1/V.
    pub fn b(&self) -> f64 {
        self.b
    }
}

impl DeviceLaw for Sinh {
    #[inline]
    fn current_and_slope(&self, conductance: f64, voltage: f64, _place: [usize; 2]) -> (f64, f64) {
        let x = self.b * voltage;
        // sinh and cosh from one exponential; expm1 keeps the digits of a small argument.
        let e = x.abs().exp_m1();
        let sinh = 0.5 * (e + e / (e + 1.0));
        (conductance * sinh.copysign(x) / self.b, conductance * (1.0 + 0.5 * e * e / (e + 1.0)))
    }
}

/// Newton's method for devices whose current is not proportional to their voltage, with conjugate
/// gradients inside and a line search.
///
/// The unknowns are kept such that they obey the wires exactly, so that what is left to reduce is
/// only the difference between each device's current and its law: no cancellation however small
/// the resistances are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Newton {
    /// When to stop: the sum over each bit line and over each word line of what the devices' currents
    /// miss, relative to the currents themselves.
    pub tolerance: f64,
    /// How many linear networks to solve.
    pub max_steps: usize,
    /// How many iterations of conjugate gradients to try for each.
    pub max_iterations: usize,
}

impl Default for Newton {
    fn default() -> Self {
        Self { tolerance: 1e-12, max_steps: 300, max_iterations: 20_000 }
    }
}

impl Newton {
    /// Solves a circuit of devices of this law for a batch of voltages: shapes as for
    /// [`PassiveSolver::solve`](crate::passive::PassiveSolver::solve).
    ///
    /// # Errors
    /// Voltages of another shape or not finite; currents beyond what a number holds; no convergence.
    pub fn solve(
        &self,
        circuit: &PassiveCircuit,
        law: &dyn DeviceLaw,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
        detail: Detail,
    ) -> Result<Solution, CrossbarError> {
        check_voltages(circuit, word_lines, bit_lines)?;
        let wires = Wires::new(circuit);
        let states = (0..word_lines.nrows())
            .into_par_iter()
            .map(|input| {
                let (word, bit) = (word_lines.row(input).to_vec(), bit_lines.row(input).to_vec());
                self.one(circuit, &wires, law, &word, &bit).map_err(|outcome| CrossbarError::NotConverged {
                    what: format!("Newton's method, input {input}"),
                    iterations: outcome.iterations,
                    residual: outcome.residual,
                    tolerance: self.tolerance,
                })
            })
            .collect();
        collect(states, &wires, circuit, bit_lines, detail, "Newton with conjugate gradients".into())
    }

    /// One input. `Err` says how far it came.
    fn one(
        &self,
        circuit: &PassiveCircuit,
        wires: &Wires,
        law: &dyn DeviceLaw,
        word: &[f64],
        bit: &[f64],
    ) -> Result<(State, Outcome), Outcome> {
        let g = circuit.conductances();
        let (m, n) = g.dim();
        let cells = m * n;
        let g = g.as_slice().expect("circuits are row-major");
        let evaluate = |v: &[f64], currents: &mut [f64], slopes: &mut [f64]| {
            for k in 0..cells {
                (currents[k], slopes[k]) = law.current_and_slope(g[k], v[k], [k / n, k % n]);
            }
        };
        let mut scratch = Scratch::new(cells, n);
        // No devices: word lines at their voltages, bit lines at theirs, no current.
        let mut state = State {
            word: (0..cells).map(|k| word[k / n]).collect(),
            rise: vec![0.0; cells],
            currents: vec![0.0; cells],
        };
        // What the wires of each bit line still lack of Kirchhoff's law, from inexact steps.
        let mut lacking = vec![0.0; cells];
        let mut v = vec![0.0; cells];
        let (mut at_law, mut slopes) = (vec![0.0; cells], vec![0.0; cells]);
        // The first step is taken from devices at 0 V: currents of the law at 0, not at full voltage.
        let mut from_zero = true;
        let mut total = 0;
        let (mut residual, mut still_missing) = (f64::INFINITY, f64::INFINITY);
        let (mut trial_v, mut trial_law, mut trial_slopes) = (v.clone(), v.clone(), v.clone());
        for _ in 0..self.max_steps {
            if from_zero {
                evaluate(&v, &mut at_law, &mut slopes);
            }
            let conductances = Array2::from_shape_vec((m, n), slopes.clone()).expect("one slope a cell");
            let network = Network::new(conductances.view(), wires);
            // Devices follow `law + slope (v' - v)`; in terms of changes of the state, whose currents
            // the wires agree with, the mismatch is all that drives the network.
            let mut mismatch: Vec<f64> = (0..cells)
                .map(|k| {
                    let wanted = if from_zero {
                        // The state has the full voltage across devices that v says are at 0 V.
                        at_law[k] + slopes[k] * ((state.word[k] - bit[k % n]) - state.rise[k] - v[k])
                    } else {
                        at_law[k]
                    };
                    state.currents[k] - wanted
                })
                .collect();
            from_zero = false;
            let kept = mismatch.clone();
            network.word.solve_word(n, &mut mismatch);
            let mut r: Vec<f64> =
                (0..cells).map(|k| lacking[k] - kept[k] + network.g[k] * mismatch[k]).collect();
            let mut u = vec![0.0; cells];
            let size = column_sums(&r, n);
            let outcome = network.solve(&mut r, &mut u, &size, 0.03, self.max_iterations, &mut scratch);
            total += outcome.iterations;
            if !outcome.converged {
                return Err(Outcome { iterations: total, ..outcome });
            }
            let mut change: Vec<f64> = (0..cells).map(|k| kept[k] + network.g[k] * u[k]).collect();
            network.word.solve_word(n, &mut change);
            let linear: Vec<f64> = (0..cells)
                .map(|k| (state.currents[k] - kept[k]) + network.g[k] * (change[k] - u[k]))
                .collect();
            let mut length = 1.0;
            let accepted = loop {
                let stay = 1.0 - length;
                let next = State {
                    word: (0..cells).map(|k| state.word[k] + length * change[k]).collect(),
                    rise: (0..cells).map(|k| state.rise[k] + length * u[k]).collect(),
                    currents: (0..cells).map(|k| stay * state.currents[k] + length * linear[k]).collect(),
                };
                let next_lacking: Vec<f64> = (0..cells).map(|k| stay * lacking[k] + length * r[k]).collect();
                for k in 0..cells {
                    trial_v[k] = (next.word[k] - bit[k % n]) - next.rise[k];
                }
                evaluate(&trial_v, &mut trial_law, &mut trial_slopes);
                let found = relative(g, n, word, bit, &next.currents, &trial_law, &next_lacking);
                let next_missing = missing(&next.currents, &trial_law, &next_lacking);
                if next_missing < (1.0 - 1e-4 * length) * still_missing || found <= self.tolerance {
                    still_missing = next_missing;
                    break Some((next, next_lacking, found));
                }
                length *= 0.5;
                if length < 1e-10 {
                    break None;
                }
            };
            let Some((next, next_lacking, found)) = accepted else {
                return Err(Outcome { iterations: total, residual, converged: false });
            };
            (state, lacking, residual) = (next, next_lacking, found);
            std::mem::swap(&mut v, &mut trial_v);
            std::mem::swap(&mut at_law, &mut trial_law);
            std::mem::swap(&mut slopes, &mut trial_slopes);
            if residual <= self.tolerance {
                return Ok((state, Outcome { iterations: total, residual, converged: true }));
            }
        }
        Err(Outcome { iterations: total, residual, converged: false })
    }
}

/// The sum of the magnitudes of each column.
fn column_sums(x: &[f64], n: usize) -> Vec<f64> {
    let mut sums = vec![0.0; n];
    for row in x.chunks_exact(n) {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += x.abs();
        }
    }
    sums
}

/// What all currents miss, in ampere: what the line search reduces.
fn missing(currents: &[f64], law: &[f64], lacking: &[f64]) -> f64 {
    let errors = currents.iter().zip(law).map(|(i, law)| (i - law).abs());
    errors.zip(lacking).map(|(error, lacking)| error + lacking.abs()).sum()
}

/// The largest share, over bit lines and word lines, of what is missing in a line's currents.
fn relative(
    g: &[f64],
    n: usize,
    word: &[f64],
    bit: &[f64],
    currents: &[f64],
    law: &[f64],
    lacking: &[f64],
) -> f64 {
    let largest = word.iter().chain(bit).fold(0.0f64, |m, v| m.max(v.abs()));
    let mut bits = vec![0.0; n];
    let mut missing = vec![0.0; n];
    let mut worst = 0.0f64;
    let mut take = |missing: f64, scale: f64| {
        let share = if missing == 0.0 { 0.0 } else { missing / scale };
        worst = if share.is_finite() { worst.max(share) } else { f64::INFINITY };
    };
    for (i, row) in currents.chunks_exact(n).enumerate() {
        let (mut row_missing, mut row_scale) = (0.0, 0.0);
        for (j, current) in row.iter().enumerate() {
            let k = i * n + j;
            let error = (current - law[k]).abs();
            missing[j] += error + lacking[k].abs();
            row_missing += error;
            // Below a thousandth of what the voltages would drive, rounding speaks.
            let size = current.abs().max(1e-3 * g[k] * largest);
            row_scale += size;
            bits[j] += size;
        }
        take(row_missing, row_scale);
    }
    for (missing, scale) in missing.into_iter().zip(bits) {
        take(missing, scale);
    }
    worst
}
