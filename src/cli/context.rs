//! What several commands share.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Instant;

use memtorch_crossbar::ArrayBackend;
use memtorch_devices::PopulationBackend;
use memtorch_utils::config::{self, Value};

use super::arguments::Compute;
pub(crate) use crate::evaluation::{import, network};
use crate::experiment::Document;
use crate::{BackendEntry, Error, Registry};

/// Opens the backend of this name.
pub(crate) fn backend(name: &str, registry: &Registry) -> Result<Arc<dyn ArrayBackend>, Error> {
    Ok((backend_entry(name, registry)?.open)()?)
}

/// Opens the backend of this name for populations of devices.
pub(crate) fn populations(name: &str, registry: &Registry) -> Result<Arc<dyn PopulationBackend>, Error> {
    Ok((backend_entry(name, registry)?.open_populations)()?)
}

fn backend_entry<'a>(name: &str, registry: &'a Registry) -> Result<&'a BackendEntry, Error> {
    registry.backends().iter().find(|entry| entry.name == name).ok_or_else(|| {
        let names: Vec<&str> = registry.backends().iter().map(|entry| entry.name).collect();
        Error::usage("--backend", name, format!("one of {}", names.join(", ")))
    })
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

/// Says on stderr what a person should know.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        // Nobody is told that they could not be told.
        let _ = writeln!(std::io::stderr(), "warning: {}", super::line(warning));
    }
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
    started: Instant,
}

impl Progress {
    /// Progress that is shown on a terminal only.
    pub(crate) fn new() -> Self {
        Self { shown: std::io::stderr().is_terminal(), started: Instant::now() }
    }

    /// Says how far something is.
    pub(crate) fn at(&self, what: &str, done: usize, all: usize) {
        self.say(&format!("{what}: {done} of {all}"));
    }

    /// Says how far something is, and how long the rest takes if it goes on as since the beginning.
    pub(crate) fn at_with_rest(&self, what: &str, done: usize, all: usize) {
        let spent = self.started.elapsed().as_secs_f64();
        let rest = match done {
            0 => String::new(),
            _ => format!(", about {} left", duration(spent / done as f64 * (all - done) as f64)),
        };
        self.say(&format!("{what}: {done} of {all}{rest}"));
    }

    /// Says what is being done.
    pub(crate) fn say(&self, text: &str) {
        if self.shown {
            // Nobody is told that progress could not be told.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
        }
    }
}

/// Seconds as a person says them.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
