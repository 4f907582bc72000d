//! `memtorch infer`

use std::path::{Path, PathBuf};
use std::sync::Arc;

use memtorch_crossbar::ArrayBackend;
use memtorch_nn::{Data, ElementType, Executable, Network, NnError, Port, Saved, Tensor, record_inputs};
use memtorch_utils::config::{Table, Value};
use memtorch_utils::files::check_writable;
use memtorch_utils::npy::{NpyArray, NpyData};

use super::arguments::Infer;
use super::{context, saved};
use crate::evaluation::{Images, calibrating, data_set};
use crate::experiment::{self, Document, Experiment};
use crate::report::left_to_cpu;
use crate::{Error, Registry};

pub(crate) fn execute(arguments: &Infer, registry: &Registry) -> Result<(), Error> {
    let backend = context::backend(&arguments.compute.backend, registry)?;
    let source = Source::open(arguments, registry)?;
    let network = source.network.clone();
    let inputs = named(&arguments.input, "--input", network.inputs())?;
    let outputs = named(&arguments.out, "--out", network.outputs())?;
    let mut tensors = Vec::new();
    for (port, path) in &inputs {
        tensors.push((port.name.as_str(), read(port, path)?));
    }
    for (_, path) in &outputs {
        check_writable(path)?;
    }
    let values = context::with_threads(arguments.compute.threads, || {
        let executable = source.executable(backend.clone(), registry)?;
        context::warn(&left_to_cpu(&executable));
        executable.run(&tensors).map_err(|error| source.fail(error))
    })?;
    for (port, path) in outputs {
        let value = values.values.iter().find(|(name, _)| *name == port.name);
        if let Some((_, tensor)) = value {
            array(tensor, &port.name)?.write(path)?;
        }
    }
    Ok(())
}

/// A network, and what its layers run on.
struct Source {
    /// The file with the network.
    file: PathBuf,
    network: Arc<Network>,
    /// The hardware; absent where all layers are digital.
    experiment: Option<Experiment>,
    /// The programmed network, where there is one already.
    saved: Option<Saved>,
}

impl Source {
    fn open(arguments: &Infer, registry: &Registry) -> Result<Self, Error> {
        if let Some(path) = &arguments.load {
            let loaded = saved::read(path, arguments.model.as_deref(), registry)?;
            return Ok(Self {
                file: path.clone(),
                network: loaded.network,
                experiment: Some(loaded.experiment),
                saved: Some(loaded.saved),
            });
        }
        let experiment = self::experiment(arguments, registry)?;
        let fold = match &experiment {
            Some(experiment) => experiment.network()?.1,
            None => false,
        };
        let file = arguments.model.clone().unwrap_or_default();
        let network = Arc::new(context::import(&file, fold)?);
        Ok(Self { file, network, experiment, saved: None })
    }

    fn executable(&self, backend: Arc<dyn ArrayBackend>, registry: &Registry) -> Result<Executable, Error> {
        let network = self.network.clone();
        let Some(experiment) = &self.experiment else {
            return Executable::digital(network, backend).map_err(|error| self.fail(error));
        };
        let plans = experiment.plan(network.layers(), registry)?;
        context::warn(&experiment::warnings(&plans));
        let choices = plans.iter().map(|plan| plan.choice()).collect();
        let stream = experiment.stream();
        if let Some(saved) = &self.saved {
            return saved.restore(network, choices, stream, backend).map_err(|error| self.fail(error));
        }
        let inputs = match calibrating(&plans) {
            0 => Vec::new(),
            count => {
                let fail = |error| self.fail(error);
                let digital = Executable::digital(network.clone(), backend.clone()).map_err(fail)?;
                record_inputs(&digital, &mut Images::all(&data_set(experiment)?), count).map_err(fail)?
            }
        };
        Executable::with_inputs(network.clone(), choices, stream, backend, &inputs)
            .map_err(|error| experiment.locate(error, &self.file, network.layers()))
    }

    fn fail(&self, error: NnError) -> Error {
        context::network(&self.file, error)
    }
}

