use ndarray::{Array2, ArrayView2, Axis, s};

use super::wiring::conductance;
use super::{TileCircuit, Wiring};
use crate::CrossbarError;

/// The network of a tile as a backend reduces it: word lines driven at the left, bit lines at the top, all other
/// ends open.
///
/// Tiles whose lines have their sources elsewhere are mirrored, so that these are the only ones.
#[derive(Clone, Debug, PartialEq)]
pub struct TileNetwork {
    /// The conductances of all devices with their transistors, siemens, `[word line, bit line]`.
    pub devices: Array2<f64>,
    /// Of the segment between a word line's source and its first device, siemens.
    pub word_source: f64,
    /// Of the segment between a bit line's source and its first device.
    pub bit_source: f64,
    /// Between neighbouring devices of a word line.
    pub word_line: f64,
    /// Between neighbouring devices of a bit line.
    pub bit_line: f64,
    used: [usize; 2],
    mirrored: [bool; 2],
}

impl TileNetwork {
    /// Whether tiles with these wires are such networks: each line has a source at one end.
    pub fn is_of(wiring: &Wiring) -> bool {
        (wiring.word_left.is_none() != wiring.word_right.is_none())
            && (wiring.bit_top.is_none() != wiring.bit_bottom.is_none())
    }

    /// The network of a tile with this block in use; `None` where its lines are driven at both ends, or where no
    /// wire has any resistance.
    ///
    /// # Errors
    /// As [`effective_block`](super::effective_block).
    pub fn new(used: ArrayView2<f64>, tile: &TileCircuit) -> Result<Option<Self>, CrossbarError> {
        tile.check(used)?;
        let wiring = &tile.wiring;
        let (Some(word_source), Some(bit_source)) =
            (wiring.word_left.xor(wiring.word_right), wiring.bit_top.xor(wiring.bit_bottom))
        else {
            return Ok(None);
        };
        if wiring.is_ideal() {
            return Ok(None);
        }
        let mirrored = [wiring.bit_top.is_none(), wiring.word_left.is_none()];
        let mut devices = tile.conductances(used).mapv_into(|g| tile.with_transistor(g));
        for (axis, mirrored) in mirrored.into_iter().enumerate() {
            if mirrored {
                devices.invert_axis(Axis(axis));
            }
        }
        Ok(Some(Self {
            devices: devices.as_standard_layout().into_owned(),
            word_source: conductance(word_source),
            bit_source: conductance(bit_source),
            word_line: conductance(wiring.word_line),
            bit_line: conductance(wiring.bit_line),
            used: used.dim().into(),
            mirrored,
        }))
    }

    /// The effective conductances of the block in use, from those between the terminals of all word lines and of
    /// all bit lines of the network.
    ///
    /// # Panics
    /// Another shape than that of the devices.
    pub fn used(&self, mut between: ArrayView2<f64>) -> Array2<f64> {
        assert_eq!(between.dim(), self.devices.dim(), "a conductance for each device");
        for (axis, mirrored) in self.mirrored.into_iter().enumerate() {
            if mirrored {
                between.invert_axis(Axis(axis));
            }
        }
        between.slice(s![..self.used[0], ..self.used[1]]).to_owned()
    }
}
