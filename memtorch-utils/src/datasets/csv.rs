//! Lines of a label and values.

use std::path::Path;

use super::{DataError, Raw, Samples};
use crate::files::FileError;

pub(super) fn read(path: &Path) -> Result<Samples, DataError> {
    let file = std::fs::File::open(path).map_err(|e| FileError::new(path, e))?;
    let wrong = |what: String| DataError::Format { file: path.to_owned(), what };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).trim(csv::Trim::All).from_reader(file);
    let mut values = Vec::new();
    let mut labels = Vec::new();
    let mut length = None;
    for (index, record) in reader.records().enumerate() {
        let record = record.map_err(|e| wrong(format!("line {}: {e}", index + 1)))?;
        let line = record.position().map_or(index as u64 + 1, csv::Position::line);
        let label = record.get(0).unwrap_or_default();
        let Ok(class) = label.parse::<u32>() else {
            if index == 0 && label.parse::<f64>().is_err() && record.len() > 1 {
                // A line of column names.
                continue;
            }
            let shown: String = label.chars().take(40).collect();
            return Err(wrong(format!(
                "line {line}: the label is {shown:?}: expected a whole number from 0, then values, with commas"
            )));
        };
        labels.push(class);
        for (column, text) in record.iter().enumerate().skip(1) {
            match text.parse::<f32>() {
                Ok(value) if value.is_finite() => values.push(value),
                _ => {
                    return Err(wrong(format!(
                        "line {line}, column {}: {text:?}: expected a number",
                        column + 1
                    )));
                }
            }
        }
        let found = record.len() - 1;
        if *length.get_or_insert(found) != found || found == 0 {
            let expected = length.unwrap_or(1).max(1);
            return Err(wrong(format!("line {line}: {found} values: expected {expected}")));
        }
    }
    Ok(Samples { raw: Raw::Reals(values), shape: vec![length.unwrap_or(0)], labels })
}
