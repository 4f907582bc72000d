//! Disks that are full or read-only, folders that vanish, kills, two at once, any number of threads.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use memtorch::utils::npy::NpyArray;

use crate::HARDWARE;
use crate::common::{experiment, memtorch_in};

const COMMAND: &str = env!("CARGO_BIN_EXE_memtorch");

/// What the commands of these tests read.
fn fill(folder: &Path) {
    let hardware = format!("{HARDWARE}[sweep]\n\"adc.read\" = [\"difference\", \"each\"]\n");
    std::fs::write(folder.join("e.toml"), experiment("lenet5", &hardware)).unwrap();
    let slow = experiment("mobilenetv2", "[device]\nmodel = \"vteam\"\n[sweep]\n\"input.bits\" = [6, 8]\n");
    std::fs::write(folder.join("slow.toml"), slow).unwrap();
    let array = |name: &str, shape: &[usize], value: &dyn Fn(usize) -> f64| {
        let values = (0..shape.iter().product()).map(value).collect();
        NpyArray::from_f64(shape, values).write(folder.join(name)).unwrap();
    };
    array("t.npy", &[16, 16], &|i| 1.2e-3 + 1e-5 * i as f64);
    array("v.npy", &[16], &|i| 0.01 * i as f64);
    array("x.npy", &[2, 1, 28, 28], &|i| (i % 7) as f64 / 7.0);
}

/// Commands, and the files that they write.
const WRITERS: &[(&str, &[&str])] = &[
    ("run e.toml --limit 2 --threads 1 --out out", &["out"]),
    ("run e.toml --limit 2 --threads 1 --save n.npz", &["n.npz"]),
    ("sweep e.toml --limit 2 --threads 1 --out s", &["s"]),
    ("program --target t.npy --device vteam --out p.npy", &["p.npy"]),
    ("program --target t.npy --device vteam --report r.json", &["r.json"]),
    ("program --target t.npy --device vteam --record r.csv", &["r.csv"]),
    ("infer ../m.onnx --input x.npy --out y.npy", &["y.npy"]),
    ("init ../m.onnx --out i.toml", &["i.toml"]),
    (
        "crossbar solve --conductance t.npy --word-line v.npy --source-resistance 9 --line-resistance 1 --out o.npy",
        &["o.npy"],
    ),
    (
        "crossbar effective --conductance t.npy --source-resistance 9 --line-resistance 1 --out o.npy",
        &["o.npy"],
    ),
    (
        "crossbar netlist --conductance t.npy --word-line v.npy --source-resistance 9 --line-resistance 1 --out d.cir",
        &["d.cir"],
    ),
    ("crossbar map --conductance t.npy --source-resistance 9 --line-resistance 1 --plot m.svg", &["m.svg"]),
    ("device trace vteam --voltage v.npy --out o.npy", &["o.npy"]),
    ("device trace vteam --voltage v.npy --csv o.csv", &["o.csv"]),
    ("device trace vteam --voltage v.npy --plot o.png", &["o.png"]),
];

/// All files of a folder and of those below it, with their bytes.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else {
                found.push((path.clone(), std::fs::read(path).unwrap()))
            }
        }
    }
    found.sort();
    found
}

#[track_caller]
fn one_line(output: &Output, words: &[&str]) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    let errors = error.lines().filter(|line| line.starts_with("error: ")).count();
    let others =
        error.lines().filter(|line| !line.starts_with("warning: ") && !line.starts_with("note: ")).count();
    assert_eq!((output.status.code(), errors, others), (Some(1), 1, 1), "{words:?}: {error}");
    assert!(words.iter().all(|word| error.contains(word)), "{words:?}: {error}");
}

/// A mount of one's own, where the system lets everybody have one.
fn mounted(folder: &Path, options: &str, script: &str) -> Option<Output> {
    let mount = format!("mount -t tmpfs -o {options} none {folder:?} && cd {folder:?} && {script}");
    let output = Command::new("unshare").args(["-rm", "sh", "-c", &mount]).output();
    match output {
        Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("unshare:") => Some(output),
        Ok(output) => {
            println!("skipped: no mount of one's own ({})", String::from_utf8_lossy(&output.stderr).trim());
            None
        }
        Err(error) => {
            println!("skipped: no `unshare` ({error})");
            None
        }
    }
}

