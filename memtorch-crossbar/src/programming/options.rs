use memtorch_devices::{Device, Stream};

use super::rules::Rules;
use super::{Cycling, ProgrammingReport, active, passive};
use crate::{Array, CrossbarError};

/// How pulses follow what they do.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum PulseScheme {
    /// All pulses of a polarity are alike.
    Fixed,
    /// Each pulse of a polarity is higher than the one before it (incremental step pulse programming); a change of
    /// polarity starts again at the first voltage.
    Incremental {
        /// Rise from pulse to pulse, as a share of the first voltage, positive.
        step: f64,
        /// The largest voltage, as a multiple of the first.
        limit: f64,
    },
    /// A pulse is twice as long as the one before it where that left at least four times of what it closed, and
    /// so much shorter, by halves, that it should close no more than half of what is left; a change of polarity
    /// starts again at one width.
    Adaptive {
        /// The longest pulse, in widths.
        longest: u32,
    },
    /// Without reads between pulses: a device is brought to one end of its range, and from there gets as many
    /// pulses, all alike, as bring the nominal device nearest to the target. The end is the one from which
    /// the nominal device's levels lie closer.
    OpenLoop,
}

impl PulseScheme {
    /// [`PulseScheme::Adaptive`] up to 1024 widths.
    pub const ADAPTIVE: Self = Self::Adaptive { longest: 1024 };
}

/// What the other cells of an array without transistors see of a pulse of V volt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Bias {
    /// Those of the same row or column V/2, the rest 0: other lines at V/2.
    #[default]
    Half,
    /// Those of the same row or column V/3, the rest -V/3: other word lines at V/3, other bit lines at 2V/3.
    Third,
    /// What the other lines, left open, come to.
    Floating,
}

/// The order in which the cells of an array without transistors are visited; the same in each pass, but for
/// the last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Word line after word line.
    #[default]
    RowMajor,
    /// At random, another order in each pass.
    Random,
    /// By the error at the beginning of the pass, the largest first.
    WorstFirst,
}

/// What is at a crossing besides the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cell {
    /// A transistor that keeps all pulses from cells that are not selected (1T1R).
    #[default]
    Transistor,
    /// Nothing (0T1R).
    Passive {
        /// What other cells see.
        bias: Bias,
        /// Which cell is next.
        order: Order,
    },
}

/// How conductances are measured between pulses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verify {
    /// Voltage of the read in V: it lasts one time step, moves devices where the physics says so, and takes its
    /// time and energy. `None` for a read that does nothing of this.
    pub read_voltage: Option<f64>,
    /// Standard deviation of what is read, as a share of the range `g_on - g_off`.
    pub noise: f64,
}

/// The error that is good enough.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Tolerance {
    /// A share of the nominal range `g_on - g_off`.
    Range(f64),
    /// Siemens.
    Siemens(f64),
}

/// The resistances in the way of a pulse, in ohm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Resistances {
    /// At the driven end of a word line (the left) and at the sink of a bit line (the bottom).
    pub source: f64,
    /// Of a wire between neighbouring cells.
    pub line: f64,
    /// In series with each device.
    pub transistor: f64,
}

impl Resistances {
    /// Whether there is none.
    pub fn is_ideal(&self) -> bool {
        [self.source, self.line, self.transistor] == [0.0; 3]
    }
}

/// Writes arrays by pulses.
#[derive(Clone, Debug, PartialEq)]
pub struct Programmer {
    /// Voltage of a pulse that raises the conductance, in V; of the first of them where they differ.
    pub set_voltage: f64,
    /// Voltage of a pulse that lowers the conductance, in V; likewise.
    pub reset_voltage: f64,
    /// Length of a pulse in s, a multiple of the model's time step; of the shortest where they differ.
    pub pulse_width: f64,
    /// How pulses follow what they do.
    pub scheme: PulseScheme,
    /// What other cells see.
    pub cell: Cell,
    /// The wires.
    pub resistances: Resistances,
    /// How far the voltages of a passive array with wires may be from those that its conductances at a pulse
    /// give, as a share of the pulse's voltage: the network is solved anew where the change of the conductances
    /// since it was solved could do more. 0: at every pulse.
    pub voltage_error: f64,
    /// How conductances are measured.
    pub verify: Verify,
    /// When a device is done.
    pub tolerance: Tolerance,
    /// Pulses at a visit of a device, at most; to erase and to write each, where nobody reads between them.
    pub max_pulses: u32,
    /// How often all devices are visited.
    pub passes: u32,
    /// Bounds that are drawn anew at each change of polarity, if they are.
    pub cycling: Option<Cycling>,
    /// Whether every pulse is kept in the report.
    pub record: bool,
}

