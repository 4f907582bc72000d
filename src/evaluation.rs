//! An experiment's network and test set, made ready once, and runs of them on hardware.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use memtorch_crossbar::ArrayBackend;
use memtorch_map::{Cause, Hardware, LayerInputs};
use memtorch_nn::{
    EvaluateOptions, Executable, Folding, ImportOptions, Layer, LayerChoice, Network, NnError, Samples,
    evaluate, record_inputs, relative_errors,
};
use memtorch_utils::config::ConfigError;
use memtorch_utils::datasets::{DataError, DataSet, Targets};
use memtorch_utils::files::FileError;

use crate::Error;
use crate::experiment::{self, Experiment, LayerPlan};
use crate::report::{CauseError, Explanation, Found, RunReport, layer_reports};

/// Samples over which the error of each layer is measured.
const ERROR_SAMPLES: usize = 32;

/// Is told what is being done, how much of it is done, and how much there is.
pub type Tell<'a> = &'a (dyn Fn(&str, usize, usize) + Sync);

type Inputs = BTreeMap<usize, Arc<Vec<LayerInputs>>>;

/// A trained network and what it is tested with.
#[derive(Clone, Debug)]
pub struct Workload {
    path: PathBuf,
    network: Arc<Network>,
    output: Option<String>,
    digital: Executable,
    set: Arc<DataSet>,
    labels: Vec<usize>,
    samples: usize,
    /// What layers see of so many samples: for tuning and calibration.
    inputs: Arc<Mutex<Inputs>>,
    backend: Arc<dyn ArrayBackend>,
}

/// What the network does without crossbars.
#[derive(Clone, Debug)]
pub struct Digital {
    found: Found,
}

/// The network on programmed crossbars.
#[derive(Clone, Debug)]
pub struct Programmed {
    executable: Executable,
    seed: u64,
    seconds: f64,
    /// For each layer; empty where nobody asked.
    explanations: Vec<Option<Explanation>>,
    /// What a person should know of the experiment.
    warnings: Vec<String>,
}

impl Programmed {
    /// The network, ready to run.
    pub fn executable(&self) -> &Executable {
        &self.executable
    }
}

/// Seconds that each part took.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Seconds {
    /// Mapping, programming, tuning.
    pub program: f64,
    /// The samples on crossbars.
    pub memristive: f64,
    /// Everything.
    #[serde(default)]
    pub all: f64,
}

impl Workload {
    /// Loads the network and the data of an experiment.
    ///
    /// # Errors
    /// Files that are missing or wrong; an experiment without `[model]` or `[data]`.
    pub fn open(experiment: &Experiment, backend: Arc<dyn ArrayBackend>) -> Result<Self, Error> {
        let (path, fold) = experiment.network()?;
        let network = Arc::new(import(&path, fold)?);
        let set = data_set(experiment)?;
        let samples = experiment.limit().map_or(set.len(), |limit| limit.min(set.len()));
        let labels = set.labels().iter().map(|label| *label as usize).collect();
        let digital = Executable::digital(network.clone(), backend.clone());
        let digital = digital.map_err(|source| self::network(&path, source))?;
        let set = Arc::new(set);
        let output = experiment.output().map(str::to_owned);
        Ok(Self { path, network, output, digital, set, labels, samples, inputs: Arc::default(), backend })
    }

    /// The layers of the network.
    pub fn layers(&self) -> &[Layer] {
        self.network.layers()
    }

    /// Sees that the samples have classes, which `what` needs.
    ///
    /// # Errors
    /// They have real numbers.
    pub fn check_classes(&self, what: &str) -> Result<(), Error> {
        if matches!(self.set.targets(), Targets::Classes(_)) {
            return Ok(());
        }
        let expected = "samples with classes: a regression has no accuracy";
        Err(Error::argument("data.labels", "real numbers", format!("{expected}, which {what} compares")))
    }

    /// How many samples are looked at.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Runs the network digitally.
    ///
    /// # Errors
    /// A network that does not take such samples, or that fails on one.
    pub fn digital(&self, tell: Tell<'_>) -> Result<Digital, Error> {
        Ok(Digital { found: self.evaluate(&self.digital, "digital", tell)? })
    }

    /// Programs the hardware that the layers of an experiment were planned for.
    ///
    /// # Errors
    /// A layer that cannot be programmed.
    pub fn program(&self, experiment: &Experiment, plans: &[LayerPlan]) -> Result<Programmed, Error> {
        let clock = Instant::now();
        let choices = plans.iter().map(LayerPlan::choice).collect();
        let inputs = self.inputs(calibrating(plans))?;
        let executable = self.executable(experiment, choices, &inputs)?;
        let seconds = clock.elapsed().as_secs_f64();
        let explanations =
            if experiment.explain { self.explain(experiment, plans, &executable)? } else { Vec::new() };
        let warnings = experiment::warnings(plans);
        Ok(Programmed { executable, seed: experiment.seed, seconds, explanations, warnings })
    }

