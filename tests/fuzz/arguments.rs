//! Command lines, and the files of commands: in a process of their own, so that what they print can be looked at.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use memtorch::Registry;
use memtorch::cli::main_from;
use memtorch::utils::npy::{NpyArray, NpyData};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;

use crate::allocator::memory;
use crate::bytes::{self, Edit};
use crate::common::file;
use crate::harness::{numbers, runner};
use crate::text::{self, TextEdit};

/// Memory that a small command may take.
const MOST_MEMORY: usize = 256 << 20;
/// What no small command takes.
const LONGEST: Duration = Duration::from_secs(60);
/// Says in which folder the process works, and that it is the one that does.
const FOLDER: &str = "MEMTORCH_FUZZ_COMMANDS";
const MARK: &str = "@@";

/// Good command lines; those of the first are the quickest.
const COMMANDS: &[&str] = &[
    "device list --json",
    "inspect m.onnx --tile 16x16 --scheme single-column --json",
    "init m.onnx --out i.toml --force --device stanford-pku",
    "device trace vteam --voltage v.npy --dt 1e-3 --out i.npy --json",
    "device trace data-driven --voltage v.npy --set r_on=1280.0 --set r_off=17000.0 --csv t.csv",
    "device trace vteam --voltage v.npy --set r_on={normal={mean=50,std=5}} --devices 3 --states 5 --seed 2",
    "device trace vteam --hysteresis --amplitude 0.5 --frequency 100 --cycles 0.01 --dt 1e-6 --plot p.svg",
    "crossbar solve --conductance g.npy --word-line v.npy --source-resistance 10 --line-resistance 1 --out o.npy --method lu",
    "crossbar solve --conductance g.npy --word-line v.npy --source-resistance 10 --line-resistance 1 --nonlinear 2 --out o.npy --json",
    "crossbar effective --conductance g.npy --source-resistance 10 --line-resistance 1 --out o.npy --bit-line-out h.npy",
    "crossbar netlist --conductance g.npy --word-line v.npy --source-resistance 10 --line-resistance 1 --out d.cir",
    "crossbar map --conductance g.npy --source-resistance 10 --line-resistance 1 --plot p.svg",
    "program --target t.npy --device vteam --max-pulses 20 --tolerance 0.05 --out o.npy --report r.json",
    "program --target t.npy --device linear-ion-drift --cell 0t1r --bias third --max-pulses 10 --passes 2 --json",
    "infer m.onnx --input x.npy --out y.npy --threads 2",
    "infer m.onnx --experiment e.toml --input input=x.npy --out y.npy --set adc.bits=6 --seed 4",
    "infer --load n.npz --input x.npy --out y.npy",
    "run e.toml --limit 2 --out out --json --set tune.samples=0",
    "sweep e.toml --limit 1 --out s --resume",
    "merge s --out s2 --json",
    "plot s",
    "search e.toml --key adc.bits --values [4,6] --drop 0.5 --blocks 5",
    "device fit vteam --data iv.csv --fit r_on --set time_step=1e-4",
];

/// Files that commands read.
const FILES: &[&str] =
    &["g.npy", "v.npy", "t.npy", "x.npy", "iv.csv", "e.toml", "n.npz", "s/log.jsonl", "s/sweep.json"];

const WORDS: &[&str] = &[
    "--json",
    "--seed",
    "--threads",
    "--backend",
    "cuda",
    "cpu",
    "--set",
    "--out",
    "--input",
    "--limit",
    "--help",
    "-h",
    "--version",
    "--dt",
    "--tolerance",
    "--read-noise",
    "--voltage-error",
    "--read-voltage",
    "--pulse-width",
    "--set-voltage",
    "--nonlinear",
    "--line-resistance",
    "--source-resistance",
    "--bit-line-resistance",
    "--amplitude",
    "--frequency",
    "--cycles",
    "--devices",
    "--states",
    "--drop",
    "--confidence",
    "--blocks",
    "--values",
    "--key",
    "--shard",
    "1/2",
    "0/0",
    "--point",
    "--repeat",
    "--scheme",
    "--tile",
    "--load",
    "--experiment",
    "m.onnx",
    "e.toml",
    "g.npy",
    "x.npy",
    "iv.csv",
    "n.npz",
    "s",
    ".",
    "..",
    "/",
    "/dev/null",
    "no/such",
    "--tolerance-siemens",
    "--longest-pulse",
    "--voltage-limit",
    "--voltage-step",
    "64x64",
    "layer",
    "--",
    "-",
    "--at-once",
    "--explain",
];

