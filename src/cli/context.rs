//! What several commands share.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use memtorch_crossbar::ArrayBackend;
use memtorch_nn::{ImportOptions, Network};
use memtorch_utils::config::{self, Value};

use super::arguments::Compute;
use crate::experiment::Document;
use crate::{Error, Registry};

/// Opens the backend of this name.
pub(crate) fn backend(name: &str, registry: &Registry) -> Result<Arc<dyn ArrayBackend>, Error> {
    let Some(entry) = registry.backends().iter().find(|entry| entry.name == name) else {
        let names: Vec<&str> = registry.backends().iter().map(|entry| entry.name).collect();
        return Err(Error::argument("--backend", name, format!("one of {}", names.join(", "))));
    };
    Ok((entry.open)()?)
}

/// Puts `--set` and `--seed` into a document.
pub(crate) fn apply(document: &mut Document, compute: &Compute) -> Result<(), Error> {
    for option in &compute.set {
        document.set(option)?;
    }
    if let Some(seed) = compute.seed {
        let seed = i64::try_from(seed)
            .map_err(|_| Error::argument("--seed", seed, format!("a whole number from 0 to {}", i64::MAX)))?;
        document.table.insert("seed", Value::Integer(seed));
    }
    Ok(())
}

/// Does something with so many threads.
pub(crate) fn with_threads<T: Send>(
    threads: Option<u16>,
    work: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    let Some(threads) = threads else { return work() };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(usize::from(threads)).build();
    let pool =
        pool.map_err(|error| Error::argument("--threads", threads, format!("fewer threads ({error})")))?;
    pool.install(work)
}

/// Imports a network.
pub(crate) fn import(path: &Path, fold_batch_norm: bool) -> Result<Network, Error> {
    let options = ImportOptions { fold_batch_norm };
    Network::from_onnx_file(path, &options).map_err(|source| network(path, source))
}

/// An error of a network's file.
pub(crate) fn network(path: &Path, source: memtorch_nn::NnError) -> Error {
    match source {
        memtorch_nn::NnError::Io { path, source } => {
            memtorch_utils::files::FileError::new(path, source).into()
        }
        source => Error::Network { file: path.to_owned(), source: Box::new(source) },
    }
}

/// The scheme of this name.
pub(crate) fn scheme<'a>(name: &str, registry: &'a Registry) -> Result<&'a crate::SchemeEntry, Error> {
    registry.schemes().iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = registry.schemes().iter().map(|entry| entry.name).collect();
        let near = config::nearest(name, names.iter().copied());
        let near = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
        Error::argument("--scheme", name, format!("one of {}{near}", names.join(", ")))
    })
}

/// A line on stderr that says how far the work is, if a person is looking.
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    /// Progress that is shown on a terminal only.
    pub(crate) fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal() }
    }

    /// Says how far something is.
    pub(crate) fn at(&self, what: &str, done: usize, all: usize) {
        if self.shown {
            // Nobody is told that progress could not be told.
            let _ = write!(std::io::stderr(), "\r\x1b[K{what}: {done} of {all}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
