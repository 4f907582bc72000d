//! Sweeps, through the command.

mod common;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Ran, memtorch_in};

const HARDWARE: &str = "\
[device]
model = \"vteam\"
r_on = 1.4e4
r_off = 5e7
[crossbar]
tile = [64, 64]
[tune]
samples = 2
[[nonideality]]
kind = \"stuck\"
";

const SWEEP: &str = "\
[sweep]
repeats = 2
\"nonideality.0.hrs\" = [0.0, 0.2]
\"adc.bits\" = [3, 4, 6]
";

/// An experiment with a network of 49-16-10 on images that it makes small first.
fn experiment(rest: &str) -> String {
    let network = common::file("tests/networks/small.onnx");
    common::experiment("mlp", rest).replace(&common::file("models/fmnist-mlp.onnx"), &network)
}

/// A sweep over a small network: 6 points, 2 repeats.
fn small(folder: &Path) {
    std::fs::write(folder.join("e.toml"), experiment(&format!("{HARDWARE}{SWEEP}"))).unwrap();
}

/// The cells of a line of CSV, of which those with commas are in quotes.
fn cells(line: &str) -> Vec<&str> {
    let mut inside = false;
    let comma = |c: char| {
        inside ^= c == '"';
        c == ',' && !inside
    };
    line.split(comma).collect()
}

fn sweep(folder: &Path, more: &[&str]) -> Ran {
    memtorch_in(folder, &[&["sweep", "e.toml", "--limit", "20"], more].concat())
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Fails, with one line that has all these words.
#[track_caller]
fn says(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    assert!(words.iter().all(|word| ran.stderr.contains(word)), "{}", ran.stderr);
}

#[test]
fn a_sweep_has_a_row_for_each_point_and_repeat_and_a_point_is_the_same_alone() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "s", "--threads", "2"]).done();
    let table = read(folder, "s/results.csv");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        lines[0].join(","),
        "point,repeat,nonideality.0.hrs,adc.bits,samples,digital_accuracy,memristive_accuracy"
    );
    let settings: Vec<String> = lines[1..].iter().map(|line| line[..5].join(" ")).collect();
    assert_eq!(settings.len(), 12);
    assert_eq!(settings[..4], ["0 0 0.0 3 20", "0 1 0.0 3 20", "1 0 0.0 4 20", "1 1 0.0 4 20"]);
    assert_eq!(settings[11], "5 1 0.2 6 20");
    // Every number of the table is that of a run of its own, by options and by number.
    for (point, repeat, hrs, bits) in [(0, 0, "0.0", "3"), (4, 1, "0.2", "4")] {
        let line = &lines[1 + 2 * point + repeat];
        let (hrs, bits) = (format!("nonideality.0.hrs={hrs}"), format!("adc.bits={bits}"));
        let repeat_option = format!("repeat={repeat}");
        let run = [
            "run",
            "e.toml",
            "--limit",
            "20",
            "--json",
            "--set",
            &hrs,
            "--set",
            &bits,
            "--set",
            &repeat_option,
        ];
        let ran = memtorch_in(folder, &run).done();
        assert!(ran.stderr.contains("note: one run without the [sweep]"), "{}", ran.stderr);
        let results: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        for (column, path) in [(5, "digital"), (6, "memristive")] {
            assert_eq!(line[column], format!("{:?}", results[path]["accuracy"].as_f64().unwrap()), "{path}");
        }
        let (point, repeat) = (point.to_string(), repeat.to_string());
        sweep(folder, &["--out", "one", "--point", &point, "--repeat", &repeat]).done();
        assert_eq!(read(folder, "one/results.json"), ran.stdout);
        // And what that wrote runs again.
        memtorch_in(folder, &["run", "one/experiment.toml", "--out", "again"]).done();
        assert_eq!(read(folder, "again/results.json"), ran.stdout);
    }
    // All of it in one table: the swept keys once, every other key of the experiment too.
    let runs = read(folder, "s/runs.csv");
    let runs: Vec<Vec<&str>> = runs.lines().map(cells).collect();
    let at =
        |name: &str| runs[0].iter().position(|other| *other == name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(runs.len(), 13);
    assert_eq!(runs[0][..5], ["point", "repeat", "nonideality.0.hrs", "adc.bits", "samples"]);
    assert_eq!(runs[0].iter().collect::<std::collections::BTreeSet<_>>().len(), runs[0].len());
    for (run, line) in runs[1..].iter().zip(&lines[1..]) {
        assert_eq!(run[..5], line[..5]);
        assert_eq!([run[at("digital_accuracy")], run[at("memristive_accuracy")]], line[5..]);
        let correct: f64 = run[at("memristive_correct")].parse().unwrap();
        assert_eq!(format!("{:?}", correct / 20.0), line[6]);
        assert!(run[at("all_seconds")].parse::<f64>().unwrap() > 0.0);
        for (key, value) in [
            ("seed", "0"),
            ("version", env!("CARGO_PKG_VERSION")),
            ("device.r_on", "14000.0"),
            ("nonideality.0.kind", "stuck"),
            ("tune.samples", "2"),
            ("data.limit", "20"),
        ] {
            assert_eq!(run[at(key)], value, "{key}");
        }
    }
    // Repeats have other faults, and points of one repeat the same ones.
    let log = read(folder, "s/log.jsonl");
    assert_eq!(log.lines().count(), 12);
    let accuracy = |line: usize| lines[line][6];
    assert!((7..12).step_by(2).any(|line| accuracy(line) != accuracy(line + 1)), "{table}");
    // The written experiment is the same sweep.
    memtorch_in(folder, &["sweep", "s/experiment.toml", "--out", "s", "--resume"]).done();
    assert_eq!(read(folder, "s/results.csv"), table);
    // One thread gives the same bytes, and so do fewer points at once.
    sweep(folder, &["--out", "t", "--threads", "1"]).done();
    sweep(folder, &["--out", "u", "--threads", "2", "--at-once", "1"]).done();
    for other in ["t", "u"] {
        for name in ["results.csv", "summary.csv", "sweep.json", "experiment.toml"] {
            assert_eq!(
                read(folder, &format!("s/{name}")),
                read(folder, &format!("{other}/{name}")),
                "{name}"
            );
        }
    }
}

