//! Programmed networks that are kept and run again.

use std::path::Path;
use std::sync::Arc;

use memtorch::crossbar::backend::CpuBackend;
use memtorch::experiment::{Document, Experiment};
use memtorch::nn::{Executable, ImportOptions, LayerChoice, Network, Samples, Saved, Tensor, record_inputs};
use memtorch::utils::config::{Table, Value};
use memtorch::utils::datasets::DataSet;
use memtorch::utils::npy::{NpyArray, NpyData};
use memtorch::utils::npz::Npz;

use crate::common::{experiment, file, memtorch_in};
use crate::{HARDWARE, run};

/// Samples without a file.
struct Ramps {
    shape: Vec<usize>,
    count: usize,
}

impl Samples for Ramps {
    fn len(&self) -> usize {
        self.count
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn read(
        &mut self,
        first: usize,
        values: &mut [f32],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let first = first * self.shape.iter().product::<usize>();
        for (at, value) in values.iter_mut().enumerate() {
            *value = ((first + at) * 37 % 101) as f32 / 50.0 - 1.0;
        }
        Ok(())
    }
}

/// Programs a network, keeps it, and runs what was kept on an input of this shape: the same outputs, bit for bit.
#[track_caller]
fn is_kept(network: &str, input: &[usize], hardware: &str) {
    let sample = &input[1..];
    let registry = memtorch::Registry::with_defaults();
    let model = file(&format!("memtorch-nn/tests/networks/{network}.onnx"));
    let resolve = |text: &str| {
        let document = Document::parse(text, Path::new("e.toml"));
        document.and_then(|document| Experiment::resolve(document, &registry))
    };
    let device = if hardware.contains("[device]") { "" } else { VTEAM };
    let text = format!("[model]\nonnx = {model:?}\n{device}{hardware}");
    let wrong = |error: memtorch::Error| -> Experiment { panic!("{hardware}: {error}") };
    let experiment = resolve(&text).unwrap_or_else(wrong);
    let net = Arc::new(Network::from_onnx_file(&model, &ImportOptions::default()).unwrap());
    let backend = Arc::new(CpuBackend::new());
    let choices = |experiment: &Experiment| -> Vec<LayerChoice> {
        experiment.plan(net.layers(), &registry).unwrap().iter().map(|plan| plan.choice()).collect()
    };
    let digital = Executable::digital(net.clone(), backend.clone()).unwrap();
    let mut samples = Ramps { shape: sample.to_vec(), count: 12 };
    let inputs = record_inputs(&digital, &mut samples, 8).unwrap();
    let stream = experiment.stream();
    let programmed =
        Executable::with_inputs(net.clone(), choices(&experiment), stream, backend.clone(), &inputs);
    let programmed = programmed.unwrap_or_else(|error| panic!("{hardware}: {error}"));
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("n.npz");
    Saved::new(&programmed).unwrap().write(&kept).unwrap();
    // From the experiment as the file has it, which says nothing of the images.
    let again = resolve(&experiment.to_toml(&registry).unwrap()).unwrap_or_else(wrong);
    let restored = Saved::read(&kept).unwrap().restore(net.clone(), choices(&again), again.stream(), backend);
    let restored = restored.unwrap_or_else(|error| panic!("{hardware}: {error}"));
    let mut values = vec![0.0; input.iter().product()];
    samples.read(3, &mut values).unwrap();
    let x = Tensor::new(input, values).unwrap();
    let bits = |executable: &Executable| -> Vec<u32> {
        let y = executable.run(&[(&net.inputs()[0].name, x.clone())]).unwrap().values.remove(0).1;
        y.as_f32().unwrap().iter().map(|y| y.to_bits()).collect()
    };
    let expected = bits(&programmed);
    assert_ne!(expected, bits(&digital), "{hardware}");
    assert_eq!(bits(&restored), expected, "{hardware}");
    // What was restored is kept alike.
    let twice = folder.path().join("m.npz");
    Saved::new(&restored).unwrap().write(&twice).unwrap();
    assert_eq!(std::fs::read(twice).unwrap(), std::fs::read(kept).unwrap(), "{hardware}");
}

const VTEAM: &str = "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e5\n";
/// A device whose current bends.
const BENT: &str = "[device]\nmodel = \"data-driven\"\nr_on = 1280.0\nr_off = 17000.0\n";
const NOISE: &str = "[[nonideality]]\nkind = \"read-noise\"\nrelative = 0.02\nshot = true\nthermal = true\nbandwidth = 1e9\ntelegraph = 0.1\ntelegraph_devices = 0.5\n";
const DRIFT: &str = "[[nonideality]]\nkind = \"drift\"\nnu = { normal = { mean = 0.05, std = 0.02 } }\ntime = 1e4\ncompensation = true\n";
const VARIATION: &str = "[[nonideality]]\nkind = \"device-to-device\"\nsigma = 100.0\n";

#[test]
fn every_scheme_is_kept_bit_for_bit() {
    for scheme in [
        "scheme = \"double-column\"\nweight_range = \"column\"",
        "scheme = \"single-column\"\nexclude_largest = 0.01",
        "scheme = \"single-column\"\nreference = \"column\"",
        "scheme = \"offset-column\"\ngroup_packing = \"block-diagonal\"",
        "scheme = \"bit-sliced\"\nbits_per_cell = 2\nslices = 3",
        "scheme = \"bit-sliced\"\nsign = \"twos-complement\"\nreference = \"column\"",
    ] {
        for read in ["difference", "each"] {
            let hardware = format!(
                "{VARIATION}[crossbar]\ntile = [32, 16]\n{scheme}\n[adc]\nbits = 6\nread = \"{read}\"\n\
                 [[nonideality]]\nkind = \"stuck\"\nlrs = 0.01\nunformed = 0.01\nunformed_resistance = 1e6\n"
            );
            is_kept("mobilenetv3.ts", &[2, 3, 20, 20], &hardware);
        }
    }
}

#[test]
fn every_range_of_a_converter_is_kept_bit_for_bit() {
    for adc in [
        "bits = 6\noverflow_rate = 0.05",
        "bits = 6\nrange = 1e-5\ngain_error = 0.01\noffset_error = 0.3\nnonlinearity = 0.5",
        "bits = 6\nrange = \"calibrated\"",
        "bits = 6\nrange = \"calibrated\"\ngain_spread = 0.03\noffset_spread = 0.5\ncolumns_per_adc = 4",
        "bits = 6\nrange = \"calibrated\"\ngranularity = \"tile\"\nrange_fit = \"least-squares\"",
        "bits = 6\nrange = \"calibrated\"\ngranularity = \"column\"\ncalibration = \"random\"",
        "bits = 6\nmethod = \"log\"\ndecades = 3.0",
        "bits = 6\nmethod = \"log\"\nrange = \"calibrated\"",
    ] {
        for rest in [
            "[input]\nbits = 5\nserial = true\n[tune]\nper = \"column\"\nintercept = true\ninputs = \"data\"\n",
            "[input]\nscale = \"calibrated\"\n[tune]\nper = \"tile\"\n",
        ] {
            let hardware = format!(
                "[adc]\n{adc}\n{rest}[crossbar]\ntile = [16, 16]\nremapping = \"both\"\n\
                [[nonideality]]\nkind = \"stuck\"\nhrs = 0.05\n"
            );
            is_kept("ecg.ts", &[3, 2, 64], &hardware);
        }
    }
}

/// What acts at reads is attached to what is read in the end, whatever its place in the list.
#[test]
fn noise_bent_devices_and_age_are_kept_bit_for_bit() {
    let bent = |method: &str| format!("[[nonideality]]\nkind = \"nonlinear\"\n{method}\n");
    let (model, sinh) = (bent("method = \"model\""), bent("method = \"sinh\"\nb = 4.0"));
    let sweep = bent("method = \"sweep\"\namplitude = 0.5\nstates = 8\npoints = 16");
    let states = "[[nonideality]]\nkind = \"states\"\ncount = 5\n";
    let cycles = "[[nonideality]]\nkind = \"cycle-to-cycle\"\nsigma = 50.0\ncycles = 3\n";
    let wear = "[[nonideality]]\nkind = \"endurance\"\ncycles = 1e4\nlrs = { p = [1.0, 1.0, 1.0, 0.1] }\n";
    for hardware in [
        format!("{NOISE}{DRIFT}{VARIATION}"),
        format!("{DRIFT}{NOISE}after_tuning = true\n{NOISE}"),
        format!("{BENT}{model}{NOISE}{cycles}{VARIATION}"),
        format!("{BENT}{model}{wear}"),
        format!("{BENT}{sweep}{states}{DRIFT}"),
        format!("{BENT}{states}{sweep}{NOISE}"),
        format!("{sinh}{NOISE}{DRIFT}[adc]\nbits = 6\n"),
        // Only the last layer: every tile is a circuit that Newton's method solves.
        format!(
            "{sinh}[crossbar]\ntile = [8, 8]\nsource_resistance = 20.0\nline_resistance = 2.0\n\
            [layers.\"*\"]\npatch = false\n[layers.fc]\npatch = true\n"
        ),
        format!(
            "{NOISE}{DRIFT}[crossbar]\ntile = [16, 16]\nsource_resistance = 20.0\nline_resistance = 2.0\ntransistor_resistance = 1e3\n"
        ),
    ] {
        is_kept("ecg.ts", &[3, 2, 64], &hardware);
    }
    // A step of a recurrent layer reads noise of its own; pulses leave devices where they leave them.
    is_kept("speech.ts", &[2, 1, 20, 12], &format!("{NOISE}{DRIFT}"));
    let pulses = "[program]\nmethod = \"pulses\"\nmax_pulses = 5\n[layers.\"*\"]\npatch = false\n[layers.fc]\npatch = true\n";
    is_kept("ecg.ts", &[3, 2, 64], &format!("{NOISE}{VARIATION}{pulses}"));
}

/// The saved network gets the samples right that the run which saved it got right, noise and all.
#[test]
fn a_loaded_network_repeats_the_run_that_saved_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = experiment("lenet5", &format!("{HARDWARE}{NOISE}{DRIFT}"));
    let results = run(folder.path(), &text, "out", &["--save", "n.npz", "--limit", "100"]);
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let table = Table::from_iter([
        ("images", Value::Text(file("data/fashion-mnist-t2k-images-idx3-ubyte.gz"))),
        ("labels", Value::Text(file("data/fashion-mnist-t2k-labels-idx1-ubyte.gz"))),
    ]);
    let set = DataSet::open(&table, Path::new("")).unwrap();
    let mut images = vec![0.0; 100 * 784];
    set.read(0..100, &mut images).unwrap();
    NpyArray::from_f32(&[100, 1, 28, 28], images).write(folder.path().join("x.npy")).unwrap();
    memtorch_in(folder.path(), &["infer", "--load", "n.npz", "--input", "x.npy", "--out", "y.npy"]).done();
    let logits = NpyArray::read(folder.path().join("y.npy")).unwrap().into_f32();
    let largest = |y: &[f32]| (1..10).fold(0, |best, i| if y[i] > y[best] { i } else { best });
    let mut counts = std::collections::BTreeMap::new();
    for (y, label) in logits.chunks_exact(10).zip(set.labels()) {
        *counts.entry((*label as usize, largest(y))).or_insert(0) += 1;
    }
    let right: usize = counts.iter().filter(|((label, class), _)| label == class).map(|(_, n)| n).sum();
    assert_eq!(results["memristive"]["correct"], right);
    // Not only as many, but each sample as what it was taken for.
    let expected: String =
        counts.iter().map(|((label, class), n)| format!("memristive,{label},{class},{n}\n")).collect();
    let confusion = std::fs::read_to_string(folder.path().join("out/confusion.csv")).unwrap();
    assert!(confusion.ends_with(&expected), "{confusion}\n{expected}");
}

