//! A second, slow way to solve a passive crossbar, for tests only: nodal analysis in double-double
//! arithmetic (about 32 digits), nodes joined by wires without resistance merged, and plain banded
//! elimination. It shares no code with the crate.
#![allow(dead_code, unreachable_pub)]

pub mod double_double;

use double_double::Dd;
use memtorch_crossbar::ndarray::{Array1, Array2, Array3};
use memtorch_crossbar::passive::Wiring;

/// What the reference gives.
pub struct Solved {
    /// Into the bit lines' sinks.
    pub currents: Array1<f64>,
    /// `[2, word lines, bit lines]`.
    pub nodes: Array3<f64>,
}

/// Column currents and node voltages for one input.
pub fn solve(g: &Array2<f64>, wiring: &Wiring, word: &[f64], bit: &[f64]) -> Solved {
    let (m, n) = g.dim();
    // Nodes: word and bit node of each cell, then the terminals. Cells are numbered along the
    // shorter dimension first, so that the band is narrow.
    let cell = |i: usize, j: usize| if m <= n { j * m + i } else { i * n + j };
    let (w, b) = (|i, j| 2 * cell(i, j), |i, j| 2 * cell(i, j) + 1);
    let (word_terminal, bit_terminal) = (2 * m * n, 2 * m * n + m);
    let count = 2 * m * n + m + n;
    let mut wires: Vec<(usize, usize, f64)> = Vec::new();
    for i in 0..m {
        for (end, j) in [(wiring.word_left, 0), (wiring.word_right, n - 1)] {
            wires.extend(end.map(|r| (word_terminal + i, w(i, j), r)));
        }
        wires.extend((1..n).map(|j| (w(i, j - 1), w(i, j), wiring.word_line)));
    }
    for j in 0..n {
        for (end, i) in [(wiring.bit_top, 0), (wiring.bit_bottom, m - 1)] {
            wires.extend(end.map(|r| (bit_terminal + j, b(i, j), r)));
        }
        wires.extend((1..m).map(|i| (b(i - 1, j), b(i, j), wiring.bit_line)));
    }
    // Terminals win, so that a merged node has the terminal's voltage.
    let mut merged: Vec<usize> = (0..count).collect();
    fn find(merged: &mut [usize], mut x: usize) -> usize {
        while merged[x] != x {
            merged[x] = merged[merged[x]];
            x = merged[x];
        }
        x
    }
    for &(x, y, r) in &wires {
        if r == 0.0 {
            let (x, y) = (find(&mut merged, x), find(&mut merged, y));
            merged[x.min(y)] = x.max(y);
        }
    }
    let class: Vec<usize> = (0..count).map(|x| find(&mut merged, x)).collect();
    let mut elements: Vec<(usize, usize, Dd)> = Vec::new();
    for &(x, y, r) in wires.iter().filter(|e| e.2 != 0.0) {
        elements.push((class[x], class[y], Dd::from(1.0) / Dd::from(r)));
    }
    for i in 0..m {
        for j in 0..n {
            elements.push((class[w(i, j)], class[b(i, j)], Dd::from(g[(i, j)])));
        }
    }
    let mut number = vec![usize::MAX; count];
    let mut unknowns = 0;
    for x in 0..2 * m * n {
        if class[x] < 2 * m * n && number[class[x]] == usize::MAX {
            number[class[x]] = unknowns;
            unknowns += 1;
        }
    }
    let known =
        |x: usize| Dd::from(if x < bit_terminal { word[x - word_terminal] } else { bit[x - bit_terminal] });
    let band = elements
        .iter()
        .filter(|e| e.0 < 2 * m * n && e.1 < 2 * m * n)
        .map(|e| number[e.0].abs_diff(number[e.1]))
        .max()
        .unwrap_or(0);
    let stride = band + 1;
    let mut matrix = vec![Dd::from(0.0); unknowns * stride];
    let mut right = vec![Dd::from(0.0); unknowns];
    for &(x, y, c) in &elements {
        if x == y {
            continue;
        }
        for (this, that) in [(x, y), (y, x)] {
            if this >= 2 * m * n {
                continue;
            }
            let row = number[this];
            matrix[row * stride] = matrix[row * stride] + c;
            if that >= 2 * m * n {
                right[row] = right[row] + c * known(that);
            } else if number[that] > row {
                let at = row * stride + number[that] - row;
                matrix[at] = matrix[at] - c;
            }
        }
    }
    for k in 0..unknowns {
        let pivot = matrix[k * stride];
        for d in 1..stride.min(unknowns - k) {
            let factor = matrix[k * stride + d];
            if factor.is_zero() {
                continue;
            }
            let factor = factor / pivot;
            for e in d..stride.min(unknowns - k) {
                let at = (k + d) * stride + e - d;
                matrix[at] = matrix[at] - factor * matrix[k * stride + e];
            }
            right[k + d] = right[k + d] - factor * right[k];
        }
    }
    for k in (0..unknowns).rev() {
        let mut sum = right[k];
        for d in 1..stride.min(unknowns - k) {
            sum = sum - matrix[k * stride + d] * right[k + d];
        }
        right[k] = sum / matrix[k * stride];
    }
    let voltage = |x: usize| {
        let x = class[x];
        if x >= 2 * m * n { known(x) } else { right[number[x]] }
    };
    let mut currents = vec![Dd::from(0.0); n];
    for &(x, y, c) in &elements {
        for (this, that) in [(x, y), (y, x)] {
            if this >= bit_terminal && this != that {
                let j = this - bit_terminal;
                currents[j] = currents[j] + c * (voltage(that) - voltage(this));
            }
        }
    }
    Solved {
        currents: currents.iter().map(|c| c.value()).collect(),
        nodes: Array3::from_shape_fn((2, m, n), |(line, i, j)| {
            voltage(if line == 0 { w(i, j) } else { b(i, j) }).value()
        }),
    }
}

/// The effective conductances, column by column of the identity.
pub fn effective(g: &Array2<f64>, wiring: &Wiring) -> Array2<f64> {
    let (m, n) = g.dim();
    let mut out = Array2::zeros((m, n));
    for i in 0..m {
        let mut word = vec![0.0; m];
        word[i] = 1.0;
        out.row_mut(i).assign(&solve(g, wiring, &word, &vec![0.0; n]).currents);
    }
    out
}

/// A small generator of numbers in [0, 1), enough for test data.
pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> f64 {
        // The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Conductances spread evenly in the logarithm.
    pub fn conductances(&mut self, m: usize, n: usize, low: f64, high: f64) -> Array2<f64> {
        Array2::from_shape_fn((m, n), |_| low * (high / low).powf(self.next()))
    }

    pub fn voltages(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| 0.6 * self.next() - 0.3).collect()
    }
}

/// The largest relative difference of two arrays, entry by entry.
pub fn worst<'a>(
    found: impl IntoIterator<Item = &'a f64>,
    expected: impl IntoIterator<Item = &'a f64>,
) -> f64 {
    let mut worst = 0.0f64;
    let (mut found, mut expected) = (found.into_iter(), expected.into_iter());
    loop {
        match (found.next(), expected.next()) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => {
                let error = (a - b).abs() / b.abs();
                worst = if error.is_nan() { f64::INFINITY } else { worst.max(error) };
            }
            (None, None) => return worst,
            _ => panic!("two lengths"),
        }
    }
}
