//! `memtorch program`, and layers that are written by pulses.

use std::path::Path;

use super::common::{experiment, memtorch_in};
use super::{read, write};

/// The results of an experiment, whose file and folder these are.
fn run(folder: &Path, text: &str, out: &str, more: &[&str]) -> String {
    std::fs::write(folder.join("e.toml"), text).unwrap();
    memtorch_in(folder, &[&["run", "e.toml", "--out", out], more].concat()).done();
    std::fs::read_to_string(folder.join(out).join("results.json")).unwrap()
}

/// The last layer of the perceptron, written by pulses in the arrays of either cell.
#[test]
fn a_layer_that_is_written_by_pulses_says_what_was_missed() {
    let folder = tempfile::tempdir().unwrap();
    let hardware = |cell: &str| {
        format!(
            "[device]\nmodel = \"vteam\"\n[crossbar]\ncell = \"{cell}\"\n\
             [program]\nmethod = \"pulses\"\nmax_pulses = 30\ntolerance = 0.005\nread_noise = 0.001\n\
             [[nonideality]]\nkind = \"stuck\"\nlrs = 0.02\n[layers.fc1]\npatch = false\n"
        )
    };
    for cell in ["1t1r", "0t1r"] {
        let text = experiment("mlp", &hardware(cell));
        let results = run(folder.path(), &text, "out", &["--limit", "50", "--threads", "1"]);
        assert_eq!(results, run(folder.path(), &text, "out2", &["--limit", "50", "--threads", "2"]));
        let resolved = std::fs::read_to_string(folder.path().join("out/experiment.toml")).unwrap();
        assert_eq!(results, run(folder.path(), &resolved, "again", &["--limit", "50"]));
        let results: serde_json::Value = serde_json::from_str(&results).unwrap();
        assert!(results["layers"][0].get("programming").is_none());
        let (layer, done) = (&results["layers"][1], &results["layers"][1]["programming"]);
        let devices = layer["devices_used"].as_u64().unwrap();
        let missed = done["missed"].as_u64().unwrap();
        assert_eq!(done["missed_share"].as_f64().unwrap(), missed as f64 / devices as f64);
        let reasons = done["reasons"].as_object().unwrap();
        assert_eq!(reasons.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), missed);
        // 2 % of the devices are stuck ON, where next to none should be.
        let stuck = layer["stuck"].as_u64().unwrap();
        assert!(stuck > 0 && reasons["masked"].as_u64().unwrap() + 5 >= stuck, "{layer}");
        assert!(missed > stuck && missed < devices / 2, "{done}");
        let table = std::fs::read_to_string(folder.path().join("out/layers.csv")).unwrap();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
        assert_eq!(rows[0][19..], ["missed_share", "pulses", "program_time", "program_energy"]);
        assert_eq!(rows[1][19..], ["", "", "", ""]);
        assert_eq!(rows[2][20], done["pulses"].to_string());
        assert_eq!(rows[2][19].parse::<f64>().unwrap(), done["missed_share"].as_f64().unwrap());
    }
}

/// Targets for VTEAM devices, [6, 8].
fn write_targets(folder: &Path) -> Vec<f64> {
    let targets: Vec<f64> = (0..48).map(|k| 0.001 + 0.019 * f64::from(k * 37 % 48) / 47.0).collect();
    write(folder, "t.npy", &[6, 8], targets.clone());
    targets
}

