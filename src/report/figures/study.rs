//! A sweep as figures need it.

use std::collections::BTreeMap;

use memtorch_utils::config::{Table, Value};

use super::frame::Ticks;
use crate::Registry;
use crate::experiment::{Document, schema, segments};
use crate::sweep::{Row, Statistics, Sweep, shown};

/// An axis of a sweep.
pub(super) struct Parameter {
    /// Its name with its unit.
    pub(super) label: String,
    /// Its keys, for the names of files.
    pub(super) key: String,
    /// Its values to be read.
    pub(super) values: Vec<String>,
    /// Its values, if all are numbers.
    pub(super) numbers: Option<Vec<f64>>,
    /// Its place among the axes of the sweep.
    place: usize,
}

impl Parameter {
    /// Where its values stand along a line: as they are, by their logarithms where those keep neighbours far
    /// better apart, or one after the other where neither tells them apart.
    pub(super) fn positions(&self) -> Vec<f64> {
        let even = || (0..self.values.len()).map(|i| i as f64).collect::<Vec<f64>>();
        let Some(numbers) = &self.numbers else { return even() };
        // The least distance of two, as a share of the whole.
        let apart = |places: &[f64]| {
            let mut sorted = places.to_vec();
            sorted.sort_by(f64::total_cmp);
            let span = sorted[sorted.len() - 1] - sorted[0];
            sorted.windows(2).map(|pair| (pair[1] - pair[0]) / span).fold(f64::INFINITY, f64::min)
        };
        let logarithms: Vec<f64> = numbers.iter().map(|x| x.log10()).collect();
        let positive = numbers.iter().all(|x| *x > 0.0);
        let better =
            if positive && apart(&logarithms) > 2.0 * apart(numbers) { &logarithms } else { numbers };
        if apart(better) > 0.04 { better.clone() } else { even() }
    }

    pub(super) fn ticks(&self) -> Ticks {
        self.positions().into_iter().zip(self.values.iter().cloned()).collect()
    }
}

/// The results of a sweep by point.
pub(super) struct Study<'a> {
    sweep: &'a Sweep,
    /// The axes with more than one value.
    pub(super) axes: Vec<Parameter>,
    accuracies: BTreeMap<usize, Vec<f64>>,
    /// The digital accuracies that there are; one, unless networks or data differ.
    pub(super) digital: Vec<f64>,
    pub(super) repeats: usize,
    pub(super) samples: usize,
}

/// A step of some axes: one for each axis that is chosen.
pub(super) type Chosen = Vec<(usize, usize)>;

impl<'a> Study<'a> {
    pub(super) fn new(
        document: &Document,
        sweep: &'a Sweep,
        rows: &BTreeMap<(usize, usize), Row>,
        registry: &Registry,
    ) -> Self {
        let mut accuracies: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        let mut digital: Vec<f64> = Vec::new();
        for ((point, _), row) in rows {
            accuracies.entry(*point).or_default().push(100.0 * row.results.memristive.accuracy);
            let accuracy = 100.0 * row.results.digital.accuracy;
            if !digital.contains(&accuracy) {
                digital.push(accuracy);
            }
        }
        let axes = sweep.axes.iter().enumerate().filter(|(_, axis)| axis.steps.len() > 1);
        let axes = axes.map(|(place, axis)| {
            let numbers: Option<Vec<f64>> = axis.steps.iter().map(|step| step[0].as_real()).collect();
            let short = |value: &Value| match value.as_real() {
                Some(x) => number(x),
                None => size(value).or_else(|| file(value)).unwrap_or_else(|| shown(value)),
            };
            let values =
                axis.steps.iter().map(|step| step.iter().map(short).collect::<Vec<_>>().join(", ")).collect();
            let labels: Vec<String> =
                axis.keys.iter().map(|key| label(key, &document.table, registry)).collect();
            let numbers = numbers.filter(|_| axis.keys.len() == 1);
            Parameter { label: labels.join(", "), key: axis.keys.join("+"), values, numbers, place }
        });
        Self {
            sweep,
            axes: axes.collect(),
            accuracies,
            digital,
            repeats: sweep.repeats,
            samples: rows.values().next().map_or(0, |row| row.results.samples),
        }
    }