/// The experiment, if one is given; its network is the one on the command line.
fn experiment(arguments: &Infer, registry: &Registry) -> Result<Option<Experiment>, Error> {
    let Some(path) = &arguments.experiment else {
        if let Some(option) = arguments.compute.set.first() {
            return Err(Error::argument(
                "--set",
                option,
                "--experiment too: without it all layers are digital",
            ));
        }
        return Ok(None);
    };
    let mut document = Document::read(path)?;
    context::apply(&mut document, &arguments.compute)?;
    let mut model = match document.table.get("model") {
        Some(Value::Table(model)) => model.clone(),
        _ => Table::new(),
    };
    let file = arguments.model.as_deref().unwrap_or(Path::new(""));
    model.insert("onnx", Value::Text(file.display().to_string()));
    document.table.insert("model", Value::Table(model));
    Experiment::resolve(document, registry).map(Some)
}

/// The ports that options `[NAME=]FILE` name; without a name, the only one.
fn named<'a>(options: &[String], option: &str, ports: &'a [Port]) -> Result<Vec<(&'a Port, PathBuf)>, Error> {
    let names = || ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ");
    let mut found: Vec<(&Port, PathBuf)> = Vec::new();
    for text in options {
        let by_name = text
            .split_once('=')
            .and_then(|(name, path)| ports.iter().find(|port| port.name == name).map(|port| (port, path)));
        // What stands before an equals sign is a name, unless it is the beginning of a path with folders.
        let stranger =
            by_name.is_none() && text.split_once('=').is_some_and(|(name, _)| !name.contains(['/', '\\']));
        let (port, path) = match (by_name, ports) {
            (Some(pair), _) => pair,
            (None, [port]) if !stranger => (port, text.as_str()),
            (None, _) => {
                return Err(Error::argument(option, text, format!("NAME=FILE with one of {}", names())));
            }
        };
        if found.iter().any(|(other, _)| other.name == port.name) {
            return Err(Error::argument(option, text, format!("each of {} once", names())));
        }
        found.push((port, PathBuf::from(path)));
    }
    Ok(found)
}

/// Reads an input as the network takes it.
fn read(port: &Port, path: &Path) -> Result<Tensor, Error> {
    let array = NpyArray::read(path)?;
    let wrong =
        |value: String, expected: String| Error::argument(path.display().to_string(), value, expected);
    if array.data.is_empty() {
        return Err(wrong(format!("shape {:?}", array.shape), "an array that is not empty".to_owned()));
    }
    if let Some((index, value)) = array.first_not_finite() {
        return Err(wrong(format!("{value} at {index:?}"), "finite numbers".to_owned()));
    }
    let shape = array.shape.clone();
    let data = match (port.element, array.data) {
        (ElementType::I64, NpyData::I64(list)) => Data::I64(list.into()),
        (ElementType::I64, NpyData::I32(list)) => {
            Data::I64(list.into_iter().map(i64::from).collect::<Vec<_>>().into())
        }
        (ElementType::I64, NpyData::U8(list)) => {
            Data::I64(list.into_iter().map(i64::from).collect::<Vec<_>>().into())
        }
        (ElementType::Bool, NpyData::Bool(list)) => Data::Bool(list.into()),
        (ElementType::F32, data) => {
            let exact = NpyArray { shape: shape.clone(), data };
            let single = NpyArray::from_f32(&shape, exact.clone().into_f32());
            if let Some((index, _)) = single.first_not_finite() {
                let at = index.iter().zip(&shape).fold(0, |flat, (i, n)| flat * n + i);
                let value = exact.into_f64().get(at).copied().unwrap_or(f64::INFINITY);
                return Err(wrong(
                    format!("{value:e} at {index:?}"),
                    format!("numbers up to {:e}", f32::MAX),
                ));
            }
            Data::F32(single.into_f32().into())
        }
        (element, _) => {
            return Err(wrong("an array of another type".to_owned(), format!("{element}")));
        }
    };
    Tensor::from_data(&shape, data).map_err(|why| wrong(format!("shape {shape:?}"), why))
}

fn array(tensor: &Tensor, name: &str) -> Result<NpyArray, Error> {
    let data = match tensor.data() {
        Data::F32(list) => NpyData::F32(list.to_vec()),
        Data::I64(list) => NpyData::I64(list.to_vec()),
        Data::Bool(list) => NpyData::Bool(list.to_vec()),
        other => {
            return Err(Error::argument(format!("output {name}"), other.kind(), "numbers or truth values"));
        }
    };
    Ok(NpyArray { shape: tensor.shape().to_vec(), data })
}
