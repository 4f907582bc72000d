use std::sync::Arc;

use memtorch_crossbar::{Array, CrossbarError, NonIdeality, Phase, Report};
use memtorch_devices::{Distribution, Parameter, Stream};
use memtorch_utils::config::{self, ConfigError, Default, Field, Kind, Table, Value};

use crate::NonIdealityEntry;

pub(crate) const ENTRY: NonIdealityEntry = NonIdealityEntry {
    name: "device-to-device",
    meaning: "Every device has parameters of its own",
    fields: &[
        Field::new(
            "sigma",
            Kind::Real,
            Default::Absent,
            "standard deviation s: r_on is drawn from N(r_on, s), r_off from N(r_off, 2 s)",
        )
        .unit("ohm")
        .range(0.0, f64::INFINITY),
        Field::new(
            "parameters",
            Kind::Any,
            Default::Absent,
            "distributions of any parameters by name, instead of sigma: { r_on = { lognormal = { median = 1.4e4, sigma_ln = 0.2 } } }",
        ),
    ],
    build,
    after_tuning: false,
};

/// Variability from device to device: parameters drawn once, at fabrication, for every device.
///
/// A draw that makes no possible device (a resistance that is not positive, `R_on >= R_off`) is made
/// again; a thousand such draws are an error. Weights are still mapped to the nominal bounds, so
/// a conductance outside a device's own is clipped when it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceToDevice {
    draws: Draws,
}

#[derive(Clone, Debug, PartialEq)]
enum Draws {
    /// Around the model's own resistances.
    Sigma(f64),
    Parameters(Vec<(String, Distribution)>),
}

impl DeviceToDevice {
    /// `R_on ~ N(R_on, sigma)`, `R_off ~ N(R_off, 2 sigma)` around the model's resistances, in ohm.
    ///
    /// # Errors
    /// A deviation that is negative or not finite.
    pub fn sigma(sigma: f64) -> Result<Self, ConfigError> {
        if !(sigma >= 0.0 && sigma.is_finite()) {
            return Err(ConfigError::value("sigma", sigma, "a number of at least 0"));
        }
        Ok(Self { draws: Draws::Sigma(sigma) })
    }

    /// These parameters from these distributions.
    pub fn parameters(draws: Vec<(String, Distribution)>) -> Self {
        Self { draws: Draws::Parameters(draws) }
    }
}

fn build(table: &Table) -> Result<Arc<dyn NonIdeality>, ConfigError> {
    let expected = "either sigma or parameters";
    let step = match (table.get("sigma").and_then(Value::as_real), table.get("parameters")) {
        (Some(sigma), None) => DeviceToDevice::sigma(sigma)?,
        (None, Some(parameters)) => {
            let wrong = || ConfigError::value("parameters", parameters, "a table of distributions");
            let list = parameters.as_table().filter(|list| !list.is_empty()).ok_or_else(wrong)?;
            let mut draws = Vec::new();
            for (name, value) in list.iter() {
                let key = format!("parameters.{name}");
                let Some(inner) = value.as_table() else {
                    return Err(ConfigError::value(key, value, "a distribution"));
                };
                draws.push((name.to_owned(), config::distribution(inner).map_err(|e| e.under(&key))?));
            }
            DeviceToDevice::parameters(draws)
        }
        (Some(sigma), Some(_)) => return Err(ConfigError::value("sigma", sigma, expected)),
        (None, None) => {
            return Err(ConfigError::Missing { key: "sigma".to_owned(), expected: expected.to_owned() });
        }
    };
    Ok(Arc::new(step))
}

impl NonIdeality for DeviceToDevice {
    fn name(&self) -> &str {
        ENTRY.name
    }

    fn phase(&self) -> Phase {
        Phase::Fabrication
    }

    fn apply(&self, array: &mut Array, stream: Stream) -> Result<Report, CrossbarError> {
        if array.is_programmed() {
            let expected = "false: the parameters of a device are drawn at fabrication";
            return Err(CrossbarError::value("after_tuning", true, expected));
        }
        let model = array.devices().model().clone();
        let draws: Vec<(&str, Distribution)> = match &self.draws {
            Draws::Sigma(sigma) => {
                let normal = |mean, std| {
                    Distribution::normal(mean, std)
                        .map_err(|error| CrossbarError::value("sigma", sigma, error.to_string()))
                };
                vec![("r_on", normal(model.r_on(), *sigma)?), ("r_off", normal(model.r_off(), 2.0 * sigma)?)]
            }
            Draws::Parameters(list) => list.iter().map(|(name, d)| (name.as_str(), *d)).collect(),
        };
        let layout = *array.layout();
        let vary = array.devices_mut().vary(&draws, stream, &|devices| layout.places(devices))?;
        let mut report = Report::default().count("devices drawn again", vary.redrawn);
        for (name, _) in &draws {
            if let Parameter::Each(values) = array.devices().parameter(name)? {
                let field = model.fields().iter().find(|field| field.name == *name);
                let unit = field.map_or("", |field| field.unit);
                let (mean, deviation) = moments(values);
                report = report.quantity(format!("mean of {name}"), mean, unit).quantity(
                    format!("standard deviation of {name}"),
                    deviation,
                    unit,
                );
            }
        }
        Ok(report)
    }
}

/// Mean and standard deviation.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    (mean, variance.sqrt())
}
