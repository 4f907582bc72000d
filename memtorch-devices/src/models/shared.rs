//! What several models share.

use memtorch_utils::config::{Default as Preset, Field, Kind, Table, Value};

use crate::{DeviceError, Window};

/// The fields that every model has besides its numeric parameters.
pub(super) const fn time_step(default: f64) -> Field {
    Field::new("time_step", Kind::Real, Preset::Real(default), "time step of a trace")
        .unit("s")
        .range(f64::MIN_POSITIVE, f64::INFINITY)
}

pub(super) const START: Field = Field::new(
    "start_conductance",
    Kind::Real,
    Preset::Absent,
    "conductance at the beginning of a trace; absent: 1 / r_on",
)
.unit("S")
.range(f64::MIN_POSITIVE, f64::INFINITY);

/// Lists of fields one after another.
pub(super) const fn joined<const N: usize>(lists: &[&[Field]]) -> [Field; N] {
    let mut all = [START; N];
    let (mut list, mut to) = (0, 0);
    while list < lists.len() {
        let mut from = 0;
        while from < lists[list].len() {
            all[to] = lists[list][from];
            from += 1;
            to += 1;
        }
        list += 1;
    }
    assert!(to == N, "as many fields as the lists have");
    all
}

/// A number of a checked table.
pub(super) fn real(table: &Table, name: &str) -> Option<f64> {
    table.get(name).and_then(Value::as_real)
}

/// The window that a checked table names.
pub(super) fn window(table: &Table) -> Window {
    table.get("window").and_then(Value::as_text).and_then(Window::named).unwrap_or_default()
}

/// The first rule that does not hold: parameter, value, whether it is right, what was expected.
pub(super) type Rule = (&'static str, f64, bool, &'static str);

/// Checks that all values are finite, that `r_on` and `r_off` are resistances in order, and rules.
pub(super) fn check(
    names: &'static [&'static str],
    values: &[f64],
    r_on: f64,
    r_off: f64,
    rules: &[Rule],
) -> Result<(), DeviceError> {
    let wrong =
        |parameter, value, expected: String| Err(DeviceError::Parameter { parameter, value, expected });
    if let Some(at) = values.iter().position(|x| !x.is_finite()) {
        return wrong(names.get(at).copied().unwrap_or("values"), values[at], "a finite number".to_owned());
    }
    if !(r_on > 0.0 && r_on < r_off) {
        return wrong("r_on", r_on, format!("a positive resistance below r_off = {r_off}"));
    }
    match rules.iter().find(|(_, _, right, _)| !right) {
        None => Ok(()),
        Some((parameter, value, _, expected)) => wrong(parameter, *value, (*expected).to_owned()),
    }
}

/// Checks the time step and the conductance at the beginning.
pub(super) fn check_start(
    time_step: f64,
    start: Option<f64>,
    r_on: f64,
    r_off: f64,
) -> Result<(), DeviceError> {
    if !(time_step > 0.0 && time_step.is_finite()) {
        let expected = "a positive number of seconds".to_owned();
        return Err(DeviceError::Parameter { parameter: "time_step", value: time_step, expected });
    }
    match start {
        // Bounds up to the rounding of 1 / R.
        Some(g) if !(g >= (1.0 - 1e-12) / r_off && g <= (1.0 + 1e-12) / r_on) => {
            let expected =
                format!("a conductance from 1/r_off = {:e} to 1/r_on = {:e}", 1.0 / r_off, 1.0 / r_on);
            Err(DeviceError::Parameter { parameter: "start_conductance", value: g, expected })
        }
        _ => Ok(()),
    }
}
