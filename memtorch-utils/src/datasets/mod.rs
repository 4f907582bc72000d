//! Labelled data sets.
//!
//! A [`DataSet`] looks through its files when it is opened, keeps their labels, and reads samples when they
//! are asked for, so that memory does not grow with the set (but for numpy arrays in Fortran order, which are
//! kept). Samples are `(x * scale - mean) / std`, mean and deviation by channel.
//!
//! | kind | images | labels |
//! |---|---|---|
//! | `idx` | an IDX file of unsigned bytes `[N, H, W]` or `[N, C, H, W]`, gzip or not | an IDX file `[N]` |
//! | `cifar10` | a binary batch of CIFAR-10, a folder or a .tar.gz with `test_batch.bin` or `data_batch_*.bin` | in the images |
//! | `npy` | a numpy array `[N, ...]` | a numpy array `[N]` of whole numbers, or `[N, ...]` of reals |
//! | `npz` | an archive of numpy arrays, compressed or not | in the images |
//! | `csv` | lines of a label (or of real numbers, `targets`), then the values | in the images |
//! | `folder` | a folder with a sub-folder for each class, in the order of their names, of PNG or JPEG pictures of one size | in the images |
//!
//! Real numbers as labels are what the outputs of a network are compared with (regression).

mod cifar10;
mod csv;
mod idx;
mod numpy;
#[cfg(feature = "pictures")]
mod pictures;
mod source;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::config::{Default, Field, Kind, Table, Value};
use crate::files::FileError;
use source::{Raw, Source};

/// Everything that can be set for a data set.
pub const FIELDS: &[Field] = &[
    Field::new(
        "kind",
        Kind::Choice(&["idx", "cifar10", "npy", "npz", "csv", "folder"]),
        Default::Text("idx"),
        "format of the files",
    ),
    Field::new("images", Kind::Text, Default::Required, "file (or folder) of the samples"),
    Field::new(
        "labels",
        Kind::Text,
        Default::Absent,
        "file of the labels; absent where the samples carry them",
    ),
    Field::new(
        "images_name",
        Kind::Text,
        Default::Absent,
        "array of the samples in an npz file; absent: images, x_test, test_images, x, X or data",
    ),
    Field::new(
        "labels_name",
        Kind::Text,
        Default::Absent,
        "array of the labels in an npz file; absent: labels, y_test, test_labels or y",
    ),
    Field::new(
        "inputs",
        Kind::Any,
        Default::Absent,
        "arrays of an npz file for the other inputs of a network, which takes them as they are: { name = \"array\" }",
    ),
    Field::new(
        "targets",
        Kind::Integer,
        Default::Absent,
        "real numbers at the beginning of each csv line, with which outputs are compared; absent: one class",
    )
    .range(1.0, 1e6),
    Field::new(
        "scale",
        Kind::Real,
        Default::Absent,
        "factor on every value, not 0; absent: 1/255, and 1 for numpy arrays of reals and csv lines with targets",
    ),
    Field::new(
        "mean",
        Kind::Reals,
        Default::Absent,
        "subtracted after scaling: one for all channels, or one for each",
    ),
    Field::new(
        "std",
        Kind::Reals,
        Default::Absent,
        "divided by after that: one for all channels, or one for each",
    ),
    Field::new(
        "limit",
        Kind::Integer,
        Default::Absent,
        "only so many samples, from the first on; absent: all",
    )
    .range(1.0, f64::INFINITY),
];

/// What can be wrong with a data set.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not what it should be.
    #[error("{}: {what}", file.display())]
    Format {
        /// The file.
        file: PathBuf,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// A setting that does not fit the files.
    #[error("`{key}` = {value}: expected {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What it is.
        value: String,
        /// What was expected.
        expected: String,
    },
}

/// What a reader of one format gives.
#[derive(Debug)]
struct Samples {
    source: Box<dyn Source>,
    /// Whether the values are real numbers rather than bytes.
    reals: bool,
    /// Shape of one sample.
    shape: Vec<usize>,
    targets: Targets,
}

