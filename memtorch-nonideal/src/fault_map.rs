use std::path::Path;
use std::sync::Arc;

use memtorch_crossbar::{CrossbarError, Layout};
use memtorch_utils::config::ConfigError;
use memtorch_utils::npy::NpyArray;

/// Faults of the devices of one array, as a test of it found them.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultMap {
    /// `[groups, rows, columns]`.
    shape: [usize; 3],
    /// For each weight: 0 nothing, 1 stuck ON, 2 stuck OFF, 3 never formed.
    faults: Arc<[u8]>,
    /// Where it was read from, for errors.
    origin: String,
}

impl FaultMap {
    /// The faults of the devices of a matrix `[groups, rows, columns]`: 0 nothing, 1 stuck ON, 2 stuck OFF, 3 never
    /// formed.
    ///
    /// # Errors
    /// Another number of faults than devices, a fault of another kind.
    pub fn new(shape: [usize; 3], faults: Vec<u8>) -> Result<Self, ConfigError> {
        if shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size)) != Some(faults.len()) {
            let expected = format!("as many as shape {shape:?} has");
            return Err(ConfigError::value("faults", faults.len(), expected));
        }
        if let Some(at) = faults.iter().position(|fault| *fault > 3) {
            let expected = format!("0, 1, 2 or 3 at element {at}");
            return Err(ConfigError::value("faults", faults[at], expected));
        }
        Ok(Self { shape, faults: faults.into(), origin: "faults".to_owned() })
    }

    /// Reads an npy file `[rows, columns]` or `[groups, rows, columns]` of such numbers.
    ///
    /// # Errors
    /// A file that cannot be read or is none of these.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        let wrong = |expected: String| ConfigError::value("file", &name, expected);
        let array = NpyArray::read(path).map_err(|error| wrong(format!("a file of faults: {error}")))?;
        let shape = match array.shape.as_slice() {
            &[rows, columns] => [1, rows, columns],
            &[groups, rows, columns] => [groups, rows, columns],
            shape => return Err(wrong(format!("[rows, columns] or [groups, rows, columns], not {shape:?}"))),
        };
        let mut faults = Vec::new();
        for (at, value) in array.into_f64().into_iter().enumerate() {
            let Some(fault) = (0..=3u8).find(|fault| f64::from(*fault) == value) else {
                return Err(wrong(format!("0, 1, 2 or 3, not {value} at element {at}")));
            };
            faults.push(fault);
        }
        Ok(Self { origin: name, ..Self::new(shape, faults)? })
    }

    /// The faulty devices of an array in ascending order, with the kind less 1.
    pub(crate) fn devices(&self, layout: &Layout) -> Result<Vec<(usize, usize)>, CrossbarError> {
        let expected = [layout.groups(), layout.rows(), layout.columns()];
        if self.shape != expected {
            let value = format!("{} of shape {:?}", self.origin, self.shape);
            return Err(CrossbarError::value(
                "file",
                value,
                format!("{expected:?}, a fault for each weight"),
            ));
        }
        let [_, rows, columns] = self.shape;
        let mut found: Vec<(usize, usize)> = self
            .faults
            .iter()
            .enumerate()
            .filter(|(_, fault)| **fault > 0)
            .map(|(at, fault)| {
                let (group, row, column) = (at / (rows * columns), at / columns % rows, at % columns);
                (layout.device(group, row, column), usize::from(*fault) - 1)
            })
            .collect();
        found.sort_unstable();
        Ok(found)
    }
}
