use crate::DeviceError;

/// Why a fit is not possible.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// A record that says nothing about a device.
    #[error("{what}: expected {expected}")]
    Measurement {
        /// What is wrong with it.
        what: String,
        /// What was expected.
        expected: String,
    },
    /// A parameter that cannot be looked for.
    #[error("cannot fit {name}: {why}")]
    Parameter {
        /// The parameter.
        name: String,
        /// Why not.
        why: String,
    },
    /// The model.
    #[error(transparent)]
    Device(#[from] DeviceError),
}
