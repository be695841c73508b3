//! Paths of state files. A relative one is joined to a snapshot's directory before files are looked for, copied or
//! deleted, so one that leads out of it must never get that far. The bytes of such a `_metadata` are well-formed, and
//! [`read`](super::read) tells them as they are; whoever collects the paths checks them: there are no
//! [`SnapshotFacts`](super::SnapshotFacts) with such a path, so no later part can forget to look.

use crate::flink::location;

/// A path in a relative state handle that is not one of a file below the snapshot's directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "state file {path:?}: a relative path must name a file below the snapshot's directory, but this one {problem}: \
         do not restore, copy or delete by this `_metadata`, it was not written by Flink"
)]
pub struct PathError {
    /// The path, cut to 200 characters.
    pub path: String,
    /// What is wrong.
    pub problem: PathProblem,
}

/// What is wrong with a relative path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It has a part `..`.
    #[error("climbs out of it by `..`")]
    Climbs,
    /// It begins with `/`, or with a scheme.
    #[error("is absolute")]
    Absolute,
    /// It is harmless as it stands, and not once its `%` codes are read, as some stores and tools do.
    #[error("hides `/`, `\\` or a dot behind percent-encoding")]
    Encoded,
    /// It names the directory itself, or nothing.
    #[error("names no file")]
    NoFile,
    /// It has a control character, such as NUL, which some stores and tools take for the end.
    #[error("has a control character")]
    Control,
}

impl PathError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.problem {
            PathProblem::Climbs => "PathClimbs",
            PathProblem::Absolute => "PathAbsolute",
            PathProblem::Encoded => "PathEncoded",
            PathProblem::NoFile => "PathEmpty",
            PathProblem::Control => "PathControlCharacter",
        }
    }
}

/// Checks the path of a relative state handle.
///
/// # Errors
/// [`PathError`], unless it names a file below the directory that it is relative to, however it is read.
pub fn check_relative(path: &str) -> Result<(), PathError> {
    match problem(path) {
        None => Ok(()),
        Some(problem) => Err(PathError { path: path.chars().take(200).collect(), problem }),
    }
}

fn problem(path: &str) -> Option<PathProblem> {
    if path.chars().any(char::is_control) {
        return Some(PathProblem::Control);
    }
    // Flink's Path trims, and takes a backslash for a slash (`Path.normalizePath`).
    let path = path.trim();
    if path.starts_with(SEPARATORS) || has_scheme(path) {
        return Some(PathProblem::Absolute);
    }
    if path.split(SEPARATORS).any(|part| part == "..") {
        return Some(PathProblem::Climbs);
    }
    if hides(path) {
        return Some(PathProblem::Encoded);
    }
    path.split(SEPARATORS).all(|part| matches!(part, "" | ".")).then_some(PathProblem::NoFile)
}

const SEPARATORS: [char; 2] = ['/', '\\'];

fn has_scheme(path: &str) -> bool {
    path.split(SEPARATORS).next().is_some_and(|first| first.contains(':'))
}

/// Percent-encoding, of whatever depth (`%2e`, `%252e`), of a character that matters to a path.
pub(super) fn hides(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        let mut code = rest;
        while let Some(deeper) = code.strip_prefix("25") {
            code = deeper;
        }
        code.get(..2).is_some_and(|code| ["2e", "2f", "5c", "00"].iter().any(|bad| code.eq_ignore_ascii_case(bad)))
    })
}

/// Where a file lies, seen from a snapshot's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the directory: the path below it, with one `/` between its parts.
    Inside(String),
    /// Elsewhere: the whole location, in its normal form ([`location::normalise`]).
    Outside(String),
}

/// The directory of a snapshot, in its normal form: `file:/x` is `file:///x`, and `s3`, `s3a` and `s3p` are one scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory(String);

impl Directory {
    /// The directory at a location; the location of the `_metadata` in it does as well.
    #[must_use]
    pub fn new(location: &str) -> Self {
        Self(location::normalise(location))
    }

    /// The normal form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a file lies that is named by its whole URI. One that hides parts of its path behind percent-encoding is
    /// never inside.
    #[must_use]
    pub fn place_of(&self, uri: &str) -> Place {
        let uri_normal = location::normalise(uri);
        let below = uri_normal.strip_prefix(self.0.trim_end_matches('/')).and_then(|rest| rest.strip_prefix('/'));
        match below {
            Some(below) if !below.is_empty() && !hides(uri) => Place::Inside(below.to_owned()),
            _ => Place::Outside(uri_normal),
        }
    }

    /// The path of a relative handle, with one `/` between its parts.
    pub(super) fn below(relative: &str) -> String {
        let parts = relative.trim().split(SEPARATORS).filter(|part| !matches!(*part, "" | "."));
        parts.collect::<Vec<_>>().join("/")
    }
}

#[cfg(test)]
#[path = "path_tests.rs"]
mod tests;