fn report(folder: &Path, name: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn programming_reports_what_the_array_has_and_its_pulses_replay() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let targets = write_targets(folder);
    let base = ["program", "--target", "t.npy", "--device", "vteam", "--out", "g.npy", "--report", "r.json"];
    let run = |more: &[&str]| memtorch_in(folder, &[&base[..], more].concat()).done();
    let said = run(&["--json", "--record", "p.csv", "--plot", "p.svg"]).stdout;
    assert_eq!(said.as_bytes(), std::fs::read(folder.join("r.json")).unwrap());
    let found = report(folder, "r.json");
    let g = read(folder, "g.npy").1;
    assert_eq!((found["devices"].as_u64(), found["within_tolerance"].as_u64()), (Some(48), Some(48)));
    let drawing = std::fs::read_to_string(folder.join("p.svg")).unwrap();
    let dots = drawing.matches("<circle").count();
    assert!(
        dots > 40
            && dots <= 48
            && drawing.contains("target (mS)")
            && drawing.contains("blue: 48 within the tolerance, red: 0 missed"),
        "{dots} of 48 devices, some on others"
    );
    let near = |g: &[f64], tolerance: f64| {
        g.iter().zip(&targets).filter(|(g, t)| (*g - *t).abs() <= tolerance * 0.019).count()
    };
    assert_eq!(near(&g, 0.01), 48);

    // The pulses of a device are a voltage of `device trace`, whose device begins where programming begins.
    let table = std::fs::read_to_string(folder.join("p.csv")).unwrap();
    let mut lines = table.lines();
    assert_eq!(lines.next(), Some("pulse,pass,row,column,applied,voltage,steps,before,after"));
    let pulses: Vec<Vec<f64>> =
        lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect();
    assert_eq!(Some(pulses.len() as u64), found["pulses"].as_u64());
    for at in [1usize, 20, 47] {
        let own = pulses.iter().filter(|p| (p[2] as usize, p[3] as usize) == (at / 8, at % 8));
        let volts: Vec<f64> = own.flat_map(|p| std::iter::repeat_n(p[5], p[6] as usize)).collect();
        write(folder, "v.npy", &[volts.len()], volts);
        let traced =
            memtorch_in(folder, &["device", "trace", "vteam", "--voltage", "v.npy", "--json"]).done().stdout;
        let traced: serde_json::Value = serde_json::from_str(&traced).unwrap();
        assert!((traced["final_conductance"].as_f64().unwrap() / g[at] - 1.0).abs() < 1e-15, "device {at}");
    }

    // What missed is listed, whatever the bias, and threads change nothing.
    for cell in [
        &["--cell", "0t1r", "--bias", "third", "--reset-voltage", "0.08", "--pulse-width", "1e-9"][..],
        &["--cell", "0t1r", "--source-resistance", "2", "--line-resistance", "0.5", "--max-pulses", "20"],
        &["--pulse-width", "1e-9", "--max-pulses", "30", "--order", "random", "--read-noise", "0.001"],
    ] {
        run(&[cell, &["--threads", "1"]].concat());
        let (first, g) = (std::fs::read(folder.join("r.json")).unwrap(), read(folder, "g.npy").1);
        run(&[cell, &["--threads", "2"]].concat());
        assert_eq!(
            (first, g.clone()),
            (std::fs::read(folder.join("r.json")).unwrap(), read(folder, "g.npy").1)
        );
        let found = report(folder, "r.json");
        let failed = found["failed"].as_array().unwrap();
        assert_eq!(48 - failed.len(), near(&g, 0.01), "{cell:?}");
        assert_eq!(found["within_tolerance"].as_u64(), Some(48 - failed.len() as u64));
        assert!(!failed.is_empty(), "{cell:?}");
        for device in failed {
            let at = |key: &str| device[key].as_f64().unwrap();
            let k = (8.0 * at("row") + at("column")) as usize;
            // The parser of JSON rounds to the nearest but one.
            let same = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-15;
            assert!(same(at("target"), targets[k]) && same(at("final"), g[k]), "{device}");
            assert!(at("pulses") <= 1000.0 && device["reason"].is_string());
        }
        let counts = found["error"]["histogram"]["counts"].as_array().unwrap();
        assert_eq!(counts.iter().map(|n| n.as_u64().unwrap()).sum::<u64>(), 48);
    }
}

