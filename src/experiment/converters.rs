//! The converters that `[adc] method` names.

use std::sync::Arc;

use memtorch_crossbar::{Converter, CrossbarError, FullScale, LinearConverter};
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::registry::ConverterEntry;

/// Evenly spaced codes.
pub(crate) const LINEAR: ConverterEntry = ConverterEntry {
    name: "linear",
    meaning: "evenly spaced codes",
    fields: &[
        Field::new(
            "range",
            Kind::ChoiceOrReal(&["dynamic", "calibrated"]),
            Default::Text("dynamic"),
            "full scale: of each tile and input vector, calibrated once, or this current",
        )
        .unit("A")
        .range(f64::MIN_POSITIVE, f64::INFINITY),
        Field::new(
            "overflow_rate",
            Kind::Real,
            Default::Real(0.0),
            "share of the partial sums of a tile and input vector that a dynamic range may clip",
        )
        .range(0.0, 1.0),
    ],
    build: build_linear,
};

fn build_linear(bits: u32, table: &Table) -> Result<Arc<dyn Converter>, ConfigError> {
    let overflow_rate = table.get("overflow_rate").and_then(Value::as_real).unwrap_or(0.0);
    let full_scale = match table.get("range").and_then(Value::as_real) {
        Some(amperes) if overflow_rate != 0.0 => {
            let expected = format!("0, since the range is fixed at {amperes:?} A");
            return Err(ConfigError::value("overflow_rate", overflow_rate, expected));
        }
        Some(amperes) => FullScale::Fixed(amperes as f32),
        None => FullScale::Dynamic { overflow_rate },
    };
    let converter = LinearConverter::new(bits, full_scale).map_err(|error| match error {
        CrossbarError::Value { what, value, expected } => ConfigError::value(what, value, expected),
        other => ConfigError::value("method", "linear", other.to_string()),
    })?;
    Ok(Arc::new(converter))
}
