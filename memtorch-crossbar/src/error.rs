use memtorch_devices::DeviceError;

/// What can go wrong with crossbars.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CrossbarError {
    /// A number that is not possible.
    #[error("{what} = {value}: expected {expected}")]
    Value {
        /// What it is.
        what: String,
        /// What was given.
        value: String,
        /// What was expected.
        expected: String,
    },
    /// An array of the wrong shape or length.
    #[error("{what} has shape {found:?}: expected {expected:?}")]
    Shape {
        /// What it is.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that it should have.
        expected: Vec<usize>,
    },
    /// A solver that did not come to a result.
    #[error(
        "{what} did not converge in {iterations} iterations: residual {residual:e}, expected {tolerance:e}"
    )]
    NotConverged {
        /// The solver and the input.
        what: String,
        /// Iterations that were tried.
        iterations: usize,
        /// The residual that was left.
        residual: f64,
        /// The residual that was asked for.
        tolerance: f64,
    },
    /// Something of the devices.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The backend cannot do this.
    #[error("the backend {backend}: {why}")]
    Backend {
        /// The backend's name.
        backend: String,
        /// Why not.
        why: String,
    },
}

impl CrossbarError {
    /// A number that is not possible.
    pub fn value(what: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { what: what.into(), value: value.to_string(), expected: expected.into() }
    }
}
