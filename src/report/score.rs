use memtorch_map::ReadReport;
use memtorch_nn::{
    EvaluateOptions, Evaluation, Executable, NnError, Regression, Samples, evaluate, regression,
};
use memtorch_utils::datasets::Targets;
use serde::ser::SerializeStruct;

/// How far the outputs are from what they should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputError {
    /// Mean of the squared differences.
    pub mean_squared: f64,
    /// Mean of their magnitudes.
    pub mean_absolute: f64,
    /// Share of the targets' variance that the outputs explain.
    pub r2: Option<f64>,
}

/// How good one path is: right answers, or for a regression the error of its outputs.
#[derive(Clone, Copy, Debug, PartialEq, serde::Deserialize)]
#[serde(from = "Fields")]
pub struct Score {
    /// Samples that are right.
    pub correct: usize,
    /// Their share, 0 to 1; not a number for a regression.
    pub accuracy: f64,
    /// The share of samples whose label is among the five largest outputs, where there are more.
    pub top5_accuracy: Option<f64>,
    /// Of a regression.
    pub error: Option<OutputError>,
}

/// What [`Score`] is written as.
#[derive(serde::Deserialize)]
struct Fields {
    correct: Option<usize>,
    accuracy: Option<f64>,
    top5_accuracy: Option<f64>,
    mean_squared_error: Option<f64>,
    mean_absolute_error: Option<f64>,
    r2: Option<f64>,
}

impl From<Fields> for Score {
    fn from(fields: Fields) -> Self {
        let error = fields.mean_squared_error.zip(fields.mean_absolute_error);
        Self {
            correct: fields.correct.unwrap_or(0),
            accuracy: fields.accuracy.unwrap_or(f64::NAN),
            top5_accuracy: fields.top5_accuracy,
            error: error.map(|(mean_squared, mean_absolute)| OutputError {
                mean_squared,
                mean_absolute,
                r2: fields.r2,
            }),
        }
    }
}

impl serde::Serialize for Score {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Score", 3)?;
        if let Some(error) = self.error {
            fields.serialize_field("mean_squared_error", &error.mean_squared)?;
            fields.serialize_field("mean_absolute_error", &error.mean_absolute)?;
            fields.serialize_field("r2", &error.r2)?;
            return fields.end();
        }
        fields.serialize_field("correct", &self.correct)?;
        fields.serialize_field("accuracy", &self.accuracy)?;
        if let Some(accuracy) = self.top5_accuracy {
            fields.serialize_field("top5_accuracy", &accuracy)?;
        }
        fields.end()
    }
}

/// What one path gave for the samples.
#[derive(Clone, Debug)]
pub enum Found {
    /// Classes.
    Classes(Evaluation),
    /// Real numbers.
    Reals(Regression),
}

impl Found {
    /// Runs samples through a network and compares its outputs with what they should be.
    ///
    /// # Errors
    /// As [`evaluate`] and [`regression`].
    pub fn new(
        executable: &Executable,
        samples: &mut dyn Samples,
        targets: &Targets,
        options: &EvaluateOptions<'_>,
    ) -> Result<Self, NnError> {
        match targets {
            Targets::Reals { values, .. } => {
                regression(executable, samples, values, options).map(Self::Reals)
            }
            targets => {
                let labels = labels(targets);
                evaluate(executable, samples, &labels, options).map(Self::Classes)
            }
        }
    }

    /// How good it is.
    pub fn score(&self) -> Score {
        match self {
            Self::Classes(found) => Score {
                correct: found.correct,
                accuracy: found.accuracy(),
                top5_accuracy: found.top5.map(|n| n as f64 / found.samples.max(1) as f64),
                error: None,
            },
            Self::Reals(found) => Score {
                correct: 0,
                accuracy: f64::NAN,
                top5_accuracy: None,
                error: Some(OutputError {
                    mean_squared: found.mean_squared_error,
                    mean_absolute: found.mean_absolute_error,
                    r2: found.r2,
                }),
            },
        }
    }

    /// What reading each layer did.
    pub fn reads(&self) -> &[ReadReport] {
        match self {
            Self::Classes(found) => &found.reads,
            Self::Reals(found) => &found.reads,
        }
    }

    /// What a person should know.
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Classes(found) => &found.warnings,
            Self::Reals(_) => &[],
        }
    }

    /// The share of samples for which both predict the same; none for a regression.
    pub fn agreement(&self, other: &Self) -> Option<f64> {
        match (self, other) {
            (Self::Classes(a), Self::Classes(b)) => Some(a.agreement(b)),
            _ => None,
        }
    }

    /// How many samples of each label were taken for each class, where there are any.
    pub fn confusion(&self, path: &'static str, targets: &Targets) -> Vec<Confusion> {
        let Self::Classes(found) = self else { return Vec::new() };
        let counts = found.confusion(&labels(targets));
        let some = counts.indexed_iter().filter(|(_, samples)| **samples > 0);
        some.map(|((label, predicted), &samples)| Confusion { path, label, predicted, samples }).collect()
    }
}

/// A row of `confusion.csv`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confusion {
    /// `digital` or `memristive`.
    pub path: &'static str,
    /// The class that is right.
    pub label: usize,
    /// The class that was predicted.
    pub predicted: usize,
    /// How many samples.
    pub samples: usize,
}

fn labels(targets: &Targets) -> Vec<usize> {
    match targets {
        Targets::Classes(list) => list.iter().map(|label| *label as usize).collect(),
        _ => Vec::new(),
    }
}
