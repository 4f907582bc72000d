use std::mem;

use ndarray::ArrayView2;
use rayon::prelude::*;

use super::conjugate::{Network, Outcome, Scratch};
use super::law::DeviceLaw;
use super::lines::Wires;
use super::{Found, State, collect};
use crate::CrossbarError;
use crate::passive::solver::check_voltages;
use crate::passive::{Detail, PassiveCircuit, Solution};

/// Newton's method for devices whose current is not proportional to their voltage, with conjugate
/// gradients inside.
///
/// It starts from devices at 0 V. Where the law is so steep that the first step would lead to currents
/// far beyond the linear ones, the sources are raised in steps that keep them in reach; once they are at
/// their voltages, the length of a step is such that it does not go past the minimum of the network's
/// co-content, which is convex where every current rises with its voltage.
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

/// What the residual of a linear network is reduced to, relative to its start: as far as the next linear
/// network will be better than this one, which is the more, the nearer the solution is.
fn inner_tolerance(residual: f64) -> f64 {
    (0.1 * residual).clamp(1e-6, 0.03)
}

/// How far the currents of the law may be from those of the linear network while the sources are raised,
/// relative to these.
const IN_REACH: f64 = 3.0;

/// The share of a line's current that may be missing at its ends: far more than rounding takes unless a
/// device conducts so much better than its wires that no digits are left.
const UNBALANCED: f64 = 1e-8;

/// The share of the co-content's slope that a step may leave.
const FLAT: f64 = 0.5;

/// Below this share of a step nothing moves any more.
const SHORTEST: f64 = 1e-10;

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
        let devices = Devices { g: circuit.row_major(), n: circuit.bit_lines(), law };
        let cells = devices.g.len();
        let wires = Wires::new(circuit.wiring());
        let ideal = circuit.wiring().is_ideal();
        // What every input begins with.
        let rest = Point::at_rest(&devices);
        let at_rest = Network::new(&rest.slopes, devices.n, &wires);
        let work = || Work {
            network: at_rest.clone(),
            scratch: Scratch::new(cells, devices.n),
            now: rest.clone(),
            next: rest.clone(),
            direction: Direction::new(cells),
        };
        let solve = |work: &mut Work, input: usize| {
            let (word, bit) = (word_lines.row(input).to_vec(), bit_lines.row(input).to_vec());
            let voltages = Input { word: &word, bit: &bit };
            if ideal {
                return devices.without_wires(voltages, detail).ok_or_else(|| {
                    let what = format!("largest current of input {input}");
                    CrossbarError::value(what, "more than a number holds", "lower voltages")
                });
            }
            work.now.clone_from(&rest);
            if voltages.largest() == 0.0 {
                let outcome = Outcome { iterations: 0, residual: 0.0, converged: true };
                return Ok(work.now.state.found(&wires, devices.n, &bit, outcome, detail));
            }
            let solved = self.one(&devices, &at_rest, &wires, voltages, work).and_then(|outcome| {
                let residual = outcome.residual.max(work.now.imbalance(&wires, voltages));
                let outcome = Outcome { residual, ..outcome };
                if residual <= UNBALANCED.max(self.tolerance) { Ok(outcome) } else { Err(outcome) }
            });
            match solved {
                Ok(outcome) => Ok(work.now.state.found(&wires, devices.n, &bit, outcome, detail)),
                Err(outcome) => Err(CrossbarError::NotConverged {
                    what: format!("Newton's method, input {input}"),
                    iterations: outcome.iterations,
                    residual: outcome.residual,
                    tolerance: self.tolerance,
                }),
            }
        };
        let found = (0..word_lines.nrows()).into_par_iter().map_init(work, solve).collect();
        let method =
            if ideal { "the law itself: no wire has resistance" } else { "Newton with conjugate gradients" };
        collect(found, circuit, detail, method.into())
    }

    /// One input, from sources at 0 V. The solution is left in `work.now`. `Err` says how far it came.
    fn one(
        &self,
        devices: &Devices,
        at_rest: &Network,
        wires: &Wires,
        input: Input,
        work: &mut Work,
    ) -> Result<Outcome, Outcome> {
        let Work { network, scratch, now, next, direction } = work;
        let mut so_far = Outcome { iterations: 0, residual: f64::INFINITY, converged: false };
        for step in 0..self.max_steps {
            let network = if step == 0 {
                at_rest
            } else {
                network.set(&now.slopes, wires);
                &*network
            };
            let enough = (inner_tolerance(so_far.residual), self.max_iterations);
            let inner = direction.find(now, network, input, enough, scratch);
            so_far.iterations += inner.iterations;
            if !inner.converged {
                return Err(so_far);
            }
            let raising = now.sources < 1.0;
            let slope = if raising { 0.0 } else { now.slope_along(direction) };
            // The part of the step that is known to be too short, and that known to be too long, with the
            // slopes of the co-content there.
            let (mut short, mut long) = ((0.0, slope), None);
            let mut length = 1.0;
            loop {
                next.go(now, direction, length, input, devices);
                let residual = next.residual(devices, input);
                if next.sources == 1.0 && residual <= self.tolerance {
                    mem::swap(now, next);
                    return Ok(Outcome { residual, converged: true, ..so_far });
                }
                if raising {
                    if next.is_in_reach() {
                        so_far.residual = residual;
                        break;
                    }
                    length *= 0.5;
                } else {
                    let at = next.slope_along(direction);
                    if at.abs() <= FLAT * slope.abs() || (length == 1.0 && at <= 0.0) {
                        so_far.residual = residual;
                        break;
                    }
                    if at <= 0.0 {
                        short = (length, at)
                    } else {
                        long = Some((length, at))
                    }
                    length = between(short, long);
                }
                if length < SHORTEST {
                    return Err(so_far);
                }
            }
            mem::swap(now, next);
        }
        Err(so_far)
    }
}

