//! Keys that were set and change nothing where they are.

use memtorch_crossbar::Phase;
use memtorch_map::{Hardware, Remapping};
use memtorch_utils::config::{Field, Value};

use super::resolve::{Complete, Sections};
use super::schema;
use super::write::as_toml;
use crate::Registry;

/// One sentence without a full stop for each key that is not at its default and changes nothing: the key where it was
/// written, its value, and why.
pub(super) fn idle(
    complete: &Complete,
    sections: &Sections,
    hardware: &Hardware,
    registry: &Registry,
) -> Vec<String> {
    let mut found = Vec::new();
    let mut tell = |key: &str, value: &Value, why: String| {
        let (key, value) = (sections.written(key), as_toml(value));
        found.push(format!("{key} = {value} changes nothing: {why}"));
    };
    let settings = Settings { complete, hardware, registry };
    for section in schema::sections(registry) {
        if !schema::LAYER_SECTIONS.contains(&section.name) {
            continue;
        }
        for field in &section.fields {
            let Some(value) = complete.tables.get(section.name).and_then(|table| table.get(field.name))
            else {
                continue;
            };
            if Some(value) == field.default.value().as_ref() {
                continue;
            }
            if let Some(why) = settings.why(section.name, field.name) {
                tell(&format!("{}.{}", section.name, field.name), value, why);
            }
        }
    }
    let pulses = settings.is("program", "method", "pulses");
    for (index, step) in complete.non_idealities.iter().enumerate() {
        let kind = step.get("kind").and_then(Value::as_text);
        if let (Some("cycle-to-cycle"), Some(cycles), true) = (kind, step.get("cycles"), pulses)
            && *cycles != Value::Integer(1)
        {
            let why = "devices cycle while pulses write them, at each change of polarity".to_owned();
            tell(&format!("nonideality.{index}.cycles"), cycles, why);
        }
    }
    found
}

struct Settings<'a> {
    complete: &'a Complete,
    hardware: &'a Hardware,
    registry: &'a Registry,
}

impl Settings<'_> {
    fn is(&self, section: &str, key: &str, word: &str) -> bool {
        self.complete.value(section, key).as_text() == Some(word)
    }

    /// A setting as it would be written.
    fn set(&self, section: &str, key: &str) -> String {
        format!("{section}.{key} = {}", as_toml(&self.complete.value(section, key)))
    }

    /// Why a key changes nothing with the other settings, if so.
    fn why(&self, section: &str, key: &str) -> Option<String> {
        match section {
            "crossbar" => self.crossbar(key),
            "adc" => self.adc(key),
            "program" => self.program(key),
            "tune" => self.tune(key),
            _ => None,
        }
    }

    fn crossbar(&self, key: &str) -> Option<String> {
        let schemes = self.registry.schemes().iter().map(|entry| (entry.name, entry.fields));
        if let Some(why) = self.stranger("crossbar", "scheme", key, schemes, schema::CROSSBAR) {
            return Some(why);
        }
        match key {
            "reference" if self.is("crossbar", "scheme", "bit-sliced") => {
                self.is("crossbar", "sign", "differential").then(|| self.set("crossbar", "sign"))
            }
            "unused" => self
                .hardware
                .wires
                .is_ideal()
                .then(|| "no wire, source or transistor has a resistance".to_owned()),
            "cell" => (!self.is("program", "method", "pulses")).then(|| {
                format!("{}, and a read is the same with either cell", self.set("program", "method"))
            }),
            "remapping" => {
                let faults = self.hardware.nonidealities.iter().any(|entry| {
                    entry.step.phase() == Phase::Fabrication && entry.step.name() != "device-to-device"
                });
                (self.hardware.remapping != Remapping::None && !faults)
                    .then(|| "no step of the list makes devices that are stuck".to_owned())
            }
            _ => None,
        }
    }

    fn adc(&self, key: &str) -> Option<String> {
        let calibrated = !self.is_ideal() && self.is("adc", "range", "calibrated");
        if let "calibration" | "calibration_samples" = key {
            return (!calibrated && !self.is("input", "scale", "calibrated"))
                .then(|| "neither adc.range nor input.scale is \"calibrated\"".to_owned());
        }
        if self.is_ideal() && key != "bits" {
            return Some("adc.bits = 0, the converters are ideal".to_owned());
        }
        let methods = self.registry.converters().iter().map(|entry| (entry.name, entry.fields));
        if let Some(why) = self.stranger("adc", "method", key, methods, schema::ADC) {
            return Some(why);
        }
        match key {
            "granularity" | "range_fit" | "percentile" if !calibrated => Some(self.set("adc", "range")),
            "percentile" if self.is("adc", "range_fit", "least-squares") => {
                Some(self.set("adc", "range_fit"))
            }
            _ => None,
        }
    }

    fn is_ideal(&self) -> bool {
        self.complete.value("adc", "bits").as_count() == Some(0)
    }

    fn program(&self, key: &str) -> Option<String> {
        if key != "method" && !self.is("program", "method", "pulses") {
            return Some(self.set("program", "method"));
        }
        let transistors =
            || Some(format!("{}: other cells see nothing of a pulse", self.set("crossbar", "cell")));
        match key {
            "bias" | "order" | "voltage_error" if self.is("crossbar", "cell", "1t1r") => transistors(),
            "voltage_error" if self.hardware.wires.is_ideal() && !self.is("program", "bias", "floating") => {
                Some("wires have no resistance".to_owned())
            }
            "read_voltage" | "read_noise" if self.is("program", "scheme", "open-loop") => {
                Some(self.set("program", "scheme"))
            }
            "tolerance" if self.complete.value("program", "tolerance_siemens").as_real().is_some() => {
                Some(self.set("program", "tolerance_siemens"))
            }
            _ => None,
        }
    }

    fn tune(&self, key: &str) -> Option<String> {
        let analytic = self.hardware.tuning.samples == 0;
        let again = self.hardware.nonidealities.iter().any(|entry| entry.step.remeasures_gain());
        let idle = match key {
            "per" | "intercept" => analytic,
            "inputs" => analytic && !again,
            _ => false,
        };
        idle.then(|| "tune.samples = 0, the gain is the analytic one".to_owned())
    }

    /// Why a key changes nothing that belongs to other entries of a registry than the chosen one.
    fn stranger<'a>(
        &self,
        section: &str,
        choice: &str,
        key: &str,
        entries: impl Iterator<Item = (&'a str, &'a [Field])>,
        own: &[Field],
    ) -> Option<String> {
        let has = |fields: &[Field]| fields.iter().any(|field| field.name == key);
        if has(own) {
            return None;
        }
        let owners: Vec<&str> = entries.filter(|(_, fields)| has(fields)).map(|(name, _)| name).collect();
        let chosen = self.complete.value(section, choice);
        if chosen.as_text().is_some_and(|name| owners.contains(&name)) {
            return None;
        }
        let owners = owners.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        Some(format!("{}, and it belongs to {owners}", self.set(section, choice)))
    }
}
