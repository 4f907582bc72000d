use ndarray::ArrayView2;

use super::reduce;
use crate::CrossbarError;
use crate::passive::solver::check_voltages;
use crate::passive::{
    ConjugateGradients, Detail, Effective, PassiveCircuit, PassiveSolver, Solution, SparseLu,
};

/// Star-mesh reduction to the terminals: the right method for many inputs.
///
/// Node voltages, where they are wanted, come from conjugate gradients, or from sparse LU where these
/// do not converge, as the reduction has no nodes left; currents are always the reduction's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reduce {
    /// How node voltages are found.
    pub nodes: ConjugateGradients,
}

impl PassiveSolver for Reduce {
    fn name(&self) -> &str {
        "reduce"
    }

    fn solve(
        &self,
        circuit: &PassiveCircuit,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
        detail: Detail,
    ) -> Result<Solution, CrossbarError> {
        check_voltages(circuit, word_lines, bit_lines)?;
        let nodes = match detail {
            Detail::Nodes => Some(match self.nodes.solve(circuit, word_lines, bit_lines, detail) {
                Err(CrossbarError::NotConverged { .. }) => {
                    SparseLu.solve(circuit, word_lines, bit_lines, detail)?
                }
                solved => solved?,
            }),
            _ => None,
        };
        let effective = reduce(circuit);
        let mut solution = Solution {
            method: "star-mesh reduction".into(),
            column_currents: effective.column_currents(word_lines, bit_lines),
            source_currents: effective.source_currents(word_lines, bit_lines),
            node_voltages: None,
            iterations: 0,
            residual: 0.0,
        };
        if let Some(nodes) = nodes {
            solution.method += ", node voltages by ";
            solution.method += &nodes.method;
            solution.node_voltages = nodes.node_voltages;
            solution.iterations = nodes.iterations;
            solution.residual = nodes.residual;
        }
        Ok(solution)
    }
}

impl Effective {
    /// The currents into the bit lines' sinks, `[batch, bit line]`.
    ///
    /// `word_lines` is `[batch, word line]`, `bit_lines` `[batch, bit line]`, in volt; other shapes
    /// are a broken promise of the caller.
    ///
    /// # Panics
    /// Other shapes.
    pub fn column_currents(
        &self,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
    ) -> ndarray::Array2<f64> {
        let mut currents = word_lines.dot(&self.conductances);
        if bit_lines.iter().any(|v| *v != 0.0) {
            currents += &bit_lines.dot(&self.bit_lines.t());
        }
        currents
    }

    /// The currents out of the word lines' sources, `[batch, word line]`, as
    /// [`Effective::column_currents`].
    ///
    /// # Panics
    /// Other shapes.
    pub fn source_currents(
        &self,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
    ) -> ndarray::Array2<f64> {
        let mut currents = word_lines.dot(&self.word_lines.t());
        if bit_lines.iter().any(|v| *v != 0.0) {
            currents -= &bit_lines.dot(&self.conductances.t());
        }
        currents
    }
}