/// A length between one that is too short and one that is too long, where the slope may be 0.
fn between(short: (f64, f64), long: Option<(f64, f64)>) -> f64 {
    match long {
        Some((length, slope)) if slope.is_finite() => {
            // The secant, kept away from the ends: laws are often far from straight.
            let width = length - short.0;
            let secant = short.0 - short.1 * width / (slope - short.1);
            secant.clamp(short.0 + 0.1 * width, length - 0.1 * width)
        }
        Some((length, _)) => 0.5 * (short.0 + length),
        None => 1.0,
    }
}

/// The voltages of the lines.
#[derive(Clone, Copy)]
struct Input<'a> {
    word: &'a [f64],
    bit: &'a [f64],
}

impl Input<'_> {
    fn largest(&self) -> f64 {
        self.word.iter().chain(self.bit).fold(0.0, |largest, v| largest.max(v.abs()))
    }
}

/// The devices of a circuit.
struct Devices<'a> {
    /// Conductances at small voltage, row-major.
    g: &'a [f64],
    /// Bit lines.
    n: usize,
    law: &'a dyn DeviceLaw,
}

impl Devices<'_> {
    /// Currents and slopes at these voltages.
    fn follow(&self, voltages: &[f64], currents: &mut [f64], slopes: &mut [f64]) {
        let n = self.n;
        let outputs = currents.chunks_exact_mut(n).zip(slopes.chunks_exact_mut(n));
        let rows = self.g.chunks_exact(n).zip(voltages.chunks_exact(n)).zip(outputs);
        for (i, ((g, v), (currents, slopes))) in rows.enumerate() {
            self.law.word_line(g, v, i, currents, slopes);
            // A law that falls somewhere leaves the network positive definite.
            slopes.iter_mut().for_each(|slope| *slope = slope.max(0.0));
        }
    }

    /// The solution where no wire has resistance. `None` where it is not finite.
    fn without_wires(&self, input: Input, detail: Detail) -> Option<Found> {
        let (m, n) = (input.word.len(), self.n);
        let voltages: Vec<f64> =
            input.word.iter().flat_map(|w| input.bit.iter().map(move |b| w - b)).collect();
        let (mut currents, mut slopes) = (vec![0.0; m * n], vec![0.0; m * n]);
        self.follow(&voltages, &mut currents, &mut slopes);
        let nodes = || {
            let words = input.word.iter().flat_map(|w| std::iter::repeat_n(*w, n));
            words.chain(input.bit.iter().copied().cycle().take(m * n)).collect()
        };
        let found = Found {
            columns: (0..n).map(|j| currents[j..].iter().step_by(n).sum()).collect(),
            sources: currents.chunks_exact(n).map(|row| row.iter().sum()).collect(),
            nodes: (detail == Detail::Nodes).then(nodes),
            outcome: Outcome { iterations: 0, residual: 0.0, converged: true },
        };
        found.columns.iter().chain(&found.sources).all(|i| i.is_finite()).then_some(found)
    }
}