    fn executable(
        &self,
        experiment: &Experiment,
        choices: Vec<LayerChoice>,
        inputs: &[LayerInputs],
    ) -> Result<Executable, Error> {
        let (network, backend) = (self.network.clone(), self.backend.clone());
        Executable::with_inputs(network, choices, experiment.stream(), backend, inputs)
            .map_err(|error| experiment.locate(error, &self.path, self.layers()))
    }

    /// How much of the error of each layer each cause makes, alone and missing. Layers get the inputs of the digital
    /// network, so that none sees what the others do wrong.
    fn explain(
        &self,
        experiment: &Experiment,
        plans: &[LayerPlan],
        all: &Executable,
    ) -> Result<Vec<Option<Explanation>>, Error> {
        let hardware = |plan: &LayerPlan| plan.hardware.as_ref().map(|made| made.hardware.clone());
        let inputs = self.inputs(calibrating(plans))?;
        let errors = |change: &dyn Fn(&Hardware) -> Option<Hardware>| {
            let choice = |plan: &LayerPlan| match hardware(plan).and_then(|hardware| change(&hardware)) {
                Some(hardware) => LayerChoice::Memristive(Box::new(hardware)),
                None => LayerChoice::Digital { reason: String::new() },
            };
            let choices = plans.iter().map(choice).collect();
            self.errors(&self.executable(experiment, choices, &inputs)?)
        };
        let none = errors(&|hardware| Some(hardware.with_only(None)))?;
        let mut found: Vec<Option<Explanation>> = self
            .errors(all)?
            .into_iter()
            .zip(none)
            .zip(plans)
            .map(|((all, none), plan)| {
                plan.hardware.as_ref().map(|_| Explanation { all, none, each: Vec::new() })
            })
            .collect();
        let mut causes: Vec<Cause> = Vec::new();
        for cause in plans.iter().filter_map(hardware).flat_map(|hardware| hardware.causes()) {
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        }
        for cause in &causes {
            let has = |hardware: &Hardware| hardware.causes().contains(cause);
            let alone = errors(&|hardware| has(hardware).then(|| hardware.with_only(Some(cause))))?;
            let without = errors(&|hardware| has(hardware).then(|| hardware.without(cause)))?;
            for (at, explanation) in found.iter_mut().enumerate() {
                let Some(explanation) = explanation else { continue };
                if hardware(&plans[at]).is_some_and(|hardware| has(&hardware)) {
                    let (cause, alone, without) = (cause.to_string(), alone[at], without[at]);
                    explanation.each.push(CauseError { cause, alone, without });
                }
            }
        }
        Ok(found)
    }

    /// The error of each layer on crossbars, over the first samples.
    fn errors(&self, executable: &Executable) -> Result<Vec<Option<f64>>, Error> {
        let limit = ERROR_SAMPLES.min(self.samples);
        relative_errors(&self.digital, executable, &mut Images::all(&self.set), limit)
            .map_err(|source| network(&self.path, source))
    }

    /// Runs the network on programmed hardware.
    ///
    /// # Errors
    /// Whatever fails on a sample.
    pub fn memristive(
        &self,
        programmed: &Programmed,
        digital: &Digital,
        tell: Tell<'_>,
    ) -> Result<(RunReport, Seconds), Error> {
        let executable = &programmed.executable;
        let clock = Instant::now();
        let found = self.evaluate(executable, "memristive", tell)?;
        let memristive = clock.elapsed().as_secs_f64();
        let errors = self.errors(executable)?;
        let mut warnings = programmed.warnings.clone();
        let (mut layers, cautions) = layer_reports(executable, found.reads(), &errors);
        warnings.extend(cautions);
        for (layer, explanation) in layers.iter_mut().zip(&programmed.explanations) {
            layer.causes.clone_from(explanation);
        }
        for (path, evaluation) in [("digital", &digital.found), ("memristive", &found)] {
            warnings.extend(evaluation.warnings().iter().map(|warning| format!("{path}: {warning}")));
        }
        warnings.extend(self.network.folded().iter().filter_map(Folding::warning));
        let mut confusion = digital.found.confusion("digital", self.set.targets());
        confusion.extend(found.confusion("memristive", self.set.targets()));
        let program = programmed.seconds;
        let seconds = Seconds { program, memristive, all: program + clock.elapsed().as_secs_f64() };
        let report = RunReport {
            version: env!("CARGO_PKG_VERSION"),
            seed: programmed.seed,
            samples: self.samples,
            digital: digital.found.score(),
            memristive: found.score(),
            agreement: digital.found.agreement(&found),
            layers,
            confusion,
            warnings,
        };
        Ok((report, seconds))
    }

