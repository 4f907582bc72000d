//! What a model says about itself.

use std::collections::HashSet;

use memtorch_utils::config::{self, Kind, Table, Value};

use super::{Clause, Report};
use crate::DeviceModel;
use crate::kernel::MAX_PARAMETERS;

pub(super) fn check<M: DeviceModel>(model: &M, report: &mut Report) {
    names(model, report);
    fitted::<M>(report);
    table::<M>(report);
    validation(model, report);
}

fn names<M: DeviceModel>(model: &M, report: &mut Report) {
    let mut expect = |right: bool, what: String| report.expect(Clause::Declaration, right, || what);
    let word = |name: &str, joint: char| {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint;
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(allowed)
    };
    expect(word(M::NAME, '-'), format!("NAME is `{}`: expected lower case, words joined by -", M::NAME));
    let count = M::PARAMETERS.len();
    expect(count <= MAX_PARAMETERS, format!("{count} parameters: expected at most {MAX_PARAMETERS}"));
    let nominal = model.nominal().len();
    expect(
        nominal == count,
        format!("nominal() has {nominal} values: expected one for each of {count} PARAMETERS"),
    );
    for needed in ["r_on", "r_off"] {
        expect(M::PARAMETERS.contains(&needed), format!("no `{needed}` in PARAMETERS"));
    }
    for needed in ["time_step", "start_conductance"] {
        let there = M::FIELDS.iter().any(|f| f.name == needed && f.kind == Kind::Real);
        expect(there, format!("no `{needed}` of kind Real in FIELDS"));
    }
    let mut seen = HashSet::new();
    for field in M::FIELDS {
        expect(
            word(field.name, '_'),
            format!("field `{}`: expected lower case, words joined by _", field.name),
        );
        expect(seen.insert(field.name), format!("field `{}` is there twice", field.name));
        let known = field.kind != Kind::Parameter || M::PARAMETERS.contains(&field.name);
        expect(known, format!("field `{}` takes a distribution but is not in PARAMETERS", field.name));
    }
    let mut seen = HashSet::new();
    for name in M::PARAMETERS {
        expect(seen.insert(name), format!("parameter `{name}` is there twice"));
        let settable = M::FIELDS.iter().any(|f| f.name == *name && f.kind == Kind::Parameter);
        expect(settable, format!("parameter `{name}` has no field of kind Parameter"));
    }
}

/// A fit can only look for what can be set.
fn fitted<M: DeviceModel>(report: &mut Report) {
    for name in M::FITTED {
        let number = |f: &config::Field| matches!(f.kind, Kind::Parameter | Kind::Reals);
        let there = M::FIELDS.iter().any(|f| f.name == *name && number(f));
        report.expect(Clause::Declaration, there, || format!("`{name}` of FITTED is no number in FIELDS"));
    }
}

/// A model made from a table has what the table says.
fn table<M: DeviceModel>(report: &mut Report) {
    let build = |table: &Table| -> Result<M, String> {
        let checked = config::check(M::FIELDS, table).map_err(|e| e.to_string())?;
        M::from_table(&checked).map_err(|e| e.to_string())
    };
    // A model with fields that must be set has no default to speak of.
    if M::FIELDS.iter().any(|field| field.default == config::Default::Required) {
        return;
    }
    let default = match build(&Table::default()) {
        Ok(model) => model,
        Err(why) => {
            return report.expect(Clause::Declaration, false, || format!("no model of defaults: {why}"));
        }
    };
    let nominal = default.nominal();
    for (at, name) in M::PARAMETERS.iter().enumerate() {
        let Some(found) = nominal.get(at).copied() else { return };
        let declared = M::FIELDS.iter().find(|f| f.name == *name).and_then(|f| f.default.value()?.as_real());
        report.expect(Clause::Declaration, declared.is_none_or(|d| d == found), || {
            format!("the default of `{name}` is {declared:?} in FIELDS, {found} in the model made of them")
        });
        let other = if found == 0.0 { 0.01 } else { found * 1.01 };
        let mut set = Table::default();
        set.insert(*name, Value::Real(other));
        if let Ok(changed) = build(&set) {
            let mut expected = nominal.clone();
            expected[at] = other;
            let nominal = changed.nominal();
            report.expect(Clause::Declaration, nominal == expected, || {
                format!("`{name}` set to {other}: nominal() is {nominal:?}, expected {expected:?}")
            });
        }
    }
    let mut set = Table::default();
    let dt = default.time_step() * 0.5;
    set.insert("time_step", Value::Real(dt));
    let found = build(&set).map(|model| model.time_step());
    report.expect(Clause::Declaration, found == Ok(dt), || format!("`time_step` set to {dt}: {found:?}"));
    let Some([r_on, r_off]) = resistances::<M>(&nominal) else { return };
    let start = 2.0 / (r_on + r_off);
    let mut set = Table::default();
    set.insert("start_conductance", Value::Real(start));
    let found = build(&set).map(|model| model.start_conductance());
    report.expect(Clause::Declaration, found == Ok(Some(start)), || {
        format!("`start_conductance` set to {start}: {found:?}")
    });
    for (name, value) in [
        ("start_conductance", 2.0 / r_on),
        ("start_conductance", 0.5 / r_off),
        ("time_step", 0.0),
        ("time_step", -dt),
    ] {
        let mut set = Table::default();
        set.insert(name, Value::Real(value));
        let refused = build(&set).is_err();
        report.expect(Clause::Validation, refused, || format!("`{name}` = {value}: expected an error"));
    }
}

fn resistances<M: DeviceModel>(values: &[f64]) -> Option<[f64; 2]> {
    let named = |name| values.get(M::PARAMETERS.iter().position(|p| *p == name)?).copied();
    Some([named("r_on")?, named("r_off")?])
}

fn validation<M: DeviceModel>(model: &M, report: &mut Report) {
    let nominal = model.nominal();
    if let Err(why) = model.validate(&nominal) {
        report.expect(Clause::Validation, false, || format!("the nominal values are refused: {why}"));
    }
    let mut refused = |name: &str, value: f64| {
        let Some(at) = M::PARAMETERS.iter().position(|p| *p == name).filter(|at| *at < nominal.len()) else {
            return;
        };
        let mut values = nominal.clone();
        values[at] = value;
        let right = model.validate(&values).is_err();
        report.expect(Clause::Validation, right, || format!("`{name}` = {value}: expected an error"));
    };
    for name in M::PARAMETERS {
        refused(name, f64::NAN);
    }
    if let Some([r_on, r_off]) = resistances::<M>(&nominal) {
        refused("r_on", r_off);
        refused("r_on", 2.0 * r_off);
        refused("r_off", 0.5 * r_on);
        refused("r_on", -r_on);
    }
}
