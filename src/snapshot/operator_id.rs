//! Operator IDs, and how Flink makes one of a uid.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The id by which Flink finds the state of an operator. Written as 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OperatorId([u8; 16]);

impl OperatorId {
    /// The id of the operator with this uid, by Flink's rule (`StreamGraphHasherV2.generateUserSpecifiedHash`): murmur3
    /// of 128 bits, seed 0, over the uid in UTF-8.
    #[must_use]
    pub fn of_uid(uid: &str) -> Self {
        // A slice can always be read.
        let hash = murmur3::murmur3_x64_128(&mut uid.as_bytes(), 0).unwrap_or_default();
        Self(hash.to_le_bytes())
    }

    /// The id in the order in which it is written.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for OperatorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl From<OperatorId> for String {
    fn from(id: OperatorId) -> Self {
        id.to_string()
    }
}

/// Text that is not an operator ID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("operator ID {0:?} is not 32 hexadecimal digits: give the id as Flink writes it, or the operator's uid")]
pub struct InvalidOperatorId(String);

impl FromStr for OperatorId {
    type Err = InvalidOperatorId;

    fn from_str(text: &str) -> Result<Self, InvalidOperatorId> {
        // `from_str_radix` would take a sign.
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidOperatorId(text.chars().take(64).collect()));
        }
        u128::from_str_radix(text, 16).map(|id| Self(id.to_be_bytes())).map_err(|_| InvalidOperatorId(text.to_owned()))
    }
}

impl TryFrom<String> for OperatorId {
    type Error = InvalidOperatorId;

    fn try_from(text: String) -> Result<Self, InvalidOperatorId> {
        text.parse()
    }
}

#[cfg(test)]
#[path = "operator_id_tests.rs"]
mod tests;
