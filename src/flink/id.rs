//! Flink's 128-bit ids, written as 32 lower-case hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not an id of Flink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} is not 32 hexadecimal digits")]
pub struct InvalidId {
    what: &'static str,
    value: String,
}

/// Flink parses ids in any case and writes them in lower case, so that is the one form kept here.
fn parse(what: &'static str, value: &str) -> Result<String, InvalidId> {
    if value.len() == 32 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(value.to_ascii_lowercase())
    } else {
        Err(InvalidId { what, value: value.chars().take(64).collect() })
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and takes an id.
            ///
            /// # Errors
            /// [`InvalidId`] unless it is 32 hexadecimal digits.
            pub fn new(value: impl AsRef<str>) -> Result<Self, InvalidId> {
                parse($what, value.as_ref()).map(Self)
            }

            /// The id as Flink writes it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(value: &str) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }
    };
}

id!(
    /// A job's id. The submitter chooses it, one for each submission: Flink refuses or confuses one that comes again.
    JobId,
    "job id"
);
id!(
    /// The id of a savepoint's or a stop's trigger. On one JobManager process it makes the trigger idempotent: a second
    /// POST with the same id gives the first one's result, even with another directory.
    TriggerId,
    "trigger id"
);
