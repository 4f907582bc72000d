//! The kernels of GPUs, run by the emulator.

use memtorch::utils::npy::NpyArray;

use super::common::{experiment, file, memtorch_in};
use super::{HARDWARE, run};

/// The kernels of GPUs, run by the emulator, give the numbers of the CPU: a network with converters that they know, and
/// with one that they do not. What is left to the CPU is said.
#[test]
fn results_are_the_same_on_an_emulated_gpu() {
    let folder = tempfile::tempdir().unwrap();
    let serial = "bits = 6\nrange = \"calibrated\"\ngranularity = \"column\"\nread = \"each\"\n\
                  [input]\nbits = 3\nserial = true";
    for (name, adc) in [("linear", "bits = 6"), ("log", "method = \"log\"\nbits = 8"), ("serial", serial)] {
        let text = experiment("lenet5", &HARDWARE.replace("bits = 6", adc));
        let out = |backend: &str| format!("{name}-{backend}");
        let on = |backend: &str| {
            let results = run(folder.path(), &text, &out(backend), &["--limit", "2", "--backend", backend]);
            let mut results: serde_json::Value = serde_json::from_str(&results).unwrap();
            let warnings = results["warnings"].take().to_string();
            (results, warnings)
        };
        let ((cpu, plain), (gpu, warned)) = (on("cpu"), on("cuda-emulated"));
        assert_eq!(cpu["samples"], 2);
        assert_eq!(gpu, cpu, "{name}");
        let left = "layer fc1: the backend cuda leaves to the CPU: draws of device parameters, non-ideality 0 (stuck)";
        assert!(warned.contains(left) && !plain.contains("leaves to the CPU"), "{warned}");
        assert_eq!(warned.contains("conversion by the method log"), name == "log", "{warned}");
        let [cpu, gpu] = ["cpu", "cuda-emulated"]
            .map(|backend| std::fs::read(folder.path().join(out(backend)).join("layers.csv")).unwrap());
        assert_eq!(cpu, gpu, "{name}: layers.csv");
    }
}

/// Wires, which the two compute alike to 1e-12, and noise.
#[test]
fn wires_and_noise_on_an_emulated_gpu_give_what_the_cpu_gives() {
    let folder = tempfile::tempdir().unwrap();
    let rest = "[device]\nmodel = \"vteam\"\nr_on = 1.4e4\nr_off = 5e7\n[crossbar]\ntile = [40, 20]\ncell = \"0t1r\"\n\
                source_resistance = 20.0\nline_resistance = 2.0\n[tune]\nsamples = 1\n[[nonideality]]\n\
                kind = \"read-noise\"\nrelative = 0.05\ntelegraph = 0.1\n[layers.\"fc1\"]\npatch = false\n";
    let text = experiment("mlp", rest);
    let [cpu, gpu] = ["cpu", "cuda-emulated"].map(|backend| -> serde_json::Value {
        let results = run(folder.path(), &text, backend, &["--limit", "2", "--backend", backend]);
        serde_json::from_str(&results).unwrap()
    });
    assert_eq!(gpu["memristive"], cpu["memristive"]);
    let (on_cpu, on_gpu) = (cpu["layers"].as_array().unwrap(), gpu["layers"].as_array().unwrap());
    assert!(on_cpu.iter().any(|layer| layer["patched"] == true));
    for (a, b) in on_cpu.iter().zip(on_gpu) {
        for key in ["gain", "r2", "relative_error"] {
            let (Some(x), Some(y)) = (a[key].as_f64(), b[key].as_f64()) else {
                assert_eq!(a[key], b[key]);
                continue;
            };
            assert!((x - y).abs() <= 1e-6 * x.abs(), "{key} of {}: {x} {y}", a["name"]);
        }
    }
}

