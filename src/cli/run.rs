//! `memtorch run`

use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use memtorch_crossbar::ArrayBackend;
use memtorch_utils::config::{Table, Value};
use memtorch_utils::files::{FileError, check_writable, write_together};

use super::arguments::{Compute, Run};
use super::{context, print, saved};
use crate::evaluation::{Seconds, Workload};
use crate::experiment::{Document, Experiment};
use crate::report::{RunReport, causes_csv, confusion_csv, layers_csv, results_json, table};
use crate::sweep::Sweep;
use crate::{Error, Registry};

const RESULTS: &str = "results.json";
const CAUSES: &str = "causes.csv";

pub(crate) fn execute(arguments: &Run, registry: &Registry) -> Result<(), Error> {
    let (mut document, assumed) = document(arguments)?;
    if arguments.explain {
        document.table.insert("explain", Value::Bool(true));
    }
    let swept = Sweep::find(&document)?.is_some();
    let mut experiment = Experiment::resolve(document, registry)?;
    if let Some(limit) = arguments.limit {
        experiment.set_limit(limit);
    }
    if swept {
        let note = "note: one run without the [sweep] of the experiment, which `memtorch sweep` computes";
        let _ = writeln!(std::io::stderr(), "{note}");
    }
    let output = Output {
        input: &arguments.input,
        folder: arguments.out.as_deref(),
        save: arguments.save.as_deref(),
        json: arguments.json,
        head: assumed.map(|what| format!("{what}\n\n")).unwrap_or_default(),
    };
    single(&experiment, &arguments.compute, registry, &output)
}

/// What becomes of the results of a run.
pub(crate) struct Output<'a> {
    pub(crate) input: &'a Path,
    pub(crate) folder: Option<&'a Path>,
    /// A file for the programmed network.
    pub(crate) save: Option<&'a Path>,
    pub(crate) json: bool,
    /// What stands above the table.
    pub(crate) head: String,
}

/// Computes one experiment and writes what it gave.
pub(crate) fn single(
    experiment: &Experiment,
    options: &Compute,
    registry: &Registry,
    output: &Output<'_>,
) -> Result<(), Error> {
    let backend = context::backend(&options.backend, registry)?;
    let _held = output.folder.map(prepare).transpose()?;
    if let Some(file) = output.save {
        check_writable(file)?;
    }
    let started = Instant::now();
    let (report, times) = context::with_threads(options.threads, || {
        compute(experiment, registry, backend.clone(), output.save)
    })?;
    if let Some(folder) = output.folder {
        let run = record(folder, output.input, options, experiment, &times, started)?;
        write_files(folder, experiment, registry, &report, &run)?;
    }
    if output.json {
        return print(&results_json(&report));
    }
    print(&format!("{}{}", output.head, table(&report)))
}

/// The experiment, and what was assumed where only a network was given.
fn document(arguments: &Run) -> Result<(Document, Option<String>), Error> {
    let is_network = arguments.input.extension().is_some_and(|extension| extension == "onnx");
    if !is_network {
        for (option, value) in [("--images", &arguments.images), ("--labels", &arguments.labels)] {
            if let Some(path) = value {
                let expected = "no such option with an experiment file: set data.images and data.labels";
                return Err(Error::argument(option, path.display(), expected));
            }
        }
        let mut document = Document::read(&arguments.input)?;
        context::apply(&mut document, &arguments.compute)?;
        return Ok((document, None));
    }
    let mut document = Document::empty();
    let text = |path: &Path| Value::Text(path.display().to_string());
    let model = Table::from_iter([("onnx", text(&arguments.input))]);
    document.table.insert("model", Value::Table(model));
    let mut data = Table::new();
    if let Some(images) = &arguments.images {
        let name = images.to_string_lossy();
        let kinds =
            [(".npy", "npy"), (".npz", "npz"), (".csv", "csv"), (".bin", "cifar10"), (".tar.gz", "cifar10")];
        let kind = kinds.iter().find(|(end, _)| name.ends_with(end)).map_or("idx", |(_, kind)| kind);
        data.insert("kind", Value::Text(kind.to_owned()));
        data.insert("images", text(images));
    }
    if let Some(labels) = &arguments.labels {
        data.insert("labels", text(labels));
    }
    if !data.is_empty() {
        document.table.insert("data", Value::Table(data));
    }
    context::apply(&mut document, &arguments.compute)?;
    if document.table.get("data").is_none() {
        let expected = "--images and --labels too, or an experiment file";
        return Err(Error::argument("run", arguments.input.display(), expected));
    }
    let mut assumed = None;
    let device = document.table.get("device").and_then(Value::as_table).cloned().unwrap_or_default();
    if device.get("model").is_none() {
        document.set("device.model=vteam")?;
        assumed = Some("No device model was given: VTEAM (set device.model and its parameters).".to_owned());
    }
    Ok((document, assumed))
}