/// What the outputs for the samples should be.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Targets {
    /// The class of each sample.
    Classes(Vec<u32>),
    /// Real numbers.
    Reals {
        /// Those of one sample after those of another.
        values: Vec<f32>,
        /// How many a sample has.
        each: usize,
    },
}

/// Values that go with the samples, for another input of a network.
#[derive(Debug)]
struct Other {
    input: String,
    shape: Vec<usize>,
    source: Mutex<Box<dyn Source>>,
}

/// Samples with labels.
#[derive(Debug)]
pub struct DataSet {
    source: Mutex<Box<dyn Source>>,
    shape: Vec<usize>,
    others: Vec<Other>,
    targets: Targets,
    len: usize,
    labels_file: PathBuf,
    scale: f64,
    /// Mean and deviation: none, one for all channels, or one for each.
    normalise: Vec<(f64, f64)>,
}

impl Clone for DataSet {
    /// The same set, which reads its files independently.
    fn clone(&self) -> Self {
        let again = |source: &Mutex<Box<dyn Source>>| {
            Mutex::new(match source.lock() {
                Ok(source) => source.again(),
                Err(poisoned) => poisoned.get_ref().again(),
            })
        };
        let other = |other: &Other| Other {
            input: other.input.clone(),
            shape: other.shape.clone(),
            source: again(&other.source),
        };
        Self {
            source: again(&self.source),
            shape: self.shape.clone(),
            others: self.others.iter().map(other).collect(),
            targets: self.targets.clone(),
            labels_file: self.labels_file.clone(),
            normalise: self.normalise.clone(),
            ..*self
        }
    }
}

