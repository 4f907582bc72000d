use std::fmt::Debug;

use ndarray::{Array2, Array4, ArrayView2};

use super::PassiveCircuit;
use crate::CrossbarError;

/// How much of a solution is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Detail {
    /// The currents at the ends of the lines.
    Currents,
    /// The voltages of all nodes too.
    Nodes,
}

/// What a solver found for a batch of inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// How it was found: the method, and why where it was chosen.
    pub method: String,
    /// Ampere into the bit lines' sinks, `[batch, bit line]`.
    pub column_currents: Array2<f64>,
    /// Ampere out of the word lines' sources, `[batch, word line]`.
    pub source_currents: Array2<f64>,
    /// Volt, `[batch, 2, word line, bit line]`, the nodes of word lines first: with [`Detail::Nodes`].
    pub node_voltages: Option<Array4<f64>>,
    /// The largest number of iterations that an input took; 0 for direct methods.
    pub iterations: usize,
    /// The largest residual of an input: of Kirchhoff's current law, summed over a bit line, relative
    /// to the currents of its devices. 0 for direct methods.
    pub residual: f64,
}

/// A way to solve circuits of ohmic devices.
pub trait PassiveSolver: Debug + Send + Sync {
    /// The name in configurations and reports.
    fn name(&self) -> &str;

    /// Solves a circuit for a batch of voltages: `word_lines` is `[batch, word line]`, `bit_lines`
    /// `[batch, bit line]`, in volt.
    ///
    /// # Errors
    /// Voltages of another shape or not finite, with their place; a solver that does not converge.
    fn solve(
        &self,
        circuit: &PassiveCircuit,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
        detail: Detail,
    ) -> Result<Solution, CrossbarError>;
}

/// Looks at the shapes and numbers of a batch of voltages.
pub(super) fn check_voltages(
    circuit: &PassiveCircuit,
    word_lines: ArrayView2<f64>,
    bit_lines: ArrayView2<f64>,
) -> Result<(), CrossbarError> {
    let batch = word_lines.nrows();
    for (what, found, lines) in [
        ("word-line voltages", word_lines, circuit.word_lines()),
        ("bit-line voltages", bit_lines, circuit.bit_lines()),
    ] {
        if found.dim() != (batch, lines) {
            let (found, expected) = (found.shape().to_vec(), vec![batch, lines]);
            return Err(CrossbarError::Shape { what, found, expected });
        }
        if let Some(((input, line), v)) = found.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let what = format!("{what} of input {input}, line {line}");
            return Err(CrossbarError::value(what, v, "a finite voltage"));
        }
    }
    Ok(())
}
