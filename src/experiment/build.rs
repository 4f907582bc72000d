//! From checked tables to hardware.

use std::sync::Arc;

use memtorch_crossbar::programming::Resistances;
use memtorch_crossbar::{Converter, CrossbarError, Ideal, TileShape};
use memtorch_devices::{Device, DeviceError, DeviceSpec};
use memtorch_map::{
    Adc, Arrays, CalibratedRange, Calibration, Entry, GroupPacking, Hardware, InputScale, InputStage,
    PerWhat, ProbeInputs, RangeFit, ReadMode, Remapping, Tuning, Unused, WeightFloor, WeightRange, Wires,
    Writer,
};
use memtorch_utils::config::{ConfigError, Field, Table, Value};

use super::idle;
use super::pulses::PulseOptions;
use super::resolve::{Complete, Experiment, Sections};
use crate::{Error, Registry};

/// The hardware of a layer, with the tables that it was made from.
#[derive(Clone, Debug)]
pub struct LayerHardware {
    /// What the layer is mapped to.
    pub hardware: Hardware,
    /// Keys that were set and change nothing, each a sentence without a full stop.
    pub warnings: Vec<String>,
    pub(crate) complete: Complete,
}

impl LayerHardware {
    /// The names of the non-idealities in the order of the list.
    pub fn steps(&self) -> Vec<&str> {
        self.complete.non_idealities.iter().filter_map(|table| table.get("kind")?.as_text()).collect()
    }
}

impl Experiment {
    /// Makes the hardware that some sections describe.
    ///
    /// # Errors
    /// The key, where it was written, its value and what was expected.
    pub fn hardware(&self, sections: &Sections, registry: &Registry) -> Result<LayerHardware, Error> {
        let complete = self.complete(sections, registry)?;
        let hardware = build(&complete, registry).map_err(|e| self.wrong(sections, e))?;
        let warnings = idle::idle(&complete, sections, &hardware, registry);
        Ok(LayerHardware { hardware, warnings, complete })
    }
}

fn build(complete: &Complete, registry: &Registry) -> Result<Hardware, ConfigError> {
    let text = |section: &str, key: &str| complete.value(section, key).as_text().unwrap_or("").to_owned();
    let real = |section: &str, key: &str| complete.value(section, key).as_real().unwrap_or(0.0);
    let count = |section: &str, key: &str| complete.value(section, key).as_count().unwrap_or(0);
    let adc_bits = count("adc", "bits") as u32;
    let tile = match complete.value("crossbar", "tile") {
        Value::List(sizes) => TileShape::Sized {
            word_lines: sizes.first().and_then(Value::as_count).unwrap_or(0),
            bit_lines: sizes.get(1).and_then(Value::as_count).unwrap_or(0),
        },
        _ => TileShape::Layer,
    };
    let scheme = text("crossbar", "scheme");
    let entry = registry.schemes().iter().find(|entry| entry.name == scheme);
    let entry = entry.ok_or_else(|| ConfigError::value("crossbar.scheme", &scheme, "a registered scheme"))?;
    let scheme = (entry.build)(&part(complete, "crossbar", entry.fields)).map_err(|e| e.under("crossbar"))?;
    let converter: Arc<dyn Converter> = if adc_bits == 0 {
        Arc::new(Ideal)
    } else {
        let method = text("adc", "method");
        let entry = registry.converters().iter().find(|entry| entry.name == method);
        let entry =
            entry.ok_or_else(|| ConfigError::value("adc.method", &method, "a registered converter"))?;
        (entry.build)(adc_bits, &part(complete, "adc", entry.fields)).map_err(|e| e.under("adc"))?
    };
    let mut nonidealities = Vec::new();
    for (index, table) in complete.non_idealities.iter().enumerate() {
        let path = format!("nonideality.{index}");
        let kind = table.get("kind").and_then(Value::as_text).unwrap_or("");
        let entry = registry.non_idealities().iter().find(|entry| entry.name == kind);
        let entry =
            entry.ok_or_else(|| ConfigError::value(format!("{path}.kind"), kind, "a registered kind"))?;
        let own: Table = entry
            .fields
            .iter()
            .filter_map(|field| Some((field.name, table.get(field.name)?.clone())))
            .collect();
        nonidealities.push(Entry {
            step: (entry.build)(&own).map_err(|e| e.under(&path))?,
            arrays: match table.get("arrays").and_then(Value::as_text) {
                Some("positive") => Arrays::Positive,
                Some("negative") => Arrays::Negative,
                _ => Arrays::All,
            },
            after_tuning: table.get("after_tuning").and_then(Value::as_bool).unwrap_or(entry.after_tuning),
        });
    }
    let device = device(complete, registry)?;
    let writer = writer(complete, &*device.model)?;
    Ok(Hardware {
        device,
        tile,
        scheme,
        packing: match text("crossbar", "group_packing").as_str() {
            "block-diagonal" => GroupPacking::BlockDiagonal,
            _ => GroupPacking::Separate,
        },
        remapping: match text("crossbar", "remapping").as_str() {
            "rows" => Remapping::Rows,
            "columns" => Remapping::Columns,
            "both" => Remapping::Both,
            _ => Remapping::None,
        },
        wires: Wires {
            source_resistance: real("crossbar", "source_resistance"),
            line_resistance: real("crossbar", "line_resistance"),
            transistor_resistance: real("crossbar", "transistor_resistance"),
            unused: if text("crossbar", "unused") == "absent" { Unused::Absent } else { Unused::Full },
        },
        weight_range: WeightRange {
            per: per(&text("crossbar", "weight_range")),
            exclude_largest: real("crossbar", "exclude_largest"),
            floor: if text("crossbar", "weight_floor") == "ratio" {
                WeightFloor::Ratio
            } else {
                WeightFloor::Zero
            },
        },
        input: InputStage {
            max_voltage: real("input", "max_voltage"),
            scale: match complete.value("input", "scale") {
                Value::Text(word) if word == "exceeds" => InputScale::Exceeds,
                Value::Text(word) if word == "calibrated" => InputScale::Calibrated,
                Value::Text(_) => InputScale::Always,
                number => InputScale::Fixed(number.as_real().unwrap_or(1.0)),
            },
            bits: count("input", "bits") as u32,
            serial: complete.value("input", "serial") == Value::Bool(true),
        },
        adc: Adc {
            converter,
            read: if text("adc", "read") == "each" { ReadMode::Each } else { ReadMode::Difference },
            range: (text("adc", "range") == "calibrated").then(|| CalibratedRange {
                per: per(&text("adc", "granularity")),
                fit: match text("adc", "range_fit").as_str() {
                    "least-squares" => RangeFit::LeastSquares,
                    _ => RangeFit::Percentile(real("adc", "percentile")),
                },
            }),
            columns_per_adc: count("adc", "columns_per_adc"),
        },
        calibration: Calibration {
            inputs: match text("adc", "calibration").as_str() {
                "data" => ProbeInputs::Data,
                _ => ProbeInputs::Uniform,
            },
            samples: count("adc", "calibration_samples"),
        },
        writer,
        nonidealities,
        tuning: Tuning {
            samples: count("tune", "samples"),
            per: per(&text("tune", "per")),
            intercept: complete.value("tune", "intercept") == Value::Bool(true),
            inputs: match text("tune", "inputs").as_str() {
                "data" => ProbeInputs::Data,
                _ => ProbeInputs::Uniform,
            },
        },
    })
}