    /// How many samples of a range are right on programmed hardware.
    ///
    /// # Errors
    /// As [`Workload::memristive`].
    pub fn correct(&self, programmed: &Programmed, samples: Range<usize>) -> Result<usize, Error> {
        let mut images = Images { set: &self.set, first: samples.start, len: samples.len() };
        let labels = &self.labels[samples];
        let options = EvaluateOptions { output: self.output.as_deref(), ..EvaluateOptions::default() };
        evaluate(&programmed.executable, &mut images, labels, &options)
            .map(|found| found.correct)
            .map_err(|source| network(&self.path, source))
    }

    /// How many samples of a range the digital network gets right.
    pub fn correct_digitally(&self, digital: &Digital, samples: Range<usize>) -> usize {
        let Found::Classes(found) = &digital.found else { return 0 };
        let predictions = found.predictions[samples.clone()].iter();
        predictions.zip(&self.labels[samples]).filter(|(found, label)| **found == Some(**label)).count()
    }

    /// What each layer sees of so many samples, recorded once.
    fn inputs(&self, count: usize) -> Result<Arc<Vec<LayerInputs>>, Error> {
        if count == 0 {
            return Ok(Arc::default());
        }
        let mut known = self.inputs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inputs) = known.get(&count) {
            return Ok(inputs.clone());
        }
        let inputs = record_inputs(&self.digital, &mut Images::all(&self.set), count)
            .map_err(|source| network(&self.path, source))?;
        Ok(known.entry(count).or_insert(Arc::new(inputs)).clone())
    }

    fn evaluate(&self, executable: &Executable, what: &str, tell: Tell<'_>) -> Result<Found, Error> {
        let progress = |done, all| tell(what, done, all);
        let options = EvaluateOptions {
            limit: Some(self.samples),
            output: self.output.as_deref(),
            progress: Some(&progress),
            ..EvaluateOptions::default()
        };
        let mut images = Images::all(&self.set);
        Found::new(executable, &mut images, self.set.targets(), &options)
            .map_err(|source| network(&self.path, source))
    }
}

/// The data set of an experiment.
pub(crate) fn data_set(experiment: &Experiment) -> Result<DataSet, Error> {
    DataSet::open(experiment.data()?, &experiment.folder).map_err(|error| match error {
        DataError::Setting { key, value, expected } => {
            experiment.document.error(ConfigError::value(format!("data.{key}"), value, expected))
        }
        other => other.into(),
    })
}

/// Images with whose layer inputs something is tuned or calibrated; 0 where nothing is.
pub(crate) fn calibrating(plans: &[LayerPlan]) -> usize {
    plans.iter().filter_map(|plan| Some(plan.hardware.as_ref()?.hardware.data_samples())).max().unwrap_or(0)
}

impl Digital {
    /// The accuracy, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.found.score().accuracy
    }
}

/// Some samples of a data set.
pub(crate) struct Images<'a> {
    set: &'a DataSet,
    first: usize,
    len: usize,
}

impl<'a> Images<'a> {
    /// All samples.
    pub(crate) fn all(set: &'a DataSet) -> Self {
        Self { set, first: 0, len: set.len() }
    }
}

impl Samples for Images<'_> {
    fn len(&self) -> usize {
        self.len
    }

    fn shape(&self) -> &[usize] {
        self.set.sample_shape()
    }

    fn read(&mut self, first: usize, values: &mut [f32]) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let count = values.len() / self.set.sample_len();
        let first = self.first + first;
        Ok(self.set.read(first..first + count, values)?)
    }

    fn others(&self) -> Vec<(&str, &[usize])> {
        self.set.others().collect()
    }

    fn read_other(
        &mut self,
        number: usize,
        first: usize,
        values: &mut [f32],
    ) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let others = self.others();
        let (_, shape) = others[number];
        let count = values.len() / shape.iter().product::<usize>().max(1);
        let first = self.first + first;
        Ok(self.set.read_other(number, first..first + count, values)?)
    }
}

/// Imports a network.
pub(crate) fn import(path: &Path, fold_batch_norm: bool) -> Result<Network, Error> {
    let options = ImportOptions { fold_batch_norm };
    Network::from_onnx_file(path, &options).map_err(|source| network(path, source))
}

/// An error of a network's file.
pub(crate) fn network(path: &Path, source: NnError) -> Error {
    match source {
        NnError::Io { path, source } => FileError::new(path, source).into(),
        saved @ NnError::Saved { .. } => Error::Saved(Box::new(saved)),
        source => Error::Network { file: path.to_owned(), source: Box::new(source) },
    }
}