/// Memory for one input at a time.
struct Work {
    network: Network,
    scratch: Scratch,
    now: Point,
    next: Point,
    direction: Direction,
}

/// A state of the network on the way to the solution, and what the law says of its voltages.
#[derive(Clone)]
struct Point {
    /// The share of the sources' voltages at which it is.
    sources: f64,
    /// It agrees with the wires, but for `lacking`.
    state: State,
    /// What the wires of each bit line lack of Kirchhoff's law, in ampere, from inexact steps.
    lacking: Vec<f64>,
    /// Volt across each device.
    voltages: Vec<f64>,
    /// Ampere of the law.
    law: Vec<f64>,
    /// Siemens.
    slopes: Vec<f64>,
}

impl Point {
    /// All sources at 0 V.
    fn at_rest(devices: &Devices) -> Self {
        let zeros = || vec![0.0; devices.g.len()];
        let state = State { word: zeros(), rise: zeros(), currents: zeros() };
        let mut point =
            Self { sources: 0.0, state, lacking: zeros(), voltages: zeros(), law: zeros(), slopes: zeros() };
        devices.follow(&point.voltages, &mut point.law, &mut point.slopes);
        point
    }

    /// Goes a part of the way from another point.
    fn go(&mut self, from: &Point, direction: &Direction, length: f64, input: Input, devices: &Devices) {
        let n = devices.n;
        let stay = 1.0 - length;
        self.sources = if length == 1.0 { 1.0 } else { from.sources + length * (1.0 - from.sources) };
        let raised = length * (1.0 - from.sources);
        for (i, word) in input.word.iter().enumerate() {
            for k in i * n..(i + 1) * n {
                self.state.word[k] = from.state.word[k] + (raised * word + length * direction.word[k]);
                self.state.rise[k] = from.state.rise[k] + length * direction.rise[k];
                self.state.currents[k] = stay * from.state.currents[k] + length * direction.currents[k];
                self.lacking[k] = stay * from.lacking[k] + length * direction.lacking[k];
                self.voltages[k] =
                    (self.state.word[k] - self.sources * input.bit[k - i * n]) - self.state.rise[k];
            }
        }
        devices.follow(&self.voltages, &mut self.law, &mut self.slopes);
    }

    /// The largest share of the currents of a line's devices that is missing at its ends.
    fn imbalance(&self, wires: &Wires, input: Input) -> f64 {
        let (state, n) = (&self.state, input.bit.len());
        let last = state.rise.len() - n;
        // What the devices of a line bring, how much that is in all, what the ends say, and their rounding.
        let mut lines = Vec::with_capacity(input.word.len() + n);
        for (row, word) in input.word.iter().enumerate() {
            let (start, end) = (row * n, (row + 1) * n - 1);
            let currents = &state.currents[start..=end];
            let ends =
                wires.word_left * (word - state.word[start]) + wires.word_right * (word - state.word[end]);
            let rounding = 1e3 * f64::EPSILON * input.largest() * (wires.word_left + wires.word_right);
            let size: f64 = currents.iter().map(|i| i.abs()).sum();
            lines.push((currents.iter().sum::<f64>(), size, ends, rounding));
        }
        for j in 0..n {
            let currents = || state.currents[j..].iter().step_by(n);
            let ends = wires.bit_top * state.rise[j] + wires.bit_bottom * state.rise[last + j];
            lines.push((currents().sum(), currents().map(|i| i.abs()).sum(), ends, 0.0));
        }
        let largest = lines.iter().fold(0.0f64, |largest, (_, size, ..)| largest.max(*size));
        lines.into_iter().fold(0.0, |worst, (brought, size, ends, rounding)| {
            let missing = ((brought - ends).abs() - rounding).max(0.0);
            let share = if missing == 0.0 { 0.0 } else { missing / size.max(1e-6 * largest) };
            worst.max(share)
        })
    }

    /// Whether the currents of the law are of the size of those that the network carries.
    fn is_in_reach(&self) -> bool {
        let errors = self.state.currents.iter().zip(&self.law).map(|(i, law)| (i - law).abs());
        let missing: f64 = errors.zip(&self.lacking).map(|(error, lacking)| error + lacking.abs()).sum();
        let carried: f64 = self.state.currents.iter().map(|i| i.abs()).sum();
        missing <= IN_REACH * carried
    }

