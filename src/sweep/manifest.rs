use std::path::Path;

use memtorch_utils::files::{FileError, write_atomic};

use super::Identity;
use crate::Error;

/// The name of the manifest in the folder of a sweep.
const NAME: &str = "sweep.json";

/// Whose results a folder has.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Manifest {
    /// The version of memtorch.
    pub version: String,
    /// [`Identity::hash`].
    pub hash: String,
    /// Repeats of each point.
    pub repeats: usize,
    /// How many points there are.
    pub points: usize,
    /// [`Identity::first`].
    pub first: String,
}

impl Manifest {
    /// The manifest of a sweep.
    pub fn new(identity: &Identity, points: usize, repeats: usize) -> Self {
        let Identity { hash, first } = identity.clone();
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), hash, repeats, points, first }
    }

    /// Reads that of a folder, if there is one.
    ///
    /// # Errors
    /// A file that cannot be read or is none.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        let path = folder.join(NAME);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::new(path, error).into()),
        };
        let parsed = serde_json::from_str(&text);
        parsed.map(Some).map_err(|error| {
            let what = format!("not the description of a sweep ({error})");
            FileError::new(path, std::io::Error::new(std::io::ErrorKind::InvalidData, what)).into()
        })
    }

    /// Writes it into a folder.
    ///
    /// # Errors
    /// Whatever the system says.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let mut text = serde_json::to_string_pretty(self).expect("text and numbers are JSON");
        text.push('\n');
        Ok(write_atomic(folder.join(NAME), |file| file.write_all(text.as_bytes()))?)
    }

    /// How another sweep differs, in words; `None` if it does not.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let named = |what: &str, a: &dyn std::fmt::Display, b: &dyn std::fmt::Display| {
            Some(format!("{what} is {a} in one and {b} in the other"))
        };
        if self.version != other.version {
            return named("the version of memtorch", &self.version, &other.version);
        }
        if self.repeats != other.repeats {
            return named("sweep.repeats", &self.repeats, &other.repeats);
        }
        if self.points != other.points {
            return named("the number of points", &self.points, &other.points);
        }
        let (a, b) = (keys(&self.first), keys(&other.first));
        let differs = a.iter().find(|pair| !b.contains(pair)).or_else(|| b.iter().find(|p| !a.contains(p)));
        let Some((key, _)) = differs else {
            return Some("the values of the swept keys are others".to_owned());
        };
        let value = |pairs: &[(String, String)]| {
            let found = pairs.iter().find(|(other, _)| other == key);
            found.map_or("absent".to_owned(), |(_, value)| value.clone())
        };
        named(&format!("`{key}`"), &value(&a), &value(&b))
    }
}

/// The keys of a resolved experiment with their values.
fn keys(text: &str) -> Vec<(String, String)> {
    let mut heading = String::new();
    let mut steps = 0;
    let mut pairs = Vec::new();
    for line in text.lines() {
        if line == "[[nonideality]]" {
            heading = format!("nonideality.{steps}.");
            steps += 1;
        } else if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            heading = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ") {
            pairs.push((format!("{heading}{key}"), value.to_owned()));
        }
    }
    pairs
}