#[test]
fn shards_merge_to_the_whole_and_merge_says_what_is_missing_or_differs() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "whole"]).done();
    sweep(folder, &["--out", "a", "--shard", "1/2"]).done();
    sweep(folder, &["--out", "b", "--shard", "2/2"]).done();
    assert_eq!(read(folder, "a/results.csv").lines().count(), 7);
    memtorch_in(folder, &["merge", "a", "b", "--out", "m"]).done();
    for name in ["results.csv", "summary.csv", "sweep.json", "experiment.toml"] {
        assert_eq!(read(folder, &format!("m/{name}")), read(folder, &format!("whole/{name}")), "{name}");
    }
    // A merged folder is a sweep: there is nothing left to compute in it.
    let before = read(folder, "m/log.jsonl");
    sweep(folder, &["--out", "m", "--resume"]).done();
    assert_eq!(read(folder, "m/log.jsonl"), before);
    // Overlapping parts are no error, missing ones are.
    memtorch_in(folder, &["merge", "a", "whole", "--out", "m2"]).done();
    assert_eq!(read(folder, "m2/results.csv"), read(folder, "whole/results.csv"));
    let ran = memtorch_in(folder, &["merge", "b", "--out", "m3"]);
    says(&ran, &["missing: point 0, point 2, point 4"]);
    assert!(!folder.join("m3").exists());
    sweep(folder, &["--out", "c", "--shard", "1/2", "--set", "crossbar.tile=[32, 64]"]).done();
    let ran = memtorch_in(folder, &["merge", "c", "b", "--out", "m3"]);
    says(&ran, &["`crossbar.tile` is [32, 64] in one and [64, 64] in the other", "c and b"]);
    sweep(folder, &["--out", "d", "--shard", "1/2", "--seed", "7"]).done();
    says(&memtorch_in(folder, &["merge", "d", "b", "--out", "m3"]), &["`seed` is 7 in one and 0"]);
    says(&memtorch_in(folder, &["merge", "a", "nowhere", "--out", "m3"]), &["nowhere", "sweep.json"]);
    says(&memtorch_in(folder, &["merge", "a", "b", "--out", "whole"]), &["whole", "a new folder"]);
    for shard in ["0/2", "3/2", "2", "a/b"] {
        assert_eq!(sweep(folder, &["--out", "x", "--shard", shard]).code, 2, "{shard}");
    }
}