/// A disk with room for what a command reads and nothing else; one with some room; one that cannot be written to.
#[cfg(target_os = "linux")]
#[test]
fn full_and_read_only_disks_are_errors_that_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (given, disk) = (folder.path().join("given"), folder.path().join("disk"));
    std::fs::create_dir(&given).unwrap();
    std::fs::create_dir(&disk).unwrap();
    fill(&given);
    std::fs::copy(crate::file("models/fmnist-lenet5.onnx"), folder.path().join("m.onnx")).unwrap();
    for (command, names) in WRITERS {
        // The rest of the disk is taken before the command comes, or the disk is read-only by then.
        for (what, error) in [
            ("cat /dev/zero > rest 2> ../none", "No space left"),
            ("cat /dev/zero > rest 2> ../none; truncate -s -1024 rest", "No space left"),
            ("mount -o remount,ro .", "Read-only file system"),
        ] {
            let list = "find . -type f ! -name 'log.jsonl' | sort";
            let script = format!(
                "cp {given:?}/* . && {{ {what}; true; }} && {list} > ../before && {COMMAND:?} {command}; code=$?; \
                 {list} > ../after; exit $code"
            );
            let Some(output) = mounted(&disk, "size=256k", &script) else { return };
            one_line(&output, &[names[0], error]);
            let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(read("before"), read("after"), "{command}");
        }
    }
    // Standard output may be full too.
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(COMMAND).args(["device", "list"]).stdout(full).output().unwrap();
    one_line(&output, &["standard output", "No space left"]);
}

/// What was there before a command that fails for want of room is there after it, and fits together.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_becomes_full_leaves_the_results_of_the_run_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder);
    let run = ["run", "e.toml", "--limit", "2", "--out", "out", "--save", "n.npz"];
    memtorch_in(folder, &run).done();
    let before = contents(folder);
    // Blocks of 512 bytes: too few for the network, for the table of layers, for the experiment.
    for blocks in [0, 1, 3, 100] {
        let script = format!(
            "trap '' XFSZ; ulimit -f {blocks}; exec {COMMAND:?} {} --seed 5 --threads 1",
            run.join(" ")
        );
        let output = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
        one_line(&output, &["File too large"]);
        assert_eq!(contents(folder), before, "{blocks}");
    }
}

#[test]
fn places_that_are_none_are_named_before_any_work_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let given = folder.path().join("given");
    std::fs::create_dir(&given).unwrap();
    fill(&given);
    std::fs::write(given.join("plain"), "").unwrap();
    std::fs::copy(crate::file("models/fmnist-lenet5.onnx"), folder.path().join("m.onnx")).unwrap();
    let before = contents(&given);
    for (command, names) in WRITERS {
        for place in ["plain/below", "no/such", "/proc/nothing"] {
            let path = format!("{place}/{}", names[0]);
            let words: Vec<&str> =
                command.split(' ').map(|word| if word == names[0] { path.as_str() } else { word }).collect();
            if place == "no/such" && ["out", "s"].contains(&names[0]) {
                // A folder for results is made with those above it.
                continue;
            }
            let output = Command::new(COMMAND).args(&words).current_dir(&given).output().unwrap();
            one_line(&output, &[place]);
            assert_eq!(contents(&given), before, "{words:?}");
        }
    }
}

