//! Whatever a person gets wrong: exit code 1 or 2, one line that names the place, the value and what was
//! expected, no panic, nothing half written.

mod common;

use std::path::Path;

use common::{Ran, experiment, file, memtorch_in};
use memtorch::utils::npy::{NpyArray, NpyData};

const DEVICE: &str = "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n";

/// Runs an experiment that must fail and gives its one line.
#[track_caller]
fn fails(folder: &Path, text: &str, more: &[&str]) -> String {
    std::fs::write(folder.join("e.toml"), text).unwrap();
    let ran = memtorch_in(folder, &[&["run", "e.toml", "--limit", "4", "--out", "out"], more].concat());
    let out = folder.join("out");
    let left: Vec<_> = std::fs::read_dir(&out)
        .map(|files| files.map(|f| f.unwrap().file_name()).collect())
        .unwrap_or_default();
    assert!(left.is_empty(), "left behind: {left:?}");
    line(&ran, 1)
}

#[track_caller]
fn line(ran: &Ran, code: i32) -> String {
    assert_eq!(ran.code, code, "stdout: {}\nstderr: {}", ran.stdout, ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    if code == 1 {
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    }
    assert_eq!(ran.stdout, "");
    ran.stderr.trim_end().to_owned()
}

#[track_caller]
fn says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "{word:?} is not in: {line}");
    }
}