#[test]
fn another_sweep_and_a_second_start_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "s"]).done();
    let before = read(folder, "s/log.jsonl");
    says(&sweep(folder, &["--out", "s"]), &["s: expected a new folder, or --resume"]);
    for (option, words) in [
        ("seed=3", "`seed` is 0 in one and 3 in the other"),
        ("sweep.repeats=3", "sweep.repeats is 2 in one and 3"),
        ("sweep.\"adc.bits\"=[3, 4]", "the number of points is 6 in one and 4"),
        ("sweep.\"adc.bits\"=[3, 4, 8]", "the values of the swept keys"),
        ("model.fold_batch_norm=true", "`model.fold_batch_norm`"),
        ("data.limit=10", "`data.limit` is 20 in one and 10"),
    ] {
        says(&sweep(folder, &["--out", "s", "--resume", "--set", option]), &[words]);
    }
    // The same path with another network in it.
    let model = folder.join("net.onnx");
    let text = read(folder, "e.toml");
    let old = text.lines().nth(1).unwrap();
    std::fs::write(folder.join("e.toml"), text.replace(old, "onnx = \"net.onnx\"")).unwrap();
    std::fs::copy(common::file("tests/networks/small.onnx"), &model).unwrap();
    sweep(folder, &["--out", "s", "--resume"]).done();
    std::fs::copy(common::file("models/fmnist-lenet5.onnx"), &model).unwrap();
    says(&sweep(folder, &["--out", "s", "--resume"]), &["`model.onnx`"]);
    assert_eq!(read(folder, "s/log.jsonl"), before);
    says(&sweep(folder, &["--out", "s", "--set", "adc.bits=5"]), &["adc.bits=5", "not swept"]);
    says(
        &sweep(folder, &["--out", "s", "--set", "sweep.\"adc.bits\"=[40]"]),
        &["adc.bits", "40", "from 0 to 24"],
    );
    says(&sweep(folder, &["--out", "s", "--point", "6"]), &["--point", "from 0 to 5"]);
    let plain = experiment(HARDWARE);
    std::fs::write(folder.join("e.toml"), plain).unwrap();
    says(&sweep(folder, &["--out", "s"]), &["e.toml", "sweep", "a section [sweep]"]);
}

/// A sweep in the folder `s` as a process of its own.
fn start(folder: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_memtorch"))
        .args(["sweep", "e.toml", "--out", "s", "--resume"])
        .args(more)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

/// Waits until a file has so many bytes.
#[track_caller]
fn wait_for(path: &Path, bytes: u64) {
    let started = Instant::now();
    while length(path) < bytes {
        assert!(started.elapsed() < Duration::from_secs(60), "{bytes} bytes never came");
        std::thread::sleep(Duration::from_micros(200));
    }
}

#[test]
fn a_second_process_in_the_folder_is_turned_away_and_disturbs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let more = ["--set", "sweep.repeats=60", "--limit", "20", "--threads", "1"];
    let mut first = start(folder, &more);
    wait_for(&folder.join("s/log.jsonl"), 1);
    for other in [&[][..], &["--set", "adc.read=each"]] {
        let ran =
            memtorch_in(folder, &[&["sweep", "e.toml", "--out", "s", "--resume"], &more[..], other].concat());
        says(&ran, &["log.jsonl", "another process computes this sweep now"]);
    }
    assert!(first.wait().unwrap().success());
    assert_eq!(read(folder, "s/results.csv").lines().count(), 361);
    memtorch_in(folder, &[&["sweep", "e.toml", "--out", "s", "--resume"], &more[..]].concat()).done();
}