    /// The slope of the co-content along a direction, in watt: what the currents miss, times the change of
    /// the voltages across them.
    fn slope_along(&self, direction: &Direction) -> f64 {
        let of = |k: usize| {
            let excess = self.law[k] - self.state.currents[k];
            excess * (direction.word[k] - direction.rise[k]) - self.lacking[k] * direction.rise[k]
        };
        (0..self.law.len()).map(of).sum()
    }

    /// The largest share, over bit lines and word lines, of what is missing in a line's currents.
    fn residual(&self, devices: &Devices, input: Input) -> f64 {
        let n = devices.n;
        let largest = input.largest();
        // Below a thousandth of what the voltages would drive, rounding speaks.
        let size = |k: usize| self.state.currents[k].abs().max(1e-3 * devices.g[k] * largest);
        let share = |missing: f64, size: f64| {
            let share = if missing == 0.0 { 0.0 } else { missing / size };
            if share.is_finite() { share } else { f64::INFINITY }
        };
        let (mut missing, mut sizes) = (vec![0.0; n], vec![0.0; n]);
        let mut worst = 0.0f64;
        for start in (0..self.law.len()).step_by(n) {
            let (mut row_missing, mut row_size) = (0.0, 0.0);
            for j in 0..n {
                let k = start + j;
                let error = (self.state.currents[k] - self.law[k]).abs();
                let size = size(k);
                missing[j] += error + self.lacking[k].abs();
                sizes[j] += size;
                row_missing += error;
                row_size += size;
            }
            worst = worst.max(share(row_missing, row_size));
        }
        missing.iter().zip(&sizes).fold(worst, |worst, (missing, size)| worst.max(share(*missing, *size)))
    }
}

/// From a point to the solution of the network linearised there, its sources at their voltages.
struct Direction {
    /// Change of the nodes of word lines, besides that of the sources.
    word: Vec<f64>,
    /// Change of the rise of the nodes of bit lines.
    rise: Vec<f64>,
    /// The currents there.
    currents: Vec<f64>,
    /// What the wires lack there.
    lacking: Vec<f64>,
    /// What the currents miss at the start, once the sources are at their voltages.
    mismatch: Vec<f64>,
}

impl Direction {
    fn new(cells: usize) -> Self {
        let zeros = || vec![0.0; cells];
        Self { word: zeros(), rise: zeros(), currents: zeros(), lacking: zeros(), mismatch: zeros() }
    }

    fn find(
        &mut self,
        from: &Point,
        network: &Network,
        input: Input,
        (tolerance, max_iterations): (f64, usize),
        scratch: &mut Scratch,
    ) -> Outcome {
        let n = network.n;
        let raised = 1.0 - from.sources;
        // The sources are raised first: nothing flows in the wires, the devices take all of it and follow
        // `law + slope (change of voltage)`. What their currents miss then drives the network.
        for (i, word) in input.word.iter().enumerate() {
            for k in i * n..(i + 1) * n {
                let change = raised * (word - input.bit[k - i * n]);
                self.mismatch[k] = from.state.currents[k] - (from.law[k] + network.g[k] * change);
            }
        }
        self.word.copy_from_slice(&self.mismatch);
        network.word.solve_word(n, &mut self.word);
        let mut size = vec![0.0; n];
        for start in (0..network.g.len()).step_by(n) {
            for (j, size) in size.iter_mut().enumerate() {
                let k = start + j;
                self.lacking[k] = from.lacking[k] - self.mismatch[k] + network.g[k] * self.word[k];
                *size += self.lacking[k].abs();
            }
        }
        self.rise.fill(0.0);
        let outcome =
            network.solve(&mut self.lacking, &mut self.rise, &size, tolerance, max_iterations, scratch);
        for k in 0..network.g.len() {
            self.word[k] = self.mismatch[k] + network.g[k] * self.rise[k];
        }
        network.word.solve_word(n, &mut self.word);
        for k in 0..network.g.len() {
            let through = network.g[k] * (self.word[k] - self.rise[k]);
            self.currents[k] = (from.state.currents[k] - self.mismatch[k]) + through;
        }
        outcome
    }
}
