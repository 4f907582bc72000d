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

/// Checks coefficients of polynomials.
pub(super) fn check_lists(lists: [(&'static str, &[f64]); 2]) -> Result<(), DeviceError> {
    for (parameter, list) in lists {
        let wrong = |value, expected: &str| {
            Err(DeviceError::Parameter { parameter, value, expected: expected.to_owned() })
        };
        if list.is_empty() {
            return wrong(f64::NAN, "at least one coefficient");
        }
        if let Some(value) = list.iter().find(|value| !value.is_finite()) {
            return wrong(*value, "finite coefficients");
        }
    }
    Ok(())
}