/// Killed at any moment and gone on with, a sweep ends with the table of one that was left alone.
#[test]
fn twenty_kills_lose_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let more = ["--set", "sweep.repeats=60", "--limit", "20", "--threads", "2"];
    memtorch_in(folder, &[&["sweep", "e.toml", "--out", "whole"], &more[..]].concat()).done();
    let row = std::fs::metadata(folder.join("whole/log.jsonl")).unwrap().len() / 360;
    let path = folder.join("s/log.jsonl");
    for attempt in 1..=20u32 {
        let mut child = start(folder, &more);
        // Every third is killed somewhere before its first line, the others in one of the next: moments that
        // look random.
        let share = (f64::from(attempt) * 0.618_033_988_75).fract();
        if attempt % 3 != 0 {
            wait_for(&path, length(&path) + 1 + (6.0 * share * row as f64) as u64);
        }
        std::thread::sleep(Duration::from_secs_f64(0.005 * share));
        assert!(child.try_wait().unwrap().is_none(), "attempt {attempt}: the sweep ended before its kill");
        child.kill().unwrap();
        child.wait().unwrap();
        if attempt == 10 {
            // A power cut in the middle of a line.
            let mut log = std::fs::read(&path).unwrap();
            log.truncate(log.len() - 50);
            std::fs::write(&path, log).unwrap();
        }
    }
    assert!(length(&path) > 20 * row, "next to nothing was computed before the kills");
    memtorch_in(folder, &[&["sweep", "e.toml", "--out", "s", "--resume"], &more[..]].concat()).done();
    for name in ["results.csv", "summary.csv"] {
        assert_eq!(read(folder, &format!("s/{name}")), read(folder, &format!("whole/{name}")), "{name}");
    }
    assert_eq!(read(folder, "s/log.jsonl").lines().count(), 360);
    let left: Vec<_> = std::fs::read_dir(folder.join("s")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");
}

#[test]
fn a_damaged_log_is_an_error_unless_it_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    sweep(folder, &["--out", "s"]).done();
    let (log, table) = (read(folder, "s/log.jsonl"), read(folder, "s/results.csv"));
    let lines: Vec<&str> = log.lines().collect();
    for end in
        [&log[..log.len() - 1], &log[..log.len() - 40], &(log.clone() + "{\"che"), &(log.clone() + "\0\0\0")]
    {
        std::fs::write(folder.join("s/log.jsonl"), end).unwrap();
        sweep(folder, &["--out", "s", "--resume"]).done();
        assert_eq!(read(folder, "s/results.csv"), table);
        assert_eq!(read(folder, "s/log.jsonl").lines().count(), lines.len());
    }
    for (changed, what) in [
        (lines[2].replacen("\"correct\":1", "\"correct\":2", 1), "its check is wrong"),
        (lines[1].to_owned(), "for the second time"),
        (String::new(), "not a line of a log"),
    ] {
        let mut lines = lines.clone();
        lines[2] = &changed;
        std::fs::write(folder.join("s/log.jsonl"), lines.join("\n") + "\n").unwrap();
        says(&sweep(folder, &["--out", "s", "--resume"]), &["log.jsonl: line 3 is damaged", what]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_and_folders_that_cannot_be_written_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    // Some of the sweep is there, and then the process may not write files beyond a size.
    sweep(folder, &["--out", "s", "--shard", "1/3"]).done();
    let before = read(folder, "s/log.jsonl");
    let size = before.len() as u64 / 512 + 2;
    let script = format!(
        "trap '' XFSZ; ulimit -f {size}; exec {:?} sweep e.toml --limit 20 --out s --resume --threads 2",
        env!("CARGO_BIN_EXE_memtorch")
    );
    let limited = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    let error = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(1), "{error}");
    assert!(error.contains("log.jsonl") && error.contains("File too large"), "{error}");
    let after = read(folder, "s/log.jsonl");
    assert!(after.starts_with(&before) && after.ends_with('\n'), "half a line is left");
    sweep(folder, &["--out", "s", "--resume"]).done();
    sweep(folder, &["--out", "whole"]).done();
    assert_eq!(read(folder, "s/results.csv"), read(folder, "whole/results.csv"));
    std::fs::create_dir(folder.join("device")).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.join("device/log.jsonl")).unwrap();
    says(&sweep(folder, &["--out", "device"]), &["device/log.jsonl", "a plain file"]);
    std::fs::write(folder.join("file"), "").unwrap();
    for out in ["file", "file/below", "/proc/nothing"] {
        says(&sweep(folder, &["--out", out]), &[out]);
    }
}