#[test]
fn experiment_files_that_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let mlp = experiment("mlp", DEVICE);
    for (rest, words) in [
        // Not TOML.
        ("[adc\nbits = 8\n", &["e.toml:10:"][..]),
        ("[adc]\nbits = \n", &["e.toml:11:"]),
        ("[adc]\nbits = 8\nbits = 9\n", &["e.toml:12:", "duplicate"]),
        // Misspelt keys at every level.
        ("[adcs]\nbits = 8\n", &["e.toml:10", "`adcs`", "did you mean `adc`"]),
        ("[adc]\nbit = 8\n", &["e.toml:11", "`adc.bit`", "did you mean `bits`"]),
        ("[crossbar]\nlineresistance = 1\n", &["e.toml:11", "did you mean `line_resistance`"]),
        ("[[nonideality]]\nkind = \"stuck\"\nlsr = 0.1\n", &["e.toml:12", "did you mean `lrs`"]),
        ("[[nonideality]]\nkind = \"stuk\"\n", &["e.toml:11", "nonideality.0.kind", "\"stuck\""]),
        ("[[nonideality]]\nlrs = 0.1\n", &["nonideality.0.kind", "missing"]),
        ("[layers.\"fc*\".acd]\nbits = 8\n", &["e.toml:10", "did you mean `adc`"]),
        ("[layers.\"fc*\".adc]\nbit = 8\n", &["e.toml:11", "did you mean `bits`"]),
        ("[layers.\"fc*\"]\nnonideality_ad = []\n", &["did you mean `nonideality_add`"]),
        // Wrong types.
        (
            "[adc]\nbits = \"eight\"\n",
            &["e.toml:11", "`adc.bits` = \"eight\"", "a whole number from 0 to 24"],
        ),
        ("[adc]\nbits = 8.5\n", &["`adc.bits` = 8.5"]),
        ("[adc]\nbits = [8]\n", &["`adc.bits` = [8]"]),
        ("[adc]\nbits = 1979-05-27\n", &["e.toml:11", "1979-05-27"]),
        ("[tune]\nintercept = 1\n", &["`tune.intercept` = 1", "true or false"]),
        ("[crossbar]\nscheme = 2\n", &["crossbar.scheme"]),
        ("[nonideality]\nkind = \"stuck\"\n", &["nonideality", "[[nonideality]]"]),
        ("[layers]\nfc1 = 3\n", &["layers.fc1", "a table"]),
        ("[layers.fc1]\npatch = \"no\"\n", &["patch", "true or false"]),
        // Impossible values.
        ("[adc]\nbits = 1\n", &["`adc.bits` = 1", "2 to 24"]),
        ("[adc]\nbits = 25\n", &["`adc.bits` = 25"]),
        ("[adc]\nbits = -3\n", &["`adc.bits` = -3"]),
        ("[adc]\nbits = 99999999999999999999\n", &["e.toml:11", "99999999999999999999"]),
        ("[adc]\nrange = -1e-6\n", &["`adc.range` = -1e-6"]),
        ("[adc]\nrange = \"dinamic\"\n", &["adc.range", "\"dynamic\""]),
        ("[adc]\noverflow_rate = 1.0\n", &["adc.overflow_rate", "below 1"]),
        ("[adc]\nrange = 1e-6\noverflow_rate = 0.1\n", &["adc.overflow_rate", "fixed"]),
        ("[crossbar]\ntile = [0, 128]\n", &["e.toml:11", "`crossbar.tile` = [0, 128]"]),
        ("[crossbar]\ntile = [128]\n", &["`crossbar.tile` = [128]"]),
        ("[crossbar]\ntile = [-1, 128]\n", &["crossbar.tile"]),
        ("[crossbar]\ntile = \"large\"\n", &["crossbar.tile", "layer"]),
        ("[crossbar]\nscheme = \"double-colum\"\n", &["did you mean \"double-column\""]),
        ("[crossbar]\nexclude_largest = 1\n", &["exclude_largest", "below 1"]),
        ("[crossbar]\nline_resistance = -2\n", &["`crossbar.line_resistance` = -2", "at least 0"]),
        ("[crossbar]\ncell = \"0t1r\"\ntransistor_resistance = 5\n", &["transistor_resistance", "0t1r"]),
        ("[input]\nmax_voltage = -0.3\n", &["e.toml:11", "`input.max_voltage` = -0.3"]),
        ("[input]\nmax_voltage = 0\n", &["input.max_voltage"]),
        ("[input]\nmax_voltage = nan\n", &["`input.max_voltage` = nan"]),
        ("[input]\nmax_voltage = inf\n", &["`input.max_voltage` = inf"]),
        ("[input]\nscale = -1.0\n", &["input.scale"]),
        ("[input]\nbits = 1\n", &["input.bits"]),
        ("[tune]\nsamples = -1\n", &["tune.samples"]),
        ("[[nonideality]]\nkind = \"stuck\"\nlrs = 0.6\nhrs = 0.6\n", &["nonideality.0.lrs + hrs", "1.2"]),
        ("[[nonideality]]\nkind = \"states\"\ncount = 1\n", &["nonideality.0.count"]),
        ("[[nonideality]]\nkind = \"device-to-device\"\nparameters = { r_on = 3 }\n", &["parameters.r_on"]),
        (
            "[[nonideality]]\nkind = \"device-to-device\"\nparameters = { r_on = { normal = { mean = 1, sd = 1 } } }\n",
            &["nonideality.0.parameters.r_on.normal.sd", "did you mean `std`"],
        ),
        // Layers that are not there.
        ("[layers.\"conv*\".adc]\nbits = 4\n", &["e.toml:10", "\"conv*\"", "fc1, fc2"]),
        // A layer that stays digital.
        ("[layers.fc1]\npatch = false\n[layers.fc1.adc]\nbits = 1\n", &["e.toml:13", "layers.fc1.adc.bits"]),
        // Features that are not there yet.
        (
            "[program]\nmethod = \"pulses\"\nset_voltage = 0.3\n",
            &["e.toml:12", "program.set_voltage", "0.3", "a voltage that raises the conductance"],
        ),
        (
            "[program]\nmethod = \"pulses\"\npulse_width = 1e-11\n",
            &["program.pulse_width", "1e-11", "a multiple of the time step"],
        ),
        ("[program]\nmethod = \"pulses\"\nvoltage_step = 0.1\n", &["program.voltage_step", "incremental"]),
        // Mapping schemes.
        ("[crossbar]\nscheme = \"bit-sliced\"\nbits_per_cell = 8\n", &["crossbar.slices", "from 1 to 3"]),
        (
            "[crossbar]\nscheme = \"bit-sliced\"\nsign = \"twos-complement\"\nslices = 1\n",
            &["crossbar.slices", "from 2 to 13"],
        ),
        // Calibration and bit-serial inputs.
        ("[input]\nserial = true\n", &["e.toml:11", "input.serial", "input.bits of at least 2"]),
        ("[adc]\nrange = \"calibrated\"\npercentile = 0\n", &["adc.percentile"]),
        ("[adc]\nrange = \"calibrated\"\noverflow_rate = 0.1\n", &["adc.overflow_rate", "percentile"]),
        ("[adc]\ncalibration_samples = 0\n", &["adc.calibration_samples"]),
        ("[adc]\ncolumns_per_adc = 0\n", &["adc.columns_per_adc"]),
        ("[adc]\ngain_error = -1\n", &["adc.gain_error", "above -1"]),
        ("[sweep]\nrepeats = 0\n", &["sweep.repeats", "from 1"]),
    ] {
        let line = fails(folder.path(), &format!("{mlp}{rest}"), &[]);
        says(&line, words);
    }
}