/// Makes the folder and sees that it can be written to, before anything long is done. While what it gives is there, no
/// other run can have the folder, where the system can promise that.
fn prepare(folder: &Path) -> Result<Option<File>, Error> {
    std::fs::create_dir_all(folder).map_err(|error| FileError::new(folder, error))?;
    check_writable(folder.join(RESULTS))?;
    let Ok(held) = File::open(folder) else { return Ok(None) };
    if let Err(TryLockError::WouldBlock) = held.try_lock() {
        let why = "another process writes its results here now: expected a folder for each run";
        return Err(FileError::new(folder, io::Error::new(ErrorKind::WouldBlock, why)).into());
    }
    Ok(Some(held))
}

/// Seconds that each part took.
struct Times {
    load: f64,
    program: f64,
    digital: f64,
    memristive: f64,
}

fn compute(
    experiment: &Experiment,
    registry: &Registry,
    backend: Arc<dyn ArrayBackend>,
    save: Option<&Path>,
) -> Result<(RunReport, Times), Error> {
    let clock = Instant::now();
    let workload = Workload::open(experiment, backend)?;
    let plans = experiment.plan(workload.layers(), registry)?;
    let load = clock.elapsed().as_secs_f64();
    let progress = context::Progress::new();
    let tell = |what: &str, done, all| progress.at(what, done, all);
    let programmed = workload.program(experiment, &plans)?;
    let clock = Instant::now();
    let digital = workload.digital(&tell)?;
    let digital_time = clock.elapsed().as_secs_f64();
    let (report, seconds) = workload.memristive(&programmed, &digital, &tell)?;
    if let Some(file) = save {
        saved::write(file, programmed.executable(), experiment, registry, &report)?;
    }
    let Seconds { program, memristive, .. } = seconds;
    Ok((report, Times { load, program, digital: digital_time, memristive }))
}

/// `run.json`: what differs between equal runs.
fn record(
    folder: &Path,
    input: &Path,
    options: &Compute,
    experiment: &Experiment,
    times: &Times,
    started: Instant,
) -> Result<serde_json::Value, Error> {
    let threads = options.threads.map_or_else(rayon::current_num_threads, usize::from);
    let data = |key| {
        let path = experiment.data.as_ref()?.get(key)?.as_text()?;
        Some(absolute(&experiment.folder.join(path)))
    };
    Ok(serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "input": absolute(input),
        "model": absolute(&experiment.network()?.0),
        "images": data("images"),
        "labels": data("labels"),
        "out": absolute(folder),
        "backend": options.backend,
        "threads": threads,
        "seconds": {
            "load": times.load,
            "program": times.program,
            "digital": times.digital,
            "memristive": times.memristive,
            "all": started.elapsed().as_secs_f64(),
        },
    }))
}

fn write_files(
    folder: &Path,
    experiment: &Experiment,
    registry: &Registry,
    report: &RunReport,
    run: &serde_json::Value,
) -> Result<(), Error> {
    let mut files = vec![
        ("experiment.toml", experiment.to_toml(registry)?),
        ("layers.csv", layers_csv(&report.layers)),
        ("confusion.csv", confusion_csv(&report.confusion)),
        ("run.json", format!("{run:#}\n")),
    ];
    if experiment.explain {
        files.push((CAUSES, causes_csv(&report.layers)));
    }
    // Last: where it is, all is there.
    files.push((RESULTS, results_json(report)));
    // Causes of an earlier run would be taken for this one's.
    let gone: &[&str] = if experiment.explain { &[] } else { &[CAUSES] };
    Ok(write_together(folder, &files, gone)?)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
