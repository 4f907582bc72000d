//! One table of all benchmarks that were run: `cargo run --example bench_table`.
//!
//! It reads what criterion left in `target/criterion` and prints Markdown: the median time, the rate, for
//! arithmetic its share of the machine's peak, and the time beside that of a baseline. Machines differ, so times
//! are compared in units of the peak that was measured in the same run: 1.10 means that a case takes 10 % more of
//! what the machine could do meanwhile.
//!
//! `--save FILE` writes a baseline, `--baseline FILE` (default `benches/baseline.csv`, if it is there) compares
//! with one, `--criterion FOLDER` reads another folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// The case that every benchmark measures first.
const PEAK: &str = "machine/peak";

/// A case that was run.
struct Case {
    /// Median time of one run, seconds.
    seconds: f64,
    /// What one run does, if the case says that.
    amount: Option<f64>,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut folder = PathBuf::from(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()));
    folder.push("criterion");
    let (mut save, mut baseline) = (None, Some(PathBuf::from("benches/baseline.csv")).filter(|p| p.exists()));
    let mut arguments = std::env::args().skip(1);
    while let Some(option) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{option}: expected a path after it"))?.into();
        match option.as_str() {
            "--criterion" => folder = value,
            "--save" => save = Some(value),
            "--baseline" => baseline = Some(value),
            _ => return Err(format!("{option}: expected --criterion, --save or --baseline").into()),
        }
    }
    let cases = read(&folder)?;
    if cases.is_empty() {
        return Err(format!("{}: no benchmark was run; try `cargo bench`", folder.display()).into());
    }
    let peak = cases.get(PEAK).and_then(|case| Some(case.amount? / case.seconds));
    if let Some(path) = save {
        let mut lines = String::from("case,seconds,peak_flops\n");
        let peak =
            peak.ok_or_else(|| format!("the case {PEAK} is missing: expected it in every benchmark"))?;
        for (name, case) in &cases {
            // Names hold commas.
            lines += &format!("\"{name}\",{:e},{peak:e}\n", case.seconds);
        }
        fs::write(&path, lines).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let baseline = baseline.map(|path| read_baseline(&path)).transpose()?.unwrap_or_default();
    print(&cases, peak, &baseline);
    Ok(())
}

/// Cases by name, as criterion left them.
fn read(folder: &Path) -> Result<BTreeMap<String, Case>, Failure> {
    let mut cases = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        if folder.ends_with("new") && folder.join("benchmark.json").exists() {
            let json = |name: &str| -> Result<Value, Failure> {
                let path = folder.join(name);
                let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
                Ok(serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?)
            };
            let (description, estimates) = (json("benchmark.json")?, json("estimates.json")?);
            let name = description["full_id"].as_str().ok_or("benchmark.json without full_id")?.to_owned();
            let median = &estimates["median"]["point_estimate"];
            let nanoseconds = median.as_f64().ok_or("estimates.json without a median")?;
            let amount = description["throughput"].as_object().and_then(|o| o.values().next()?.as_f64());
            cases.insert(name, Case { seconds: nanoseconds * 1e-9, amount });
        } else {
            folders.extend(inside.into_iter().filter(|path| path.is_dir()));
        }
    }
    Ok(cases)
}

/// Seconds times peak of each case.
fn read_baseline(path: &Path) -> Result<BTreeMap<String, f64>, Failure> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let line = |(number, line): (usize, &str)| -> Result<(String, f64), Failure> {
        let wrong = || format!("{}: line {}: expected \"case\",seconds,peak", path.display(), number + 1);
        let (name, numbers) = line.strip_prefix('"').and_then(|l| l.split_once("\",")).ok_or_else(wrong)?;
        let (seconds, peak) = numbers.split_once(',').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<f64>().map_err(|_| wrong());
        Ok((name.to_owned(), number(seconds)? * number(peak)?))
    };
    text.lines().enumerate().skip(1).map(line).collect()
}

fn print(cases: &BTreeMap<String, Case>, peak: Option<f64>, baseline: &BTreeMap<String, f64>) {
    match peak {
        Some(peak) => println!("Peak of one thread: {:.1} GFLOP/s.\n", peak * 1e-9),
        None => println!("The machine's peak was not measured.\n"),
    }
    println!("| case | time | rate | share of peak | against the baseline |");
    println!("|---|---|---|---|---|");
    for (name, case) in cases {
        let unit = match name.split('/').next() {
            Some("linear" | "untiled" | "convolution" | "machine") => "FLOP",
            Some("devices") => "steps",
            Some(group) if group.ends_with("thread") => "images",
            _ => "elements",
        };
        let speed = case.amount.map(|amount| amount / case.seconds);
        let rate = speed.map_or(String::new(), |speed| format!("{} {unit}/s", prefixed(speed)));
        let threads = if name.ends_with("two_threads") { 2.0 } else { 1.0 };
        let share = match (speed, peak) {
            (Some(speed), Some(peak)) if unit == "FLOP" => format!("{:.0} %", speed / peak / threads * 100.0),
            _ => String::new(),
        };
        let against = match (baseline.get(name), peak) {
            (Some(before), Some(peak)) => format!("{:.2}", case.seconds * peak / before),
            _ => String::new(),
        };
        println!("| {name} | {}s | {rate} | {share} | {against} |", prefixed(case.seconds));
    }
}

/// Three digits and a prefix.
fn prefixed(x: f64) -> String {
    let (scale, prefix) = match x {
        x if x >= 1e9 => (1e-9, "G"),
        x if x >= 1e6 => (1e-6, "M"),
        x if x >= 1e3 => (1e-3, "k"),
        x if x >= 1.0 => (1.0, ""),
        x if x >= 1e-3 => (1e3, "m"),
        x if x >= 1e-6 => (1e6, "µ"),
        _ => (1e9, "n"),
    };
    let x = x * scale;
    let digits = if x >= 100.0 {
        0
    } else if x >= 10.0 {
        1
    } else {
        2
    };
    format!("{x:.digits$} {prefix}")
}