#[test]
fn devices_that_are_not_possible() {
    let folder = tempfile::tempdir().unwrap();
    for (device, words) in [
        ("", &["device.model", "missing"][..]),
        ("[device]\nr_on = 3\n", &["device.model", "missing"]),
        ("[device]\nmodel = \"vteem\"\n", &["e.toml:7", "did you mean \"vteam\""]),
        ("[device]\nmodel = \"vteam\"\nr_on = 2000\n", &["e.toml:8", "device.r_on", "2000", "below r_off"]),
        ("[device]\nmodel = \"vteam\"\nr_on = -5\n", &["device.r_on"]),
        ("[device]\nmodel = \"vteam\"\nr_on = nan\n", &["device.r_on"]),
        ("[device]\nmodel = \"vteam\"\nv_on = 0.2\n", &["device.v_on", "negative"]),
        ("[device]\nmodel = \"vteam\"\nron = 5\n", &["e.toml:8", "did you mean `r_on`"]),
        (
            "[device]\nmodel = \"vteam\"\nr_on = { normal = { mean = 50, std = -1 } }\n",
            &["r_on.normal.std", "-1"],
        ),
        ("[device]\nmodel = \"vteam\"\nr_on = { gauss = { mean = 50, std = 1 } }\n", &["r_on.gauss"]),
        (
            "[device]\nmodel = \"vteam\"\nr_on = { uniform = { low = 900.0, high = 1e6 }, max = 990.0, min = 2e3 }\n",
            &["r_on.min", "2000"],
        ),
    ] {
        let line = fails(folder.path(), &experiment("mlp", device), &[]);
        says(&line, words);
    }
    // No possible device is ever drawn, which shows only at fabrication.
    let never = "[device]\nmodel = \"vteam\"\n[[nonideality]]\nkind = \"device-to-device\"\n\
        parameters = { r_on = { uniform = { low = 2e3, high = 3e3 } } }\n";
    says(
        &fails(folder.path(), &experiment("mlp", never), &[]),
        &["e.toml:8", "`nonideality.0`", "fc1", "device-to-device", "1000 draws"],
    );
    // A step that only one layer has.
    let one = "[device]\nmodel = \"vteam\"\n[layers.fc2]\n\
        nonideality_add = [{ kind = \"device-to-device\", parameters = { ron = { normal = { mean = 1, std = 1 } } } }]\n";
    says(
        &fails(folder.path(), &experiment("mlp", one), &[]),
        &["e.toml:9", "`layers.fc2.nonideality_add.0`", "layer `fc2`", "did you mean `r_on`"],
    );
    // The same parameter twice.
    let twice = "[device]\nmodel = \"vteam\"\nr_on = { normal = { mean = 50, std = 1 } }\n\
        [[nonideality]]\nkind = \"device-to-device\"\nsigma = 1.0\n";
    says(&fails(folder.path(), &experiment("mlp", twice), &[]), &["device-to-device", "r_on", "only one"]);
}

