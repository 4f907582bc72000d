/// What is wrong with a configuration. `key` is the dotted path below the table that was checked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such key.
    #[error("unknown key `{key}`{}", nearest.as_ref().map(|n| format!(": did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The key.
        key: String,
        /// The valid name nearest to it, if one is near.
        nearest: Option<String>,
    },
    /// A key that must be set is not.
    #[error("missing key `{key}`: expected {expected}")]
    Missing {
        /// The key.
        key: String,
        /// What should stand there.
        expected: String,
    },
    /// A value of another type, out of range, or not among the choices.
    #[error("`{key}` = {value}: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// What stands there.
        value: String,
        /// What should stand there.
        expected: String,
    },
}

impl ConfigError {
    /// A value that is wrong.
    pub fn value(key: impl Into<String>, value: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { key: key.into(), value: value.to_string(), expected: expected.into() }
    }

    /// The dotted path of the key.
    pub fn key(&self) -> &str {
        match self {
            Self::Unknown { key, .. } | Self::Missing { key, .. } | Self::Value { key, .. } => key,
        }
    }

    /// The same error with its key below another: `bits` becomes `adc.bits`.
    pub fn under(mut self, section: &str) -> Self {
        if !section.is_empty() {
            match &mut self {
                Self::Unknown { key, .. } | Self::Missing { key, .. } | Self::Value { key, .. } => {
                    *key = format!("{section}.{key}");
                }
            }
        }
        self
    }
}
