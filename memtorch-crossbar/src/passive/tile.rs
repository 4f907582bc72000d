use ndarray::{Array2, ArrayView2, s};

use super::circuit::check_conductances;
use super::wiring::check_resistance;
use super::{Wiring, reduce};
use crate::CrossbarError;

/// What becomes of the part of a tile that the matrix does not use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Unused {
    /// It is there: devices at nominal OFF, word lines at 0 V, bit lines held at 0 V.
    #[default]
    Full,
    /// It is cut off: the circuit is the used block.
    Absent,
}

/// What a tile is built of, apart from the devices in use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TileCircuit {
    /// Word lines and bit lines of the whole tile.
    pub shape: [usize; 2],
    /// What a device that is not in use conducts, in siemens.
    pub unused_conductance: f64,
    /// What becomes of the part that is not in use.
    pub unused: Unused,
    /// The wires.
    pub wiring: Wiring,
    /// The resistance in series with each device, in ohm: the channel of its transistor.
    pub transistor_resistance: f64,
}

impl TileCircuit {
    /// Looks for what is not possible.
    pub(super) fn check(&self, used: ArrayView2<f64>) -> Result<(), CrossbarError> {
        self.wiring.check()?;
        check_resistance("transistor resistance", self.transistor_resistance)?;
        let (rows, columns) = used.dim();
        if used.is_empty() || rows > self.shape[0] || columns > self.shape[1] {
            return Err(CrossbarError::Shape {
                what: "used block of a tile",
                found: vec![rows, columns],
                expected: self.shape.to_vec(),
            });
        }
        check_conductances(used)?;
        if !(self.unused_conductance >= 0.0 && self.unused_conductance.is_finite()) {
            let expected = "a finite number of siemens that is not negative";
            return Err(CrossbarError::value(
                "conductance of unused devices",
                self.unused_conductance,
                expected,
            ));
        }
        Ok(())
    }

    /// What a device and its transistor conduct.
    pub(super) fn with_transistor(&self, conductance: f64) -> f64 {
        conductance / (1.0 + conductance * self.transistor_resistance)
    }

    /// The conductances of all devices of the circuit, without their transistors.
    pub(super) fn conductances(&self, used: ArrayView2<f64>) -> Array2<f64> {
        match self.unused {
            Unused::Absent => used.to_owned(),
            Unused::Full => {
                let mut all = Array2::from_elem(self.shape, self.unused_conductance);
                all.slice_mut(s![..used.nrows(), ..used.ncols()]).assign(&used);
                all
            }
        }
    }
}

/// The effective conductances (siemens, `[rows, columns]`) of the used block of a tile, whose place
/// is at word line 0 and bit line 0: the current into a bit line's sink for a volt on a word line,
/// with every other line at 0 V through its source resistance.
///
/// Each device has the transistor's resistance in series, `g / (1 + g R_t)`, the unused ones too.
/// Without any resistance the conductances come back as they are.
///
/// # Errors
/// A used block that is empty or larger than the tile; a conductance or a resistance that is
/// negative or not finite; lines open at both ends.
pub fn effective_block(used: ArrayView2<f64>, tile: &TileCircuit) -> Result<Array2<f64>, CrossbarError> {
    tile.check(used)?;
    if tile.wiring.is_ideal() {
        return Ok(used.mapv(|g| tile.with_transistor(g)));
    }
    let all = tile.conductances(used).mapv_into(|g| tile.with_transistor(g));
    let between = reduce::terminals(all.view(), &tile.wiring);
    let ((rows, columns), (m, n)) = (used.dim(), all.dim());
    Ok(Array2::from_shape_fn((rows, columns), |(i, j)| between[i * (m + n) + m + j]))
}
