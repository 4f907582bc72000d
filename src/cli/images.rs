//! The samples of `[data]`, for evaluation and calibration.

use std::error::Error as StdError;

use memtorch_map::LayerInputs;
use memtorch_nn::{Executable, NnError, Samples, record_inputs};
use memtorch_utils::config::ConfigError;
use memtorch_utils::datasets::{DataError, DataSet};

use crate::Error;
use crate::experiment::{Experiment, LayerPlan};

/// A data set as a network takes it.
pub(crate) struct Images {
    pub(crate) set: DataSet,
}

impl Images {
    /// Opens the data set of an experiment.
    pub(crate) fn open(experiment: &Experiment) -> Result<Self, Error> {
        let set = DataSet::open(experiment.data()?, &experiment.folder).map_err(|error| match error {
            DataError::Setting { key, value, expected } => {
                experiment.document.error(ConfigError::value(format!("data.{key}"), value, expected))
            }
            other => other.into(),
        })?;
        Ok(Self { set })
    }
}

/// Images with whose layer inputs something is tuned or calibrated; 0 where nothing is.
pub(crate) fn calibrating(plans: &[LayerPlan]) -> usize {
    plans.iter().filter_map(|plan| Some(plan.hardware.as_ref()?.hardware.data_samples())).max().unwrap_or(0)
}

/// What each layer sees of so many images.
pub(crate) fn layer_inputs(
    digital: &Executable,
    images: &mut Images,
    count: usize,
) -> Result<Vec<LayerInputs>, NnError> {
    if count == 0 { Ok(Vec::new()) } else { record_inputs(digital, images, count) }
}

impl Samples for Images {
    fn len(&self) -> usize {
        self.set.len()
    }

    fn shape(&self) -> &[usize] {
        self.set.sample_shape()
    }

    fn read(&mut self, first: usize, values: &mut [f32]) -> Result<(), Box<dyn StdError + Send + Sync>> {
        let count = values.len() / self.set.sample_len();
        self.set.read(first..first + count, values);
        Ok(())
    }
}
