//! What is left of a sweep after kills, full disks, damage, and a second process.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::common::memtorch_in;
use super::{experiment, read, says, small, sweep};

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
