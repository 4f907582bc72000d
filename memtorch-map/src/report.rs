use memtorch_crossbar::programming::ProgrammingReport;
use memtorch_crossbar::{Conversions, Report};

use crate::Footprint;

/// What one step of the list did to one array.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The step's name.
    pub name: String,
    /// Its index in the list.
    pub index: usize,
    /// The array, in the order of the scheme: of a double column 0 the positive one, 1 the negative one.
    pub array: usize,
    /// What it did.
    pub report: Report,
}

/// What the converters of a matrix cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConverterReport {
    /// Converters: one for so many columns of every tile as take turns.
    pub converters: usize,
    /// Codes that they make for one input vector.
    pub conversions_per_vector: usize,
    /// Conversions one after the other for one input vector: the columns that take turns, times the cycles of
    /// bit-serial inputs.
    pub cycles_per_vector: usize,
}

/// What programming a matrix gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixReport {
    /// The largest weight magnitude of the range (the largest over columns where they have their own).
    pub w_max: f64,
    /// Weights beyond it, which were clipped.
    pub weights_clipped: usize,
    /// What the matrix costs.
    pub footprint: Footprint,
    /// Devices drawn again at fabrication because no such device is possible.
    pub redrawn: usize,
    /// Devices whose target lay outside their own bounds.
    pub write_clipped: usize,
    /// What writing by pulses did, over all arrays; `None` where conductances are set as they are.
    pub programming: Option<ProgrammingReport>,
    /// Devices that cannot be written.
    pub stuck: usize,
    /// The gain K (the mean over columns where they have their own), in units of the output a volt and
    /// siemens.
    pub gain: f64,
    /// The constant c (likewise), in units of the output.
    pub intercept: f64,
    /// Sum over the weights of the squared error that stuck devices cause, relative to the largest weight, before
    /// and after lines were permuted; `None` where none were.
    pub remapping: Option<[f64; 2]>,
    /// What the converters cost; `None` for ideal ones.
    pub converters: Option<ConverterReport>,
    /// The least and the largest calibrated full scale, in ampere; `None` where none is calibrated.
    pub full_scale: Option<[f64; 2]>,
    /// The calibrated scale of the inputs, in units of the input a volt.
    pub input_scale: Option<f64>,
    /// Share of the output's variance that the fit explains; `None` for an analytic gain or an output
    /// without variance.
    pub r2: Option<f64>,
    /// The factor on all gains that was measured after the array aged; `None` where none was.
    pub compensation: Option<f64>,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// What a person should know.
    pub warnings: Vec<String>,
    /// Steps for which the backend has no kernel, so that they ran, or run, on the CPU.
    pub on_cpu: Vec<String>,
}

/// What reading a matrix did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// The converters.
    pub conversions: Conversions,
    /// Inputs beyond the largest voltage, which were clipped.
    pub inputs_clipped: u64,
}

impl std::ops::AddAssign for ReadReport {
    fn add_assign(&mut self, other: Self) {
        self.conversions += other.conversions;
        self.inputs_clipped += other.inputs_clipped;
    }
}