#[test]
fn programming_names_what_is_wrong_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_targets(folder);
    write(folder, "high.npy", &[1, 2], vec![0.01, 0.021]);
    write(folder, "nan.npy", &[1, 2], vec![0.01, f64::NAN]);
    write(folder, "list.npy", &[2], vec![0.01, 0.01]);
    write(folder, "none.npy", &[0, 2], vec![]);
    let failures: [(&str, &str, &[&str], &[&str]); 15] = [
        ("t.npy", "vteam", &["--plot", "p.bmp"], &["--plot = p.bmp", ".png"]),
        ("high.npy", "vteam", &[], &["high.npy", "2.1e-2 at [0, 1]", "1/r_on"]),
        ("nan.npy", "vteam", &[], &["nan.npy", "NaN at [0, 1]"]),
        ("list.npy", "vteam", &[], &["list.npy", "[2]", "[word lines, bit lines]"]),
        ("none.npy", "vteam", &[], &["none.npy", "not empty"]),
        ("no.npy", "vteam", &[], &["no.npy"]),
        ("t.npy", "vteem", &[], &["vteem", "did you mean vteam"]),
        ("t.npy", "vteam", &["--set", "r_onn=3"], &["r_onn", "r_on"]),
        ("t.npy", "vteam", &["--set-voltage", "0"], &["--set-voltage = 0", "not 0"]),
        ("t.npy", "vteam", &["--set-voltage", "0.3"], &["--set-voltage = 0.3", "raises the conductance"]),
        ("t.npy", "vteam", &["--pulse-width", "5e-11"], &["--pulse-width = 5e-11", "1e-10 s"]),
        ("t.npy", "vteam", &["--tolerance", "-1"], &["--tolerance = -1", "positive"]),
        ("t.npy", "vteam", &["--voltage-step", "0.1"], &["--voltage-step", "incremental"]),
        ("t.npy", "vteam", &["--line-resistance", "-2"], &["--line-resistance = -2"]),
        ("t.npy", "vteam", &["--cell", "0t1r", "--voltage-error", "1"], &["--voltage-error = 1", "below 1"]),
    ];
    for (target, device, options, words) in failures {
        let files = ["--out", "g.npy", "--report", "r.json", "--record", "p.csv", "--json"];
        let ran = memtorch_in(
            folder,
            &[&["program", "--target", target, "--device", device], options, &files].concat(),
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{options:?}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{options:?}: {} lacks {word}", ran.stderr);
        }
        for file in ["g.npy", "r.json", "p.csv"] {
            assert!(!folder.join(file).exists(), "{options:?} wrote {file}");
        }
    }
    let ran = memtorch_in(folder, &["program", "--target", "t.npy", "--device", "vteam", "--cell", "2t1r"]);
    assert_eq!(ran.code, 2, "{}", ran.stderr);
}