#[test]
fn options_that_are_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let good = experiment("mlp", DEVICE);
    for (more, words) in [
        (&["--set", "adc.bits"][..], &["--set", "KEY=VALUE"][..]),
        (&["--set", "adc.bitz=4"], &["--set adc.bitz=4", "did you mean `bits`"]),
        (&["--set", "adc.bits=many"], &["--set adc.bits=many", "\"many\""]),
        (&["--set", "nonideality.3.hrs=0.1"], &["nonideality"]),
        (&["--set", "layers.\"x*\".adc.bits=4"], &["\"x*\""]),
        // An error in a table that the option made names the option, not the file.
        (&["--set", "x.y=4"], &["--set x.y=4", "unknown key `x`"]),
        (&["--set", "layers.fc1.data.limit=4"], &["--set layers.fc1.data.limit=4", "`layers.fc1.data`"]),
        (&["--set", "model.onnx="], &["--set model.onnx=", "the path of a file"]),
        (&["--set", "data.images="], &["--set data.images=", "the path of a file"]),
        (&["--backend", "cuda"], &["cuda"]),
        (&["--images", "x"], &["--images", "data.images"]),
    ] {
        says(&fails(folder.path(), &good, more), words);
    }
    for usage in [
        &["run"][..],
        &["run", "e.toml", "--threads", "0"],
        &["run", "e.toml", "--limit", "0"],
        &["run", "e.toml", "--seed", "-1"],
        &["run", "e.toml", "--no-such-option"],
        &["no-such-command"],
        &["infer", "a.onnx"],
        &["infer", "--input", "x.npy", "--out", "y.npy"],
        &["run", "e.toml", "--backend", "tpu"],
        &["device"],
    ] {
        let ran = memtorch_in(folder.path(), usage);
        assert_eq!(ran.code, 2, "{usage:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{usage:?}");
    }
}

#[test]
fn files_that_are_missing_damaged_or_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let good = experiment("mlp", DEVICE);
    let set = |key: &str, path: &str| format!("{key}={path}");
    let network = std::fs::read(file("models/fmnist-mlp.onnx")).unwrap();
    std::fs::write(folder.path().join("cut.onnx"), &network[..network.len() / 2]).unwrap();
    std::fs::write(folder.path().join("text.onnx"), "this is no network").unwrap();
    std::fs::write(folder.path().join("empty.onnx"), "").unwrap();
    std::fs::write(folder.path().join("latin.toml"), [0x61, 0xe4, 0x0a]).unwrap();
    let idx = |shape: &[u32], body: &[u8]| {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        shape.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(body);
        bytes
    };
    std::fs::write(folder.path().join("labels"), idx(&[2000], &[200; 2000])).unwrap();
    std::fs::write(folder.path().join("few"), idx(&[3], &[0; 3])).unwrap();
    std::fs::write(folder.path().join("small"), idx(&[2000, 2, 2], &[0; 8000])).unwrap();
    for (more, words) in [
        (set("model.onnx", "gone.onnx"), &["gone.onnx", "No such file"][..]),
        (set("model.onnx", "cut.onnx"), &["cut.onnx"]),
        (set("model.onnx", "text.onnx"), &["text.onnx"]),
        (set("model.onnx", "empty.onnx"), &["empty.onnx"]),
        (set("data.images", "gone.gz"), &["gone.gz", "No such file"]),
        (set("data.images", &at("text.onnx")), &["text.onnx", "IDX"]),
        (
            set("data.images", &file("data/fashion-mnist-t2k-labels-idx1-ubyte.gz")),
            &["is it the file of labels"],
        ),
        (set("data.images", &at("small")), &["[1, 2, 2]", "28"]),
        (set("data.labels", &at("few")), &["few", "3 labels: expected 2000"]),
        (set("data.labels", &at("labels")), &["label 0 is 200"]),
        (set("data.labels", "gone"), &["gone"]),
        (set("data.kind", "cifar10"), &["labels", "cifar10"]),
        (set("data.mean", "[0.1, 0.2]"), &["--set data.mean", "`data.mean` = [0.1, 0.2]", "1 channels"]),
        (set("data.kind", "folder"), &["labels", "folder"]),
        (set("data.scale", "0"), &["--set data.scale", "`data.scale` = 0", "other than 0"]),
    ] {
        says(&fails(folder.path(), &good, &["--set", &more]), words);
    }
    let ran = memtorch_in(folder.path(), &["run", "gone.toml"]);
    says(&line(&ran, 1), &["gone.toml", "No such file"]);
    let ran = memtorch_in(folder.path(), &["run", "latin.toml"]);
    says(&line(&ran, 1), &["latin.toml", "utf-8"]);
    // A folder that cannot be there, before any work is done.
    std::fs::write(folder.path().join("plain"), "a file").unwrap();
    std::fs::write(folder.path().join("e.toml"), &good).unwrap();
    let ran = memtorch_in(folder.path(), &["run", "e.toml", "--out", "plain/out"]);
    says(&line(&ran, 1), &["plain/out"]);
    assert_eq!(std::fs::read_to_string(folder.path().join("plain")).unwrap(), "a file");
    // A section that is missing.
    std::fs::write(folder.path().join("e.toml"), DEVICE).unwrap();
    let ran = memtorch_in(folder.path(), &["run", "e.toml"]);
    says(&line(&ran, 1), &["e.toml", "model", "missing"]);
}

