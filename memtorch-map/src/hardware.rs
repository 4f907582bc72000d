use std::sync::Arc;

use memtorch_crossbar::passive::Unused;
use memtorch_crossbar::programming::Programmer;
use memtorch_crossbar::{Converter, Ideal, Layout, NonIdeality, Phase, TileShape};
use memtorch_devices::{DeviceSpec, Stream};

use crate::{DoubleColumn, MapError, MappingScheme};

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

/// What shares a number: a weight range, a gain, a full scale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PerWhat {
    /// All of a layer.
    #[default]
    Layer,
    /// A column: one output; of converters, one bit line of one tile.
    Column,
    /// A tile.
    Tile,
}

/// How the groups of a grouped convolution lie on tiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupPacking {
    /// Each on tiles of its own.
    #[default]
    Separate,
    /// One behind the other along the diagonal of a tile: as many as fit and divide their number, so that
    /// all tiles are alike. The devices between them hold the weight 0 (g_off in pairs of devices); they are
    /// devices of the array like all others.
    BlockDiagonal,
}

/// Which lines of a tile are permuted so that devices that cannot be written fall where they hurt least. The
/// digital side undoes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remapping {
    /// None.
    #[default]
    None,
    /// Word lines.
    Rows,
    /// Bit lines.
    Columns,
    /// Both.
    Both,
}

/// How weights are scaled to the range of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WeightRange {
    /// What shares a largest weight: a layer or a column.
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
    /// As [`InputScale::Fixed`], with the largest magnitude of the inputs of [`Calibration`] at the largest
    /// voltage.
    Calibrated,
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
    /// Whether its code, in two's complement, goes out bit by bit: one cycle a bit, in which word lines are at
    /// the largest voltage or at 0. Each cycle is converted; the digital side shifts and adds, and subtracts
    /// what the sign bit gave. Needs `bits`.
    pub serial: bool,
}

impl Default for InputStage {
    /// Each sample fills 0.3 V; no converter.
    fn default() -> Self {
        Self { max_voltage: 0.3, scale: InputScale::default(), bits: 0, serial: false }
    }
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

/// How a full scale is found from currents.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum RangeFit {
    /// A percentile of their magnitudes, above 0 and up to 100, which is the largest: element
    /// `floor((1 - p/100) n)` by falling magnitude.
    Percentile(f64),
    /// The one with the least sum of squared errors of the converted currents, to 4 % of itself.
    LeastSquares,
}

/// A full scale that is found once, from what converters see of the inputs of [`Calibration`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibratedRange {
    /// What shares a full scale. Each current that is converted has tiles and columns of its own.
    pub per: PerWhat,
    /// How it is found.
    pub fit: RangeFit,
}

/// From column currents to numbers.
#[derive(Clone, Debug)]
pub struct Adc {
    /// The converter of every column.
    pub converter: Arc<dyn Converter>,
    /// What it converts.
    pub read: ReadMode,
    /// How its full scale is calibrated; absent where it has one of its own.
    pub range: Option<CalibratedRange>,
    /// Columns of a tile that take turns at one converter, at least 1: they cost cycles and change no number, but share
    /// the errors of a converter that has its own.
    pub columns_per_adc: usize,
}

impl Adc {
    /// The converters of all reads of a layer, whose sums lie on these tiles.
    pub(crate) fn fabricate(&self, layouts: &[Layout], stream: Stream) -> Vec<Arc<dyn Converter>> {
        let made = |(number, layout): (usize, &Layout)| {
            let stream = stream.named("converters").child(number as u64);
            self.converter.fabricate(layout, self.columns_per_adc, stream)
        };
        let layouts = layouts.iter().enumerate();
        layouts.map(|read| made(read).unwrap_or_else(|| self.converter.clone())).collect()
    }
}

/// Inputs with which something is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProbeInputs {
    /// Uniform numbers in [-1, 1).
    #[default]
    Uniform,
    /// What the layer sees in the digital network.
    Data,
}

/// Inputs with which scales and ranges are calibrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calibration {
    /// Which.
    pub inputs: ProbeInputs,
    /// How many samples, at least 1.
    pub samples: usize,
}

impl Default for Calibration {
    /// 8 random samples.
    fn default() -> Self {
        Self { inputs: ProbeInputs::Uniform, samples: 8 }
    }
}