/// An option or a key that has no effect is told, and the result is that without it.
#[test]
fn what_changes_nothing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_targets(folder);
    let run = |options: &[&str]| {
        let base =
            ["program", "--target", "t.npy", "--device", "vteam", "--out", "g.npy", "--max-pulses", "20"];
        let ran = memtorch_in(folder, &[&base[..], options].concat()).done();
        (ran.stderr, read(folder, "g.npy").1)
    };
    let passive = ["--cell", "0t1r"];
    let blind = ["--scheme", "open-loop"];
    let cases: [(&[&str], &[&str], &str); 6] = [
        (&[], &["--bias", "third"], "--bias changes nothing: a cell with a transistor"),
        (&[], &["--order", "random"], "--order changes nothing: cells with transistors"),
        (&[], &["--voltage-error", "0.1"], "--voltage-error changes nothing: no network"),
        (&passive, &["--voltage-error", "0.1"], "--voltage-error changes nothing: lines without resistance"),
        (&blind, &["--read-noise", "0.1"], "--read-noise changes nothing: open-loop"),
        (&blind, &["--read-voltage", "0.1"], "--read-voltage changes nothing: open-loop"),
    ];
    for (with, idle, words) in cases {
        let (silent, plain) = run(with);
        assert_eq!(silent, "", "{with:?}");
        let (told, same) = run(&[with, idle].concat());
        assert_eq!((told.lines().count(), same), (1, plain), "{idle:?}: {told}");
        assert!(told.starts_with(&format!("warning: {words}")), "{idle:?}: {told}");
    }

    let warnings = |program: &str| -> Vec<String> {
        let text = format!("[device]\nmodel = \"vteam\"\n{program}\n[layers.fc1]\npatch = false\n");
        let results: serde_json::Value =
            serde_json::from_str(&self::run(folder, &experiment("mlp", &text), "out", &["--limit", "5"]))
                .unwrap();
        let warnings = results["warnings"].as_array().unwrap().iter();
        warnings
            .map(|text| text.as_str().unwrap().to_owned())
            .filter(|text| text.contains("changes nothing"))
            .collect()
    };
    let pulses = "[program]\nmethod = \"pulses\"\nmax_pulses = 5\n";
    for (text, expected) in [
        ("[program]\nmethod = \"direct\"\nbias = \"half\"".to_owned(), &[][..]),
        ("[program]\nset_voltage = -0.3\npasses = 2".to_owned(), &["program.passes", "program.set_voltage"]),
        (pulses.to_owned(), &[]),
        (format!("{pulses}bias = \"third\""), &["program.bias"]),
        (format!("{pulses}order = \"random\""), &["program.order"]),
        (format!("{pulses}scheme = \"open-loop\"\nread_noise = 0.1"), &["program.read_noise"]),
        (format!("{pulses}tolerance = 0.1\ntolerance_siemens = 1e-5"), &["program.tolerance"]),
        (
            format!("{pulses}[[nonideality]]\nkind = \"cycle-to-cycle\"\nsigma = 1.0\ncycles = 3"),
            &["nonideality.0.cycles"],
        ),
    ] {
        let mut found = warnings(&text);
        found.sort_unstable();
        assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
        let right = |(found, key): (&String, &&str)| found.starts_with(&format!("{key} = "));
        assert!(found.iter().zip(expected).all(right), "{text}: {found:?}");
    }
}

/// Bounds that are drawn anew at each change of polarity act while pulses are read, so that what is reached is
/// within the tolerance all the same; after direct programming they spoil it.
#[test]
fn cycles_of_a_layer_that_is_written_by_pulses_are_its_changes_of_polarity() {
    let folder = tempfile::tempdir().unwrap();
    let layer = |program: &str, steps: &str| -> serde_json::Value {
        let text = format!("[device]\nmodel = \"vteam\"\n{program}{steps}[layers.fc1]\npatch = false\n");
        let text = experiment("mlp", &text);
        let results = run(folder.path(), &text, "out", &["--limit", "20"]);
        let results: serde_json::Value = serde_json::from_str(&results).unwrap();
        results["layers"][1].clone()
    };
    let pulses = "[program]\nmethod = \"pulses\"\ntolerance = 0.002\n";
    let cycles = "[[nonideality]]\nkind = \"cycle-to-cycle\"\nsigma = 3.0\n";
    let error = |layer: &serde_json::Value| layer["relative_error"].as_f64().unwrap();
    let (without, with) = (layer(pulses, ""), layer(pulses, cycles));
    assert_ne!(without["programming"]["pulses"], with["programming"]["pulses"]);
    let steps = with["nonidealities"].as_array().unwrap();
    for (array, step) in steps.iter().enumerate() {
        assert_eq!((&step["kind"], step["array"].as_u64()), (&"cycle-to-cycle".into(), Some(array as u64)));
        let effect = &step["effects"][0];
        assert!(effect["what"].as_str().unwrap().starts_with("changes of polarity"), "{effect}");
        assert!(effect["value"].as_f64().unwrap() > 100.0, "{effect}");
    }
    assert_eq!(steps.len(), 2);
    let spoilt = error(&layer("", cycles));
    assert!(error(&with) < 2.0 * error(&without) && error(&with) < 0.5 * spoilt, "{} {spoilt}", error(&with));
    // After tuning is after the pulses.
    let later = layer(pulses, &format!("{cycles}after_tuning = true\n"));
    assert_eq!(later["programming"]["pulses"], without["programming"]["pulses"]);
    assert!(error(&later) > 2.0 * error(&with), "{}", error(&later));
}
