//! Programmed networks as files: the state, the network and the experiment in one.

use std::path::Path;
use std::sync::Arc;

use memtorch_nn::{Executable, ImportOptions, Network, NnError, Saved};
use memtorch_utils::config::{Table, Value};

use super::context;
use crate::experiment::{Document, Experiment};
use crate::report::{RunReport, results_json};
use crate::{Error, Registry};

const EXPERIMENT: &str = "experiment.toml";
const NETWORK: &str = "model.onnx";
const RESULTS: &str = "results.json";

/// Writes a programmed network with everything that is needed to run it, and what it was found to do.
///
/// A network whose weights lie in files of their own is not put in: [`read`] needs it again.
pub(crate) fn write(
    path: &Path,
    executable: &Executable,
    experiment: &Experiment,
    registry: &Registry,
    report: &RunReport,
) -> Result<(), Error> {
    let fail = |error| context::network(path, error);
    let mut saved = Saved::new(executable).map_err(fail)?;
    let (file, fold_batch_norm) = experiment.network()?;
    let bytes = std::fs::read(&file).map_err(|error| memtorch_utils::files::FileError::new(&file, error))?;
    if Network::from_onnx_bytes(&bytes, &ImportOptions { fold_batch_norm }).is_ok() {
        saved.attach(NETWORK, bytes);
    }
    saved.attach(EXPERIMENT, experiment.to_toml(registry)?.into_bytes());
    saved.attach(RESULTS, results_json(report).into_bytes());
    saved.write(path).map_err(fail)
}

/// What [`read`] gives.
pub(crate) struct Loaded {
    pub(crate) saved: Saved,
    pub(crate) network: Arc<Network>,
    pub(crate) experiment: Experiment,
}

/// Reads what [`write`] wrote. `model` is the network's file; without one the network in the file is taken.
pub(crate) fn read(path: &Path, model: Option<&Path>, registry: &Registry) -> Result<Loaded, Error> {
    let fail = |error| context::network(path, error);
    let saved = Saved::read(path).map_err(fail)?;
    let lacks = |what: &str| fail(NnError::Saved { path: path.to_owned(), what: what.to_owned() });
    let text = saved.attachment(EXPERIMENT).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| lacks("no experiment.toml in it: expected what `run --save` writes"))?;
    let mut document = Document::parse(text, path)?;
    document.table = without_files(&document.table);
    let experiment = Experiment::resolve(document, registry)?;
    let fold_batch_norm = experiment.network()?.1;
    let network = match (model, saved.attachment(NETWORK)) {
        (Some(model), _) => context::import(model, fold_batch_norm)?,
        (None, Some(bytes)) => {
            Network::from_onnx_bytes(bytes, &ImportOptions { fold_batch_norm }).map_err(fail)?
        }
        (None, None) => {
            return Err(lacks("no network in it, whose weights lie in other files: expected MODEL.onnx too"));
        }
    };
    saved.check(&network).map_err(fail)?;
    Ok(Loaded { saved, network: Arc::new(network), experiment })
}

/// The experiment without the files of its steps: what those said is in the state, and they may be gone.
fn without_files(table: &Table) -> Table {
    let inner = |value: &Value| match value {
        Value::Table(table) => Value::Table(without_files(table)),
        other => other.clone(),
    };
    let value = |value: &Value| match value {
        Value::List(list) => Value::List(list.iter().map(inner).collect()),
        other => inner(other),
    };
    let is_step = table.get("kind").is_some();
    let kept = table.iter().filter(|(key, _)| !(is_step && *key == "file"));
    kept.map(|(key, part)| (key.to_owned(), value(part))).collect()
}
