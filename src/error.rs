use std::path::PathBuf;

use memtorch_crossbar::CrossbarError;
use memtorch_map::MapError;
use memtorch_nn::NnError;
use memtorch_utils::config::ConfigError;
use memtorch_utils::datasets::DataError;
use memtorch_utils::files::FileError;
use memtorch_utils::npy::NpyError;

use crate::experiment::Origin;

/// What can go wrong in the facade: always one clear line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An experiment file that is not TOML.
    #[error("{file}:{line}:{column}: {what}")]
    Syntax {
        /// The file, or the option.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// Its column, from 1.
        column: usize,
        /// What was expected.
        what: String,
    },
    /// A key that is wrong.
    #[error("{origin}: {source}")]
    Config {
        /// Where it was written.
        origin: Origin,
        /// What is wrong.
        source: Box<ConfigError>,
    },
    /// A non-ideality of the list that a layer cannot have.
    #[error("{origin}: `{key}`: layer `{layer}`: {source}")]
    Step {
        /// Where it was written.
        origin: Origin,
        /// The key of the list's entry.
        key: String,
        /// The layer's short name.
        layer: String,
        /// What went wrong.
        source: Box<MapError>,
    },
    /// A point of a sweep that could not be computed.
    #[error("point {point}{}, repeat {repeat}{}: {source}", in_brackets(setting), and_more(*others))]
    Point {
        /// The point.
        point: usize,
        /// The repeat.
        repeat: usize,
        /// The values of the swept keys.
        setting: String,
        /// How many others failed too.
        others: usize,
        /// What went wrong.
        source: Box<Error>,
    },
    /// A pattern that is no layer's name.
    #[error("{origin}: the pattern {pattern:?} matches no layer: expected one of {}", layers.join(", "))]
    Pattern {
        /// Where it was written.
        origin: Origin,
        /// The pattern.
        pattern: String,
        /// The layers that there are.
        layers: Vec<String>,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// An array file.
    #[error(transparent)]
    Npy(#[from] NpyError),
    /// A data set.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network.
    #[error("{}: {source}", file.display())]
    Network {
        /// Its file.
        file: PathBuf,
        /// What went wrong.
        source: Box<NnError>,
    },
    /// A file with a programmed network.
    #[error(transparent)]
    Saved(Box<NnError>),
    /// A backend.
    #[error(transparent)]
    Backend(#[from] CrossbarError),
    /// A name that is registered twice.
    #[error("the {what} {name} is registered already: expected another name")]
    Registered {
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A command that was not used as it is meant to be: the exit code is 2.
    #[error("{what} = {value}: expected {expected}")]
    Usage {
        /// The option.
        what: String,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// Anything else that a person wrote on the command line.
    #[error("{what} = {value}: expected {expected}")]
    Argument {
        /// The argument.
        what: String,
        /// Its value.
        value: String,
        /// What was expected.
        expected: String,
    },
}

fn in_brackets(setting: &str) -> String {
    if setting.is_empty() { String::new() } else { format!(" ({setting})") }
}

fn and_more(others: usize) -> String {
    if others == 0 { String::new() } else { format!(" (and {others} more failed)") }
}

impl Error {
    /// An option that cannot have this value.
    pub fn usage(what: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Usage { what: what.into(), value: value.to_string(), expected: expected.into() }
    }

    /// An argument that is wrong.
    pub fn argument(what: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Argument { what: what.into(), value: value.to_string(), expected: expected.into() }
    }
}