#[test]
fn arrays_that_do_not_fit_a_network() {
    let folder = tempfile::tempdir().unwrap();
    let model = file("models/fmnist-mlp.onnx");
    let put = |name: &str, shape: &[usize], data: NpyData| {
        NpyArray { shape: shape.to_vec(), data }.write(folder.path().join(name)).unwrap();
    };
    put("good.npy", &[2, 1, 28, 28], NpyData::F32(vec![0.5; 1568]));
    put("shape.npy", &[2, 1, 28, 27], NpyData::F32(vec![0.5; 1512]));
    put("empty.npy", &[0, 1, 28, 28], NpyData::F32(vec![]));
    let mut values = vec![0.5; 1568];
    values[784 + 29] = f32::NAN;
    put("nan.npy", &[2, 1, 28, 28], NpyData::F32(values));
    let mut values = vec![0.5; 784];
    values[3] = 1e300;
    put("large.npy", &[1, 1, 28, 28], NpyData::F64(values));
    std::fs::write(folder.path().join("text.npy"), "no array").unwrap();
    for (input, out, words) in [
        ("shape.npy", "y.npy", &["input", "[2, 1, 28, 27]"][..]),
        ("empty.npy", "y.npy", &["empty.npy", "not empty"]),
        ("nan.npy", "y.npy", &["nan.npy", "NaN", "[1, 0, 1, 1]"]),
        ("large.npy", "y.npy", &["large.npy", "1e300", "[0, 0, 0, 3]", "up to 3.4"]),
        ("text.npy", "y.npy", &["text.npy", "numpy"]),
        ("gone.npy", "y.npy", &["gone.npy"]),
        ("good.npy", "no/such/y.npy", &["no/such"]),
        ("good.npy", "logit=y.npy", &["--out = logit=y.npy", "logits"]),
        ("inputs=good.npy", "y.npy", &["--input = inputs=good.npy", "one of input"]),
    ] {
        let ran = memtorch_in(folder.path(), &["infer", &model, "--input", input, "--out", out]);
        says(&line(&ran, 1), words);
        assert!(!folder.path().join("y.npy").exists());
    }
    says(&line(&memtorch_in(folder.path(), &["run", &model]), 1), &["mlp.onnx", "--images and --labels"]);
    let set = ["infer", &model, "--input", "good.npy", "--out", "y.npy", "--set", "adc.bits=8"];
    says(&line(&memtorch_in(folder.path(), &set), 1), &["--set", "--experiment"]);
    let named = ["infer", &model, "--input", "input=good.npy", "--out", "logits=y.npy"];
    memtorch_in(folder.path(), &named).done();
    assert_eq!(NpyArray::read(folder.path().join("y.npy")).unwrap().shape, [2, 10]);
}
