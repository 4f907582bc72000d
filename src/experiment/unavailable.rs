//! Keys that are part of the schema and whose feature is not there yet.

use memtorch_utils::config::{Table, Value};

use super::schema;

/// Values of a key that need a feature which is missing.
struct Missing {
    section: &'static str,
    key: &'static str,
    needs: fn(&Value) -> bool,
    feature: &'static str,
}

const fn missing(
    section: &'static str,
    key: &'static str,
    needs: fn(&Value) -> bool,
    feature: &'static str,
) -> Missing {
    Missing { section, key, needs, feature }
}

fn is_text(value: &Value, text: &str) -> bool {
    value.as_text() == Some(text)
}

fn any(_: &Value) -> bool {
    true
}

const MISSING: &[Missing] = &[
    missing("data", "kind", |v| is_text(v, "folder"), "a folder of pictures"),
    missing("crossbar", "reference", any, "a reference column of devices"),
    missing("crossbar", "bits_per_cell", any, "this mapping scheme"),
    missing("crossbar", "slices", any, "this mapping scheme"),
    missing("crossbar", "group_packing", |v| is_text(v, "block-diagonal"), "several groups on a tile"),
    missing("input", "scale", |v| is_text(v, "calibrated"), "a calibrated input scale"),
    missing("input", "serial", |v| v.as_bool() == Some(true), "bit-serial input"),
    missing("adc", "range", |v| is_text(v, "calibrated"), "a calibrated range"),
    missing("adc", "granularity", any, "a calibrated range"),
    missing("adc", "percentile", any, "a calibrated range"),
    missing("adc", "calibration", any, "a calibrated range"),
    missing("adc", "calibration_samples", any, "a calibrated range"),
    missing("tune", "per", |v| is_text(v, "tile"), "a gain for each tile"),
    missing("tune", "inputs", |v| is_text(v, "data"), "tuning on data"),
];

/// Mapping schemes that are not there yet.
pub(crate) const SCHEMES: &[&str] = &["offset-column", "bit-sliced"];

/// Non-idealities that are not there yet.
pub(crate) const NON_IDEALITIES: &[&str] = &["nonlinear", "read-noise"];

/// The first key of a section, as a person wrote it, that needs a missing feature: key, value, feature.
/// A key that stands at its default needs nothing.
pub(crate) fn find(section: &str, written: &Table) -> Option<(&'static str, Value, &'static str)> {
    MISSING.iter().filter(|m| m.section == section).find_map(|m| {
        let value = written.get(m.key)?;
        let default = schema::later(section).iter().find(|field| field.name == m.key);
        let stands = default.and_then(|field| field.default.value()).is_some_and(|d| same(&d, value));
        ((m.needs)(value) && !stands).then(|| (m.key, value.clone(), m.feature))
    })
}

fn same(a: &Value, b: &Value) -> bool {
    a == b || (a.as_real().is_some() && a.as_real() == b.as_real())
}
