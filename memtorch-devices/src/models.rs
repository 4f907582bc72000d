//! The device models.

use std::sync::Arc;

use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};

use crate::{Device, DeviceEntry, DeviceError};

/// The models that come with the crate.
pub const MODELS: &[DeviceEntry] = &[DeviceEntry { name: "vteam", fields: VTEAM, build: build_vteam }];

const VTEAM: &[Field] = &[
    Field::new("time_step", Kind::Real, Preset::Real(1e-10), "time step of a trace").unit("s"),
    Field::new("r_on", Kind::Parameter, Preset::Real(50.0), "resistance of the ON state").unit("ohm"),
    Field::new("r_off", Kind::Parameter, Preset::Real(1000.0), "resistance of the OFF state").unit("ohm"),
];

/// Placeholder for the VTEAM model.
#[derive(Clone, Debug)]
struct Vteam {
    r_on: f64,
    r_off: f64,
}

fn build_vteam(table: &Table) -> Result<Arc<dyn Device>, DeviceError> {
    let real = |name| table.get(name).and_then(Value::as_real).unwrap_or(f64::NAN);
    let model = Vteam { r_on: real("r_on"), r_off: real("r_off") };
    model.check(&model.values())?;
    Ok(Arc::new(model))
}

impl Device for Vteam {
    fn name(&self) -> &'static str {
        "vteam"
    }
    fn fields(&self) -> &'static [Field] {
        VTEAM
    }
    fn parameter_names(&self) -> &'static [&'static str] {
        &["r_on", "r_off"]
    }
    fn values(&self) -> Vec<f64> {
        vec![self.r_on, self.r_off]
    }
    fn check(&self, values: &[f64]) -> Result<(), DeviceError> {
        if !(values[0] > 0.0 && values[0] < values[1]) {
            let expected = format!("a positive resistance below r_off = {}", values[1]);
            return Err(DeviceError::Parameter { parameter: "r_on", value: values[0], expected });
        }
        Ok(())
    }
    fn r_on(&self) -> f64 {
        self.r_on
    }
    fn r_off(&self) -> f64 {
        self.r_off
    }
}
