use std::fmt::Debug;

use memtorch_utils::config::{Field, Table};

use crate::{DeviceError, Job, Lane, Pulses, Sweeps, kernel};

/// A device model: what a researcher writes.
///
/// All functions are plain arithmetic on [`Lane`]s, written once; populations run them on as many devices
/// at a time as the processor takes. Mark each `#[inline(always)]`: without it the model is right and many times
/// slower.
///
/// `values` hold the numeric parameters in the order of [`DeviceModel::PARAMETERS`], in SI units, `r_on` and
/// `r_off` among them. The state is one number a device. From this one `impl` come populations, distributions of
/// any parameter, traces, crossbars, every non-ideality and configuration by name
/// ([`DeviceEntry::of`](crate::DeviceEntry::of)).
pub trait DeviceModel: Clone + Debug + Send + Sync + 'static {
    /// The name in configurations: lower case, words joined by `-`.
    const NAME: &'static str;

    /// The numeric parameters that may differ from device to device; `r_on` and `r_off` must be among them.
    const PARAMETERS: &'static [&'static str];

    /// Everything that can be set: the numeric parameters (of kind
    /// [`Kind::Parameter`](crate::Kind::Parameter)), `time_step`, `start_conductance` and options.
    const FIELDS: &'static [Field];

    /// Whether a step may draw a standard normal number for each device: [`DeviceModel::is_noisy`].
    const NOISE: bool = false;

    /// Whether the current is the conductance times the voltage at any voltage.
    const OHMIC: bool = true;

    /// Whether the current is the conductance times a function of the voltage, and of parameters other than `r_on`
    /// and `r_off`: crossbars of such devices are read as fast as ohmic ones.
    const PROPORTIONAL: bool = Self::OHMIC;

    /// Whether a state that a step at some voltage leaves where it is stays at all lower voltages of the same sign too:
    /// arrays that are written need not step devices that cannot move.
    const MONOTONE: bool = false;

    /// What the state is, with its unit, as an axis of a plot says it: `gap (m)`.
    const STATE: &'static str = "state";

    /// The sweeps that show what the model does with its default parameters; without them a person has to
    /// give amplitude, frequency and duration.
    const SWEEPS: Option<Sweeps> = None;

    /// Pulses that write a device with its default parameters; without them a person has to give voltages.
    const PULSES: Option<Pulses> = None;

    /// The parameters that a fit to a measured record looks for when a person names none, lists among them: those
    /// that such a record can tell from each other.
    const FITTED: &'static [&'static str] = Self::PARAMETERS;

    /// Parameters made ready for many steps.
    type Prepared<L: Lane>: Copy;

    /// Makes the model from a table that was checked against [`DeviceModel::FIELDS`].
    ///
    /// # Errors
    /// Combinations that are not possible.
    fn from_table(table: &Table) -> Result<Self, DeviceError>;

    /// The nominal values.
    fn nominal(&self) -> Vec<f64>;

    /// The time step of a trace, in s.
    fn time_step(&self) -> f64;

    /// The conductance at the beginning, in S; `None` for `1 / r_on`.
    fn start_conductance(&self) -> Option<f64>;

    /// Whether this device draws the numbers that [`DeviceModel::NOISE`] speaks of: a variant may not.
    #[inline(always)]
    fn is_noisy(&self) -> bool {
        Self::NOISE
    }

    /// What a person should know before they trust a trace with a time step of `dt` seconds, in one sentence
    /// without a full stop; `None` where there is nothing to say.
    fn caution(&self, dt: f64) -> Option<String> {
        let _ = dt;
        None
    }

    /// Whether a device with these values is possible.
    ///
    /// # Errors
    /// The parameter, its value and what was expected.
    fn validate(&self, values: &[f64]) -> Result<(), DeviceError>;

    /// The model, if it is possible: for one that was made of its fields, or read by serde, and not from a table.
    ///
    /// # Errors
    /// As [`DeviceModel::validate`] of the nominal values; a time step or a conductance at the beginning that is not
    /// possible.
    fn checked(self) -> Result<Self, DeviceError> {
        crate::Device::check_nominal(&self)?;
        Ok(self)
    }

    /// Computes something for a run of devices. The models of this crate say it again, so that their kernels are
    /// compiled here and not in every crate that uses one; nobody else has to.
    fn run_job(&self, job: Job<'_>) {
        kernel::run(self, job);
    }

    /// Makes parameters ready: whatever does not change from step to step.
    fn prepare<L: Lane>(&self, values: &[L]) -> Self::Prepared<L>;

    /// The conductance that a read gives, in S.
    fn conductance<L: Lane>(&self, prepared: &Self::Prepared<L>, state: L) -> L;

    /// The state whose read gives a conductance in S.
    fn state<L: Lane>(&self, prepared: &Self::Prepared<L>, conductance: L) -> L;

    /// The current in A at a voltage in V.
    fn current<L: Lane>(&self, prepared: &Self::Prepared<L>, state: L, voltage: L) -> L;

    /// The state after `dt` seconds at a voltage, within its bounds. `normal` is a standard normal number,
    /// or 0 for models without noise.
    fn step<L: Lane>(&self, prepared: &Self::Prepared<L>, state: L, voltage: L, dt: f64, normal: L) -> L;
}