    /// The accuracies in per cent at a point of the grid; none where they are not there yet. Axes that are
    /// not chosen have one value.
    pub(super) fn at(&self, chosen: &[(usize, usize)]) -> &[f64] {
        let mut point = 0;
        for (place, axis) in self.sweep.axes.iter().enumerate() {
            let step = chosen.iter().find(|(axis, _)| self.axes[*axis].place == place).map_or(0, |(_, s)| *s);
            point = point * axis.steps.len() + step;
        }
        self.accuracies.get(&point).map_or(&[], Vec::as_slice)
    }

    pub(super) fn statistics(&self, chosen: &[(usize, usize)]) -> Option<Statistics> {
        let values = self.at(chosen);
        (!values.is_empty()).then(|| Statistics::of(values))
    }

    /// All steps of the axes that are not among these, each a panel with its title.
    pub(super) fn panels(&self, used: &[usize]) -> Vec<(String, Chosen)> {
        let mut panels = vec![(String::new(), Vec::new())];
        for (index, axis) in self.axes.iter().enumerate().filter(|(index, _)| !used.contains(index)) {
            panels = panels
                .into_iter()
                .flat_map(|(title, chosen)| {
                    axis.values.iter().enumerate().map(move |(step, value)| {
                        let comma = if title.is_empty() { "" } else { ", " };
                        let title = format!("{title}{comma}{}: {value}", axis.label);
                        (title, [&chosen[..], &[(index, step)]].concat())
                    })
                })
                .collect();
        }
        panels
    }

    /// The values of a point, each with its name.
    pub(super) fn setting(&self, point: usize) -> String {
        let steps = self.sweep.steps(point);
        let pairs =
            self.axes.iter().map(|axis| format!("{}: {}", axis.label, axis.values[steps[axis.place]]));
        pairs.collect::<Vec<_>>().join(", ")
    }

    /// All accuracies.
    pub(super) fn all(&self) -> impl Iterator<Item = f64> {
        self.accuracies.values().flatten().copied()
    }
}

