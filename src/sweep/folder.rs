//! The folder of a sweep.

use std::path::Path;

use memtorch_utils::files::{FileError, write_atomic};

use super::{Log, Manifest};
use crate::Error;

/// The experiment as it was written, in the folder of its sweep.
const EXPERIMENT: &str = "experiment.toml";

/// Makes a folder that of a sweep, or sees that it is, and opens its log.
///
/// # Errors
/// A folder that has another sweep, or this one if it is not to be gone on with; one in which another process
/// computes, or that cannot be written to; a damaged log.
pub fn begin(folder: &Path, manifest: &Manifest, resume: bool, experiment: &str) -> Result<Log, Error> {
    std::fs::create_dir_all(folder).map_err(|error| FileError::new(folder, error))?;
    // First of all: of two processes that begin at once, one must not describe the other's results.
    let log = Log::open(folder)?;
    match Manifest::read(folder)? {
        Some(known) => {
            if let Some(what) = known.difference(manifest) {
                let expected = format!("the folder of this sweep, or a new one: {what}");
                return Err(Error::argument("--out", folder.display(), expected));
            }
            if !resume {
                let expected = "a new folder, or --resume to go on with the sweep that is there";
                return Err(Error::argument("--out", folder.display(), expected));
            }
        }
        None if !log.rows().is_empty() => {
            let expected = "a new folder: this one has a log of some other sweep";
            return Err(Error::argument("--out", folder.display(), expected));
        }
        None => {
            write_atomic(folder.join(EXPERIMENT), |file| file.write_all(experiment.as_bytes()))?;
            // Last: where it is, the experiment is there.
            manifest.write(folder)?;
        }
    }
    Ok(log)
}

/// The experiment of a sweep as it was written.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn written(folder: &Path) -> Result<String, Error> {
    let path = folder.join(EXPERIMENT);
    Ok(std::fs::read_to_string(&path).map_err(|error| FileError::new(path, error))?)
}
