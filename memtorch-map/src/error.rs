use memtorch_crossbar::CrossbarError;

/// What can go wrong when a matrix is put on crossbars.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// A setting that is not possible. `key` is its name below the section of an experiment.
    #[error("{key} = {value}: expected {expected}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What was given.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// A weight that is not finite.
    #[error("the weight of group {group}, row {row}, column {column} is {value}: expected a finite number")]
    Weight {
        /// The matrix.
        group: usize,
        /// Its row.
        row: usize,
        /// Its column.
        column: usize,
        /// What stands there.
        value: f32,
    },
    /// A step of the list of non-idealities failed.
    #[error("non-ideality {index} ({name}): {source}")]
    Step {
        /// Its index in the list.
        index: usize,
        /// Its name.
        name: String,
        /// What went wrong.
        source: CrossbarError,
    },
    /// Something of the crossbar.
    #[error(transparent)]
    Crossbar(#[from] CrossbarError),
}