#[test]
fn a_point_that_fails_is_named_and_the_others_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Resistances above r_off (1 kilo-ohm): no such device can be drawn.
    let rest = "[device]\nmodel = \"vteam\"\n[[nonideality]]\nkind = \"device-to-device\"\n\
        parameters = { r_on = { uniform = { low = 1.0, high = 6000.0 } } }\n\
        [sweep]\n\"nonideality.0.parameters.r_on.uniform.low\" = [5000.0, 1.0]\nrepeats = 2\n";
    std::fs::write(folder.join("e.toml"), experiment(rest)).unwrap();
    for _ in 0..2 {
        let more: &[&str] = if folder.join("s").exists() { &["--resume"] } else { &[] };
        let ran = sweep(folder, &[&["--out", "s"], more].concat());
        let setting =
            "point 0 (nonideality.0.parameters.r_on.uniform.low = 5000.0), repeat 0 (and 1 more failed)";
        says(&ran, &[setting, "r_on"]);
        let log = read(folder, "s/log.jsonl");
        assert_eq!(log.lines().count(), 2);
        assert!(log.lines().all(|line| line.contains("\"row\":{\"point\":1,")), "{log}");
        assert!(!folder.join("s/results.csv").exists());
    }
}

#[test]
fn figures_and_the_report_are_made_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    let tiles = "sweep.\"crossbar.tile\"=[[64, 64], [32, 16]]";
    sweep(folder, &["--out", "s", "--set", tiles]).done();
    let names = ["accuracy-nonideality.0.hrs", "accuracy-adc.bits", "heat-map", "repeats", "layers"];
    let files: Vec<String> =
        names.iter().flat_map(|n| [format!("s/{n}.svg"), format!("s/{n}.png")]).collect();
    let bytes = || files.iter().map(|file| std::fs::read(folder.join(file)).unwrap()).collect::<Vec<_>>();
    let (before, report) = (bytes(), read(folder, "s/report.html"));
    for file in &files {
        std::fs::remove_file(folder.join(file)).unwrap();
    }
    let printed = memtorch_in(folder, &["plot", "s"]).done().stdout;
    assert_eq!(printed.lines().count(), names.len() + 1, "{printed}");
    assert!(bytes() == before && read(folder, "s/report.html") == report, "not the same figures");
    let lines = read(folder, "s/accuracy-adc.bits.svg");
    for text in
        ["adc: bits", "accuracy (%)", "stuck: hrs", "crossbar: tile: 32 x 16", "digital", "20 samples"]
    {
        assert!(lines.contains(text), "no {text:?} in the figure");
    }
    // One file, which fetches nothing, with every figure and point in it.
    for outside in ["src=", "href=", "<script", "@import", "url("] {
        assert!(!report.contains(outside), "{outside}");
    }
    assert_eq!(report.matches("<svg").count(), names.len());
    assert_eq!(report.matches("<tr>").count(), 1 + 12);
    assert!(report.contains("[sweep]") && report.contains("12 points of 12, 2 repeats each"));
    // A key that is no number, and no repeats.
    let text = read(folder, "e.toml");
    let named = text[..text.find("[sweep]").unwrap()].to_owned()
        + "[sweep]\n\"adc.read\" = [\"difference\", \"each\"]\n";
    std::fs::write(folder.join("e.toml"), named).unwrap();
    sweep(folder, &["--out", "named"]).done();
    let lines = read(folder, "named/accuracy-adc.read.svg");
    assert!(lines.contains("adc: read") && lines.contains("difference") && lines.contains("each"));
    // A run has figures too, and another folder has none.
    memtorch_in(folder, &["run", "s/experiment.toml", "--limit", "5", "--out", "r"]).done();
    memtorch_in(folder, &["plot", "r"]).done();
    assert!(read(folder, "r/layers.svg").contains("fc1") && read(folder, "r/report.html").contains("<svg"));
    std::fs::create_dir(folder.join("empty")).unwrap();
    says(&memtorch_in(folder, &["plot", "empty"]), &["empty", "memtorch sweep"]);
}

