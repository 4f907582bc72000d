//! Labelled data sets.
//!
//! A [`DataSet`] keeps the bytes or numbers of its files as they are and turns samples into f32 when they
//! are asked for, so that memory does not grow beyond the files: `(x * scale - mean) / std`, mean and
//! deviation by channel.
//!
//! | kind | images | labels |
//! |---|---|---|
//! | `idx` | an IDX file of unsigned bytes `[N, H, W]` or `[N, C, H, W]`, gzip or not | an IDX file `[N]` |
//! | `cifar10` | a binary batch of CIFAR-10, a folder or a .tar.gz with `test_batch.bin` or `data_batch_*.bin` | in the images |
//! | `npy` | a numpy array `[N, ...]` | a numpy array `[N]` of whole numbers |
//! | `csv` | lines of a label, then the values | in the images |

mod cifar10;
mod csv;
mod idx;
mod numpy;

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::config::{Default, Field, Kind, Table, Value};
use crate::files::FileError;

/// Everything that can be set for a data set.
pub const FIELDS: &[Field] = &[
    Field::new(
        "kind",
        Kind::Choice(&["idx", "cifar10", "npy", "csv", "folder"]),
        Default::Text("idx"),
        "format of the files",
    ),
    Field::new("images", Kind::Text, Default::Required, "file of the samples"),
    Field::new(
        "labels",
        Kind::Text,
        Default::Absent,
        "file of the labels; absent where the samples carry them",
    ),
    Field::new(
        "scale",
        Kind::Real,
        Default::Absent,
        "factor on every value; absent: 1/255, and 1 for numpy arrays of reals",
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

/// The values of a data set as its files have them.
#[derive(Clone, Debug)]
enum Raw {
    Bytes(Vec<u8>),
    Reals(Vec<f32>),
}

/// What a reader of one format gives.
#[derive(Debug)]
struct Samples {
    raw: Raw,
    /// Shape of one sample.
    shape: Vec<usize>,
    labels: Vec<u32>,
}

/// Samples with labels.
#[derive(Clone, Debug)]
pub struct DataSet {
    raw: Raw,
    shape: Vec<usize>,
    labels: Vec<u32>,
    labels_file: PathBuf,
    scale: f64,
    /// Mean and deviation: none, one for all channels, or one for each.
    normalise: Vec<(f64, f64)>,
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
        let samples = match (kind, &labels) {
            ("idx", Some(labels)) => idx::read(&images, labels)?,
            ("npy", Some(labels)) => numpy::read(&images, labels)?,
            ("cifar10", None) => cifar10::read(&images)?,
            ("csv", None) => csv::read(&images)?,
            ("idx" | "npy", None) => {
                return Err(setting("labels", "nothing", "the name of the file of labels"));
            }
            ("cifar10" | "csv", Some(_)) => {
                let expected = format!("no file of labels: {kind} has them in the images");
                return Err(setting("labels", text("labels").unwrap_or(""), &expected));
            }
            _ => {
                return Err(setting(
                    "kind",
                    kind,
                    "one of idx, cifar10, npy, csv; folders of pictures are not read yet",
                ));
            }
        };
        if samples.labels.is_empty() || samples.shape.contains(&0) {
            return Err(DataError::Format {
                file: images,
                what: "no samples: expected at least one".to_owned(),
            });
        }
        let reals = matches!(samples.raw, Raw::Reals(_)) && kind == "npy";
        let scale =
            table.get("scale").and_then(Value::as_real).unwrap_or(if reals { 1.0 } else { 1.0 / 255.0 });
        let channels = if samples.shape.len() == 3 { samples.shape[0] } else { 1 };
        let normalise = normalisation(table, channels)?;
        let Samples { raw, shape, labels: classes } = samples;
        Ok(Self { raw, shape, labels: classes, labels_file: labels.unwrap_or(images), scale, normalise })
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none, which [`DataSet::open`] does not let happen.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Shape of one sample: `[channels, height, width]` for images.
    pub fn sample_shape(&self) -> &[usize] {
        &self.shape
    }

    /// Numbers in one sample.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The class of each sample.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// Checks that every label of the first `samples` is below the number of classes.
    ///
    /// # Errors
    /// The first label that is not, and its index.
    pub fn check_labels(&self, classes: usize, samples: usize) -> Result<(), DataError> {
        match self.labels.iter().take(samples).position(|label| *label as usize >= classes) {
            None => Ok(()),
            Some(at) => Err(DataError::Format {
                file: self.labels_file.clone(),
                what: format!(
                    "label {at} is {}: expected a class from 0 to {}",
                    self.labels[at],
                    classes - 1
                ),
            }),
        }
    }

    /// Writes samples `range` one after another into `output`, which must have room for exactly them.
    ///
    /// # Panics
    /// A range beyond the set, an output of another length.
    pub fn read(&self, range: Range<usize>, output: &mut [f32]) {
        let length = self.sample_len();
        assert_eq!(output.len(), range.len() * length, "room for the samples of {range:?}");
        let part = range.start * length..range.end * length;
        let channels = self.normalise.len().max(1);
        let (mean, std): (Vec<f64>, Vec<f64>) = if self.normalise.is_empty() {
            (vec![0.0], vec![1.0])
        } else {
            self.normalise.iter().copied().unzip()
        };
        let value = |raw: f64, channel: usize| ((raw * self.scale - mean[channel]) / std[channel]) as f32;
        let plane = length / channels;
        match &self.raw {
            Raw::Bytes(bytes) => {
                let tables: Vec<[f32; 256]> =
                    (0..channels).map(|c| std::array::from_fn(|byte| value(byte as f64, c))).collect();
                for (at, (y, byte)) in output.iter_mut().zip(&bytes[part]).enumerate() {
                    *y = tables[at / plane % channels][usize::from(*byte)];
                }
            }
            Raw::Reals(reals) => {
                for (at, (y, x)) in output.iter_mut().zip(&reals[part]).enumerate() {
                    *y = value(f64::from(*x), at / plane % channels);
                }
            }
        }
    }
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

/// The bytes of a file that may be compressed with gzip, at most `limit` of them.
fn read_maybe_gzip(path: &Path, limit: u64) -> Result<Vec<u8>, DataError> {
    let fail = |e| DataError::File(FileError::new(path, e));
    let raw = std::fs::read(path).map_err(fail)?;
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut bytes = Vec::new();
    let mut decoder = flate2::read::MultiGzDecoder::new(raw.as_slice()).take(limit + 1);
    decoder.read_to_end(&mut bytes).map_err(|error| DataError::Format {
        file: path.to_owned(),
        what: format!("damaged gzip data ({error})"),
    })?;
    if bytes.len() as u64 > limit {
        let what = format!("expands to more than {limit} bytes: expected a data set");
        return Err(DataError::Format { file: path.to_owned(), what });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
