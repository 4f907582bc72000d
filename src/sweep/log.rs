use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use memtorch_utils::files::FileError;
use memtorch_utils::random::stable_hash;

use crate::Error;
use crate::evaluation::Seconds;
use crate::report::{RunReport, Score};

/// The name of the log in the folder of a sweep.
const NAME: &str = "log.jsonl";

/// What was computed for one point and repeat.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Row {
    /// The point.
    pub point: usize,
    /// The repeat.
    pub repeat: usize,
    /// What it took.
    pub seconds: Seconds,
    /// What it gave.
    pub results: Results,
}

#[derive(serde::Serialize)]
struct Written<'a> {
    point: usize,
    repeat: usize,
    seconds: Seconds,
    results: &'a RunReport,
}

/// The part of a [`RunReport`] that tables and figures are made from.
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Results {
    /// The version of memtorch.
    pub version: String,
    /// The seed.
    pub seed: u64,
    /// Samples looked at.
    pub samples: usize,
    /// The digital path.
    pub digital: Score,
    /// The memristive path.
    pub memristive: Score,
    /// Share of samples for which both predict the same; absent for a regression.
    pub agreement: Option<f64>,
    /// The layers.
    pub layers: Vec<Layer>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// A layer of [`Results`].
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
pub struct Layer {
    /// Short name.
    pub name: String,
    /// Whether it is on crossbars.
    pub patched: bool,
    /// Norm of the output's error over the norm of the digital output.
    pub relative_error: Option<f64>,
}

/// The log of a sweep: one line for each point and repeat, on the disk as soon as it is written.
///
/// A line is `{"check":"<hash of the row>","row":{...}}`. While a log is open, no other process can open
/// it. A last line that was cut off by a power cut or a kill is dropped; damage elsewhere is an error.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// Bytes that are right.
    length: u64,
    rows: BTreeMap<(usize, usize), Row>,
}

impl Log {
    /// Opens the log of a folder, and begins it if there is none.
    ///
    /// # Errors
    /// A folder that cannot be written to, a log that another process has open, a damaged line.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(NAME);
        let fail = |error| FileError::new(&path, error);
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(fail)?;
        if !file.metadata().map_err(fail)?.is_file() {
            return Err(fail(io::Error::new(ErrorKind::InvalidInput, "expected a plain file")).into());
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let why = io::Error::new(ErrorKind::WouldBlock, "another process computes this sweep now");
                return Err(fail(why).into());
            }
            // A file system that has none.
            Err(std::fs::TryLockError::Error(_)) => {}
        }
        if let Ok(folder) = File::open(folder) {
            // The name of a new file is on the disk too; not every system can promise that.
            let _ = folder.sync_all();
        }
        let mut log = Self { path, file, length: 0, rows: BTreeMap::new() };
        log.load()?;
        if log.file.metadata().map_err(|error| log.fail(error))?.len() > log.length {
            log.file.set_len(log.length).map_err(|error| log.fail(error))?;
        }
        Ok(log)
    }

    /// Reads the log of a folder without holding it.
    ///
    /// # Errors
    /// No log, or one with a damaged line.
    pub fn read(folder: &Path) -> Result<BTreeMap<(usize, usize), Row>, Error> {
        let path = folder.join(NAME);
        let file = File::open(&path).map_err(|error| FileError::new(&path, error))?;
        let mut log = Self { path, file, length: 0, rows: BTreeMap::new() };
        log.load()?;
        Ok(log.rows)
    }

    /// What was computed, in the order of points and repeats.
    pub fn rows(&self) -> &BTreeMap<(usize, usize), Row> {
        &self.rows
    }

    /// Writes what was computed; when this returns it is on the disk.
    ///
    /// # Errors
    /// A disk that is full, or whatever the system says; what was there before stays.
    pub fn append(
        &mut self,
        point: usize,
        repeat: usize,
        seconds: Seconds,
        report: &RunReport,
    ) -> Result<(), Error> {
        let row = Written { point, repeat, seconds, results: report };
        self.append_row(&serde_json::to_string(&row).expect("a report is JSON"))
    }

    /// Writes a row that another log has.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub(crate) fn append_row(&mut self, row: &str) -> Result<(), Error> {
        let parsed = parse(row).map_err(|what| self.damaged(self.rows.len() + 1, &what))?;
        let line = format!("{HEAD}{:016x}{MIDDLE}{row}{TAIL}", stable_hash(row));
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // Half a line is dropped now, or when the log is opened again.
            let _ = self.file.set_len(self.length);
            return Err(self.fail(error));
        }
        self.length += line.len() as u64;
        self.rows.insert((parsed.point, parsed.repeat), parsed);
        Ok(())
    }

    /// The rows of a folder's log as they are written, without holding it.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub(crate) fn read_rows(folder: &Path) -> Result<BTreeMap<(usize, usize), String>, Error> {
        let rows = Self::read(folder)?;
        let path = folder.join(NAME);
        let text = std::fs::read(&path).map_err(|error| FileError::new(&path, error))?;
        let lines = text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| checked(line).ok());
        Ok(lines
            .filter_map(|row| parse(row).ok().map(|parsed| ((parsed.point, parsed.repeat), row.to_owned())))
            .filter(|(place, _)| rows.contains_key(place))
            .collect())
    }

    fn load(&mut self) -> Result<(), Error> {
        let mut text = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_to_end(&mut text));
        read.map_err(|error| self.fail(error))?;
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        for (index, line) in lines.iter().enumerate() {
            let row = match checked(line).and_then(parse) {
                Ok(row) => row,
                // Whatever is wrong with the last line: it was being written.
                Err(_) if index + 1 == lines.len() => break,
                Err(what) => return Err(self.damaged(index + 1, &what)),
            };
            let place = (row.point, row.repeat);
            if self.rows.insert(place, row).is_some() {
                let what = format!("point {}, repeat {} for the second time", place.0, place.1);
                return Err(self.damaged(index + 1, &what));
            }
            self.length += line.len() as u64;
        }
        Ok(())
    }

    fn fail(&self, error: io::Error) -> Error {
        FileError::new(&self.path, error).into()
    }

    fn damaged(&self, line: usize, what: &str) -> Error {
        let what = format!("line {line} is damaged ({what}): take it out to have it computed again");
        self.fail(io::Error::new(ErrorKind::InvalidData, what))
    }
}

const HEAD: &str = "{\"check\":\"";
const MIDDLE: &str = "\",\"row\":";
const TAIL: &str = "}\n";

/// The row of a line whose check is right.
fn checked(line: &[u8]) -> Result<&str, String> {
    let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let inner = line.strip_prefix(HEAD).and_then(|line| line.strip_suffix(TAIL));
    let (check, row) = inner.and_then(|inner| inner.split_once(MIDDLE)).ok_or("not a line of a log")?;
    if check != format!("{:016x}", stable_hash(row)) {
        return Err("its check is wrong".to_owned());
    }
    Ok(row)
}

fn parse(row: &str) -> Result<Row, String> {
    serde_json::from_str(row).map_err(|error| error.to_string())
}