#[test]
fn a_search_finds_what_trying_all_finds_and_says_what_it_spent() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // Nothing is random here, so that all blocks have one hardware and their mean is that of a run.
    std::fs::write(folder.join("e.toml"), experiment("[device]\nmodel = \"vteam\"\n[tune]\nsamples = 0\n"))
        .unwrap();
    let values = "{ from = 2, to = 9, step = 1 }";
    let search = |more: &[&str]| {
        let base = ["search", "e.toml", "--key", "adc.bits", "--json"];
        let values: &[&str] = if more.contains(&"--values") { &[] } else { &["--values", values] };
        let limit: &[&str] = if more.contains(&"--limit") { &[] } else { &["--limit", "1000"] };
        memtorch_in(folder, &[&base[..], values, limit, more].concat())
    };
    let ran = search(&["--drop", "0.02", "--out", "found.json"]).done();
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let loss = |bits: u64| {
        let set = format!("adc.bits={bits}");
        let run = ["run", "e.toml", "--limit", "1000", "--json", "--set", &set];
        let ran = memtorch_in(folder, &run).done();
        let results: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        let right = |path: &str| results[path]["correct"].as_f64().unwrap();
        (right("digital") - right("memristive")) / 1000.0
    };
    let tried = found["tried"].as_array().unwrap();
    assert!((3..=4).contains(&tried.len()), "{found}");
    for entry in tried {
        let bits = entry["value"].as_u64().unwrap();
        let number = |key: &str| entry[key].as_f64().unwrap();
        if entry["blocks"] == 20 {
            assert!((number("loss") - loss(bits)).abs() < 1e-12, "{entry}");
        }
        let (low, high) = (number("confidence_low"), number("confidence_high"));
        let verdict = if high <= 0.02 {
            "within"
        } else if low > 0.02 {
            "beyond"
        } else {
            "undecided"
        };
        assert_eq!(entry["verdict"], verdict);
    }
    // Trying all agrees: what was found loses less than the bound, and so does each value after it.
    let bits = found["value"].as_u64().unwrap();
    assert!((bits..=9).all(|bits| loss(bits) <= 0.02), "{found}");
    assert!(loss(2) > 0.02, "the search had nothing to find");
    let spent: u64 = tried.iter().map(|entry| entry["samples"].as_u64().unwrap()).sum();
    assert_eq!(found["spent"]["samples"], spent);
    assert!(spent < 8 * 1000, "{spent}");
    // The same with one thread, but for the time; none where there is none.
    search(&["--drop", "0.02", "--out", "one.json", "--threads", "1"]).done();
    assert_eq!(read(folder, "found.json"), read(folder, "one.json"));
    says(&search(&["--drop", "0.02", "--values", "[2, 3]"]), &["--values", "safer"]);
    says(&search(&["--drop", "2"]), &["--drop", "between 0 and 1"]);
    says(&search(&["--drop", "0.1", "--limit", "4"]), &["--blocks", "at most 4"]);
}

#[test]
fn every_experiment_of_figure_1_can_be_computed() {
    let folder = tempfile::tempdir().unwrap();
    for (number, panels) in PANELS.iter().enumerate() {
        let (point, path) = (format!("{}", 99 - 31 * number), format!("examples/figure1/{panels}.toml"));
        let out = folder.path().join(&point).display().to_string();
        common::memtorch(&["sweep", &path, "--limit", "2", "--point", &point, "--out", &out]).done();
    }
}

const PANELS: [&str; 4] = ["device-to-device", "states", "stuck-on", "stuck-off"];

