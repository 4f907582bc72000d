use std::sync::Arc;

use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};

use crate::{Device, DeviceEntry, DeviceError};

pub(crate) const ENTRY: DeviceEntry = DeviceEntry { name: "vteam", fields: FIELDS, build };

const fn number(name: &'static str, value: f64, unit: &'static str, meaning: &'static str) -> Field {
    Field::new(name, Kind::Parameter, Preset::Real(value), meaning).unit(unit)
}

const FIELDS: &[Field] = &[
    Field::new("time_step", Kind::Real, Preset::Real(1e-10), "time step of a trace")
        .unit("s")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
    number("r_on", 50.0, "ohm", "resistance of the ON state").range(f64::MIN_POSITIVE, f64::INFINITY),
    number("r_off", 1000.0, "ohm", "resistance of the OFF state").range(f64::MIN_POSITIVE, f64::INFINITY),
    number("k_on", -10.0, "m/s", "velocity of the state towards ON; negative"),
    number("k_off", 5e-4, "m/s", "velocity of the state towards OFF; positive"),
    number("alpha_on", 3.0, "", "exponent of the velocity towards ON"),
    number("alpha_off", 1.0, "", "exponent of the velocity towards OFF"),
    number("v_on", -0.2, "V", "threshold towards ON; negative"),
    number("v_off", 0.02, "V", "threshold towards OFF; positive"),
    number("w_on", 0.0, "m", "state at the ON resistance"),
    number("w_off", 3e-9, "m", "state at the OFF resistance"),
    Field::new(
        "resistance",
        Kind::Choice(&["linear", "exponential"]),
        Preset::Text("linear"),
        "how the resistance follows the state",
    ),
];

const NAMES: &[&str] =
    &["r_on", "r_off", "k_on", "k_off", "alpha_on", "alpha_off", "v_on", "v_off", "w_on", "w_off"];

/// The VTEAM model (Kvatinsky et al., IEEE TCAS-II 62, 2015).
#[derive(Clone, Debug)]
struct Vteam {
    values: Vec<f64>,
}

fn build(table: &Table) -> Result<Arc<dyn Device>, DeviceError> {
    let real = |name: &&str| table.get(name).and_then(Value::as_real).unwrap_or(f64::NAN);
    let model = Vteam { values: NAMES.iter().map(real).collect() };
    model.check(&model.values)?;
    Ok(Arc::new(model))
}

impl Device for Vteam {
    fn name(&self) -> &'static str {
        ENTRY.name
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn parameter_names(&self) -> &'static [&'static str] {
        NAMES
    }

    fn values(&self) -> Vec<f64> {
        self.values.clone()
    }

    fn check(&self, values: &[f64]) -> Result<(), DeviceError> {
        let &[r_on, r_off, k_on, k_off, _, _, v_on, v_off, w_on, w_off] = values else {
            let expected = format!("{} values", NAMES.len());
            return Err(DeviceError::Parameter { parameter: "values", value: values.len() as f64, expected });
        };
        let rules = [
            (
                "r_on",
                r_on,
                r_on > 0.0 && r_on < r_off,
                format!("a positive resistance below r_off = {r_off}"),
            ),
            ("k_on", k_on, k_on < 0.0, "a negative number".to_owned()),
            ("k_off", k_off, k_off > 0.0, "a positive number".to_owned()),
            ("v_on", v_on, v_on < 0.0, "a negative number".to_owned()),
            ("v_off", v_off, v_off > 0.0, "a positive number".to_owned()),
            ("w_on", w_on, w_on < w_off, format!("a number below w_off = {w_off}")),
        ];
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            let expected = "a finite number".to_owned();
            return Err(DeviceError::Parameter { parameter: NAMES[at], value: values[at], expected });
        }
        match rules.into_iter().find(|(.., right, _)| !right) {
            None => Ok(()),
            Some((parameter, value, _, expected)) => {
                Err(DeviceError::Parameter { parameter, value, expected })
            }
        }
    }

    fn r_on(&self) -> f64 {
        self.values[0]
    }

    fn r_off(&self) -> f64 {
        self.values[1]
    }
}
