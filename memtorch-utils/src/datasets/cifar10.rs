//! The binary version of CIFAR-10: records of a label and 3 x 32 x 32 bytes.

use std::path::{Path, PathBuf};

use super::{DataError, Raw, Samples, read_maybe_gzip};
use crate::files::FileError;

const IMAGE: usize = 3 * 32 * 32;

pub(super) fn read(path: &Path) -> Result<Samples, DataError> {
    let mut samples = Samples { raw: Raw::Bytes(Vec::new()), shape: vec![3, 32, 32], labels: Vec::new() };
    for file in files(path)? {
        let bytes = read_maybe_gzip(&file, 1 << 30)?;
        let wrong = |what: String| Err(DataError::Format { file: file.clone(), what });
        if bytes.is_empty() || bytes.len() % (IMAGE + 1) != 0 {
            return wrong(format!(
                "{} bytes: expected a multiple of 3073, the records of CIFAR-10",
                bytes.len()
            ));
        }
        let Raw::Bytes(images) = &mut samples.raw else { continue };
        for (index, record) in bytes.chunks_exact(IMAGE + 1).enumerate() {
            if record[0] > 9 {
                return wrong(format!("label {index} is {}: expected 0 to 9", record[0]));
            }
            samples.labels.push(u32::from(record[0]));
            images.extend_from_slice(&record[1..]);
        }
    }
    Ok(samples)
}

/// The batches of a folder: the test batch if it is there, else the training batches in order.
fn files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let test = path.join("test_batch.bin");
    if test.is_file() {
        return Ok(vec![test]);
    }
    let fail = |e| FileError::new(path, e);
    let mut batches = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("data_batch_") && name.ends_with(".bin") {
            batches.push(entry.path());
        }
    }
    batches.sort();
    if batches.is_empty() {
        let what = "no test_batch.bin and no data_batch_*.bin in this folder".to_owned();
        return Err(DataError::Format { file: path.to_owned(), what });
    }
    Ok(batches)
}