/// The experiments on CIFAR-10, with a network and images of one's own: as many points as those on Fashion-MNIST.
#[test]
fn every_experiment_on_cifar_10_can_be_computed() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    // A label, then 3 x 32 x 32 bytes.
    let records = (0..6u32).flat_map(|n| {
        let pixels = (0..3072u32).map(move |i| (i.wrapping_mul(2_654_435_761).rotate_left(n) >> 24) as u8);
        std::iter::once((n % 10) as u8).chain(pixels)
    });
    std::fs::write(folder.join("test_batch.bin"), records.collect::<Vec<u8>>()).unwrap();
    let images = format!("data.images={}", folder.join("test_batch.bin").display());
    let network = format!("model.onnx={}", common::file("tests/networks/cifar10.onnx"));
    let own = ["--set", &network, "--set", &images];
    for (number, panels) in PANELS.iter().enumerate() {
        let (point, path) = (format!("{}", 99 - 31 * number), format!("examples/cifar10/{panels}.toml"));
        let out = folder.join(panels).display().to_string();
        let start = ["sweep", &path, "--point", &point, "--out", &out, "--json"];
        let ran = common::memtorch(&[&start[..], &own].concat()).done();
        let results: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((&results["samples"], results["layers"].as_array().unwrap().len()), (&6.into(), 3));
        assert!(
            results["layers"].as_array().unwrap().iter().all(|layer| layer["patched"] == true),
            "{results}"
        );
        // The same points as those of the figure, but for the network and its images.
        let [here, there] = ["cifar10", "figure1"].map(|of| {
            let text =
                std::fs::read_to_string(common::file(&format!("examples/{of}/{panels}.toml"))).unwrap();
            text[text.find("[device]").unwrap()..].to_owned()
        });
        assert_eq!(here, there, "{panels}");
    }
    let ran =
        common::memtorch(&[&["run", "examples/cifar10/vgg16.toml", "--json"][..], &own].concat()).done();
    assert!(ran.stdout.contains("\"samples\": 6"), "{}", ran.stdout);
    // Without them it is said what is missing.
    says(&common::memtorch(&["run", "examples/cifar10/vgg16.toml"]), &["vgg16.onnx"]);
}

/// What a reader of Parquet finds is what the CSV says, cell by cell, and the experiment.
#[cfg(feature = "parquet")]
#[test]
fn the_parquet_file_has_the_cells_of_the_csv() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    small(folder);
    // A key that only some points have, and one whose values are text.
    let swept = "sweep.\"nonideality.0\"=[{ kind = \"stuck\", hrs = 0.1 }, { kind = \"states\", count = 4 }]";
    let file = read(folder, "e.toml").replace("\"nonideality.0.hrs\" = [0.0, 0.2]\n", "");
    std::fs::write(folder.join("e.toml"), file).unwrap();
    sweep(folder, &["--out", "s", "--set", swept]).done();
    let runs = read(folder, "s/runs.csv");
    let mut lines = runs.lines().map(cells);
    let names = lines.next().unwrap();
    let reader =
        SerializedFileReader::new(std::fs::File::open(folder.join("s/runs.parquet")).unwrap()).unwrap();
    let mut empty = 0;
    let mut rows = 0;
    for (line, row) in lines.zip(reader.get_row_iter(None).unwrap()) {
        let found: Vec<(String, String)> = row
            .unwrap()
            .get_column_iter()
            .map(|(name, field)| {
                let text = match field {
                    Field::Null => String::new(),
                    Field::Bool(x) => x.to_string(),
                    Field::Long(x) => x.to_string(),
                    Field::Double(x) => format!("{x:?}"),
                    Field::Str(text) => text.clone(),
                    other => panic!("{name}: {other:?}"),
                };
                (name.clone(), text)
            })
            .collect();
        let plain = |cell: &&str| cell.trim_matches('"').replace("\"\"", "\"");
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
        assert_eq!(
            found.iter().map(|(_, text)| text.clone()).collect::<Vec<_>>(),
            line.iter().map(plain).collect::<Vec<_>>()
        );
        empty += found.iter().filter(|(_, text)| text.is_empty()).count();
        rows += 1;
    }
    assert_eq!((rows, empty > 0), (12, true));
    let about = reader.metadata().file_metadata().key_value_metadata().unwrap();
    let experiment = about.iter().find(|entry| entry.key == "memtorch.experiment").unwrap();
    assert_eq!(experiment.value.as_deref(), Some(read(folder, "s/experiment.toml").as_str()));
}
