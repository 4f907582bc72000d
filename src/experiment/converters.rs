//! The converters that `[adc] method` names.

use std::sync::Arc;

use memtorch_crossbar::{
    Converter, ConverterErrors, ConverterSpread, CrossbarError, FullScale, LinearConverter, LogConverter,
};
use memtorch_utils::config::{ConfigError, Default, Field, Kind, Table, Value};

use crate::registry::ConverterEntry;

const RANGE: Field = Field::new(
    "range",
    Kind::ChoiceOrReal(&["dynamic", "calibrated"]),
    Default::Text("dynamic"),
    "full scale: of each tile and input vector, calibrated once, or this current",
)
.unit("A")
.range(f64::MIN_POSITIVE, f64::INFINITY);

const OVERFLOW_RATE: Field = Field::new(
    "overflow_rate",
    Kind::Real,
    Default::Real(0.0),
    "share of the partial sums of a tile and input vector that a dynamic range may clip",
)
.range(0.0, 1.0);

const GAIN_ERROR: Field = Field::new(
    "gain_error",
    Kind::Real,
    Default::Real(0.0),
    "relative error of the gain of linear converters, the same for all of a layer but for gain_spread",
)
.range(-1.0, f64::INFINITY);

const OFFSET_ERROR: Field =
    Field::new("offset_error", Kind::Real, Default::Real(0.0), "offset of linear converters, in steps")
        .range(f64::NEG_INFINITY, f64::INFINITY);

const GAIN_SPREAD: Field = Field::new(
    "gain_spread",
    Kind::Real,
    Default::Real(0.0),
    "standard deviation of that error from one converter to the other",
)
.range(0.0, f64::INFINITY);

const OFFSET_SPREAD: Field = Field::new(
    "offset_spread",
    Kind::Real,
    Default::Real(0.0),
    "standard deviation of the offset from one converter to the other, in steps",
)
.range(0.0, f64::INFINITY);

const NONLINEARITY: Field = Field::new(
    "nonlinearity",
    Kind::Real,
    Default::Real(0.0),
    "integral nonlinearity of linear converters, in steps: a bow, 0 at both ends of the range and largest at 0",
)
.range(f64::NEG_INFINITY, f64::INFINITY);

/// Evenly spaced codes.
pub(crate) const LINEAR: ConverterEntry = ConverterEntry {
    name: "linear",
    meaning: "evenly spaced codes",
    fields: &[RANGE, OVERFLOW_RATE, GAIN_ERROR, OFFSET_ERROR, GAIN_SPREAD, OFFSET_SPREAD, NONLINEARITY],
    build: build_linear,
};

/// Codes evenly spaced in the logarithm.
pub(crate) const LOG: ConverterEntry = ConverterEntry {
    name: "log",
    meaning: "codes evenly spaced in the logarithm, and zero",
    fields: &[
        RANGE,
        OVERFLOW_RATE,
        Field::new("decades", Kind::Real, Default::Real(4.0), "decades of a logarithmic converter")
            .range(f64::MIN_POSITIVE, 38.0),
    ],
    build: build_log,
};

fn build_linear(bits: u32, table: &Table) -> Result<Arc<dyn Converter>, ConfigError> {
    let real = |key: &str| table.get(key).and_then(Value::as_real).unwrap_or(0.0);
    let errors = ConverterErrors {
        gain: real("gain_error"),
        offset: real("offset_error"),
        nonlinearity: real("nonlinearity"),
    };
    let spread = ConverterSpread { gain: real("gain_spread"), offset: real("offset_spread") };
    let made = LinearConverter::new(bits, full_scale(table)?);
    let made = made.and_then(|made| made.with_errors(errors)?.with_spread(spread));
    Ok(Arc::new(made.map_err(|error| wrong("linear", error))?))
}

fn build_log(bits: u32, table: &Table) -> Result<Arc<dyn Converter>, ConfigError> {
    let decades = table.get("decades").and_then(Value::as_real).unwrap_or(4.0);
    let made = LogConverter::new(bits, full_scale(table)?, decades);
    Ok(Arc::new(made.map_err(|error| wrong("log", error))?))
}

fn full_scale(table: &Table) -> Result<FullScale, ConfigError> {
    let overflow_rate = table.get("overflow_rate").and_then(Value::as_real).unwrap_or(0.0);
    let calibrated = table.get("range").and_then(Value::as_text) == Some("calibrated");
    Ok(match table.get("range").and_then(Value::as_real) {
        Some(amperes) if overflow_rate != 0.0 => {
            let expected = format!("0, since the range is fixed at {amperes:?} A");
            return Err(ConfigError::value("overflow_rate", overflow_rate, expected));
        }
        Some(amperes) => FullScale::Fixed(amperes as f32),
        None if calibrated && overflow_rate != 0.0 => {
            let expected = "0, since the range is calibrated: set adc.percentile";
            return Err(ConfigError::value("overflow_rate", overflow_rate, expected));
        }
        // A calibrated range is set when the layer is made.
        None => FullScale::Dynamic { overflow_rate },
    })
}

fn wrong(method: &str, error: CrossbarError) -> ConfigError {
    match error {
        CrossbarError::Value { what, value, expected } => ConfigError::value(what, value, expected),
        other => ConfigError::value("method", method, other.to_string()),
    }
}
