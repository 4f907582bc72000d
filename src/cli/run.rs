//! `memtorch run`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use memtorch_devices::Stream;
use memtorch_nn::{EvaluateOptions, Evaluation, Executable, evaluate, relative_errors};
use memtorch_utils::config::{Table, Value};
use memtorch_utils::files::{FileError, write_atomic};

use super::arguments::Run;
use super::images::{self, Images};
use super::{context, print};
use crate::experiment::{Document, Experiment};
use crate::report::{RunReport, Score, layer_reports, layers_csv, results_json, table};
use crate::{Error, Registry};

/// Samples over which the error of each layer is measured.
const ERROR_SAMPLES: usize = 32;

pub(crate) fn execute(arguments: &Run, registry: &Registry) -> Result<(), Error> {
    let (document, assumed) = document(arguments)?;
    let experiment = Experiment::resolve(document, registry)?;
    if let Some(folder) = &arguments.out {
        prepare(folder)?;
    }
    let backend = context::backend(&arguments.compute.backend, registry)?;
    let started = Instant::now();
    let (report, times) = context::with_threads(arguments.compute.threads, || {
        compute(&experiment, registry, backend.clone(), arguments.limit)
    })?;
    if let Some(folder) = &arguments.out {
        write_files(folder, arguments, &experiment, registry, &report, &times, started)?;
    }
    if arguments.json {
        return print(&results_json(&report));
    }
    let head = assumed.map(|what| format!("{what}\n\n")).unwrap_or_default();
    print(&format!("{head}{}", table(&report)))
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
        let kind = match images.extension().and_then(|extension| extension.to_str()) {
            Some("npy") => "npy",
            Some("csv") => "csv",
            _ => "idx",
        };
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

/// Makes the folder and sees that it can be written to, before anything long is done.
fn prepare(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| FileError::new(folder, error))?;
    let probe = folder.join("run.json");
    let before = std::fs::read(&probe).ok();
    write_atomic(&probe, |file| file.write_all(before.as_deref().unwrap_or(b"{}\n")))?;
    if before.is_none() {
        std::fs::remove_file(&probe).map_err(|error| FileError::new(&probe, error))?;
    }
    Ok(())
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
    backend: Arc<dyn memtorch_crossbar::ArrayBackend>,
    limit: Option<u64>,
) -> Result<(RunReport, Times), Error> {
    let clock = Instant::now();
    let (path, fold) = experiment.network()?;
    let network = Arc::new(context::import(&path, fold)?);
    let fail = |source| context::network(&path, source);
    let mut images = Images::open(experiment)?;
    let set = &images.set;
    let limit = experiment.limit().map(|n| n as u64).into_iter().chain(limit).min();
    let samples = limit.map_or(set.len(), |n| usize::try_from(n).unwrap_or(usize::MAX).min(set.len()));
    let labels: Vec<usize> = set.labels().iter().map(|label| *label as usize).collect();
    let plans = experiment.plan(network.layers(), registry)?;
    let load = clock.elapsed().as_secs_f64();

    let clock = Instant::now();
    let digital = Executable::digital(network.clone(), backend.clone()).map_err(fail)?;
    let choices = plans.iter().map(|plan| plan.choice()).collect();
    let stream = Stream::root(experiment.seed, 0);
    let inputs = images::layer_inputs(&digital, &mut images, images::calibrating(&plans)).map_err(fail)?;
    let memristive = Executable::with_inputs(network.clone(), choices, stream, backend, &inputs)
        .map_err(|error| experiment.locate(error, &path, network.layers()))?;
    let program = clock.elapsed().as_secs_f64();

    let progress = context::Progress::new();
    let mut run = |executable: &Executable, what: &str| -> Result<(Evaluation, f64), Error> {
        let clock = Instant::now();
        let tell = |done, all| progress.at(what, done, all);
        let options =
            EvaluateOptions { limit: Some(samples), progress: Some(&tell), ..EvaluateOptions::default() };
        let found = evaluate(executable, &mut images, &labels, &options).map_err(fail)?;
        Ok((found, clock.elapsed().as_secs_f64()))
    };
    let (digital_found, digital_time) = run(&digital, "digital")?;
    let (memristive_found, memristive_time) = run(&memristive, "memristive")?;
    let errors =
        relative_errors(&digital, &memristive, &mut images, ERROR_SAMPLES.min(samples)).map_err(fail)?;
    drop(progress);

    let (layers, mut warnings) = layer_reports(&memristive, &memristive_found.reads, &errors);
    let named = |path: &str, found: &Evaluation| -> Vec<String> {
        found.warnings.iter().map(|warning| format!("{path}: {warning}")).collect()
    };
    warnings.extend(named("digital", &digital_found));
    warnings.extend(named("memristive", &memristive_found));
    let score = |found: &Evaluation| Score { correct: found.correct, accuracy: found.accuracy() };
    let report = RunReport {
        version: env!("CARGO_PKG_VERSION"),
        seed: experiment.seed,
        samples,
        digital: score(&digital_found),
        memristive: score(&memristive_found),
        agreement: digital_found.agreement(&memristive_found),
        layers,
        warnings,
    };
    Ok((report, Times { load, program, digital: digital_time, memristive: memristive_time }))
}

fn write_files(
    folder: &Path,
    arguments: &Run,
    experiment: &Experiment,
    registry: &Registry,
    report: &RunReport,
    times: &Times,
    started: Instant,
) -> Result<(), Error> {
    let mut experiment = experiment.clone();
    if let Some(limit) = arguments.limit {
        experiment.set_limit(limit);
    }
    let threads = arguments.compute.threads.map_or_else(rayon::current_num_threads, usize::from);
    let data = |key| {
        let path = experiment.data.as_ref()?.get(key)?.as_text()?;
        Some(absolute(&experiment.folder.join(path)))
    };
    let run = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "input": absolute(&arguments.input),
        "model": absolute(&experiment.network()?.0),
        "images": data("images"),
        "labels": data("labels"),
        "out": absolute(folder),
        "backend": arguments.compute.backend,
        "threads": threads,
        "seconds": {
            "load": times.load,
            "program": times.program,
            "digital": times.digital,
            "memristive": times.memristive,
            "all": started.elapsed().as_secs_f64(),
        },
    });
    let files = [
        ("experiment.toml", experiment.to_toml(registry)?),
        ("layers.csv", layers_csv(&report.layers)),
        ("run.json", format!("{run:#}\n")),
        // Last: where it is, all is there.
        ("results.json", results_json(report)),
    ];
    for (name, text) in files {
        write_atomic(folder.join(name), |file| file.write_all(text.as_bytes()))?;
    }
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
