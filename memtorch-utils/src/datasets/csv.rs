//! Lines of a label, or of real numbers that a network shall give, and of values.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ::csv::{Reader, ReaderBuilder, StringRecord, Trim};

use super::source::{Raw, Source};
use super::{DataError, Samples, Targets};
use crate::files::FileError;

/// What a line begins with.
enum Label {
    Class(u32),
    Reals(Vec<f32>),
}

/// A file of lines, read from front to back; going back begins anew.
#[derive(Debug)]
struct Lines {
    path: PathBuf,
    /// How many real numbers a line begins with; absent where it begins with a class.
    targets: Option<usize>,
    reader: Option<Reader<File>>,
    /// Lines that were read, names of columns not counted.
    read: usize,
    /// Values of a line.
    length: Option<usize>,
}

impl Lines {
    fn new(path: &Path, targets: Option<usize>, length: Option<usize>) -> Self {
        Self { path: path.to_owned(), targets, reader: None, read: 0, length }
    }

    fn wrong(&self, what: String) -> DataError {
        DataError::Format { file: self.path.clone(), what }
    }

    /// How many columns the label has.
    fn label_columns(&self) -> usize {
        self.targets.unwrap_or(1)
    }

    fn label(&self, record: &StringRecord) -> Option<Label> {
        let Some(targets) = self.targets else { return record.get(0)?.parse().ok().map(Label::Class) };
        let real = |column| record.get(column)?.parse::<f32>().ok().filter(|x| x.is_finite());
        (0..targets).map(real).collect::<Option<Vec<f32>>>().map(Label::Reals)
    }

    /// The label of the next line, and its values one after another in `values`.
    fn next(&mut self, values: &mut Vec<f32>) -> Result<Option<Label>, DataError> {
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
            if let Some(label) = self.label(&record) {
                self.values(&record, line, values)?;
                break label;
            }
            // A line of column names.
            let first = record.get(0).unwrap_or_default();
            if self.read > 0 || line > 1 || first.parse::<f64>().is_ok() || record.len() < 2 {
                let begin = record.iter().take(self.label_columns()).collect::<Vec<_>>().join(",");
                let shown: String = begin.chars().take(40).collect();
                let expected = match self.targets {
                    None => "a whole number from 0".to_owned(),
                    Some(1) => "a finite number".to_owned(),
                    Some(targets) => format!("{targets} finite numbers"),
                };
                let hint = if self.targets.is_none() && first.parse::<f32>().is_ok() {
                    " (`targets` = 1 makes it a number to be compared with an output)"
                } else {
                    ""
                };
                return Err(self.wrong(format!(
                    "line {line}: the label is {shown:?}: expected {expected}, then values, with commas{hint}"
                )));
            }
        };
        self.reader = Some(reader);
        self.read += 1;
        Ok(Some(label))
    }

    fn values(&mut self, record: &StringRecord, line: u64, values: &mut Vec<f32>) -> Result<(), DataError> {
        let before = self.label_columns();
        for (column, text) in record.iter().enumerate().skip(before) {
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
        let found = record.len() - before;
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
        Box::new(Self::new(&self.path, self.targets, self.length))
    }
}

/// Lines of a class and values, or of so many targets and values.
pub(super) fn read(path: &Path, targets: Option<usize>) -> Result<Samples, DataError> {
    let mut lines = Lines::new(path, targets, None);
    let (mut classes, mut reals) = (Vec::new(), Vec::new());
    let mut values = Vec::new();
    while let Some(label) = lines.next(&mut values)? {
        match label {
            Label::Class(class) => classes.push(class),
            Label::Reals(list) => reals.extend(list),
        }
        values.clear();
    }
    let shape = vec![lines.length.unwrap_or(0)];
    let found = match targets {
        None => Targets::Classes(classes),
        Some(each) => Targets::Reals { values: reals, each },
    };
    Ok(Samples { source: lines.again(), reals: targets.is_some(), shape, targets: found })
}
