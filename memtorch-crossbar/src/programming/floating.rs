//! Lines that are left open.

use super::cells::Cells;
use super::relaxation::Relaxation;
use crate::CrossbarError;

/// Finds the voltages of an array of which one word line is at V, one bit line at 0, and all others are open:
/// the sum of the currents of each open line is 0.
///
/// With the word lines eliminated (each meets bit lines only), what is left is a symmetric positive definite
/// system over the open bit lines. Devices whose current is not proportional to their voltage take their
/// `I(v)/v`, again and again until it stays.
#[derive(Debug)]
pub(super) struct Floating {
    rows: usize,
    columns: usize,
    pub(super) solutions: u64,
    conductances: Vec<f64>,
    currents: Vec<f64>,
    matrix: Vec<f64>,
    word: Vec<f64>,
    bit: Vec<f64>,
}

/// The change, as a share of the pulse's voltage, at which voltages stay.
const STAYS: f64 = 1e-9;

/// How often to try.
const TRIES: usize = 500;

impl Floating {
    pub(super) fn new(rows: usize, columns: usize) -> Self {
        Self {
            rows,
            columns,
            solutions: 0,
            conductances: vec![0.0; rows * columns],
            currents: vec![0.0; rows * columns],
            matrix: vec![0.0; columns * columns],
            word: vec![0.0; rows],
            bit: vec![0.0; columns],
        }
    }

    pub(super) fn voltages(
        &mut self,
        cells: &Cells,
        cell: [usize; 2],
        voltage: f64,
        volts: &mut Vec<f64>,
    ) -> Result<(), CrossbarError> {
        volts.resize(self.rows * self.columns, 0.0);
        cells.conductances_into(&mut self.conductances);
        let (mut change, mut relaxation) = (f64::INFINITY, Relaxation::new());
        for _ in 0..TRIES {
            self.solve(cell, voltage, volts, &mut change);
            if cells.is_ohmic() || change <= STAYS * voltage.abs() {
                return Ok(());
            }
            let share = relaxation.share(change);
            cells.chords(volts, share, &mut self.currents, &mut self.conductances);
        }
        Err(CrossbarError::NotConverged {
            what: "the voltages of open lines".to_owned(),
            iterations: TRIES,
            residual: change / voltage.abs(),
            tolerance: STAYS,
        })
    }

    /// One linear network; `change` is the largest change of a voltage.
    fn solve(&mut self, [row, column]: [usize; 2], voltage: f64, volts: &mut [f64], change: &mut f64) {
        self.solutions += 1;
        let (g, n) = (&self.conductances, self.columns);
        let s = &mut self.matrix;
        s.fill(0.0);
        self.bit.fill(0.0);
        for (i, line) in g.chunks_exact(n).enumerate() {
            for j in 0..n {
                s[j * n + j] += line[j];
            }
            if i == row {
                // A word line whose voltage is given: its currents are known for each bit line's voltage.
                self.bit.iter_mut().zip(line).for_each(|(b, g)| *b += g * voltage);
                continue;
            }
            let per_sum = 1.0 / line.iter().sum::<f64>();
            for j in 0..n {
                let share = line[j] * per_sum;
                for k in 0..=j {
                    s[j * n + k] -= share * line[k];
                }
            }
        }
        // The selected bit line is at 0: its equation says so.
        for k in 0..n {
            s[column * n + k] = 0.0;
            s[k * n + column] = 0.0;
        }
        s[column * n + column] = 1.0;
        self.bit[column] = 0.0;
        cholesky(n, s, &mut self.bit);
        *change = 0.0;
        for (i, (line, volts)) in g.chunks_exact(n).zip(volts.chunks_exact_mut(n)).enumerate() {
            self.word[i] = if i == row {
                voltage
            } else {
                let brought: f64 = line.iter().zip(&self.bit).map(|(g, b)| g * b).sum();
                brought / line.iter().sum::<f64>()
            };
            for (v, b) in volts.iter_mut().zip(&self.bit) {
                let next = self.word[i] - b;
                *change = change.max((next - *v).abs());
                *v = next;
            }
        }
    }
}

/// Solves `S x = b` in place, of the lower triangle of a symmetric positive definite matrix.
fn cholesky(n: usize, s: &mut [f64], b: &mut [f64]) {
    for j in 0..n {
        let (above, rest) = s.split_at_mut(j * n);
        let line = &mut rest[..n];
        for k in 0..j {
            let dot: f64 = (0..k).map(|l| line[l] * above[k * n + l]).sum();
            line[k] = (line[k] - dot) / above[k * n + k];
        }
        let square: f64 = line[..j].iter().map(|x| x * x).sum();
        line[j] = (line[j] - square).sqrt();
    }
    for j in 0..n {
        let dot: f64 = (0..j).map(|k| s[j * n + k] * b[k]).sum();
        b[j] = (b[j] - dot) / s[j * n + j];
    }
    for j in (0..n).rev() {
        let dot: f64 = (j + 1..n).map(|k| s[k * n + j] * b[k]).sum();
        b[j] = (b[j] - dot) / s[j * n + j];
    }
}