fn start(folder: &Path, words: &[&str]) -> Child {
    Command::new(COMMAND)
        .args(words)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until something holds or the process ends.
fn wait_for(child: &mut Child, done: impl Fn() -> bool) {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() && !done() {
        assert!(started.elapsed() < Duration::from_secs(120), "what was waited for never came");
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Hundredths of a second that a process has computed.
fn computed(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let rest = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    rest.skip(11).take(2).filter_map(|number| number.parse::<u64>().ok()).sum()
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_vanishes_during_a_run_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder);
    for command in ["run slow.toml --out gone --threads 1", "sweep slow.toml --out gone --threads 1"] {
        let words: Vec<&str> = command.split(' ').collect();
        let gone = folder.join("gone");
        let mut child = start(folder, &words);
        let process = child.id();
        wait_for(&mut child, || gone.exists() && computed(process) > 3);
        assert!(child.try_wait().unwrap().is_none(), "{command} ended before its folder was gone");
        std::fs::remove_dir_all(&gone).unwrap();
        let output = child.wait_with_output().unwrap();
        one_line(&output, &["gone/", "No such file"]);
        assert!(!gone.exists());
    }
}

/// At any moment of its work and of its writing: each file is that of the run before or the new one, and together
/// they are of one run.
#[cfg(target_os = "linux")]
#[test]
fn a_kill_leaves_what_was_there_or_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder);
    let program =
        "program --target t.npy --device vteam --out p.npy --report r.json --record r.csv --threads 1";
    for (command, files) in [
        (
            "run e.toml --limit 30 --out out --save n.npz --threads 1",
            &["n.npz", "out/results.json", "out/layers.csv"][..],
        ),
        (program, &["p.npy", "r.json", "r.csv"]),
    ] {
        let words =
            |seed: &'static str| -> Vec<&str> { command.split(' ').chain(["--seed", seed]).collect() };
        let read = || -> Vec<Option<Vec<u8>>> {
            files.iter().map(|name| std::fs::read(folder.join(name)).ok()).collect()
        };
        // What a run of each seed gives, and how long one takes.
        let [old, new] = ["1", "2"].map(|seed| {
            memtorch_in(folder, &words(seed)).done();
            read()
        });
        assert!(old.iter().zip(&new).any(|(a, b)| a != b));
        memtorch_in(folder, &words("1")).done();
        let mut child = start(folder, &words("1"));
        let (process, all) = (child.id(), Cell::new(0));
        wait_for(&mut child, || {
            all.set(all.get().max(computed(process)));
            false
        });
        let all = all.get();
        let mut killed = 0;
        for attempt in 1..=16u32 {
            let share = (f64::from(attempt) * 0.618_033_988_75).fract();
            let mut child = start(folder, &words("2"));
            let process = child.id();
            if attempt % 2 == 0 {
                // In the midst of the work.
                wait_for(&mut child, || computed(process) as f64 >= share * all as f64);
            } else {
                // While the files are written: the first of them has its beginning.
                let writes = || {
                    let hidden = |path: &Path| {
                        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
                    };
                    let entries = std::fs::read_dir(folder).unwrap().flatten();
                    let of_process = format!(".{process}-");
                    entries.map(|entry| entry.path()).any(|path| {
                        let large = path.metadata().is_ok_and(|file| file.len() as f64 > 1e4 * share);
                        hidden(&path) && path.to_string_lossy().contains(&of_process) && large
                    })
                };
                wait_for(&mut child, writes);
            }
            let _ = child.kill();
            killed += u32::from(!child.wait().unwrap().success());
            let found = read();
            for ((found, old), (new, name)) in found.iter().zip(&old).zip(new.iter().zip(files)) {
                // Results are the last to come: they are not there while others are new.
                let last = *name == "out/results.json" && found.is_none();
                assert!(
                    last || found == old || found == new,
                    "attempt {attempt}: {name} is neither old nor new"
                );
            }
            if let (Some(results), true) = (&found[1], files[1] == "out/results.json") {
                let of = if *results == *old[1].as_ref().unwrap() { &old } else { &new };
                assert_eq!(found[2], of[2], "attempt {attempt}: the files of two runs");
            }
            memtorch_in(folder, &words("1")).done();
            assert_eq!(read(), old, "attempt {attempt}");
        }
        assert!(killed >= 8, "{command}: only {killed} of 16 were killed before their end");
    }
}

#[test]
fn of_two_runs_in_one_folder_one_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder);
    let mut first = start(folder, &["run", "slow.toml", "--out", "out", "--threads", "1"]);
    let process = first.id();
    wait_for(&mut first, || folder.join("out").exists() && computed(process) > 3);
    let second = Command::new(COMMAND)
        .args(["run", "e.toml", "--limit", "2", "--out", "out", "--seed", "3"])
        .current_dir(folder)
        .output()
        .unwrap();
    one_line(&second, &["out", "another process writes its results here now"]);
    assert!(first.wait().unwrap().success());
    assert!(folder.join("out/results.json").exists());
    memtorch_in(folder, &["run", "e.toml", "--limit", "2", "--out", "out", "--seed", "3"]).done();
}

#[test]
fn one_thread_and_sixty_four_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fill(folder);
    for (command, files) in [
        (
            "run e.toml --limit 40 --out out --save n.npz",
            &["n.npz", "out/results.json", "out/layers.csv"][..],
        ),
        ("sweep e.toml --limit 10 --out s --resume", &["s/results.csv", "s/summary.csv"]),
        (
            "program --target t.npy --device vteam --out p.npy --report r.json --record r.csv",
            &["p.npy", "r.json", "r.csv"],
        ),
        (
            "crossbar solve --conductance t.npy --word-line v.npy --source-resistance 9 --line-resistance 1 --out o.npy",
            &["o.npy"],
        ),
        ("infer m.onnx --experiment e.toml --input x.npy --out y.npy", &["y.npy"]),
    ] {
        std::fs::copy(crate::file("models/fmnist-lenet5.onnx"), folder.join("m.onnx")).unwrap();
        let [one, many] = ["1", "64"].map(|threads| {
            let words: Vec<&str> = command.split(' ').chain(["--threads", threads]).collect();
            memtorch_in(folder, &words).done();
            let found: Vec<Vec<u8>> =
                files.iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect();
            let _ = std::fs::remove_dir_all(folder.join("s"));
            found
        });
        assert_eq!(one, many, "{command}");
    }
}
