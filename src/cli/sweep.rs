//! `memtorch sweep` and `memtorch merge`

use std::path::Path;

use memtorch_utils::files::write_together;
#[cfg(feature = "parquet")]
use memtorch_utils::files::{FileError, write_atomic};

use super::arguments::{Merge, Sweep};
use super::run::{Output, single};
use super::{context, plot, print};
use crate::experiment::Document;
use crate::sweep::{self, Log, Manifest, Options, Points, Summary};
use crate::{Error, Registry};

pub(crate) fn execute(arguments: &Sweep, registry: &Registry) -> Result<(), Error> {
    let mut document = Document::read(&arguments.input)?;
    context::apply(&mut document, &arguments.compute)?;
    if let Some(limit) = arguments.limit {
        document.set_limit(limit)?;
    }
    let points = Points::new(&document)?;
    if let Some(point) = arguments.point {
        return one(arguments, point, &points, registry);
    }
    let backend = context::backend(&arguments.compute.backend, registry)?;
    let identity = points.identity(registry)?;
    let manifest = Manifest::new(&identity, points.sweep.points(), points.sweep.repeats);
    let mut log = sweep::begin(&arguments.out, &manifest, arguments.resume, &document.to_toml())?;
    context::with_threads(arguments.compute.threads, || {
        let progress = context::Progress::new();
        let threads = match arguments.compute.backend.as_str() {
            "cpu" => rayon::current_num_threads(),
            // One device does one thing after the other.
            _ => 1,
        };
        let options = Options {
            at_once: arguments.at_once.map_or(threads, usize::from),
            shard: arguments.shard,
            progress: &|done, all| progress.at_with_rest("sweep", done, all),
        };
        sweep::compute(&points, registry, &backend, &mut log, &options)
    })?;
    finish(&arguments.out, &points, &log, arguments.json, registry)
}

/// One point and repeat alone.
fn one(arguments: &Sweep, point: usize, points: &Points, registry: &Registry) -> Result<(), Error> {
    let repeat = arguments.repeat.unwrap_or(0);
    for (option, value, count) in
        [("--point", point, points.sweep.points()), ("--repeat", repeat, points.sweep.repeats)]
    {
        if value >= count {
            let expected = format!("a whole number from 0 to {}: there are {count}", count - 1);
            return Err(Error::argument(option, value, expected));
        }
    }
    let experiment = points.experiment(point, repeat, registry)?;
    let setting = points.setting(point);
    let output = Output {
        input: &arguments.input,
        save: None,
        folder: Some(&arguments.out),
        json: arguments.json,
        head: format!("point {point}, repeat {repeat}: {setting}\n\n"),
    };
    single(&experiment, &arguments.compute, registry, &output)
}

pub(crate) fn merge(arguments: &Merge, registry: &Registry) -> Result<(), Error> {
    let folder = &arguments.out;
    let log = sweep::merge(&arguments.parts, folder)?;
    let (_, points) = plot::experiment(folder)?;
    finish(folder, &points, &log, arguments.json, registry)
}

/// Writes the tables and says what they say.
fn finish(folder: &Path, points: &Points, log: &Log, json: bool, registry: &Registry) -> Result<(), Error> {
    plot::sweep_figures(folder, log.rows(), registry)?;
    let summaries = sweep::summaries(log.rows());
    let runs = sweep::runs(points, log.rows(), registry)?;
    #[cfg(feature = "parquet")]
    write_parquet(folder, &runs)?;
    let files = [
        ("runs.csv", sweep::runs_csv(&runs, log.rows().len())),
        ("summary.csv", sweep::summary_csv(&points.sweep, &summaries)),
        // Last: where it is, all is there.
        ("results.csv", sweep::results_csv(&points.sweep, log.rows())),
    ];
    write_together(folder, &files, &[])?;
    if json {
        return print(&format!("{:#}\n", as_json(points, &summaries)));
    }
    print(&table(points, &summaries))?;
    let rows = log.rows().values();
    let warnings: std::collections::BTreeSet<&String> = rows.flat_map(|row| &row.results.warnings).collect();
    const SHOWN: usize = 8;
    let mut shown: Vec<String> = warnings.iter().take(SHOWN).map(|warning| (*warning).clone()).collect();
    if warnings.len() > SHOWN {
        shown.push(format!("{} more in {}", warnings.len() - SHOWN, folder.join("report.html").display()));
    }
    context::warn(&shown);
    Ok(())
}

/// The table of `runs.csv`, and the experiment that it is of.
#[cfg(feature = "parquet")]
fn write_parquet(folder: &Path, runs: &[sweep::Column]) -> Result<(), Error> {
    let path = folder.join("runs.parquet");
    let about = [("memtorch.experiment", sweep::written(folder)?)];
    let bytes = sweep::parquet(runs, &about)
        .map_err(|error| FileError::new(&path, std::io::Error::other(error.to_string())))?;
    Ok(write_atomic(&path, |file| file.write_all(&bytes))?)
}

fn as_json(points: &Points, summaries: &[Summary]) -> serde_json::Value {
    let entries = summaries.iter().map(|summary| {
        let values = points.sweep.values(summary.point);
        let values = points.sweep.keys().map(str::to_owned).zip(values.iter().map(sweep::json_value));
        serde_json::json!({
            "point": summary.point,
            "values": values.collect::<serde_json::Map<_, _>>(),
            "samples": summary.samples,
            "digital_accuracy": summary.digital,
            "memristive_accuracy": summary.memristive,
        })
    });
    serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "points": entries.collect::<Vec<_>>() })
}

/// The summary as text.
fn table(points: &Points, summaries: &[Summary]) -> String {
    let keys: Vec<&str> = points.sweep.keys().collect();
    let several = points.sweep.repeats > 1;
    let mut head = vec!["point".to_owned()];
    head.extend(keys.iter().map(|key| (*key).to_owned()));
    head.extend(["digital", "memristive"].map(str::to_owned));
    if several {
        head.extend(["deviation", "95 % interval", "worst"].map(str::to_owned));
    }
    let mut rows = vec![head];
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    for summary in summaries {
        let s = &summary.memristive;
        let mut row = vec![summary.point.to_string()];
        row.extend(points.sweep.values(summary.point).iter().map(sweep::shown));
        row.extend([percent(summary.digital), percent(s.mean)]);
        if several {
            row.push(s.deviation.map_or("-".to_owned(), percent));
            row.push(match (s.low, s.high) {
                (Some(low), Some(high)) => format!("{:.2} .. {:.2} %", 100.0 * low, 100.0 * high),
                _ => "-".to_owned(),
            });
            row.push(percent(s.worst));
        }
        rows.push(row);
    }
    crate::report::align(&rows)
}
