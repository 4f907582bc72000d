//! Experiment files: good ones with changes, and files made from the schema.

use std::path::{Path, PathBuf};

use memtorch::Registry;
use memtorch::experiment::{Document, Experiment, schema};
use memtorch::nn::{ImportOptions, Network};
use memtorch::sweep::Sweep;
use memtorch::utils::config::{Default, Field, Kind};
use proptest::prelude::*;
use proptest::sample::select;

use crate::common::{file, root};
use crate::harness::{Format, Outcome, fuzz};
use crate::text::{self, TextEdit};

pub const FORMAT: Format = Format { name: "experiment", multiple: 512, free: 512 << 20 };

/// What reads an experiment, short of loading its network.
pub struct Reader {
    registry: Registry,
    network: Network,
}

impl Reader {
    pub fn new() -> Self {
        let model = file("models/fmnist-lenet5.onnx");
        let network = Network::from_onnx_file(model, &ImportOptions::default()).unwrap();
        Self { registry: Registry::with_defaults(), network }
    }

    /// Reads an experiment, plans every layer, and writes it as it was understood, which must say the same.
    pub fn read(&self, text: &str) -> Outcome {
        let document = Document::parse(text, Path::new("e.toml"));
        self.document(document).map_err(|error| {
            let text = error.to_string();
            assert!(text.starts_with("e.toml"), "{text}: expected the file first");
            text
        })
    }

    fn document(&self, document: Result<Document, memtorch::Error>) -> Result<(), memtorch::Error> {
        let document = document?;
        if let Some(sweep) = Sweep::find(&document)? {
            assert!(sweep.points() > 0);
        }
        let experiment = Experiment::resolve(document, &self.registry)?;
        experiment.plan(self.network.layers(), &self.registry)?;
        let again = experiment.to_toml(&self.registry)?;
        let document = Document::parse(&again, Path::new("again.toml"));
        let same = document.and_then(|document| Experiment::resolve(document, &self.registry));
        let same = same.unwrap_or_else(|error| panic!("{again}\nis refused: {error}"));
        assert_eq!(same.to_toml(&self.registry)?, again);
        Ok(())
    }

    /// Sets a key.
    fn set(&self, good: &str, option: &str) -> Outcome {
        let mut document = Document::parse(good, Path::new("e.toml")).unwrap();
        document.set(option).map_err(|error| error.to_string())?;
        let experiment = Experiment::resolve(document, &self.registry).map_err(|error| error.to_string())?;
        experiment.plan(self.network.layers(), &self.registry).map(drop).map_err(|error| error.to_string())
    }
}

