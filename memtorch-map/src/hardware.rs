use std::sync::Arc;

use memtorch_crossbar::passive::Unused;
use memtorch_crossbar::programming::Programmer;
use memtorch_crossbar::{Converter, NonIdeality, Phase, TileShape};
use memtorch_devices::DeviceSpec;

use crate::{MapError, MappingScheme};

/// Which weight is the smallest that gets a conductance of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightFloor {
    /// Zero: the mapping is linear down to it.
    #[default]
    Zero,
    /// `w_max R_on / R_off` (Algorithm 1 of the MemTorch paper): a dead zone around zero.
    Ratio,
}

/// What shares a number: a weight range, a gain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PerWhat {
    /// All of a layer.
    #[default]
    Layer,
    /// A column: one output.
    Column,
}

/// How weights are scaled to the range of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightRange {
    /// What shares a largest weight.
    pub per: PerWhat,
    /// Share of the largest weights that is clipped (p_L), in [0, 1).
    pub exclude_largest: f64,
    /// The smallest weight.
    pub floor: WeightFloor,
}

/// How inputs become voltages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum InputScale {
    /// The largest magnitude of a sample becomes the largest voltage.
    #[default]
    Always,
    /// As [`InputScale::Always`] where a sample exceeds the largest voltage; else 1 is 1 V.
    Exceeds,
    /// So many units of the input a volt, for all samples; what exceeds the largest voltage is clipped
    /// and counted.
    Fixed(f64),
}

/// From inputs to volts on the word lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputStage {
    /// The largest voltage, in volt.
    pub max_voltage: f64,
    /// How inputs are scaled to it.
    pub scale: InputScale,
    /// Bits of the digital-to-analogue converter; 0 for an ideal one, else 2 to 24.
    pub bits: u32,
}

/// What is converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadMode {
    /// The two currents of a term are subtracted before they are converted.
    #[default]
    Difference,
    /// Each current is converted, then they are subtracted.
    Each,
}

/// From column currents to numbers.
#[derive(Clone, Debug)]
pub struct Adc {
    /// The converter of every column.
    pub converter: Arc<dyn Converter>,
    /// What it converts.
    pub read: ReadMode,
}

/// How the gain of a layer is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Random samples of a least squares fit; 0 for the analytic gain.
    pub samples: usize,
    /// What shares a gain.
    pub per: PerWhat,
    /// Whether a constant is fitted too.
    pub intercept: bool,
}

/// To which arrays of a layer a non-ideality applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrays {
    /// To all.
    #[default]
    All,
    /// To the first: the positive one of a double column.
    Positive,
    /// To the others: the negative one of a double column.
    Negative,
}

/// A step of the list of non-idealities.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it does.
    pub step: Arc<dyn NonIdeality>,
    /// To which arrays.
    pub arrays: Arrays,
    /// Whether it acts after tuning, like everything that ages.
    pub after_tuning: bool,
}

impl Entry {
    /// A step on all arrays, after tuning if it ages.
    pub fn new(step: Arc<dyn NonIdeality>) -> Self {
        let after_tuning = step.phase() == Phase::Aged;
        Self { step, arrays: Arrays::All, after_tuning }
    }
}

/// The resistances between drivers, devices and sinks, in ohm, at every read.
///
/// Where any is not 0, the matrix of an array is that of its effective conductances: each tile is one
/// circuit, solved alone and exactly (see [`memtorch_crossbar::passive`]).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wires {
    /// At the driven end of each word line and the sink of each bit line.
    pub source_resistance: f64,
    /// Of a wire between neighbouring devices.
    pub line_resistance: f64,
    /// In series with each device.
    pub transistor_resistance: f64,
    /// What becomes of the part of a tile that the matrix does not use.
    pub unused: Unused,
}

impl Wires {
    /// Whether nothing has any resistance.
    pub fn is_ideal(&self) -> bool {
        [self.source_resistance, self.line_resistance, self.transistor_resistance] == [0.0; 3]
    }
}

/// How conductances are written.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Writer {
    /// As they are, up to each device's own bounds.
    #[default]
    Direct,
    /// By pulses, from the OFF state in which devices are fabricated.
    Pulses(Programmer),
}

/// The hardware of a layer.
#[derive(Clone, Debug)]
pub struct Hardware {
    /// The devices.
    pub device: DeviceSpec,
    /// The size of the tiles.
    pub tile: TileShape,
    /// How weights lie on devices.
    pub scheme: Arc<dyn MappingScheme>,
    /// What resistance there is besides the devices.
    pub wires: Wires,
    /// How weights are scaled.
    pub weight_range: WeightRange,
    /// From inputs to voltages.
    pub input: InputStage,
    /// From currents to numbers.
    pub adc: Adc,
    /// How conductances are written.
    pub writer: Writer,
    /// What is not ideal, in order.
    pub nonidealities: Vec<Entry>,
    /// How the gain is found.
    pub tuning: Tuning,
}

impl Hardware {
    /// Checks everything that a type does not.
    ///
    /// # Errors
    /// The setting, its value and what was expected.
    pub fn check(&self) -> Result<(), MapError> {
        let wrong = |key, value: String, expected: &str| {
            Err(MapError::Setting { key, value, expected: expected.to_owned() })
        };
        let range = &self.weight_range;
        if !(0.0..1.0).contains(&range.exclude_largest) {
            return wrong("exclude_largest", range.exclude_largest.to_string(), "a number from 0 to below 1");
        }
        if !(self.input.max_voltage > 0.0 && self.input.max_voltage.is_finite()) {
            return wrong("max_voltage", self.input.max_voltage.to_string(), "a positive number of volt");
        }
        if let InputScale::Fixed(scale) = self.input.scale
            && !(scale > 0.0 && scale.is_finite())
        {
            return wrong("scale", scale.to_string(), "a positive number");
        }
        if self.input.bits != 0 && !(2..=24).contains(&self.input.bits) {
            return wrong("bits", self.input.bits.to_string(), "0 or a whole number from 2 to 24");
        }
        Ok(())
    }
}
