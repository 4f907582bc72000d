//! How much of the error each cause makes, through the command.

mod common;

use common::{experiment, memtorch_in};
use serde_json::Value;

const DEVICE: &str = "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n";
const WIRES: &str = "[crossbar]\ntile = [32, 32]\nline_resistance = 2.0\nsource_resistance = 20.0\n";
const TILE: &str = "[crossbar]\ntile = [32, 32]\n";
const STUCK: &str = "[[nonideality]]\nkind = \"stuck\"\nhrs = 0.05\n";
const ERROR: &str = "[[nonideality]]\nkind = \"programming-error\"\nrelative = 0.1\n";
/// What changes nothing keeps the place of a step, and with it the draws of the next.
const NOTHING: &str = "[[nonideality]]\nkind = \"stuck\"\n";
const ADC: &str = "[adc]\nbits = 5\n";
const DAC: &str = "[input]\nbits = 4\n";
/// Only one layer has steps of its own.
const LAYER: &str = "[layers.fc3]\nnonideality = [{ kind = \"states\", count = 8 }]\n";

fn run(hardware: &str, more: &[&str]) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("e.toml"), experiment("lenet5", hardware)).unwrap();
    let arguments = [&["run", "e.toml", "--limit", "16", "--out", "out"], more].concat();
    memtorch_in(folder.path(), &arguments).done();
    let text = std::fs::read_to_string(folder.path().join("out/results.json")).unwrap();
    (folder, serde_json::from_str(&text).unwrap())
}

/// The error of each layer where the hardware has nothing but this.
fn errors(hardware: &str) -> Vec<f64> {
    let (_, results) = run(&format!("{DEVICE}{hardware}"), &[]);
    let layers = results["layers"].as_array().unwrap();
    layers.iter().map(|layer| layer["relative_error"].as_f64().unwrap()).collect()
}

/// Each error is that of an experiment in which the other causes, or this one, are not written.
#[test]
fn causes_have_the_errors_of_experiments_with_and_without_them() {
    let all = format!("{DEVICE}{DAC}{ADC}{WIRES}{STUCK}{ERROR}");
    let (folder, results) = run(&all, &["--explain"]);
    let layers = results["layers"].as_array().unwrap();
    for (cause, alone, without) in [
        ("0 stuck", format!("{TILE}{STUCK}"), format!("{DAC}{ADC}{WIRES}{NOTHING}{ERROR}")),
        ("1 programming-error", format!("{TILE}{NOTHING}{ERROR}"), format!("{DAC}{ADC}{WIRES}{STUCK}")),
        ("wires", WIRES.to_owned(), format!("{DAC}{ADC}{TILE}{STUCK}{ERROR}")),
        ("DAC", format!("{DAC}{TILE}"), format!("{ADC}{WIRES}{STUCK}{ERROR}")),
        ("ADC", format!("{ADC}{TILE}"), format!("{DAC}{WIRES}{STUCK}{ERROR}")),
    ] {
        let (alone, without) = (errors(&alone), errors(&without));
        for (layer, (alone, without)) in layers.iter().zip(alone.iter().zip(&without)) {
            let each = layer["causes"]["each"].as_array().unwrap();
            assert_eq!(each.len(), 5);
            let found = each.iter().find(|one| one["cause"] == cause).unwrap();
            assert_eq!(found["alone"].as_f64().unwrap(), *alone, "{cause} {layer}");
            assert_eq!(found["without"].as_f64().unwrap(), *without, "{cause} {layer}");
        }
    }
    for layer in layers {
        let causes = &layer["causes"];
        assert_eq!(causes["all"], layer["relative_error"]);
        // Rounding is left.
        assert!(causes["none"].as_f64().unwrap() < 1e-5, "{causes}");
        // Independent errors add up by their squares, the larger ones by half as much again at most.
        let squares: f64 =
            causes["each"].as_array().unwrap().iter().map(|one| one["alone"].as_f64().unwrap().powi(2)).sum();
        let all = causes["all"].as_f64().unwrap();
        assert!(all > 0.5 * squares.sqrt() && all < 1.5 * squares.sqrt(), "{causes}");
    }
    let table = std::fs::read_to_string(folder.path().join("out/causes.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 5 * 6);
    let printed = memtorch_in(folder.path(), &["run", "out/experiment.toml", "--out", "again"]).done().stdout;
    assert!(
        printed.contains("with each cause alone") && printed.contains("1 programming-error"),
        "{printed}"
    );
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name).join("results.json")).unwrap();
    assert_eq!(read("out"), read("again"));
    memtorch_in(folder.path(), &["plot", "out"]).done();
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("<td>1 programming-error</td>"));
}