impl Programmer {
    /// The pulses of a model: its own voltages, lengths that adapt from one time step, an error of at most 0.01
    /// of the range in at most 1000 pulses, one pass, cells with transistors.
    ///
    /// # Errors
    /// A model without pulses of its own.
    pub fn of(device: &dyn Device) -> Result<Self, CrossbarError> {
        let Some(pulses) = device.pulses() else {
            let expected = format!("a voltage: {} has no pulses of its own", device.name());
            return Err(CrossbarError::value("set_voltage", "not given", expected));
        };
        Ok(Self::new(pulses.set_voltage, pulses.reset_voltage, device.time_step()))
    }

    /// Pulses of these voltages (V) whose lengths adapt from this one (s), all else as [`Programmer::of`].
    pub fn new(set_voltage: f64, reset_voltage: f64, pulse_width: f64) -> Self {
        Self {
            set_voltage,
            reset_voltage,
            pulse_width,
            scheme: PulseScheme::ADAPTIVE,
            cell: Cell::default(),
            resistances: Resistances::default(),
            voltage_error: 1e-3,
            verify: Verify::default(),
            tolerance: Tolerance::Range(0.01),
            max_pulses: 1000,
            passes: 1,
            cycling: None,
            record: false,
        }
    }

    /// Looks for what is not possible with a model.
    ///
    /// # Errors
    /// The setting by its name in configurations, its value and what was expected: a voltage that is 0 or not
    /// finite, both of the same effect, or of the wrong polarity for the model; a width that is no multiple of
    /// the time step; numbers out of range.
    pub fn check(&self, device: &dyn Device) -> Result<(), CrossbarError> {
        Rules::new(self, device).map(|_| ())
    }

    /// Writes an array from the conductances that it has to `targets` (siemens, in the order of its layout).
    /// Devices that cannot be written stay.
    ///
    /// Every tile is an array of its own. `stream` gives noise, and an order at random.
    ///
    /// # Errors
    /// As [`Programmer::check`]; another number of targets than devices; a target that is not finite or outside
    /// the nominal range of the model; a network of wires without a solution.
    pub fn program(
        &self,
        array: &mut Array,
        targets: &[f64],
        stream: Stream,
    ) -> Result<ProgrammingReport, CrossbarError> {
        let model = array.devices().model().clone();
        let rules = Rules::new(self, &*model)?;
        check_targets(&*model, targets, array.conductances().len())?;
        let written = match self.cell {
            Cell::Transistor => active::write(self, &rules, array, targets, stream)?,
            Cell::Passive { bias, order } => {
                passive::write(self, &rules, (bias, order), array, targets, stream)?
            }
        };
        Ok(written.finish(&rules, array, targets))
    }
}

/// Targets must be conductances that the nominal device has, but for the rounding of a number of single precision.
fn check_targets(device: &dyn Device, targets: &[f64], expected: usize) -> Result<(), CrossbarError> {
    if targets.len() != expected {
        let (found, expected) = (vec![targets.len()], vec![expected]);
        return Err(CrossbarError::Shape { what: "targets", found, expected });
    }
    let (low, high) = (1.0 / device.r_off(), 1.0 / device.r_on());
    let within = |g: f64| g >= low * (1.0 - 1e-6) && g <= high * (1.0 + 1e-6);
    match targets.iter().position(|g| !within(*g)) {
        None => Ok(()),
        Some(at) => {
            let expected = format!("a conductance from 1/r_off = {low:e} to 1/r_on = {high:e} S");
            Err(CrossbarError::value(format!("target {at}"), format!("{:e}", targets[at]), expected))
        }
    }
}
