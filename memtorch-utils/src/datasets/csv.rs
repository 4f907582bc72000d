//! Lines of a label and values.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ::csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::source::{Raw, Source};
use super::{DataError, Samples, Targets};
use crate::files::FileError;

/// A file of lines, read from front to back; going back begins anew.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    reader: Option<Reader<File>>,
    /// Lines that were read, names of columns not counted.
    read: usize,
    /// Values of a line.
    length: Option<usize>,
}

impl Lines {
    fn new(path: &Path, length: Option<usize>) -> Self {
        Self { path: path.to_owned(), reader: None, read: 0, length }
    }

    fn wrong(&self, what: String) -> DataError {
        DataError::Format { file: self.path.clone(), what }
    }

    /// The label of the next line, and its values one after another in `values`.
    fn next(&mut self, values: &mut Vec<f32>) -> Result<Option<u32>, DataError> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => {
                let file = File::open(&self.path).map_err(|e| FileError::new(&self.path, e))?;
                self.read = 0;
                ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(file)
            }
        };
        let mut record = StringRecord::new();
        let label = loop {
            let line = reader.position().line();
            let more =
                reader.read_record(&mut record).map_err(|e| self.wrong(format!("line {line}: {e}")))?;
            if !more {
                return Ok(None);
            }
            let line = record.position().map_or(line, ::csv::Position::line);
            let label = record.get(0).unwrap_or_default();
            if let Ok(class) = label.parse::<u32>() {
                self.values(&record, line, values)?;
                break class;
            }
            // A line of column names.
            if self.read > 0 || line > 1 || label.parse::<f64>().is_ok() || record.len() < 2 {
                let shown: String = label.chars().take(40).collect();
                return Err(self.wrong(format!(
                    "line {line}: the label is {shown:?}: expected a whole number from 0, then values, with commas"
                )));
            }
        };
        self.reader = Some(reader);
        self.read += 1;
        Ok(Some(label))
    }

    fn values(&mut self, record: &StringRecord, line: u64, values: &mut Vec<f32>) -> Result<(), DataError> {
        for (column, text) in record.iter().enumerate().skip(1) {
            match text.parse::<f32>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => {
                    let expected = "expected a finite number that an f32 holds";
                    return Err(
                        self.wrong(format!("line {line}, column {}: {text:?}: {expected}", column + 1))
                    );
                }
            }
        }
        let found = record.len() - 1;
        let length = *self.length.get_or_insert(found);
        if length != found || found == 0 {
            return Err(self.wrong(format!("line {line}: {found} values: expected {}", length.max(1))));
        }
        Ok(())
    }
}

impl Source for Lines {
    fn read(&mut self, samples: Range<usize>) -> Result<Raw, DataError> {
        if samples.start < self.read {
            self.reader = None;
            self.read = 0;
        }
        let mut values = Vec::new();
        while self.read < samples.end {
            let kept = self.read >= samples.start;
            let before = values.len();
            if self.next(&mut values)?.is_none() {
                return Err(self.wrong(format!("{} lines: expected more, as there were before", self.read)));
            }
            if !kept {
                values.truncate(before);
            }
        }
        Ok(Raw::Reals(values))
    }

    fn again(&self) -> Box<dyn Source> {
        Box::new(Self::new(&self.path, self.length))
    }
}

pub(super) fn read(path: &Path) -> Result<Samples, DataError> {
    let mut lines = Lines::new(path, None);
    let mut labels = Vec::new();
    let mut values = Vec::new();
    while let Some(label) = lines.next(&mut values)? {
        labels.push(label);
        values.clear();
    }
    let shape = vec![lines.length.unwrap_or(0)];
    Ok(Samples { source: lines.again(), reals: false, shape, targets: Targets::Classes(labels) })
}
