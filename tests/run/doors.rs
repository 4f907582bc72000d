//! What is no finite number, wherever a number may come in: an error that says where.

use std::path::Path;
use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::crossbar::passive::{PassiveCircuit, Sinh, Wiring};
use memtorch::crossbar::{ConverterErrors, FullScale, LinearConverter, LogConverter};
use memtorch::devices::{DeviceParameters, DeviceSpec, Population, Stream};
use memtorch::experiment::{Document, Experiment, schema};
use memtorch::map::{Hardware, InputScale, MappedMatrix, Usage};
use memtorch::nn::ndarray::{Array2, Array3};
use memtorch::nonideal::{CycleToCycle, DeviceToDevice, Drift, ProgrammingError, ReadNoise, States, Stuck};
use memtorch::utils::Distribution;
use memtorch::utils::config::{Field, Kind, Table};
use memtorch::utils::npy::NpyArray;

use crate::common::{experiment, file, memtorch_in};

const STRANGE: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

/// Every number of every section, of every device model and non-ideality.
#[test]
fn keys_of_an_experiment() {
    let registry = memtorch::Registry::with_defaults();
    let mut keys: Vec<(String, &Field)> = Vec::new();
    let sections = schema::sections(&registry);
    for section in &sections {
        let head = format!("[device]\nmodel = \"vteam\"\n[{}]\n", section.name);
        keys.extend(section.fields.iter().map(|field| (head.clone(), field)));
    }
    for entry in registry.devices() {
        let head = format!("[device]\nmodel = {:?}\n", entry.name);
        keys.extend(entry.fields.iter().map(|field| (head.clone(), field)));
    }
    for entry in registry.non_idealities() {
        let head = format!("[device]\nmodel = \"vteam\"\n[[nonideality]]\nkind = {:?}\n", entry.name);
        keys.extend(entry.fields.iter().map(|field| (head.clone(), field)));
    }
    let mut tried = 0;
    for (head, field) in keys {
        let values: &[&str] = match field.kind {
            Kind::Real | Kind::Integer | Kind::ChoiceOrReal(_) => &["nan", "inf", "-inf"],
            Kind::Parameter => &[
                "nan",
                "inf",
                "-inf",
                "{ normal = { mean = nan, std = 1.0 } }",
                "{ normal = { mean = 1e4, std = inf } }",
            ],
            Kind::Reals => &["[nan]", "[1.0, inf]"],
            _ => continue,
        };
        for value in values {
            let text = format!("{head}{} = {value}\n", field.name);
            let resolved = Document::parse(&text, Path::new("e.toml"))
                .and_then(|document| Experiment::resolve(document, &registry));
            let error = resolved.map(drop).expect_err(&text).to_string();
            // Sections lack what is required, too; the number is looked at with the rest of its table.
            assert!(error.starts_with("e.toml") && !error.contains('\n'), "{text}: {error}");
            assert!(error.contains(field.name) || error.contains("missing"), "{text}: {error}");
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

/// Every option that takes a number, as the help of the commands names it.
#[test]
fn options_of_commands() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let array = |name: &str, shape: &[usize], value: f64| {
        let count = shape.iter().product();
        NpyArray::from_f64(shape, vec![value; count]).write(folder.join(name)).unwrap();
    };
    array("g.npy", &[2, 2], 1e-5);
    array("t.npy", &[2, 2], 2e-3);
    array("v.npy", &[2], 0.1);
    std::fs::write(folder.join("iv.csv"), "voltage,current\n0,0\n0.1,1e-3\n0.2,2e-3\n").unwrap();
    std::fs::write(folder.join("e.toml"), experiment("mlp", "[device]\nmodel = \"vteam\"\n")).unwrap();
    let wires = "--source-resistance 1 --line-resistance 1";
    let mut tried = 0;
    for (command, rest) in [
        ("crossbar solve", format!("--conductance g.npy --word-line v.npy {wires} --out o.npy")),
        ("crossbar effective", format!("--conductance g.npy {wires} --out o.npy")),
        ("crossbar netlist", format!("--conductance g.npy --word-line v.npy {wires} --out d.cir")),
        ("crossbar map", format!("--conductance g.npy {wires} --plot p.svg")),
        ("device trace", "vteam --hysteresis --out o.npy".to_owned()),
        ("device fit", "vteam --data iv.csv --fit r_on --dt 1e-4 --out f.toml".to_owned()),
        ("program", "--target t.npy --device vteam --out o.npy".to_owned()),
        ("search", "e.toml --key adc.bits --values [4] --drop 0.1 --limit 20 --out f.json".to_owned()),
        ("run", "e.toml --limit 1 --out out".to_owned()),
        ("sweep", "e.toml --limit 1 --out s".to_owned()),
    ] {
        let words: Vec<&str> = command.split(' ').collect();
        let help = memtorch_in(folder, &[&words[..], &["-h"]].concat()).done().stdout;
        let numeric = ["<OHM>", "<V>", "<F>", "<S>", "<B>", "<HZ>", "<N>", "<SHARE>"];
        let options = help.lines().filter(|line| {
            line.trim_start().starts_with("--") && numeric.iter().any(|name| line.contains(name))
        });
        for line in options {
            let option = line.split_whitespace().find(|word| word.starts_with("--")).unwrap();
            for value in ["nan", "inf", "-inf"] {
                let mut all: Vec<&str> = words.iter().copied().chain(rest.split(' ')).collect();
                if let Some(at) = all.iter().position(|word| *word == option) {
                    all.drain(at..at + 2);
                }
                let given = format!("{option}={value}");
                all.push(&given);
                let ran = memtorch_in(folder, &all);
                assert!(matches!(ran.code, 1 | 2), "{all:?}: {} {}", ran.code, ran.stderr);
                // A setting may be named as the option, as a key, or in words.
                let plain = |text: &str| text.replace(['-', '_', ' '], "");
                assert!(plain(&ran.stderr).contains(&plain(option)), "{all:?}: {}", ran.stderr);
                // An option that does not fit the others is not looked at.
                let said = ran.stderr.to_lowercase().contains(value) || ran.stderr.contains("= given");
                assert!(said, "{all:?}: {}", ran.stderr);
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "{tried}");
    let left =
        ["o.npy", "d.cir", "p.svg", "f.toml", "f.json"].iter().filter(|name| folder.join(name).exists());
    assert_eq!(left.count(), 0);
}

/// A network whose weights are not all numbers: `inspect` shows it, crossbars do not take it.
#[test]
fn weights() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let network = std::fs::read(file("models/fmnist-lenet5.onnx")).unwrap();
    // The first weights that are stored as plain numbers.
    let loaded =
        memtorch::nn::Network::from_onnx_file(file("models/fmnist-lenet5.onnx"), &Default::default())
            .unwrap();
    let layer = loaded.layers().iter().find(|layer| layer.name == "fc1").unwrap();
    let weight = layer.weights[[0, 0, 0]];
    let next = layer.weights[[0, 1, 0]];
    let pattern: Vec<u8> = [weight, next].iter().flat_map(|w| w.to_le_bytes()).collect();
    let at = network.windows(8).position(|window| window == pattern).unwrap();
    for (value, word) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let mut changed = network.clone();
        changed[at..at + 4].copy_from_slice(&value.to_le_bytes());
        std::fs::write(folder.join("m.onnx"), changed).unwrap();
        let text = experiment("lenet5", "[device]\nmodel = \"vteam\"\n");
        let text = text.replace(&file("models/fmnist-lenet5.onnx"), "m.onnx");
        std::fs::write(folder.join("e.toml"), text).unwrap();
        let ran = memtorch_in(folder, &["run", "e.toml", "--limit", "2", "--out", "out"]);
        assert_eq!((ran.code, ran.stderr.lines().count()), (1, 1), "{}", ran.stderr);
        assert!(ran.stderr.contains("fc1") && ran.stderr.contains(word), "{}", ran.stderr);
        assert!(!folder.join("out/results.json").exists());
    }
}

/// What the crates' constructors say.
#[test]
fn constructors() {
    type Door<'a> = (&'a str, Box<dyn Fn(f64) -> bool>);
    let models = memtorch::devices::models::MODELS;
    let vteam = || {
        let entry = models.iter().find(|entry| entry.name == "vteam").unwrap();
        DeviceSpec::configure(entry, &Table::new()).unwrap()
    };
    let population = move || Population::new(DeviceParameters::new(vteam().model, 2), Stream::root(0, 0));
    let map = move |change: &dyn Fn(&mut Hardware), weight: f32| {
        let mut hardware = Hardware::new(vteam());
        change(&mut hardware);
        let weights = Array3::from_elem((1, 2, 2), weight);
        let backend = Arc::new(CpuBackend::new());
        MappedMatrix::new("layer", weights.view(), &Usage::Rows, &hardware, Stream::root(0, 0), backend)
            .is_err()
    };
    let circuit = |g: f64, wiring: Wiring| PassiveCircuit::new(Array2::from_elem((2, 2), g), wiring).is_err();
    fn linear(x: f64) -> Result<LinearConverter, memtorch::crossbar::CrossbarError> {
        LinearConverter::new(8, FullScale::Fixed(x as f32))
    }
    let errors = |errors: ConverterErrors| linear(1.0).unwrap().with_errors(errors).is_err();
    let doors: Vec<Door<'_>> = vec![
        ("mean", Box::new(|x| Distribution::normal(x, 1.0).is_err())),
        ("std", Box::new(|x| Distribution::normal(1.0, x).is_err())),
        ("median", Box::new(|x| Distribution::lognormal(x, 1.0).is_err())),
        ("sigma_ln", Box::new(|x| Distribution::lognormal(1.0, x).is_err())),
        ("relative error", Box::new(|x| ProgrammingError::new(x, 0.0).is_err())),
        ("absolute error", Box::new(|x| ProgrammingError::new(0.0, x).is_err())),
        ("table of errors", Box::new(|x| ProgrammingError::table(vec![(1e-5, x)]).is_err())),
        ("place of a table", Box::new(|x| ProgrammingError::table(vec![(x, 1e-6)]).is_err())),
        ("lognormal error", Box::new(|x| ProgrammingError::lognormal(x).is_err())),
        ("nu", Box::new(|x| Drift::new(x, 1.0, 1.0).is_err())),
        ("t0", Box::new(|x| Drift::new(0.1, x, 1.0).is_err())),
        ("time", Box::new(|x| Drift::new(0.1, 1.0, x).is_err())),
        ("lrs", Box::new(|x| Stuck::new(x, 0.0, 0.0).is_err())),
        ("hrs", Box::new(|x| Stuck::new(0.0, x, 0.0).is_err())),
        ("unformed", Box::new(|x| Stuck::new(0.0, 0.0, x).is_err())),
        (
            "unformed resistance",
            Box::new(|x| Stuck::new(0.0, 0.0, 0.1).unwrap().with_unformed_resistance(x).is_err()),
        ),
        ("levels", Box::new(|x| States::given(vec![0.0, x]).is_err())),
        ("cycle to cycle", Box::new(|x| CycleToCycle::new(x).is_err())),
        ("device to device", Box::new(|x| DeviceToDevice::sigma(x).is_err())),
        ("relative noise", Box::new(|x| ReadNoise::new(x, 0.0).is_err())),
        ("absolute noise", Box::new(|x| ReadNoise::new(0.0, x).is_err())),
        ("bandwidth", Box::new(|x| ReadNoise::new(0.1, 0.0).unwrap().with_thermal(x, 300.0).is_err())),
        ("temperature", Box::new(|x| ReadNoise::new(0.1, 0.0).unwrap().with_thermal(1.0, x).is_err())),
        ("shot noise", Box::new(|x| ReadNoise::new(0.1, 0.0).unwrap().with_shot(x).is_err())),
        ("sinh", Box::new(|x| Sinh::new(x).is_err())),
        ("conductance of a circuit", Box::new(move |x| circuit(x, Wiring::new(1.0, 1.0)))),
        ("source resistance", Box::new(move |x| circuit(1e-5, Wiring::new(x, 1.0)))),
        ("line resistance", Box::new(move |x| circuit(1e-5, Wiring::new(1.0, x)))),
        ("full scale", Box::new(|x| linear(x).is_err())),
        (
            "gain error",
            Box::new(move |gain| errors(ConverterErrors { gain, offset: 0.0, nonlinearity: 0.0 })),
        ),
        (
            "offset error",
            Box::new(move |offset| errors(ConverterErrors { gain: 0.0, offset, nonlinearity: 0.0 })),
        ),
        ("bow", Box::new(move |bow| errors(ConverterErrors { gain: 0.0, offset: 0.0, nonlinearity: bow }))),
        ("decades", Box::new(|x| LogConverter::new(6, FullScale::Fixed(1.0), x).is_err())),
        (
            "overflow rate",
            Box::new(|x| LinearConverter::new(8, FullScale::Dynamic { overflow_rate: x }).is_err()),
        ),
        ("voltage of a record", Box::new(move |x| population().record(&[0.1, x], 1e-4).is_err())),
        ("time step", Box::new(move |x| population().record(&[0.1], x).is_err())),
        ("conductance of a device", Box::new(move |x| population().set_conductances(&[1e-3, x]).is_err())),
        ("voltage of a device", Box::new(move |x| population().currents(&[0.1, x]).is_err())),
        ("weight", Box::new(move |x| map(&|_| {}, x as f32))),
        ("max_voltage", Box::new(move |x| map(&|hardware| hardware.input.max_voltage = x, 1.0))),
        ("input scale", Box::new(move |x| map(&|hardware| hardware.input.scale = InputScale::Fixed(x), 1.0))),
        (
            "exclude_largest",
            Box::new(move |x| map(&|hardware| hardware.weight_range.exclude_largest = x, 1.0)),
        ),
        ("wires: source", Box::new(move |x| map(&|hardware| hardware.wires.source_resistance = x, 1.0))),
        ("wires: line", Box::new(move |x| map(&|hardware| hardware.wires.line_resistance = x, 1.0))),
        (
            "wires: transistor",
            Box::new(move |x| map(&|hardware| hardware.wires.transistor_resistance = x, 1.0)),
        ),
    ];
    let mut open = Vec::new();
    for (name, refuses) in &doors {
        open.extend(STRANGE.into_iter().filter(|x| !refuses(*x)).map(|x| format!("{name} = {x}")));
    }
    assert!(open.is_empty(), "{open:#?}");
}
