use ndarray::ArrayView2;

use super::{ConjugateGradients, Detail, PassiveCircuit, PassiveSolver, Reduce, Solution};
use crate::CrossbarError;

/// Chooses the faster of [`Reduce`] and [`ConjugateGradients`], and says which and why.
///
/// If conjugate gradients do not converge, the reduction, which cannot fail, takes over.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Auto {
    /// Conjugate gradients where they are chosen.
    pub conjugate_gradients: ConjugateGradients,
}

/// Operations of conjugate gradients for a cell and an iteration, in the time that the matrix products
/// of a reduction take for one: they wait for memory.
const ITERATION: f64 = 27.0 * 4.0;

impl Auto {
    /// Operations that each method is expected to take: reduction, conjugate gradients.
    fn costs(circuit: &PassiveCircuit, batch: usize) -> (f64, f64) {
        let (m, n) = (circuit.word_lines() as f64, circuit.bit_lines() as f64);
        let g = circuit.conductances().sum() / (m * n);
        let line = circuit.wiring().word_line.max(circuit.wiring().bit_line);
        let iterations = 4.0 + 1.63 * m.max(n) * (line * g).sqrt();
        (17.0 * (m + n) * m * n, batch as f64 * iterations * ITERATION * m * n)
    }
}

impl PassiveSolver for Auto {
    fn name(&self) -> &str {
        "auto"
    }

    fn solve(
        &self,
        circuit: &PassiveCircuit,
        word_lines: ArrayView2<f64>,
        bit_lines: ArrayView2<f64>,
        detail: Detail,
    ) -> Result<Solution, CrossbarError> {
        let batch = word_lines.nrows();
        let (reduction, gradients) = Self::costs(circuit, batch);
        let inputs = if batch == 1 { "1 input".into() } else { format!("{batch} inputs") };
        let reduce = Reduce { nodes: self.conjugate_gradients };
        if detail == Detail::Nodes || gradients <= reduction {
            let why = if detail == Detail::Nodes { "node voltages are wanted".into() } else { inputs };
            match self.conjugate_gradients.solve(circuit, word_lines, bit_lines, detail) {
                Ok(mut solution) => {
                    solution.method += &format!(" (chosen: {why})");
                    Ok(solution)
                }
                Err(CrossbarError::NotConverged { .. }) => {
                    let mut solution = reduce.solve(circuit, word_lines, bit_lines, detail)?;
                    solution.method += " (chosen: conjugate gradients did not converge)";
                    Ok(solution)
                }
                Err(error) => Err(error),
            }
        } else {
            let mut solution = reduce.solve(circuit, word_lines, bit_lines, detail)?;
            solution.method += &format!(" (chosen: {inputs})");
            Ok(solution)
        }
    }
}
