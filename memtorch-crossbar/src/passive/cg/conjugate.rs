use super::kernel;
use super::lines::{Lines, Wires};

/// The linear network of an array with its devices at given conductances, ready to be solved.
///
/// With the nodes of word lines eliminated, the rise u of the bit-line nodes obeys
/// `S u = (A_b - G A_w^-1 G) u = r`, where A_w and A_b are tridiagonal line by line: conjugate
/// gradients, preconditioned with A_b^-1.
#[derive(Clone, Debug)]
pub(super) struct Network {
    pub(super) n: usize,
    pub(super) g: Vec<f64>,
    pub(super) word: Lines,
    pub(super) bit: Lines,
}

/// Memory for one solution at a time, each `[word line, bit line]` row-major.
#[derive(Debug)]
pub(super) struct Scratch {
    p: Vec<f64>,
    s: Vec<f64>,
    t: Vec<f64>,
    q: Vec<f64>,
    z: Vec<f64>,
    pub(super) columns: Vec<f64>,
}

impl Scratch {
    pub(super) fn new(cells: usize, n: usize) -> Self {
        let v = || vec![0.0; cells];
        Self { p: v(), s: v(), t: v(), q: v(), z: v(), columns: vec![0.0; n] }
    }
}

/// How it went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) iterations: usize,
    pub(super) residual: f64,
    pub(super) converged: bool,
}

impl Network {
    /// The network of these conductances, row-major, in rows of length `n`.
    pub(super) fn new(g: &[f64], n: usize, wires: &Wires) -> Self {
        let mut network = Self::empty(g.len(), n);
        network.set(g, wires);
        network
    }

    /// A network that has to be set.
    pub(super) fn empty(cells: usize, n: usize) -> Self {
        Self { n, g: vec![0.0; cells], word: Lines::new(cells), bit: Lines::new(cells) }
    }

    /// Takes other conductances.
    pub(super) fn set(&mut self, g: &[f64], wires: &Wires) {
        let (left, bottom) = (vec![wires.word_left; g.len() / self.n], vec![wires.bit_bottom; self.n]);
        self.set_ends(g, wires, &left, &bottom);
    }

    /// Takes other conductances, and others of the left end of each word line and the lower end of each bit line.
    pub(super) fn set_ends(&mut self, g: &[f64], wires: &Wires, left: &[f64], bottom: &[f64]) {
        self.g.copy_from_slice(g);
        self.word.factor_word(self.n, g, wires, left);
        self.bit.factor_bit(self.n, g, wires, bottom);
    }

    /// Adds to `u` the solution of `S u = r`; `r` becomes the residual.
    ///
    /// It is done when in every bit line the sum of |r| is at most `tolerance` times the line's
    /// `scale`, a current.
    pub(super) fn solve(
        &self,
        r: &mut [f64],
        u: &mut [f64],
        scale: &[f64],
        tolerance: f64,
        limit: usize,
        scratch: &mut Scratch,
    ) -> Outcome {
        let n = self.n;
        let Scratch { p, s, t, q, z, columns } = scratch;
        let worst = |columns: &[f64]| {
            columns.iter().zip(scale).fold(0.0f64, |worst, (sum, scale)| {
                // A line without any current has nothing to converge.
                let relative = if *sum == 0.0 { 0.0 } else { sum / scale };
                if relative.is_nan() { f64::INFINITY } else { worst.max(relative) }
            })
        };
        columns.fill(0.0);
        for row in r.chunks_exact(n) {
            for (sum, r) in columns.iter_mut().zip(row) {
                *sum += r.abs();
            }
        }
        let mut residual = worst(columns);
        z.copy_from_slice(r);
        self.bit.solve_bit(n, z);
        p.copy_from_slice(z);
        // A_b p, carried along: with wires of next to no resistance it could not be computed anew.
        s.copy_from_slice(r);
        let mut energy = kernel::dot(r, z);
        for iteration in 0..limit {
            if residual <= tolerance {
                return Outcome { iterations: iteration, residual, converged: true };
            }
            kernel::multiply(&self.g, p, t);
            self.word.solve_word(n, t);
            let curvature = kernel::subtract_product(s, &self.g, t, q, p);
            let length = energy / curvature;
            if !(length > 0.0 && length.is_finite()) {
                return Outcome { iterations: iteration, residual, converged: false };
            }
            kernel::step(length, p, q, u, r, columns);
            residual = worst(columns);
            z.copy_from_slice(r);
            self.bit.solve_bit(n, z);
            let next = kernel::dot(r, z);
            kernel::turn(next / energy, z, r, p, s);
            energy = next;
        }
        Outcome { iterations: limit, residual, converged: residual <= tolerance }
    }
}
