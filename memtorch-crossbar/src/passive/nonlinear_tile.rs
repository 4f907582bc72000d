use ndarray::{Array2, ArrayView2, s};

use super::{Detail, DeviceLaw, Newton, PassiveCircuit, TileCircuit};
use crate::CrossbarError;

/// A tile whose devices' currents are not proportional to their voltages, ready to be read.
///
/// What [`effective_block`](super::effective_block) is for ohmic devices; as there are no effective
/// conductances here, every input is a circuit to be solved.
#[derive(Clone, Debug)]
pub struct NonlinearTile {
    circuit: PassiveCircuit,
    /// Word lines and bit lines of the used block.
    used: (usize, usize),
    transistor_resistance: f64,
}

impl NonlinearTile {
    /// The tile whose used block, at word line 0 and bit line 0, has these conductances at small
    /// voltage (siemens, `[rows, columns]`).
    ///
    /// # Errors
    /// A used block that is empty or larger than the tile; a conductance or a resistance that is
    /// negative or not finite; lines open at both ends.
    pub fn new(used: ArrayView2<f64>, tile: &TileCircuit) -> Result<Self, CrossbarError> {
        tile.check(used)?;
        Ok(Self {
            circuit: PassiveCircuit::new(tile.conductances(used), tile.wiring)?,
            used: used.dim(),
            transistor_resistance: tile.transistor_resistance,
        })
    }

    /// The currents into the sinks of the used bit lines (ampere, `[batch, columns]`) for voltages of
    /// the used word lines (volt, `[batch, rows]`); all other lines are at 0 V.
    ///
    /// `law` is asked for the unused devices too, with their own places, which lie outside the used
    /// block. It is asked for voltages up to the difference of the highest and the lowest voltage of all
    /// lines, 0 V among them, and on the way to the solution beyond. A device's transistor is not part of
    /// it. An input's result is the same alone and in any batch.
    ///
    /// # Errors
    /// Voltages of another number or not finite; no convergence, with the residual.
    pub fn column_currents(
        &self,
        law: &dyn DeviceLaw,
        word_lines: ArrayView2<f64>,
        newton: &Newton,
    ) -> Result<Array2<f64>, CrossbarError> {
        let ((rows, columns), batch) = (self.used, word_lines.nrows());
        if word_lines.ncols() != rows {
            return Err(CrossbarError::Shape {
                what: "word-line voltages",
                found: word_lines.shape().to_vec(),
                expected: vec![batch, rows],
            });
        }
        let series = InSeries { law, resistance: self.transistor_resistance };
        let law = if self.transistor_resistance > 0.0 { &series } else { law };
        let mut word = Array2::zeros((batch, self.circuit.word_lines()));
        word.slice_mut(s![.., ..rows]).assign(&word_lines);
        let bit = Array2::zeros((batch, self.circuit.bit_lines()));
        let solution = newton.solve(&self.circuit, law, word.view(), bit.view(), Detail::Currents)?;
        Ok(solution.column_currents.slice_move(s![.., ..columns]))
    }
}

/// A device with a resistance in series.
#[derive(Debug)]
struct InSeries<'a> {
    law: &'a dyn DeviceLaw,
    /// Ohm, positive.
    resistance: f64,
}

impl DeviceLaw for InSeries<'_> {
    fn current_and_slope(&self, conductance: f64, voltage: f64, place: [usize; 2]) -> (f64, f64) {
        /// Bisections alone find every digit within so many steps.
        const STEPS: usize = 200;
        let mut low = voltage.min(0.0);
        let mut high = voltage.max(0.0);
        let mut x = voltage / (1.0 + conductance * self.resistance);
        let (mut current, mut slope) = (0.0, conductance);
        for _ in 0..STEPS {
            (current, slope) = self.law.current_and_slope(conductance, x, place);
            let excess = x + self.resistance * current - voltage;
            if excess > 0.0 {
                high = x
            } else {
                low = x
            }
            let newton = x - excess / (1.0 + self.resistance * slope);
            let next = if newton > low && newton < high { newton } else { 0.5 * (low + high) };
            if excess == 0.0 || (next - x).abs() <= f64::EPSILON * x.abs() {
                break;
            }
            x = next;
        }
        // The current through the one that takes most of the voltage, whose digits are the better ones.
        let through = if self.resistance * slope > 1.0 { (voltage - x) / self.resistance } else { current };
        (through, slope / (1.0 + self.resistance * slope))
    }
}
