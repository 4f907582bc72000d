use memtorch_utils::config::ConfigError;

/// What can go wrong with device models and populations.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// A parameter that is not possible.
    #[error("{parameter} = {value}: expected {expected}")]
    Parameter {
        /// The parameter's name.
        parameter: &'static str,
        /// What was given.
        value: f64,
        /// What was expected.
        expected: String,
    },
    /// A model has no such parameter.
    #[error("the model {model} has no parameter `{parameter}`{}", nearest.as_ref().map(|n| format!(": did you mean `{n}`?")).unwrap_or_default())]
    UnknownParameter {
        /// The model's name.
        model: &'static str,
        /// What was asked for.
        parameter: String,
        /// The nearest name that it has.
        nearest: Option<String>,
    },
    /// No possible device was drawn in so many tries.
    #[error("no possible device in {tries} draws ({why}): expected distributions that make one")]
    ImpossibleDraws {
        /// How many draws were made.
        tries: u32,
        /// What was wrong with the last.
        why: String,
    },
    /// The same parameter is varied twice.
    #[error("the parameter `{parameter}` already has a distribution: expected only one")]
    VariedTwice {
        /// The parameter's name.
        parameter: String,
    },
    /// A backend cannot do this.
    #[error("the backend {backend}: {why}")]
    Backend {
        /// The backend's name.
        backend: String,
        /// Why not.
        why: String,
    },
    /// A configuration that is not right.
    #[error(transparent)]
    Config(#[from] ConfigError),
}