/// The experiments that come with memtorch.
fn examples() -> Vec<String> {
    let mut folders = vec![root().join("examples")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("new-device-model") && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "toml") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
        .retain(|path| !path.ends_with("Cargo.toml") && !path.to_string_lossy().contains("new-device-model"));
    files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

const WORDS: &[&str] = &[
    "model",
    "data",
    "device",
    "crossbar",
    "input",
    "adc",
    "program",
    "tune",
    "nonideality",
    "layers",
    "sweep",
    "repeats",
    "zip",
    "bits",
    "\"fc*\"",
    "normal",
    "uniform",
    "lognormal",
    "mean",
    "std",
    "min",
    "max",
    "from",
    "to",
    "step",
    "count",
    "file",
    "kind",
    "stuck",
    "vteam",
    "data-driven",
    "layer",
    "calibrated",
    "1979-05-27",
    "a.b.c",
    "''",
    "\"\\u0000\"",
    "\"\\n\"",
];

#[test]
fn experiment() {
    let reader = Reader::new();
    let good: Vec<Vec<String>> = examples().iter().map(|text| text::split(text)).collect();
    let render = |drawn: &(usize, Vec<TextEdit>)| text::render(&good, drawn).into_bytes();
    let read = |bytes: &[u8]| reader.read(&String::from_utf8_lossy(bytes));
    fuzz(&FORMAT, 5.0, text::changed(good.len(), WORDS), render, read);
}

/// A key that a file has: of which section, which of its keys, and what it says.
#[derive(Clone, Debug)]
struct Written {
    section: u32,
    key: u32,
    value: Said,
}

/// What a key says: what it may, with a share of its range, or anything.
#[derive(Clone, Debug)]
enum Said {
    Fit(u32, f64),
    Word(&'static str),
}

fn written() -> impl Strategy<Value = Written> {
    let share = prop_oneof![1 => Just(0.0), 1 => Just(1.0), 4 => 0.0..1.0f64];
    let said = prop_oneof![
        12 => (any::<u32>(), share).prop_map(|(number, share)| Said::Fit(number, share)),
        1 => select(text::WORDS).prop_map(Said::Word),
    ];
    (any::<u32>(), any::<u32>(), said).prop_map(|(section, key, value)| Written { section, key, value })
}

/// A value that a field may have.
fn fitting(field: &Field, number: u32, share: f64) -> String {
    let low = if field.low.is_finite() { field.low } else { -10.0 };
    let high = if field.high.is_finite() { field.high.min(1e6) } else { low.abs().max(1.0) * 1e3 };
    let real = low + share * (high - low);
    let word = |list: &[&str]| format!("{:?}", list[number as usize % list.len()]);
    match field.kind {
        Kind::Bool => number.is_multiple_of(2).to_string(),
        Kind::Integer => format!("{:.0}", real.ceil().min(high)),
        Kind::Real => format!("{real:?}"),
        Kind::Parameter => {
            let value = match field.default {
                Default::Real(value) => value * (0.5 + share),
                _ => real,
            };
            match number % 5 {
                0 => format!("{{ normal = {{ mean = {value:?}, std = {:?} }} }}", value.abs() * share),
                1 => format!(
                    "{{ lognormal = {{ median = {value:?}, sigma_ln = {share:?} }}, max = {:?} }}",
                    value * 2.0
                ),
                2 => format!("{{ uniform = {{ low = {:?}, high = {value:?} }} }}", value * share),
                _ => format!("{value:?}"),
            }
        }
        Kind::Choice(list) => word(list),
        Kind::ChoiceOrReal(list) if !number.is_multiple_of(3) => word(list),
        Kind::ChoiceOrReal(_) => format!("{real:?}"),
        Kind::Reals => format!("[{real:?}, {:?}]", real + 1.0),
        Kind::Text => match field.default {
            Default::Text(text) => format!("{text:?}"),
            _ => "\"x\"".to_owned(),
        },
        _ => match field.default {
            Default::Integers(list) => format!("{list:?}"),
            Default::Reals(list) => format!("{list:?}"),
            _ => format!("[{number}, 3]"),
        },
    }
}

fn line(field: &Field, value: &Said) -> String {
    let value = match value {
        Said::Fit(number, share) => fitting(field, *number, *share),
        Said::Word(word) => (*word).to_owned(),
    };
    format!("{} = {value}\n", field.name)
}

/// A file of these keys, each once, with whatever is required besides.
fn file_of(registry: &Registry, device: usize, keys: &[Written]) -> String {
    let entry = &registry.devices()[device % registry.devices().len()];
    let sections = schema::sections(registry);
    let mut tables: Vec<(String, Vec<String>, Vec<&str>)> =
        sections.iter().map(|section| (format!("[{}]\n", section.name), Vec::new(), Vec::new())).collect();
    tables.push((format!("[device]\nmodel = {:?}\n", entry.name), Vec::new(), Vec::new()));
    let mut text = String::new();
    let mut steps = String::new();
    for Written { section, key, value } in keys {
        let index = *section as usize % (sections.len() + 3);
        let fields: &[Field] = match index {
            i if i < sections.len() => &sections[i].fields,
            i if i == sections.len() => entry.fields,
            i if i == sections.len() + 1 => {
                if let Some(field) = schema::TOP.get(*key as usize % schema::TOP.len())
                    && !text.contains(field.name)
                {
                    text += &line(field, value);
                }
                continue;
            }
            _ => {
                let step = &registry.non_idealities()[*key as usize % registry.non_idealities().len()];
                steps += &format!("[[nonideality]]\nkind = {:?}\n", step.name);
                for (at, field) in step.fields.iter().enumerate() {
                    let chosen = *section as usize >> (at % 24) & 3 == 0;
                    if chosen || field.default == Default::Required {
                        steps += &line(field, value);
                    }
                }
                continue;
            }
        };
        let field = &fields[*key as usize % fields.len()];
        let (_, lines, names) = &mut tables[index];
        if !names.contains(&field.name) {
            names.push(field.name);
            lines.push(line(field, value));
        }
    }
    for ((head, lines, names), section) in tables.iter().zip(sections.iter().map(Some).chain([None])) {
        if lines.is_empty() && section.is_some() {
            continue;
        }
        text += head;
        for line in lines {
            text += line;
        }
        let required = section.iter().flat_map(|section| &section.fields);
        for field in
            required.filter(|field| field.default == Default::Required && !names.contains(&field.name))
        {
            text += &line(field, &Said::Fit(0, 0.5));
        }
    }
    text + &steps
}

#[test]
fn experiment_schema() {
    let reader = Reader::new();
    let registry = Registry::with_defaults();
    let drawn = (0..64usize, prop::collection::vec(written(), 0..10));
    let render = |(device, keys): &(usize, Vec<Written>)| file_of(&registry, *device, keys).into_bytes();
    let format = Format { name: "experiment_schema", ..FORMAT };
    fuzz(&format, 10.0, drawn, render, |bytes| reader.read(&String::from_utf8_lossy(bytes)));
}

/// Options `--set KEY=VALUE`.
#[test]
fn settings() {
    let reader = Reader::new();
    let good = std::fs::read_to_string(file("examples/fmnist-lenet5.toml")).unwrap();
    let options = [
        "adc.bits=8",
        "nonideality.0.hrs=0.1",
        "layers.\"conv*\".adc.bits=6",
        "crossbar.tile=[64, 32]",
        "device.r_on={ normal = { mean = 1.4e4, std = 1e2 } }",
        "crossbar.scheme=single-column",
        "seed=7",
        "data.images=/a b/c=d.gz",
        "tune={ samples = 4 }",
    ];
    let options: Vec<Vec<String>> = options.iter().map(|text| text::split(text)).collect();
    let render = |drawn: &(usize, Vec<TextEdit>)| text::render(&options, drawn).into_bytes();
    let read = |bytes: &[u8]| reader.set(&good, &String::from_utf8_lossy(bytes));
    let format = Format { name: "settings", ..FORMAT };
    fuzz(&format, 5.0, text::changed(options.len(), WORDS), render, read);
}
