use memtorch_crossbar::programming::ProgrammingReport;
use memtorch_crossbar::{Conversions, Report};

/// What one step of the list did to one array.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport {
    /// The step's name.
    pub name: String,
    /// Its index in the list.
    pub index: usize,
    /// The array: 0 the positive or only one, 1 the negative one.
    pub array: usize,
    /// What it did.
    pub report: Report,
}

/// What programming a matrix gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MatrixReport {
    /// The largest weight magnitude of the range (the largest over columns where they have their own).
    pub w_max: f64,
    /// Weights beyond it, which were clipped.
    pub weights_clipped: usize,
    /// Devices on all tiles of all arrays, used or not.
    pub devices: usize,
    /// Devices in use.
    pub devices_used: usize,
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
    /// Share of the output's variance that the fit explains; `None` for an analytic gain or an output
    /// without variance.
    pub r2: Option<f64>,
    /// The factor on all gains that was measured after the array aged; `None` where none was.
    pub compensation: Option<f64>,
    /// What each step did.
    pub steps: Vec<StepReport>,
    /// What a person should know.
    pub warnings: Vec<String>,
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
