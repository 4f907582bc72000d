//! The binary version of CIFAR-10: records of a label and 3 x 32 x 32 bytes.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{DataError, Raw, Samples, read_maybe_gzip};
use crate::files::FileError;

const IMAGE: usize = 3 * 32 * 32;
const TEST: &str = "test_batch.bin";
/// Far more than all of CIFAR-10.
const LIMIT: u64 = 1 << 30;

pub(super) fn read(path: &Path) -> Result<Samples, DataError> {
    let mut images = Vec::new();
    let mut labels = Vec::new();
    for (name, bytes) in batches(path)? {
        let wrong = |what: String| Err(DataError::Format { file: name.clone(), what });
        if bytes.is_empty() || bytes.len() % (IMAGE + 1) != 0 {
            return wrong(format!(
                "{} bytes: expected a multiple of 3073, the records of CIFAR-10",
                bytes.len()
            ));
        }
        for (index, record) in bytes.chunks_exact(IMAGE + 1).enumerate() {
            if record[0] > 9 {
                return wrong(format!("label {index} is {}: expected 0 to 9", record[0]));
            }
            labels.push(u32::from(record[0]));
            images.extend_from_slice(&record[1..]);
        }
    }
    Ok(Samples { raw: Raw::Bytes(images), shape: vec![3, 32, 32], labels })
}

/// Names and bytes of the batches: one file, those of a folder, or those of an archive.
fn batches(path: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>, DataError> {
    let mut batches = Vec::new();
    for file in files(path)? {
        let bytes = read_maybe_gzip(&file, LIMIT)?;
        // A tar archive says so in its first block.
        if bytes.get(257..262) == Some(b"ustar") {
            batches.extend(archived(&file, &bytes)?);
        } else {
            batches.push((file, bytes));
        }
    }
    Ok(batches)
}

/// The batches of an archive, as CIFAR-10 is distributed.
fn archived(path: &Path, bytes: &[u8]) -> Result<Vec<(PathBuf, Vec<u8>)>, DataError> {
    let damaged = |error: std::io::Error| DataError::Format {
        file: path.to_owned(),
        what: format!("damaged archive ({error})"),
    };
    let mut found = Vec::new();
    for entry in tar::Archive::new(bytes).entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.into_owned();
        let file = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if file == TEST || is_training(&file) {
            let mut batch = Vec::new();
            entry.read_to_end(&mut batch).map_err(damaged)?;
            found.push((path.join(name), batch));
        }
    }
    if found.iter().any(|(name, _)| name.ends_with(TEST)) {
        found.retain(|(name, _)| name.ends_with(TEST));
    }
    found.sort();
    if found.is_empty() {
        let what = "no test_batch.bin and no data_batch_*.bin in this archive".to_owned();
        return Err(DataError::Format { file: path.to_owned(), what });
    }
    Ok(found)
}

fn is_training(name: &str) -> bool {
    name.starts_with("data_batch_") && name.ends_with(".bin")
}

/// The batches of a folder: the test batch if it is there, else the training batches in order.
fn files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let test = path.join(TEST);
    if test.is_file() {
        return Ok(vec![test]);
    }
    let fail = |e| FileError::new(path, e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_training(&name) {
            found.push(entry.path());
        }
    }
    found.sort();
    if found.is_empty() {
        let what = "no test_batch.bin and no data_batch_*.bin in this folder".to_owned();
        return Err(DataError::Format { file: path.to_owned(), what });
    }
    Ok(found)
}