/// A number without digits that say nothing.
pub(super) fn number(x: f64) -> String {
    let size = x.abs();
    if x != 0.0 && !(1e-3..1e5).contains(&size) {
        let text = format!("{x:.2e}");
        let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
        let digits =
            if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
        return format!("{digits}e{power}");
    }
    let text = format!("{x:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Two whole numbers, the size of a tile.
fn size(value: &Value) -> Option<String> {
    let Value::List(list) = value else { return None };
    match list.iter().map(Value::as_count).collect::<Option<Vec<_>>>()?[..] {
        [rows, columns] => Some(format!("{rows} x {columns}")),
        _ => None,
    }
}

/// The path of a file: its name.
fn file(value: &Value) -> Option<String> {
    let path = value.as_text().filter(|text| text.contains(['/', '\\']))?;
    Some(std::path::Path::new(path).file_name()?.to_string_lossy().into_owned())
}

/// A key to be read: `nonideality.0.hrs` is `stuck: hrs`, with the unit that the schema says.
pub(super) fn label(key: &str, table: &Table, registry: &Registry) -> String {
    let names = segments(key).unwrap_or_else(|| vec![key.to_owned()]);
    let text = |table: &Table, key: &str| table.get(key).and_then(Value::as_text).unwrap_or("").to_owned();
    let unit = |fields: &[memtorch_utils::config::Field], name: &str| {
        fields.iter().find(|field| field.name == name).map_or("", |field| field.unit)
    };
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // The same key for some layers has the same unit.
    let (before, rest) = match names[..] {
        ["layers", pattern, ..] => (format!("{pattern}: "), &names[2..]),
        _ => (String::new(), &names[..]),
    };
    let device = |name: &str| {
        let model = table.get("device").and_then(Value::as_table).map(|t| text(t, "model"));
        let entry = registry.devices().iter().find(|entry| Some(entry.name) == model.as_deref());
        entry.map_or("", |entry| unit(entry.fields, name))
    };
    let spaced = |names: &[&str]| names.join(" ").replace('_', " ");
    let (what, unit) = match rest {
        ["nonideality", index, rest @ ..] => {
            let list = match table.get("nonideality") {
                Some(Value::List(list)) => list.as_slice(),
                _ => &[],
            };
            let entry = index.parse::<usize>().ok().and_then(|i| list.get(i)).and_then(Value::as_table);
            let kind = entry.map(|entry| text(entry, "kind")).unwrap_or_default();
            let fields = registry.non_idealities().iter().find(|entry| entry.name == kind);
            let unit = match rest {
                ["parameters", name, ..] => device(name),
                [name, ..] => fields.map_or("", |entry| unit(entry.fields, name)),
                [] => "",
            };
            (format!("{kind}: {}", spaced(rest)), unit)
        }
        ["device", name, ..] => (spaced(&rest[1..]), device(name)),
        [section, name, ..] => {
            let sections = schema::sections(registry);
            let found = sections.iter().find(|s| s.name == *section);
            (format!("{section}: {}", spaced(&rest[1..])), found.map_or("", |s| unit(&s.fields, name)))
        }
        rest => (spaced(rest), ""),
    };
    if unit.is_empty() { format!("{before}{what}") } else { format!("{before}{what} ({unit})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_say_kinds_and_units() {
        let text = "[device]\nmodel = \"vteam\"\n[[nonideality]]\nkind = \"stuck\"\n[[nonideality]]\nkind = \"device-to-device\"\n";
        let document = Document::parse(text, std::path::Path::new("e.toml")).unwrap();
        let registry = Registry::with_defaults();
        for (key, expected) in [
            ("adc.bits", "adc: bits"),
            ("nonideality.0.hrs", "stuck: hrs"),
            (
                "nonideality.1.parameters.r_on.normal.std",
                "device-to-device: parameters r on normal std (ohm)",
            ),
            ("device.r_off", "r off (ohm)"),
            ("layers.\"conv*\".crossbar.line_resistance", "conv*: crossbar: line resistance (ohm)"),
            ("input.max_voltage", "input: max voltage (V)"),
            ("seed", "seed"),
        ] {
            assert_eq!(label(key, &document.table, &registry), expected);
        }
    }

    #[test]
    fn values_stand_where_they_are_told_apart() {
        let positions = |numbers: &[f64]| {
            let (label, key, values) = (String::new(), String::new(), vec![String::new(); numbers.len()]);
            Parameter { label, key, values, numbers: Some(numbers.to_vec()), place: 0 }.positions()
        };
        assert_eq!(positions(&[2.0, 4.0, 6.0, 8.0, 10.0]), [2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(positions(&[3.0, 4.0, 6.0]), [3.0, 4.0, 6.0]);
        assert_eq!(positions(&[0.0, 0.01, 0.05, 0.1]), [0.0, 0.01, 0.05, 0.1]);
        assert_eq!(positions(&[1e6, 1e7, 1e9]), [6.0, 7.0, 9.0]);
        assert_eq!(positions(&[0.0, 1.0, 1e6]), [0.0, 1.0, 2.0]);
    }

    #[test]
    fn numbers_are_short() {
        for (x, text) in [
            (0.0, "0"),
            (0.25, "0.25"),
            (1e6, "1e6"),
            (1778279.41, "1.78e6"),
            (50.0, "50"),
            (2e-5, "2e-5"),
            (14000.0, "14000"),
        ] {
            assert_eq!(number(x), text);
        }
    }
}
