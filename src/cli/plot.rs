//! `memtorch plot`: the figures and the report of a folder.

use std::path::{Path, PathBuf};

use memtorch_utils::files::FileError;

use super::arguments::Plot;
use super::print;
use crate::experiment::Document;
use crate::report::figures::{self, Bar};
use crate::report::html::{self, Part};
use crate::report::scores;
use crate::sweep::{self, Log, Manifest, Points, Results, Row};
use crate::{Error, Registry};

type Rows = std::collections::BTreeMap<(usize, usize), Row>;

pub(crate) fn execute(arguments: &Plot, registry: &Registry) -> Result<(), Error> {
    let folder = &arguments.folder;
    let files = if let Some(manifest) = Manifest::read(folder)? {
        let rows = Log::read(folder)?;
        let files = sweep_figures(folder, &rows, registry)?;
        let missing = sweep::missing(&manifest, |place| rows.contains_key(&place));
        if !missing.is_empty() {
            print(&format!("not computed yet: {missing}\n"))?;
        }
        files
    } else if folder.join("results.json").exists() {
        run_figures(folder)?
    } else {
        let expected = "a folder that `memtorch sweep` or `memtorch run` has written";
        return Err(Error::argument("plot", folder.display(), expected));
    };
    let names: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
    print(&format!("{names}{}\n", folder.join("report.html").display()))
}

/// The experiment of a sweep's folder, and its points.
pub(crate) fn experiment(folder: &Path) -> Result<(Document, Points), Error> {
    let document = Document::parse(&sweep::written(folder)?, &folder.join("experiment.toml"))?;
    let points = Points::new(&document)?;
    Ok((document, points))
}

/// Draws the figures of a sweep and writes its report.
pub(crate) fn sweep_figures(folder: &Path, rows: &Rows, registry: &Registry) -> Result<Vec<PathBuf>, Error> {
    let (document, points) = experiment(folder)?;
    let sweep = &points.sweep;
    let files = figures::sweep(folder, &document, sweep, rows, registry)?;
    let summaries = sweep::summaries(rows);
    let mut about = format!(
        "{} points of {}, {} repeats each, memtorch {}.\n",
        summaries.len(),
        sweep.points(),
        sweep.repeats,
        env!("CARGO_PKG_VERSION")
    );
    let by_mean = |a: &&sweep::Summary, b: &&sweep::Summary| a.memristive.mean.total_cmp(&b.memristive.mean);
    for (what, summary) in
        [("Highest", summaries.iter().max_by(by_mean)), ("Lowest", summaries.iter().min_by(by_mean))]
    {
        if let Some(summary) = summary {
            about.push_str(&format!(
                "{what} mean accuracy: {:.2} % at point {} ({}); digital {:.2} %, {} samples.\n",
                100.0 * summary.memristive.mean,
                summary.point,
                points.setting(summary.point),
                100.0 * summary.digital,
                summary.samples
            ));
        }
    }
    let warnings: std::collections::BTreeSet<&str> =
        rows.values().flat_map(|row| row.results.warnings.iter().map(String::as_str)).collect();
    let warnings = warnings.into_iter().collect::<Vec<_>>().join("\n");
    let (summary, experiment) = (sweep::summary_csv(sweep, &summaries), sweep::written(folder)?);
    let mut parts = vec![
        Part::Text("", about),
        Part::Figures("Figures", &files),
        Part::Table("Points", &summary),
        Part::Verbatim("Experiment", &experiment),
    ];
    if !warnings.is_empty() {
        parts.insert(1, Part::Text("Warnings", warnings));
    }
    html::write(folder, "A sweep on memristive crossbars", &parts)?;
    Ok(files)
}

/// Draws the layers of a run and writes its report.
fn run_figures(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).map_err(|error| FileError::new(path, error))
    };
    let results: Results = serde_json::from_str(&read("results.json")?).map_err(|error| {
        let error = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        FileError::new(folder.join("results.json"), error)
    })?;
    let bars =
        results.layers.iter().map(|layer| Bar { name: layer.name.clone(), error: layer.relative_error });
    let mut files = Vec::new();
    figures::layers(folder, "", &bars.collect::<Vec<_>>(), &mut files)?;
    let scores = scores([&results.digital, &results.memristive], results.samples, results.agreement);
    let about = format!("{scores}Seed {}, memtorch {}.", results.seed, results.version);
    let (layers, experiment) = (read("layers.csv")?, read("experiment.toml")?);
    let mut parts = vec![
        Part::Text("", about),
        Part::Figures("Error of each layer", &files),
        Part::Table("Layers", &layers),
        Part::Verbatim("Experiment", &experiment),
    ];
    let causes = match folder.join("causes.csv").exists() {
        true => read("causes.csv")?,
        false => String::new(),
    };
    if !causes.is_empty() {
        parts
            .insert(2, Part::Table("Error of each layer with one cause alone, and with all but it", &causes));
    }
    let warnings = results.warnings.join("\n");
    if !warnings.is_empty() {
        parts.insert(1, Part::Text("Warnings", warnings));
    }
    html::write(folder, "A network on memristive crossbars", &parts)?;
    Ok(files)
}