/// Network, images and faults may be gone when it is run again.
#[test]
fn a_saved_network_needs_no_other_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::copy(file("models/fmnist-lenet5.onnx"), at("m.onnx")).unwrap();
    let faults = NpyData::U8((0..840).map(|i| [0, 0, 1, 0, 2][i % 5]).collect());
    NpyArray { shape: vec![84, 10], data: faults }.write(at("faults.npy")).unwrap();
    let hardware = "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n[layers.\"*\"]\npatch = false\n[layers.fc3]\n\
        patch = true\n[[layers.fc3.nonideality]]\nkind = \"stuck\"\nfile = \"faults.npy\"\n";
    let text = experiment("lenet5", hardware).replace(&file("models/fmnist-lenet5.onnx"), "m.onnx");
    run(folder.path(), &text, "out", &["--save", "n.npz", "--limit", "4"]);
    let values = (0..2 * 784).map(|i| (i % 97) as f32 / 97.0).collect();
    NpyArray::from_f32(&[2, 1, 28, 28], values).write(at("x.npy")).unwrap();
    let infer = |more: &[&str]| {
        let arguments = [&["infer", "--input", "x.npy", "--out", "y.npy"], more].concat();
        memtorch_in(folder.path(), &arguments).done();
        std::fs::read(at("y.npy")).unwrap()
    };
    let programmed = infer(&["m.onnx", "--experiment", "e.toml"]);
    assert_ne!(programmed, infer(&["m.onnx"]));
    for name in ["m.onnx", "faults.npy", "e.toml"] {
        std::fs::remove_file(at(name)).unwrap();
    }
    assert_eq!(infer(&["--load", "n.npz"]), programmed);
}