impl DataSet {
    /// Opens the data set that a table describes; [`FIELDS`] are its keys. Paths are relative to
    /// `folder`.
    ///
    /// # Errors
    /// A file that is missing or not of its format, as many labels as there are not samples, a mean or
    /// deviation that does not fit the channels, a set without samples.
    pub fn open(table: &Table, folder: &Path) -> Result<Self, DataError> {
        let text = |key: &str| table.get(key).and_then(Value::as_text);
        let kind = text("kind").unwrap_or("idx");
        let setting = |key, value: &str, expected: &str| DataError::Setting {
            key,
            value: value.to_owned(),
            expected: expected.to_owned(),
        };
        let images =
            folder.join(text("images").ok_or_else(|| setting("images", "nothing", "the name of a file"))?);
        let labels = text("labels").map(|name| folder.join(name));
        for key in ["images_name", "labels_name"] {
            if let Some(name) = text(key).filter(|_| kind != "npz") {
                return Err(setting(key, name, "no such key: it is for the kind npz"));
            }
        }
        let columns = table.get("targets").and_then(Value::as_count);
        if let Some(columns) = columns.filter(|_| kind != "csv") {
            return Err(setting("targets", &columns.to_string(), "no such key: it is for the kind csv"));
        }
        let samples = match (kind, &labels) {
            ("idx", Some(labels)) => idx::read(&images, labels)?,
            ("npy", Some(labels)) => numpy::read(&images, labels)?,
            ("npz", None) => numpy::read_archive(&images, text("images_name"), text("labels_name"))?,
            ("cifar10", None) => cifar10::read(&images)?,
            ("csv", None) => csv::read(&images, columns)?,
            #[cfg(feature = "pictures")]
            ("folder", None) => pictures::read(&images)?,
            ("idx" | "npy", None) => {
                return Err(setting("labels", "nothing", "the name of the file of labels"));
            }
            ("npz" | "cifar10" | "csv" | "folder", Some(_)) => {
                let expected = format!("no file of labels: {kind} has them in the images");
                return Err(setting("labels", text("labels").unwrap_or(""), &expected));
            }
            _ => {
                return Err(setting(
                    "kind",
                    kind,
                    "one of idx, cifar10, npy, npz, csv, folder (the feature `pictures`)",
                ));
            }
        };
        let others = others(table, kind, &images)?;
        let Samples { source, reals, shape, targets } = samples;
        let len = match &targets {
            Targets::Classes(list) => list.len(),
            Targets::Reals { values, each } => values.len().checked_div(*each).unwrap_or(0),
        };
        if len == 0 || shape.contains(&0) {
            return Err(DataError::Format {
                file: images,
                what: "no samples: expected at least one".to_owned(),
            });
        }
        if let Some((other, count)) = others.iter().find(|(_, count)| *count != len) {
            let what = format!(
                "{count} samples for the input `{}`: expected {len}, one for each label",
                other.input
            );
            return Err(DataError::Format { file: images, what });
        }
        let others = others.into_iter().map(|(other, _)| other).collect();
        let scale =
            table.get("scale").and_then(Value::as_real).unwrap_or(if reals { 1.0 } else { 1.0 / 255.0 });
        if scale == 0.0 || !scale.is_finite() {
            return Err(setting("scale", &scale.to_string(), "a finite number other than 0"));
        }
        let channels = if shape.len() == 3 { shape[0] } else { 1 };
        let normalise = normalisation(table, channels)?;
        let source = Mutex::new(source);
        let labels_file = labels.unwrap_or(images);
        Ok(Self { source, shape, others, targets, len, labels_file, scale, normalise })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none, which [`DataSet::open`] does not let happen.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Shape of one sample: `[channels, height, width]` for images.
    pub fn sample_shape(&self) -> &[usize] {
        &self.shape
    }

    /// Numbers in one sample.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The other inputs of a network for which there are values, by name, and the shape of one sample of each.
    pub fn others(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.others.iter().map(|other| (other.input.as_str(), other.shape.as_slice()))
    }

    /// What the outputs for the samples should be.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The class of each sample; none where the targets are real numbers.
    pub fn labels(&self) -> &[u32] {
        match &self.targets {
            Targets::Classes(list) => list,
            Targets::Reals { .. } => &[],
        }
    }

    /// Checks that every label of the first `samples` is below the number of classes.
    ///
    /// # Errors
    /// The first label that is not, and its index.
    pub fn check_labels(&self, classes: usize, samples: usize) -> Result<(), DataError> {
        let labels = self.labels();
        match labels.iter().take(samples).position(|label| *label as usize >= classes) {
            None => Ok(()),
            Some(at) => Err(DataError::Format {
                file: self.labels_file.clone(),
                what: format!("label {at} is {}: expected a class from 0 to {}", labels[at], classes - 1),
            }),
        }
    }

    /// Writes samples `range` one after another into `output`, which must have room for exactly them.
    ///
    /// Samples that are asked for in ascending order are read once.
    ///
    /// # Errors
    /// A file that can no longer be read, or a picture that is damaged.
    ///
    /// # Panics
    /// A range beyond the set, an output of another length.
    pub fn read(&self, range: Range<usize>, output: &mut [f32]) -> Result<(), DataError> {
        let length = self.sample_len();
        assert!(range.end <= self.len, "samples {range:?} of {}", self.len);
        assert_eq!(output.len(), range.len() * length, "room for the samples of {range:?}");
        let raw = raw(&self.source, range)?;
        let channels = self.normalise.len().max(1);
        let (mean, std): (Vec<f64>, Vec<f64>) = if self.normalise.is_empty() {
            (vec![0.0], vec![1.0])
        } else {
            self.normalise.iter().copied().unzip()
        };
        let value = |raw: f64, channel: usize| ((raw * self.scale - mean[channel]) / std[channel]) as f32;
        let plane = length / channels;
        match &raw {
            Raw::Bytes(bytes) => {
                let tables: Vec<[f32; 256]> =
                    (0..channels).map(|c| std::array::from_fn(|byte| value(byte as f64, c))).collect();
                let planes = output.chunks_mut(plane.max(1)).zip(bytes.chunks(plane.max(1)));
                for ((output, bytes), table) in planes.zip(tables.iter().cycle()) {
                    for (y, byte) in output.iter_mut().zip(bytes) {
                        *y = table[usize::from(*byte)];
                    }
                }
            }
            Raw::Reals(reals) => {
                for (at, (y, x)) in output.iter_mut().zip(reals).enumerate() {
                    *y = value(f64::from(*x), at / plane % channels);
                }
            }
        }
        Ok(())
    }

    /// As [`DataSet::read`], for one of [`DataSet::others`], whose values are what they are in the file.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there; a number for which there is none.
    pub fn read_other(
        &self,
        number: usize,
        range: Range<usize>,
        output: &mut [f32],
    ) -> Result<(), DataError> {
        let other = &self.others[number];
        let length = other.shape.iter().product::<usize>();
        assert!(range.end <= self.len, "samples {range:?} of {}", self.len);
        assert_eq!(output.len(), range.len() * length, "room for the samples of {range:?}");
        match raw(&other.source, range)? {
            Raw::Bytes(bytes) => output.iter_mut().zip(bytes).for_each(|(y, byte)| *y = f32::from(byte)),
            Raw::Reals(reals) => output.copy_from_slice(&reals),
        }
        Ok(())
    }
}

/// Values that a sample may have: no tensor has more.
const MOST_VALUES: usize = 1 << 28;

/// How many values a sample of this shape has.
fn sample_len(shape: &[usize]) -> Result<usize, String> {
    // Without the sizes that are 0, so that no product of some of them overflows.
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size.max(1)));
    if count.is_none_or(|count| count > MOST_VALUES) {
        return Err(format!("samples of shape {shape:?}: expected at most {MOST_VALUES} values in each"));
    }
    Ok(shape.iter().product())
}

