//! What is wrong with a spec.

/// Why a spec cannot be rendered. Each message names the field, the value and the cure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A value that does not work.
    #[error("{field}: '{value}' {problem}; {cure}")]
    Invalid {
        /// Path of the field.
        field: String,
        /// The value as given.
        value: String,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        cure: String,
    },
    /// The rendering does not fit into one object.
    #[error("spec: its objects take {bytes} bytes, and {limit} can be stored; shorten logConfiguration or podTemplate")]
    TooLarge {
        /// Size of the rendering.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The objects could not be written as JSON or YAML, which no spec should bring about.
    #[error("spec: cannot be written as {format}: {message}; remove unusual values from podTemplate")]
    Unwritable {
        /// The format.
        format: &'static str,
        /// What the library says.
        message: String,
    },
}

impl SpecError {
    /// A value that does not work.
    pub(in crate::upgrade) fn invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self::Invalid { field: field.into(), value: value.into(), problem: problem.into(), cure: cure.into() }
    }
}