/// How conductances are written.
fn writer(complete: &Complete, device: &dyn Device) -> Result<Writer, ConfigError> {
    if complete.value("program", "method").as_text() != Some("pulses") {
        return Ok(Writer::Direct);
    }
    let text = |key: &str| complete.value("program", key).as_text().map(str::to_owned);
    let real = |key: &str| complete.value("program", key).as_real();
    let count = |key: &str| complete.value("program", key).as_count().and_then(|n| u32::try_from(n).ok());
    let ohm = |key: &str| complete.value("crossbar", key).as_real().unwrap_or(0.0);
    let options = PulseOptions {
        passive: complete.value("crossbar", "cell").as_text() == Some("0t1r"),
        bias: text("bias"),
        order: text("order"),
        resistances: Resistances {
            source: ohm("source_resistance"),
            line: ohm("line_resistance"),
            transistor: ohm("transistor_resistance"),
        },
        scheme: text("scheme"),
        set_voltage: real("set_voltage"),
        reset_voltage: real("reset_voltage"),
        pulse_width: real("pulse_width"),
        voltage_step: real("voltage_step"),
        voltage_limit: real("voltage_limit"),
        longest_pulse: count("longest_pulse"),
        voltage_error: real("voltage_error"),
        read_voltage: real("read_voltage"),
        read_noise: real("read_noise"),
        max_pulses: count("max_pulses"),
        tolerance: real("tolerance"),
        tolerance_siemens: real("tolerance_siemens"),
        passes: count("passes"),
    };
    let programmer = options.programmer(device).map_err(|error| match error {
        CrossbarError::Value { what, value, expected } => {
            let section = if what.ends_with("_resistance") { "crossbar" } else { "program" };
            ConfigError::value(format!("{section}.{what}"), value, expected)
        }
        other => ConfigError::value("program.method", "pulses", other.to_string()),
    })?;
    Ok(Writer::Pulses(programmer))
}

/// What shares a number, by its name in an experiment.
fn per(name: &str) -> PerWhat {
    match name {
        "column" => PerWhat::Column,
        "tile" => PerWhat::Tile,
        _ => PerWhat::Layer,
    }
}

fn device(complete: &Complete, registry: &Registry) -> Result<DeviceSpec, ConfigError> {
    let mut table = complete.tables.get("device").cloned().unwrap_or_default();
    let model = table.remove("model").and_then(|v| v.as_text().map(str::to_owned)).unwrap_or_default();
    let entry = registry.devices().iter().find(|entry| entry.name == model);
    let entry = entry.ok_or_else(|| ConfigError::value("device.model", &model, "a registered model"))?;
    DeviceSpec::configure(entry, &table).map_err(|error| match error {
        DeviceError::Config(error) => error.under("device"),
        DeviceError::Parameter { parameter, value, expected } => {
            ConfigError::value(format!("device.{parameter}"), format!("{value:?}"), expected)
        }
        other => ConfigError::value("device.model", &model, other.to_string()),
    })
}

/// The keys of a section that belong to these fields.
fn part(complete: &Complete, section: &str, fields: &[Field]) -> Table {
    fields.iter().map(|field| (field.name, complete.value(section, field.name))).collect()
}