/// Devices that differ, that are stuck and never formed, one layer digital: all of it is in the file.
#[test]
fn a_saved_network_gives_the_outputs_of_the_one_that_was_programmed_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let inputs: Vec<f32> = (0..3 * 784).map(|i| (i % 97) as f32 / 97.0).collect();
    NpyArray::from_f32(&[3, 1, 28, 28], inputs).write(folder.path().join("x.npy")).unwrap();
    let hardware = format!(
        "{HARDWARE}[[nonideality]]\nkind = \"device-to-device\"\nparameters = {{ r_off = {{ lognormal = {{ median = 5e7, sigma_ln = 0.3 }} }} }}\n[tune]\nper = \"column\"\nintercept = true\n"
    );
    let results =
        run(folder.path(), &experiment("lenet5", &hardware), "out", &["--save", "n.npz", "--limit", "4"]);
    let model = file("models/fmnist-lenet5.onnx");
    let infer = |out: &str, more: &[&str]| {
        let arguments = [&["infer", "--input", "x.npy", "--out", out], more].concat();
        memtorch_in(folder.path(), &arguments).done();
        std::fs::read(folder.path().join(out)).unwrap()
    };
    let programmed = infer("a.npy", &[&model, "--experiment", "e.toml"]);
    assert_ne!(programmed, infer("d.npy", &[&model]));
    assert_eq!(infer("b.npy", &["--load", "n.npz"]), programmed);
    assert_eq!(infer("c.npy", &[&model, "--load", "n.npz", "--threads", "1"]), programmed);
    // Equal runs give equal files, and the file says what the network was found to do.
    run(folder.path(), &experiment("lenet5", &hardware), "out", &["--save", "again.npz", "--limit", "4"]);
    let bytes = std::fs::read(folder.path().join("n.npz")).unwrap();
    assert_eq!(std::fs::read(folder.path().join("again.npz")).unwrap(), bytes);
    let mut npz = Npz::open(folder.path().join("n.npz")).unwrap();
    assert_eq!(npz.bytes("results.json").unwrap(), results.as_bytes());
    let conductances = npz.array("conv1/0/conductances").unwrap();
    assert_eq!(conductances.shape, [1, 25, 6]);
    assert!(!npz.contains("fc3/0/conductances.npy"));
    let stuck = npz.array("fc1/0/stuck").unwrap();
    let NpyData::U8(codes) = stuck.data else { panic!("bytes") };
    let masked = codes.iter().filter(|code| **code == 2).count();
    assert!((masked as f64 / codes.len() as f64 - 0.02).abs() < 0.005, "{masked} of {}", codes.len());

    // Whatever was measured is in the file: ranges of tiles and of columns, gains of tiles, scales of inputs.
    for (more, member) in [
        ("range=\"calibrated\"\ngranularity=\"tile\"\n[tune]\nper=\"tile\"", "conv2/tile_gains.npy"),
        (
            "range=\"calibrated\"\ngranularity=\"column\"\n[input]\nscale=\"calibrated\"",
            "conv2/full_scale_lines/0.npy",
        ),
        ("range=\"calibrated\"\n[crossbar]\nscheme=\"bit-sliced\"\ntile=[64,64]", "fc2/full_scale/0.npy"),
        ("[crossbar]\nremapping=\"both\"\n[[nonideality]]\nkind=\"stuck\"\nhrs=0.05", "fc2/lines.npy"),
        ("method=\"log\"\n[crossbar]\nscheme=\"single-column\"\nreference=\"column\"", "fc2/gains.npy"),
    ] {
        let hardware = format!("[device]\nmodel=\"vteam\"\nr_on=1.4e4\nr_off=5e7\n[adc]\nbits=6\n{more}\n");
        run(folder.path(), &experiment("lenet5", &hardware), "out", &["--save", "m.npz", "--limit", "4"]);
        assert!(Npz::open(folder.path().join("m.npz")).unwrap().contains(member), "{more}");
        let programmed = infer("a.npy", &[&model, "--experiment", "e.toml"]);
        assert_eq!(infer("b.npy", &["--load", "m.npz"]), programmed, "{more}");
    }

    let fails = |more: &[&str], words: &[&str]| {
        let ran =
            memtorch_in(folder.path(), &[&["infer", "--input", "x.npy", "--out", "e.npy"], more].concat());
        assert_eq!((ran.code, ran.stderr.lines().count()), (1, 1), "{}", ran.stderr);
        assert!(words.iter().all(|word| ran.stderr.contains(word)), "{words:?}: {}", ran.stderr);
        assert!(!folder.path().join("e.npy").exists());
    };
    let other = file("models/fmnist-mlp.onnx");
    fails(&[&other, "--load", "n.npz"], &["n.npz", "layer", "expected"]);
    fails(&["--load", "x.npy"], &["x.npy", "zip"]);
    fails(&["--load", "missing.npz"], &["missing.npz"]);
    for share in [0.1, 0.5, 0.9, 0.999_99] {
        let end = (bytes.len() as f64 * share) as usize;
        std::fs::write(folder.path().join("short.npz"), &bytes[..end]).unwrap();
        fails(&["--load", "short.npz"], &["short.npz", "truncated"]);
    }
    let number = conductances.into_f64()[7].to_le_bytes();
    let at = bytes.windows(8).position(|w| w == number).unwrap();
    let mut bad = bytes.clone();
    bad[at] ^= 1;
    std::fs::write(folder.path().join("bad.npz"), &bad).unwrap();
    fails(&["--load", "bad.npz"], &["bad.npz", "conv1/0/conductances", "checksum"]);
    // A weight that differs is another network.
    let mut trained = std::fs::read(&model).unwrap();
    let middle = trained.len() / 2;
    trained[middle] ^= 4;
    std::fs::write(folder.path().join("other.onnx"), trained).unwrap();
    fails(&["other.onnx", "--load", "n.npz"], &["n.npz", "fingerprint"]);
    for option in [&["--seed", "1"][..], &["--set", "adc.bits=4"], &["--experiment", "e.toml"]] {
        let ran = memtorch_in(
            folder.path(),
            &[&["infer", "--load", "n.npz", "--input", "x.npy", "--out", "e.npy"], option].concat(),
        );
        assert_eq!(ran.code, 2, "{}", ran.stderr);
    }
    let nowhere = memtorch_in(
        folder.path(),
        &["run", "e.toml", "--limit", "4", "--save", "no/such/folder/n.npz", "--out", "none"],
    );
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.stderr.contains("no/such/folder"), "{}", nowhere.stderr);
}