fn raw(source: &Mutex<Box<dyn Source>>, range: Range<usize>) -> Result<Raw, DataError> {
    match source.lock() {
        Ok(mut source) => source.read(range),
        // A source is sound whenever it is not in use.
        Err(mut poisoned) => poisoned.get_mut().read(range),
    }
}

/// The arrays for other inputs of a network, and how many samples each has.
fn others(table: &Table, kind: &str, file: &Path) -> Result<Vec<(Other, usize)>, DataError> {
    let Some(inputs) = table.get("inputs") else { return Ok(Vec::new()) };
    let wrong = |value: &Value, expected: &str| DataError::Setting {
        key: "inputs",
        value: value.to_string(),
        expected: expected.to_owned(),
    };
    let names = inputs.as_table().ok_or_else(|| wrong(inputs, "{ name = \"array\" }"))?;
    if kind != "npz" {
        return Err(wrong(inputs, "no such key: it is for the kind npz"));
    }
    let other = |(input, array): (&str, &Value)| {
        let array = array.as_text().ok_or_else(|| wrong(array, "the name of an array"))?;
        let numpy::Values { source, shape, count, .. } = numpy::read_array(file, array)?;
        Ok((Other { input: input.to_owned(), shape, source: Mutex::new(source) }, count))
    };
    names.iter().map(other).collect()
}

/// Mean and deviation of each channel.
fn normalisation(table: &Table, channels: usize) -> Result<Vec<(f64, f64)>, DataError> {
    let list = |key: &'static str, missing: f64| {
        let Some(values) = table.get(key).and_then(Value::as_reals) else { return Ok(vec![missing]) };
        if values.len() == 1 || values.len() == channels {
            return Ok(values);
        }
        let expected = format!("1 number, or one for each of {channels} channels");
        Err(DataError::Setting { key, value: format!("{values:?}"), expected })
    };
    let (mean, std) = (list("mean", 0.0)?, list("std", 1.0)?);
    if let Some(value) = std.iter().find(|s| !(**s > 0.0)) {
        let expected = "positive numbers".to_owned();
        return Err(DataError::Setting { key: "std", value: value.to_string(), expected });
    }
    let count = mean.len().max(std.len());
    let of = |list: &[f64], i: usize| if list.len() == 1 { list[0] } else { list[i] };
    Ok((0..count).map(|i| (of(&mean, i), of(&std, i))).collect())
}

#[cfg(test)]
mod tests;