#[test]
fn a_layer_has_the_causes_of_its_own_hardware() {
    let (_, results) = run(&format!("{DEVICE}{STUCK}{LAYER}"), &["--set", "explain=true"]);
    let causes = |at: usize| {
        let each = results["layers"][at]["causes"]["each"].as_array().unwrap();
        each.iter().map(|one| one["cause"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(causes(0), ["0 stuck"]);
    assert_eq!(causes(4), ["0 states"]);
    let (_, results) = run(&format!("{DEVICE}{STUCK}"), &[]);
    assert!(results["layers"][0].get("causes").is_none());
}

/// The warnings of an experiment with these lines.
fn warnings(hardware: &str) -> Vec<String> {
    let registry = memtorch::Registry::with_defaults();
    let text = experiment("mlp", hardware);
    let document = memtorch::experiment::Document::parse(&text, std::path::Path::new("e.toml")).unwrap();
    let experiment = memtorch::experiment::Experiment::resolve(document, &registry).unwrap();
    experiment.hardware(&experiment.sections, &registry).unwrap().warnings
}

#[test]
fn keys_that_change_nothing_are_told_with_the_reason() {
    let pulses = "[program]\nmethod = \"pulses\"\n";
    for (rest, words) in [
        (
            "[crossbar]\nbits_per_cell = 1\n",
            &["crossbar.bits_per_cell = 1", "crossbar.scheme = \"double-column\"", "\"bit-sliced\""][..],
        ),
        (
            "[crossbar]\nscheme = \"bit-sliced\"\nreference = \"column\"\n",
            &["crossbar.reference", "sign = \"differential\""],
        ),
        ("[crossbar]\nunused = \"absent\"\n", &["crossbar.unused", "resistance"]),
        ("[crossbar]\ncell = \"0t1r\"\n", &["crossbar.cell", "program.method = \"direct\""]),
        ("[crossbar]\nremapping = \"rows\"\n", &["crossbar.remapping", "stuck"]),
        ("[adc]\ndecades = 3\n", &["adc.decades = 3.0", "adc.method = \"linear\"", "\"log\""]),
        ("[adc]\nmethod = \"log\"\ngain_error = 0.1\n", &["adc.gain_error", "\"linear\""]),
        ("[adc]\ngranularity = \"tile\"\n", &["adc.granularity", "adc.range = \"dynamic\""]),
        (
            "[adc]\nrange = \"calibrated\"\nrange_fit = \"least-squares\"\npercentile = 99\n",
            &["adc.percentile", "range_fit"],
        ),
        ("[adc]\ncalibration_samples = 9\n", &["adc.calibration_samples", "input.scale"]),
        ("[adc]\nbits = 0\nread = \"each\"\n", &["adc.read", "adc.bits = 0"]),
        ("[program]\nmax_pulses = 7\n", &["program.max_pulses", "program.method = \"direct\""]),
        (&format!("{pulses}order = \"random\"\n"), &["program.order", "crossbar.cell = \"1t1r\""]),
        (
            &format!("{pulses}tolerance = 0.1\ntolerance_siemens = 1e-7\n"),
            &["program.tolerance = 0.1", "tolerance_siemens"],
        ),
        (
            &format!("{pulses}[[nonideality]]\nkind = \"cycle-to-cycle\"\nsigma = 1.0\ncycles = 3\n"),
            &["nonideality.0.cycles = 3", "polarity"],
        ),
        ("[tune]\nsamples = 0\nper = \"column\"\n", &["tune.per", "tune.samples = 0"]),
        ("[tune]\nsamples = 0\ninputs = \"data\"\n", &["tune.inputs", "tune.samples = 0"]),
    ] {
        let found = warnings(&format!("{DEVICE}{rest}"));
        assert_eq!(found.len(), 1, "{rest}: {found:?}");
        for word in words {
            assert!(found[0].contains(word), "{word:?} is not in: {}", found[0]);
        }
    }
    let drift = "[[nonideality]]\nkind = \"drift\"\nnu = 0.1\ntime = 9.0\ncompensation = true\n";
    for silent in [
        String::new(),
        "[adc]\nrange = \"calibrated\"\ngranularity = \"column\"\npercentile = 99.0\ncalibration_samples = 3\n".to_owned(),
        "[input]\nscale = \"calibrated\"\n[adc]\nbits = 0\ncalibration_samples = 3\n".to_owned(),
        "[crossbar]\nscheme = \"bit-sliced\"\nbits_per_cell = 1\nsign = \"twos-complement\"\nreference = \"column\"\n".to_owned(),
        "[crossbar]\nunused = \"absent\"\nline_resistance = 1\n".to_owned(),
        format!("[crossbar]\ncell = \"0t1r\"\n{pulses}order = \"random\"\nmax_pulses = 7\n"),
        format!("[crossbar]\nremapping = \"rows\"\n{STUCK}"),
        format!("[tune]\nsamples = 0\ninputs = \"data\"\n{drift}"),
    ] {
        assert_eq!(warnings(&format!("{DEVICE}{silent}")), Vec::<String>::new(), "{silent}");
    }
    // The command says it, with the place of an override, and so does the resolved experiment.
    let (folder, results) = run(&format!("{DEVICE}{ADC}[layers.\"conv*\".adc]\npercentile = 90.0\n"), &[]);
    let told = results["warnings"].as_array().unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].as_str().unwrap().starts_with("layers.\"conv*\".adc.percentile = 90.0"), "{told:?}");
    let again = memtorch_in(folder.path(), &["run", "out/experiment.toml", "--json"]).done().stdout;
    assert_eq!(serde_json::from_str::<Value>(&again).unwrap(), results);
}
