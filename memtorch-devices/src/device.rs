use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use memtorch_utils::Distribution;
use memtorch_utils::config::{self, ConfigError, Field, Kind, Table, Value};

use crate::job::Job;
use crate::{DeviceError, DeviceModel, Pulses, Sweeps};

/// A device model behind a pointer: what populations, crossbars and configurations need of one.
///
/// Every [`DeviceModel`] is one; it is not implemented by hand. As it is [`Any`], a backend can find the models that
/// it has kernels for.
pub trait Device: Any + Debug + Send + Sync {
    /// The name in configurations: lower case, words joined by `-`.
    fn name(&self) -> &'static str;

    /// Everything that can be set, `time_step`, `r_on`, `r_off` and `start_conductance` among it.
    fn fields(&self) -> &'static [Field];

    /// The parameters that are numbers and may differ from device to device, in the order of
    /// [`Device::values`].
    fn parameter_names(&self) -> &'static [&'static str];

    /// The nominal value of each parameter, in SI units.
    fn values(&self) -> Vec<f64>;

    /// Whether a device with these values (in the order of [`Device::parameter_names`]) is possible.
    ///
    /// # Errors
    /// The parameter, its value and its bounds.
    fn check(&self, values: &[f64]) -> Result<(), DeviceError>;

    /// Whether the nominal device is possible, its time step and its conductance at the beginning among it.
    ///
    /// # Errors
    /// As [`Device::check`].
    fn check_nominal(&self) -> Result<(), DeviceError> {
        self.check(&self.values())?;
        check_start(self.time_step(), self.start_conductance(), self.r_on(), self.r_off())
    }

    /// Nominal resistance of the ON state in ohm.
    fn r_on(&self) -> f64;

    /// Nominal resistance of the OFF state in ohm.
    fn r_off(&self) -> f64;

    /// The time step of a trace in s.
    fn time_step(&self) -> f64;

    /// The conductance at the beginning in S.
    fn start_conductance(&self) -> f64;

    /// Whether the current is the conductance times the voltage at any voltage.
    fn is_ohmic(&self) -> bool;

    /// The parameters that a fit looks for when a person names none.
    fn fitted(&self) -> &'static [&'static str];

    /// Whether the current is the conductance times a function of the voltage, and of parameters other than `r_on`
    /// and `r_off`.
    fn is_proportional(&self) -> bool;

    /// Whether a state that a voltage leaves where it is stays at all lower voltages of the same sign too.
    fn is_monotone(&self) -> bool;

    /// What the state is, with its unit, as an axis of a plot says it.
    fn state_label(&self) -> &'static str;

    /// The sweeps that show what the model does, if it has any.
    fn sweeps(&self) -> Option<Sweeps>;

    /// The pulses that write it, if the model has any of its own.
    fn pulses(&self) -> Option<Pulses>;

    /// Whether its steps draw random numbers.
    fn is_noisy(&self) -> bool;

    /// What a person should know before they trust a trace with a time step of `dt` seconds.
    fn caution(&self, dt: f64) -> Option<String>;

    /// Computes something for a run of devices, with the fastest kernels of this machine. The bits do
    /// not depend on which these are.
    fn run(&self, job: Job<'_>);
}

impl<M: DeviceModel> Device for M {
    fn name(&self) -> &'static str {
        M::NAME
    }

    fn fields(&self) -> &'static [Field] {
        M::FIELDS
    }

    fn parameter_names(&self) -> &'static [&'static str] {
        M::PARAMETERS
    }

    fn values(&self) -> Vec<f64> {
        self.nominal()
    }

    fn check(&self, values: &[f64]) -> Result<(), DeviceError> {
        if values.len() != M::PARAMETERS.len() {
            let expected = format!("{} values", M::PARAMETERS.len());
            return Err(DeviceError::Parameter { parameter: "values", value: values.len() as f64, expected });
        }
        self.validate(values)
    }

    fn r_on(&self) -> f64 {
        nominal(self, "r_on")
    }

    fn r_off(&self) -> f64 {
        nominal(self, "r_off")
    }

    fn time_step(&self) -> f64 {
        DeviceModel::time_step(self)
    }

    fn start_conductance(&self) -> f64 {
        DeviceModel::start_conductance(self).unwrap_or_else(|| 1.0 / Device::r_on(self))
    }

    fn is_ohmic(&self) -> bool {
        M::OHMIC
    }

    fn is_noisy(&self) -> bool {
        M::NOISE && DeviceModel::is_noisy(self)
    }

    fn fitted(&self) -> &'static [&'static str] {
        M::FITTED
    }

    fn is_monotone(&self) -> bool {
        M::MONOTONE && !Device::is_noisy(self)
    }

    fn is_proportional(&self) -> bool {
        M::PROPORTIONAL
    }

    fn state_label(&self) -> &'static str {
        M::STATE
    }

    fn sweeps(&self) -> Option<Sweeps> {
        M::SWEEPS
    }

    fn pulses(&self) -> Option<Pulses> {
        M::PULSES
    }

    fn caution(&self, dt: f64) -> Option<String> {
        DeviceModel::caution(self, dt)
    }

    fn run(&self, job: Job<'_>) {
        self.run_job(job);
    }
}