#[derive(Clone, Debug)]
enum Change {
    Line(Vec<TextEdit>),
    /// A number in place of one, or of any other word.
    Number(u32, &'static str),
    Bytes(u32, Vec<Edit>),
    Text(u32, Vec<TextEdit>),
}

fn strategy() -> impl Strategy<Value = (usize, Change)> {
    let numbers = &[
        "nan",
        "inf",
        "-inf",
        "-1",
        "0",
        "-0.0",
        "1e-300",
        "1e300",
        "1e400",
        "1e-9",
        "0.999",
        "3",
        "7",
        "4294967296",
        "18446744073709551616",
        "",
    ][..];
    let change = prop_oneof![
        3 => text::edits(WORDS).prop_map(Change::Line),
        3 => (any::<u32>(), select(numbers)).prop_map(|(at, number)| Change::Number(at, number)),
        2 => (any::<u32>(), bytes::edits()).prop_map(|(at, edits)| Change::Bytes(at, edits)),
        1 => (any::<u32>(), text::edits(WORDS)).prop_map(|(at, edits)| Change::Text(at, edits)),
    ];
    let quick = 0..14usize;
    let which = prop_oneof![12 => quick.clone(), 1 => quick.end..COMMANDS.len()];
    (which, change)
}

/// Puts good files into a folder.
fn fill(folder: &Path) {
    let array = |name: &str, shape: &[usize], values: Vec<f64>| {
        NpyArray::from_f64(shape, values).write(folder.join(name)).unwrap();
    };
    array("g.npy", &[3, 4], (0..12).map(|i| 1e-5 * f64::from(i)).collect());
    array("v.npy", &[3], vec![0.2, -0.1, 0.3]);
    array("t.npy", &[2, 2], vec![2e-3, 5e-3, 1e-2, 1.5e-2]);
    array("x.npy", &[2, 4, 50], (0..400).map(|i| f64::from(i % 7) / 7.0).collect());
    let labels = NpyArray { shape: vec![2], data: NpyData::I64(vec![0, 1]) };
    labels.write(folder.join("y.npy")).unwrap();
    std::fs::write(
        folder.join("iv.csv"),
        "time,voltage,current\n0,0,0\n1e-4,0.1,1e-3\n2e-4,0.2,2e-3\n3e-4,0.1,1e-3\n",
    )
    .unwrap();
    std::fs::copy(file("memtorch-nn/tests/onnx-cases/conv1d.ts.onnx"), folder.join("m.onnx")).unwrap();
    let text = "[model]\nonnx = \"m.onnx\"\n[data]\nkind = \"npy\"\nimages = \"x.npy\"\nlabels = \"y.npy\"\n\
        [device]\nmodel = \"vteam\"\n[adc]\nbits = 8\n[[nonideality]]\nkind = \"stuck\"\nhrs = 0.1\n\
        [sweep]\n\"adc.bits\" = [4, 6]\n";
    std::fs::write(folder.join("e.toml"), text).unwrap();
}

/// The process that obeys, if this is it: each command's code and memory stand on a line of its stderr.
#[test]
fn commands_child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let registry = Registry::with_defaults();
    fill(folder);
    let obey = |words: &[String]| {
        let words = std::iter::once("memtorch".to_owned()).chain(words.iter().cloned());
        let clock = Instant::now();
        let work = || std::panic::catch_unwind(|| main_from(words.map(Into::into), &registry));
        let (code, memory) = memory(work);
        let code = match code {
            Ok(code) if code == ExitCode::SUCCESS => 0,
            Ok(code) if code == ExitCode::FAILURE => 1,
            Ok(code) if code == ExitCode::from(2) => 2,
            Ok(_) => 3,
            Err(_) => 101,
        };
        (code, memory, clock.elapsed().as_millis())
    };
    for command in ["run e.toml --save n.npz --limit 2", "sweep e.toml --limit 1 --out s"] {
        let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
        assert_eq!(obey(&words).0, 0, "{command}");
    }
    let files: Vec<Vec<u8>> = FILES.iter().map(|name| std::fs::read(folder.join(name)).unwrap()).collect();
    for number in numbers() {
        let tree = strategy().new_tree(&mut runner("arguments", number)).unwrap();
        let (which, change) = tree.current();
        let mut words: Vec<String> = COMMANDS[which].split(' ').map(str::to_owned).collect();
        let mut changed = None;
        match change {
            Change::Line(edits) => text::apply(&edits, &mut words),
            Change::Number(at, number) => {
                let numeric: Vec<usize> =
                    (1..words.len()).filter(|i| words[*i].parse::<f64>().is_ok()).collect();
                let place = numeric.get(at as usize % numeric.len().max(1)).copied();
                let place = place.unwrap_or(at as usize % words.len());
                words[place] = number.to_owned();
            }
            Change::Bytes(at, edits) => {
                let at = at as usize % FILES.len();
                let mut bytes = files[at].clone();
                edits.iter().for_each(|edit| edit.apply(&mut bytes));
                changed = Some((at, bytes));
            }
            Change::Text(at, edits) => {
                let at = 4 + at as usize % 2;
                let mut parts = text::split(&String::from_utf8_lossy(&files[at]));
                text::apply(&edits, &mut parts);
                changed = Some((at, parts.concat().into_bytes()));
            }
        }
        // A changed file is for a command that reads it.
        if let Some((at, bytes)) = &changed {
            let readers: Vec<&&str> = COMMANDS.iter().filter(|line| line.contains(FILES[*at])).collect();
            if let Some(line) = readers.get(number as usize % readers.len().max(1)) {
                words = line.split(' ').map(str::to_owned).collect();
            }
            std::fs::write(folder.join(FILES[*at]), bytes).unwrap();
        }
        eprintln!("{MARK} {number} {words:?}");
        let (code, memory, time) = obey(&words);
        eprintln!("{MARK} {code} {memory} {time}");
        if let Some((at, _)) = changed {
            std::fs::write(folder.join(FILES[at]), &files[at]).unwrap();
        }
        // What a changed line wrote over is as it was.
        if number % 16 == 0 {
            fill(folder);
        }
    }
    eprintln!("{MARK} done");
    std::io::stderr().flush().unwrap();
}