#[test]
fn traces_and_circuits_on_an_emulated_gpu_are_those_of_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    for model in ["vteam", "linear-ion-drift", "data-driven", "data-driven-2021", "stanford-pku"] {
        let [cpu, gpu] = ["cpu", "cuda-emulated"].map(|backend| {
            let csv = format!("{model}-{backend}.csv");
            let arguments = [
                &["device", "trace", model, "--hysteresis", "--amplitude", "1.2", "--frequency", "1e6"][..],
                &["--cycles", "1", "--dt", "1e-8", "--devices", "3", "--csv", &csv, "--backend", backend],
            ];
            let ran = memtorch_in(folder.path(), &arguments.concat()).done();
            (std::fs::read(folder.path().join(csv)).unwrap(), ran.stderr)
        });
        assert_eq!(cpu.0, gpu.0, "{model}");
        let left = "the backend cuda leaves to the CPU: currents and conductances";
        assert!(gpu.1.contains(left) && !cpu.1.contains("leaves"), "{}", gpu.1);
    }
    let g: Vec<f64> = (0..21 * 13).map(|k| 1e-5 * f64::from(1 + k * 7 % 10)).collect();
    NpyArray::from_f64(&[21, 13], g).write(folder.path().join("g.npy")).unwrap();
    for (ends, warned) in [("left", false), ("both", true)] {
        let [cpu, gpu] = ["cpu", "cuda-emulated"].map(|backend| {
            let arguments = [
                &["crossbar", "effective", "--conductance", "g.npy", "--source-resistance", "20"][..],
                &["--line-resistance", "3", "--word-line-ends", ends, "--out", "e.npy", "--backend", backend],
            ];
            let ran = memtorch_in(folder.path(), &arguments.concat()).done();
            assert_eq!(
                ran.stderr.contains("leaves to the CPU"),
                warned && backend != "cpu",
                "{}",
                ran.stderr
            );
            NpyArray::read(folder.path().join("e.npy")).unwrap().into_f64()
        });
        for (x, y) in cpu.iter().zip(&gpu) {
            assert!((x - y).abs() <= 1e-12 * x.abs(), "{ends}: {x:e} {y:e}");
        }
    }
}

/// A small network with a step of every kind that has no kernel, in each command that takes a backend.
#[test]
fn all_commands_say_what_an_emulated_gpu_leaves_to_the_cpu() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let hardware = "[device]\nmodel = \"vteam\"\nr_on = { normal = { mean = 1.4e4, std = 100.0 } }\nr_off = 5e7\n\
                    [tune]\nsamples = 0\n[program]\nmethod = \"pulses\"\n[[nonideality]]\nkind = \"nonlinear\"\n\
                    method = \"sinh\"\nb = 1.0\n[layers.\"fc1\"]\npatch = false\n";
    let sweep = "[sweep]\n\"adc.bits\" = [6, 8]\n";
    std::fs::write(folder.join("e.toml"), experiment("mlp", hardware)).unwrap();
    std::fs::write(folder.join("s.toml"), experiment("mlp", &format!("{hardware}{sweep}"))).unwrap();
    NpyArray::from_f32(&[1, 1, 28, 28], vec![0.5; 784]).write(folder.join("x.npy")).unwrap();
    let network = file("models/fmnist-mlp.onnx");
    let commands: [&[&str]; 5] = [
        &["run", "e.toml", "--limit", "1", "--save", "saved.npz"],
        &["infer", &network, "--experiment", "e.toml", "--input", "x.npy", "--out", "y.npy"],
        &["infer", "--load", "saved.npz", "--input", "x.npy", "--out", "z.npy"],
        &[
            "search", "e.toml", "--key", "adc.bits", "--values", "[8]", "--drop", "0.99", "--limit", "20",
            "--blocks", "5",
        ],
        &["sweep", "s.toml", "--limit", "1"],
    ];
    for command in commands {
        let said = |backend: &str| {
            let more: &[&str] = if command[0] == "sweep" { &["--out", backend] } else { &[] };
            let ran = memtorch_in(folder, &[command, &["--backend", backend], more].concat());
            let all = format!("{}{}", ran.stdout, ran.stderr);
            (ran.code, all)
        };
        let (_, on_gpu) = said("cuda-emulated");
        let left = "layer fc2: the backend cuda leaves to the CPU: ";
        let line = on_gpu.lines().find_map(|line| line.split_once(left)).map(|(_, what)| what.trim());
        // What was written before is only read.
        let written = "draws of device parameters, writing by pulses, ";
        let written = if command.contains(&"--load") { "" } else { written };
        let expected = format!("{written}functions of voltages of devices that are not ohmic");
        assert_eq!(line, Some(&*expected), "{command:?}: {on_gpu}");
        let (code, on_cpu) = said("cpu");
        assert!(code == 0 && !on_cpu.contains("leaves to the CPU"), "{command:?}: {on_cpu}");
    }
}
