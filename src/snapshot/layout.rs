//! Which Flink writes and reads which layout of `_metadata`.

use std::fmt;
use std::str::FromStr;

/// A version of Flink, such as 1.20 or 1.20.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlinkRelease {
    /// The first number.
    pub major: u16,
    /// The second.
    pub minor: u16,
    /// The third, if it is known.
    pub patch: Option<u16>,
}

impl FlinkRelease {
    /// A minor version, such as 1.20.
    #[must_use]
    pub const fn line(major: u16, minor: u16) -> Self {
        Self { major, minor, patch: None }
    }

    /// Major and minor version.
    #[must_use]
    pub const fn minor_line(self) -> (u16, u16) {
        (self.major, self.minor)
    }

    /// The newest layout that this Flink reads; it is the one that it writes. `None`: it is older than layout 2.
    #[must_use]
    pub fn newest_layout(self) -> Option<u32> {
        LAYOUTS.iter().rev().find(|layout| layout.first <= self.minor_line()).map(|layout| layout.version)
    }
}

impl fmt::Display for FlinkRelease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.patch.map_or(Ok(()), |patch| write!(f, ".{patch}"))
    }
}

/// Text that is not a version of Flink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Flink version {0:?} can't be read: write it as 1.20, 1.20.5 or v1_20")]
pub struct InvalidRelease(String);

impl FromStr for FlinkRelease {
    type Err = InvalidRelease;

    /// Takes `1.20`, `1.20.5`, `1.20-SNAPSHOT` and the API's `v1_20`.
    fn from_str(text: &str) -> Result<Self, InvalidRelease> {
        let invalid = || InvalidRelease(text.chars().take(40).collect());
        let plain = text.strip_prefix('v').unwrap_or(text);
        let numbers = plain.split_once('-').map_or(plain, |(numbers, _)| numbers);
        let mut numbers = numbers.split(['.', '_']).map(str::parse::<u16>);
        let mut next = || numbers.next().transpose().map_err(|_| invalid());
        let (Some(major), Some(minor), patch, None) = (next()?, next()?, next()?, next()?) else {
            return Err(invalid());
        };
        Ok(Self { major, minor, patch })
    }
}

/// A layout, and the minor versions of Flink that write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Its version.
    pub version: u32,
    /// The first minor version of Flink that writes it. Every later one reads it.
    pub first: (u16, u16),
    /// The last one. `None`: no later layout is known.
    pub last: Option<(u16, u16)>,
}

/// The layouts, oldest first. Layout 7 is on Flink's main branch, in no release yet: it is taken for what follows 2.3.
pub const LAYOUTS: [Layout; 6] = [
    Layout { version: 2, first: (1, 3), last: Some((1, 10)) },
    Layout { version: 3, first: (1, 11), last: Some((1, 15)) },
    Layout { version: 4, first: (1, 16), last: Some((1, 20)) },
    Layout { version: 5, first: (2, 0), last: Some((2, 0)) },
    Layout { version: 6, first: (2, 1), last: Some((2, 3)) },
    Layout { version: 7, first: (2, 4), last: None },
];

/// The Flink versions that can have written a layout.
#[must_use]
pub fn written_by(version: u32) -> Option<Layout> {
    LAYOUTS.into_iter().find(|layout| layout.version == version)
}

impl Layout {
    /// This Flink writes the layout.
    #[must_use]
    pub fn is_of(self, release: FlinkRelease) -> bool {
        let line = release.minor_line();
        self.first <= line && self.last.is_none_or(|last| line <= last)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = self.first;
        write!(f, "Flink {major}.{minor}")?;
        match self.last {
            Some(last) if last == self.first => Ok(()),
            Some((major, minor)) => write!(f, " to {major}.{minor}"),
            None => f.write_str(" or later"),
        }
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