/// What a command printed to stderr fits its code.
fn check(code: &str, lines: &[String]) -> Result<(), String> {
    let warnings =
        lines.iter().filter(|line| line.starts_with("warning: ") || line.starts_with("note: ")).count();
    let strange = lines.iter().any(|line| line.chars().any(|c| c.is_control() && c != '\t' && c != '\u{1b}'));
    let right = match code {
        "0" => warnings == lines.len(),
        "1" => {
            let last = lines.last().is_some_and(|line| line.starts_with("error: ") && line.len() > 15);
            last && warnings + 1 == lines.len() && !lines.iter().any(|line| line.contains('\u{1b}'))
        }
        "2" => lines.first().is_some_and(|line| line.starts_with("error: ")) || lines.len() > 3,
        _ => false,
    };
    // What the parser of arguments repeats is what the person wrote.
    if right && (!strange || code == "2") { Ok(()) } else { Err(format!("code {code}: {lines:#?}")) }
}

#[test]
fn arguments() {
    if std::env::var(FOLDER).is_ok() {
        return;
    }
    let place = crate::arrays::folder();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "arguments::commands_child", "--nocapture", "--test-threads=1"])
        .env(FOLDER, place.path())
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (send, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let reader = std::thread::spawn(move || {
        for line in stderr.split(b'\n').map_while(Result::ok) {
            if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let mut counts = [0usize; 3];
    let (mut command, mut printed) = (None::<String>, Vec::new());
    let mut done = false;
    loop {
        let line = match lines.recv_timeout(LONGEST) {
            Ok(line) => line,
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("no end after {LONGEST:?}: {command:?}");
            }
        };
        let Some(mark) = line.strip_prefix(MARK) else {
            printed.push(line);
            continue;
        };
        let words: Vec<&str> = mark.split_whitespace().collect();
        match (&command, words.as_slice()) {
            (_, ["done"]) => done = true,
            (Some(asked), [code, memory, time]) => {
                if let Err(what) = check(code, &printed) {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    panic!(
                        "input {asked}\n{what}\nagain: MEMTORCH_FUZZ_FROM=<input> MEMTORCH_FUZZ=1 \
                         cargo test --test fuzz arguments"
                    );
                }
                let memory: usize = memory.parse().unwrap();
                assert!(memory < MOST_MEMORY, "{asked}: {memory} bytes of memory");
                let time: u64 = time.parse().unwrap();
                if time > 2000 {
                    println!("slow: {time} ms: {asked}");
                }
                counts[code.parse::<usize>().unwrap()] += 1;
                command = None;
            }
            _ => command = Some(mark.to_owned()),
        }
        printed.clear();
    }
    reader.join().unwrap();
    let status = child.wait().unwrap();
    assert!(done && status.success(), "{status}: {command:?}\n{printed:#?}");
    let [good, failed, usage] = counts;
    println!("arguments: {good} done, {failed} failed, {usage} wrong usage");
    let all = good + failed + usage;
    assert!(all < 1000 || (good > all / 10 && failed > all / 10 && usage > all / 20), "{counts:?}");
}