impl Default for Adc {
    /// Currents are read exactly.
    fn default() -> Self {
        Self { converter: Arc::new(Ideal), read: ReadMode::default(), range: None, columns_per_adc: 1 }
    }
}

/// How the gain of a layer is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuning {
    /// Samples of a least squares fit; 0 for the analytic gain.
    pub samples: usize,
    /// What shares a gain.
    pub per: PerWhat,
    /// Whether a constant is fitted too.
    pub intercept: bool,
    /// What it is fitted on.
    pub inputs: ProbeInputs,
}

impl Default for Tuning {
    /// One gain a layer, from 8 samples.
    fn default() -> Self {
        Self { samples: 8, per: PerWhat::Layer, intercept: false, inputs: ProbeInputs::Uniform }
    }
}

/// To which arrays of a layer a non-ideality applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrays {
    /// To all.
    #[default]
    All,
    /// To those whose currents are not subtracted: the positive one of a double column.
    Positive,
    /// To those whose currents are subtracted: the negative one of a double column.
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
    /// How groups share tiles.
    pub packing: GroupPacking,
    /// How weights avoid devices that are stuck when the array is fabricated.
    pub remapping: Remapping,
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
    /// Inputs for what is calibrated.
    pub calibration: Calibration,
    /// What is not ideal, in order.
    pub nonidealities: Vec<Entry>,
    /// How the gain is found.
    pub tuning: Tuning,
}

impl Hardware {
    /// Devices on tiles of 128 x 128, a double column, and everything else ideal; the gain is found with 8
    /// random inputs.
    pub fn new(device: DeviceSpec) -> Self {
        Self {
            device,
            tile: TileShape::Sized { word_lines: 128, bit_lines: 128 },
            scheme: Arc::new(DoubleColumn),
            packing: GroupPacking::default(),
            remapping: Remapping::default(),
            wires: Wires::default(),
            weight_range: WeightRange::default(),
            input: InputStage::default(),
            adc: Adc::default(),
            writer: Writer::Direct,
            calibration: Calibration::default(),
            nonidealities: Vec::new(),
            tuning: Tuning::default(),
        }
    }

    /// Whether anything is calibrated.
    fn is_calibrated(&self) -> bool {
        self.adc.range.is_some() || self.input.scale == InputScale::Calibrated
    }

    /// Samples of the network whose inputs to the layer are needed, to be recorded in the digital network; 0
    /// where nothing is measured with them.
    pub fn data_samples(&self) -> usize {
        let tuning = if self.tuning.inputs == ProbeInputs::Data { self.tuning_samples() } else { 0 };
        let calibration = self.is_calibrated() && self.calibration.inputs == ProbeInputs::Data;
        tuning.max(if calibration { self.calibration.samples } else { 0 })
    }

    /// Samples with which the gain is found, before or after ageing; 0 where it never is.
    pub(crate) fn tuning_samples(&self) -> usize {
        /// As many as tuning takes unless it says otherwise.
        const SAMPLES: usize = 8;
        let again = self.nonidealities.iter().any(|entry| entry.step.remeasures_gain());
        if self.tuning.samples == 0 && again { SAMPLES } else { self.tuning.samples }
    }

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
        if self.weight_range.per == PerWhat::Tile {
            return wrong("weight_range", "tile".to_owned(), "a layer or a column");
        }
        if self.input.serial && self.input.bits == 0 {
            return wrong("serial", "true".to_owned(), "bits of at least 2 to send one by one");
        }
        if self.calibration.samples == 0 {
            return wrong("calibration_samples", "0".to_owned(), "at least 1");
        }
        if self.adc.columns_per_adc == 0 {
            return wrong("columns_per_adc", "0".to_owned(), "at least 1");
        }
        if let Some(CalibratedRange { fit: RangeFit::Percentile(percentile), .. }) = self.adc.range
            && !(percentile > 0.0 && percentile <= 100.0)
        {
            return wrong("percentile", percentile.to_string(), "a number above 0 and up to 100");
        }
        if self.input.bits != 0 && !(2..=24).contains(&self.input.bits) {
            return wrong("bits", self.input.bits.to_string(), "0 or a whole number from 2 to 24");
        }
        Ok(())
    }
}