/// A parameter that every model has.
fn nominal<M: DeviceModel>(model: &M, name: &str) -> f64 {
    let at = M::PARAMETERS.iter().position(|parameter| *parameter == name);
    at.and_then(|at| model.nominal().get(at).copied()).unwrap_or(f64::NAN)
}

/// Checks the time step and the conductance at the beginning.
fn check_start(time_step: f64, start: f64, r_on: f64, r_off: f64) -> Result<(), DeviceError> {
    let wrong =
        |parameter, value, expected: String| Err(DeviceError::Parameter { parameter, value, expected });
    if !(time_step > 0.0 && time_step.is_finite()) {
        return wrong("time_step", time_step, "a positive number of seconds".to_owned());
    }
    let (low, high) = (1.0 / r_off, 1.0 / r_on);
    // Bounds up to the rounding of 1 / R.
    if !(start >= (1.0 - 1e-12) * low && start <= (1.0 + 1e-12) * high) {
        let expected = format!("a conductance from 1/r_off = {low:e} to 1/r_on = {high:e}");
        return wrong("start_conductance", start, expected);
    }
    Ok(())
}

/// How a configuration makes a device model: one row of a registry.
#[derive(Clone, Copy, Debug)]
pub struct DeviceEntry {
    /// The model's name.
    pub name: &'static str,
    /// Everything that can be set.
    pub fields: &'static [Field],
    /// Makes the model from a table that [`config::check`] has completed.
    pub build: fn(&Table) -> Result<Arc<dyn Device>, DeviceError>,
}

impl DeviceEntry {
    /// The row of a model.
    pub const fn of<M: DeviceModel>() -> Self {
        Self { name: M::NAME, fields: M::FIELDS, build: build::<M> }
    }
}

fn build<M: DeviceModel>(table: &Table) -> Result<Arc<dyn Device>, DeviceError> {
    Ok(Arc::new(M::from_table(table)?))
}

/// A device model together with the parameters that vary from device to device.
#[derive(Clone, Debug)]
pub struct DeviceSpec {
    /// The nominal device.
    pub model: Arc<dyn Device>,
    /// Parameters with a distribution.
    pub distributions: Vec<(&'static str, Distribution)>,
}

impl DeviceSpec {
    /// A model whose devices are all alike.
    pub fn new(model: Arc<dyn Device>) -> Self {
        Self { model, distributions: Vec::new() }
    }

    /// Makes a model from a table in which any parameter may be a number or a distribution. The
    /// nominal model takes each distribution's [`Distribution::nominal`].
    ///
    /// # Errors
    /// A key, value or combination that is not possible.
    pub fn configure(entry: &DeviceEntry, table: &Table) -> Result<Self, DeviceError> {
        let mut checked = config::check(entry.fields, table)?;
        let mut distributions = Vec::new();
        for field in entry.fields {
            let Some(Value::Table(inner)) = checked.get(field.name) else { continue };
            if field.kind != Kind::Parameter {
                continue;
            }
            let distribution = config::distribution(inner).map_err(|e| e.under(field.name))?;
            let nominal = distribution.nominal();
            if !(nominal >= field.low && nominal <= field.high) {
                let expected = format!("a distribution with a mean that is {}", field.expected());
                return Err(ConfigError::value(field.name, Value::Table(inner.clone()), expected).into());
            }
            distributions.push((field.name, distribution));
            checked.insert(field.name, Value::Real(nominal));
        }
        Ok(Self { model: (entry.build)(&checked)?, distributions })
    }
}
