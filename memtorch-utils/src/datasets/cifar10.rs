//! The binary version of CIFAR-10: records of a label and 3 x 32 x 32 bytes.

use std::path::{Path, PathBuf};

use super::source::{Records, Stream};
use super::{DataError, Samples, Targets};
use crate::files::FileError;
use crate::npy::Element;

const RECORD: usize = 1 + 3 * 32 * 32;
const TEST: &str = "test_batch.bin";
/// Batches of an archive: each is looked for from the archive's beginning.
const MOST_BATCHES: usize = 16;

/// The records of one batch: its name, where they are, and how many bytes they have, if that is known.
struct Batch {
    name: PathBuf,
    stream: Stream,
    length: Option<u64>,
}

pub(super) fn read(path: &Path) -> Result<Samples, DataError> {
    let mut parts = Vec::new();
    let mut labels = Vec::new();
    for Batch { name, stream, length } in batches(path)? {
        let wrong = |what: String| DataError::Format { file: name.clone(), what };
        let first = labels.len();
        let mut seen = 0u64;
        let mut visit = |bytes: &[u8]| {
            // Labels are where a record begins.
            let skip = (RECORD as u64 - seen % RECORD as u64) % RECORD as u64;
            labels.extend(bytes.iter().skip(skip as usize).step_by(RECORD).map(|label| u32::from(*label)));
            seen += bytes.len() as u64;
            Ok(())
        };
        stream.walk(length, &mut visit)?;
        if seen == 0 || !seen.is_multiple_of(RECORD as u64) {
            return Err(wrong(format!(
                "{seen} bytes: expected a multiple of {RECORD}, the records of CIFAR-10"
            )));
        }
        if let Some(index) = labels[first..].iter().position(|label| *label > 9) {
            return Err(wrong(format!("label {index} is {}: expected 0 to 9", labels[first + index])));
        }
        parts.push((stream, labels.len() - first));
    }
    let source = Records { parts, size: RECORD, skipped: 1, element: Element::U8 };
    let shape = vec![3, 32, 32];
    Ok(Samples { source: Box::new(source), reals: false, shape, targets: Targets::Classes(labels) })
}

/// The batches: one file, those of a folder, or those of an archive.
fn batches(path: &Path) -> Result<Vec<Batch>, DataError> {
    let mut batches = Vec::new();
    for file in files(path)? {
        let stream = Stream::open(&file)?;
        // A tar archive says so in its first block.
        if stream.head(512)?.get(257..262) == Some(b"ustar") {
            batches.extend(archived(&file, &stream)?);
        } else {
            batches.push(Batch { name: file, stream, length: None });
        }
    }
    Ok(batches)
}

/// The batches of an archive, as CIFAR-10 is distributed.
fn archived(path: &Path, stream: &Stream) -> Result<Vec<Batch>, DataError> {
    let damaged = |error: std::io::Error| stream.wrong(format!("damaged archive ({error})"));
    let mut found = Vec::new();
    for entry in tar::Archive::new(stream.reader()?).entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = entry.path().map_err(damaged)?.into_owned();
        let file = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if file == TEST || is_training(&file) {
            let stream = stream.after(entry.raw_file_position());
            found.push(Batch { name: path.join(name), stream, length: Some(entry.size()) });
            if found.len() > MOST_BATCHES {
                let what =
                    format!("more than {MOST_BATCHES} batches in this archive: expected those of CIFAR-10");
                return Err(DataError::Format { file: path.to_owned(), what });
            }
        }
    }
    if found.iter().any(|batch| batch.name.ends_with(TEST)) {
        found.retain(|batch| batch.name.ends_with(TEST));
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    if found.is_empty() {
        return Err(stream.wrong("no test_batch.bin and no data_batch_*.bin in this archive"));
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
