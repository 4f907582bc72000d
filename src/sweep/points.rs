use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use memtorch_utils::config::ConfigError;
use memtorch_utils::files::FileError;
use memtorch_utils::random::stable_hash;

use super::Sweep;
use super::values::shown;
use crate::experiment::{Document, Experiment, Origin, join, segments};
use crate::{Error, Registry};

/// The experiments of a sweep, each of them made when it is needed.
#[derive(Clone, Debug)]
pub struct Points {
    /// The axes.
    pub sweep: Sweep,
    base: Document,
}

/// What tells one sweep from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A hash of all points, complete, with the contents of their files.
    pub hash: String,
    /// The first point, complete, with hashes in place of its files.
    pub first: String,
}

impl Points {
    /// The points of a document with a section `[sweep]`.
    ///
    /// # Errors
    /// No such section, or one that makes no sense; a document that sets `repeat`; an option that sets a key
    /// that is swept.
    pub fn new(document: &Document) -> Result<Self, Error> {
        let Some(sweep) = Sweep::find(document)? else {
            let (key, expected) = ("sweep".to_owned(), "a section [sweep]".to_owned());
            return Err(document.error(ConfigError::Missing { key, expected }));
        };
        if let Some(repeat) = document.table.get("repeat") {
            let expected = "no such key in a sweep, which counts its repeats itself";
            return Err(document.error(ConfigError::value("repeat", repeat, expected)));
        }
        for key in sweep.keys() {
            let names = segments(key).unwrap_or_default();
            let place = names.iter().fold(String::new(), |key, name| join(&key, name));
            let Origin::Set(option) = document.origin(&place) else { continue };
            // What an option made above the key is no setting of the key.
            let its = option.split_once('=').and_then(|(key, _)| segments(key.trim())).unwrap_or_default();
            if names.starts_with(&its) {
                let expected = format!("a key that is not swept: [sweep] has {key:?}");
                return Err(Error::argument("--set", option, expected));
            }
        }
        let mut base = document.clone();
        base.table.remove("sweep");
        Ok(Self { sweep, base })
    }

    /// The experiment of a point and repeat: the same alone as in the sweep.
    ///
    /// # Errors
    /// The key and where its value was written.
    pub fn experiment(&self, point: usize, repeat: usize, registry: &Registry) -> Result<Experiment, Error> {
        let mut document = self.base.clone();
        for (axis, step) in self.sweep.axes.iter().zip(self.sweep.steps(point)) {
            for ((key, value), origin) in axis.keys.iter().zip(&axis.steps[step]).zip(&axis.origins[step]) {
                let names = segments(key).unwrap_or_else(|| vec![key.clone()]);
                document
                    .place(&names, value.clone(), origin.clone())
                    .map_err(|source| Error::Config { origin: origin.clone(), source: Box::new(source) })?;
            }
        }
        let mut experiment = Experiment::resolve(document, registry)?;
        experiment.repeat = repeat as u64;
        Ok(experiment)
    }

    /// The values of a point, to be read.
    pub fn setting(&self, point: usize) -> String {
        let values = self.sweep.values(point);
        let pairs = self.sweep.keys().zip(&values).map(|(key, value)| format!("{key} = {}", shown(value)));
        pairs.collect::<Vec<_>>().join(", ")
    }

    /// Checks every point and gives what tells this sweep from others: all that its results depend on.
    ///
    /// # Errors
    /// The first point that is wrong; a file that cannot be read.
    pub fn identity(&self, registry: &Registry) -> Result<Identity, Error> {
        let files = Contents::default();
        let mut first = String::new();
        let mut all = format!("memtorch {} repeats {}", env!("CARGO_PKG_VERSION"), self.sweep.repeats);
        for point in 0..self.sweep.points() {
            let text = self.experiment(point, 0, registry)?.text(registry, &|path| files.hash(path))?;
            files.failed()?;
            all = format!("{:016x} {:016x}", stable_hash(&all), stable_hash(&text));
            if point == 0 {
                first = text;
            }
        }
        Ok(Identity { hash: format!("{:016x}", stable_hash(&all)), first })
    }
}

/// Hashes of files, each read once.
#[derive(Default)]
struct Contents {
    known: RefCell<HashMap<PathBuf, String>>,
    failed: RefCell<Option<FileError>>,
}

impl Contents {
    fn hash(&self, path: &Path) -> String {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let found = digest(path).unwrap_or_else(|error| {
            *self.failed.borrow_mut() = Some(FileError::new(path, error));
            String::new()
        });
        self.known.borrow_mut().insert(path.to_owned(), found.clone());
        found
    }

    fn failed(&self) -> Result<(), FileError> {
        self.failed.borrow_mut().take().map_or(Ok(()), Err)
    }
}

/// A hash of a file's bytes; of a folder, that of the names and sizes of its files.
fn digest(path: &Path) -> std::io::Result<String> {
    if !std::fs::metadata(path)?.is_dir() {
        let mut hash = FNV_START;
        let mut file = std::io::BufReader::with_capacity(1 << 16, std::fs::File::open(path)?);
        loop {
            let bytes = std::io::BufRead::fill_buf(&mut file)?;
            if bytes.is_empty() {
                return Ok(format!("file {hash:016x}"));
            }
            hash = bytes.iter().fold(hash, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
            let count = bytes.len();
            std::io::BufRead::consume(&mut file, count);
        }
    }
    let mut entries: Vec<_> = std::fs::read_dir(path)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    let mut list = String::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.metadata()?;
        let what = if kind.is_dir() { digest(&entry.path())? } else { kind.len().to_string() };
        list.push_str(&format!("{name:?} {what}\n"));
    }
    Ok(format!("folder {:016x}", stable_hash(&list)))
}

const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
