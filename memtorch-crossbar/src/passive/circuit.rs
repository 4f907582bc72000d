use ndarray::{Array2, ArrayView2};

use super::Wiring;
use crate::CrossbarError;

/// A passive crossbar: devices without transistors between word lines and bit lines whose wires have
/// resistance.
#[derive(Clone, Debug, PartialEq)]
pub struct PassiveCircuit {
    conductances: Array2<f64>,
    wiring: Wiring,
}

impl PassiveCircuit {
    /// The circuit of these conductances (siemens, `[word line, bit line]`; 0 is an open cell).
    ///
    /// # Errors
    /// No cells; a conductance that is negative or not finite, with its place; [`Wiring::check`].
    pub fn new(conductances: Array2<f64>, wiring: Wiring) -> Result<Self, CrossbarError> {
        wiring.check()?;
        if conductances.is_empty() {
            let value = format!("{:?}", conductances.shape());
            return Err(CrossbarError::value("shape of the conductances", value, "at least one cell"));
        }
        check_conductances(conductances.view())?;
        let conductances = if conductances.is_standard_layout() {
            conductances
        } else {
            conductances.as_standard_layout().into_owned()
        };
        Ok(Self { conductances, wiring })
    }

    /// The conductances in siemens, `[word line, bit line]`.
    pub fn conductances(&self) -> ArrayView2<'_, f64> {
        self.conductances.view()
    }

    /// The same, row by row.
    pub(super) fn row_major(&self) -> &[f64] {
        self.conductances.as_slice().expect("circuits are row-major")
    }

    /// The wires.
    pub fn wiring(&self) -> &Wiring {
        &self.wiring
    }

    /// Word lines.
    pub fn word_lines(&self) -> usize {
        self.conductances.nrows()
    }

    /// Bit lines.
    pub fn bit_lines(&self) -> usize {
        self.conductances.ncols()
    }
}

/// Conductances must be finite and not negative.
pub(super) fn check_conductances(conductances: ArrayView2<f64>) -> Result<(), CrossbarError> {
    match conductances.indexed_iter().find(|(_, g)| !(**g >= 0.0 && g.is_finite())) {
        Some(((row, column), g)) => Err(CrossbarError::value(
            format!("conductance at word line {row}, bit line {column}"),
            g,
            "a finite number of siemens that is not negative",
        )),
        None => Ok(()),
    }
}
