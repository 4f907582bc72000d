use ndarray::{Array2, Array4, ArrayView2};

use super::nodal::{Nodal, Node};
use super::solver::check_voltages;
use super::{Detail, PassiveCircuit, PassiveSolver, Solution};
use crate::CrossbarError;

/// Sparse LU factors of the assembled nodal matrix: an independent second method.
///
/// It is slow for large arrays, and loses digits where the resistance of a wire times the conductance
/// of a device is small: it agrees with the others to 1e-8 where every resistance is 0 or at least
/// 1e-3 ohm. Where so many are lost that sources and sinks do not balance, it answers with the error of no
/// convergence. Wires without resistance have their nodes merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SparseLu;

/// The share of the currents that may be missing between sources and sinks.
const BALANCED: f64 = 1e-6;

impl PassiveSolver for SparseLu {
    fn name(&self) -> &str {
        "lu"
    }

    fn solve(
        &self,
        circuit: &PassiveCircuit,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
        detail: Detail,
    ) -> Result<Solution, CrossbarError> {
        check_voltages(circuit, word_lines, bit_lines)?;
        let (m, n, batch) = (circuit.word_lines(), circuit.bit_lines(), word_lines.nrows());
        let nodal = Nodal::new(circuit);
        let factors = Factors::new(&nodal)?;
        let mut solution = Solution {
            method: "sparse LU of the nodal matrix".into(),
            column_currents: Array2::zeros((batch, n)),
            source_currents: Array2::zeros((batch, m)),
            node_voltages: (detail == Detail::Nodes).then(|| Array4::zeros((batch, 2, m, n))),
            iterations: 0,
            residual: 0.0,
        };
        for input in 0..batch {
            let mut right = vec![0.0; nodal.unknowns];
            // Nodes of a line are kept as voltages above its terminal.
            let terminal = |node: Node| match node {
                Node::Free(k) => nodal.terminals[k],
                node => node,
            };
            let base = |node: Node| match terminal(node) {
                Node::Word(i) => word_lines[(input, i)],
                Node::Bit(j) => bit_lines[(input, j)],
                Node::Free(_) => unreachable!("a terminal is not free"),
            };
            // What leaves the first for the second at the terminals' voltages.
            let between = |a: Node, b: Node| base(b) - base(a);
            for (a, b, g) in &nodal.elements {
                for (this, that) in [(a, b), (b, a)] {
                    if let Node::Free(row) = this {
                        right[*row] += g * between(*this, *that);
                    }
                }
            }
            factors.solve(&mut right);
            let above = |node: Node| match node {
                Node::Free(k) => right[k],
                _ => 0.0,
            };
            for (a, b, g) in &nodal.elements {
                for (this, that) in [(*a, *b), (*b, *a)] {
                    let into = g * (between(this, that) + (above(that) - above(this)));
                    match this {
                        Node::Word(i) => solution.source_currents[(input, i)] -= into,
                        Node::Bit(j) => solution.column_currents[(input, j)] += into,
                        Node::Free(_) => {}
                    }
                }
            }
            let sources = solution.source_currents.row(input);
            let sinks = solution.column_currents.row(input);
            let size: f64 = sources.iter().chain(sinks).map(|i| i.abs()).sum();
            let missing = (sources.sum() - sinks.sum()).abs();
            if missing > BALANCED * size || missing.is_nan() {
                return Err(CrossbarError::NotConverged {
                    what: format!("the balance of currents by sparse LU, input {input},"),
                    iterations: 0,
                    residual: missing / size,
                    tolerance: BALANCED,
                });
            }
            if let Some(nodes) = &mut solution.node_voltages {
                for (line, of) in [&nodal.word, &nodal.bit].into_iter().enumerate() {
                    for (k, node) in of.iter().enumerate() {
                        nodes[(input, line, k / n, k % n)] = base(*node) + above(*node);
                    }
                }
            }
        }
        Ok(solution)
    }
}

/// The factors of a nodal matrix.
struct Factors {
    /// `None` where every node is a terminal.
    factors: Option<(rsparse::data::Nmrc<f64>, rsparse::data::Symb)>,
}

impl Factors {
    fn new(nodal: &Nodal) -> Result<Self, CrossbarError> {
        let size = nodal.unknowns;
        if size == 0 {
            return Ok(Self { factors: None });
        }
        let mut triplets = sprs::TriMat::with_capacity((size, size), 4 * nodal.elements.len());
        for (a, b, g) in &nodal.elements {
            for (this, that) in [(a, b), (b, a)] {
                if let Node::Free(row) = this {
                    triplets.add_triplet(*row, *row, *g);
                    if let Node::Free(column) = that {
                        triplets.add_triplet(*row, *column, -*g);
                    }
                }
            }
        }
        let matrix: sprs::CsMat<f64> = triplets.to_csc();
        let (pointers, rows, values) = matrix.into_raw_storage();
        let matrix = rsparse::data::Sprs {
            nzmax: values.len(),
            m: size,
            n: size,
            p: pointers.into_iter().map(|p| p as isize).collect(),
            i: rows,
            x: values,
        };
        // Minimum degree on A + A^T; the matrix is diagonally dominant, so the diagonal pivots.
        let mut symbolic = rsparse::sqr(&matrix, 0, false);
        let numeric = rsparse::lu(&matrix, &mut symbolic, 1e-3).map_err(|_| {
            CrossbarError::value("nodal matrix", "singular", "resistances and conductances within range")
        })?;
        Ok(Self { factors: Some((numeric, symbolic)) })
    }

    fn solve(&self, right: &mut [f64]) {
        let Some((numeric, symbolic)) = &self.factors else { return };
        let rows = numeric.pinv.as_ref().expect("LU permutes its rows");
        let mut x = vec![0.0; right.len()];
        for (k, row) in rows.iter().enumerate() {
            x[*row as usize] = right[k];
        }
        rsparse::lsolve(&numeric.l, &mut x);
        rsparse::usolve(&numeric.u, &mut x);
        match &symbolic.q {
            Some(columns) => columns.iter().zip(&x).for_each(|(column, x)| right[*column as usize] = *x),
            None => right.copy_from_slice(&x),
        }
    }
}
