//! Where the files of a snapshot lie in a copy of it. The same every time, so that a copy that was interrupted goes on.

use super::facts::FileFacts;
use super::path::{Directory, Place, hides};
use crate::flink::location;
use crate::naming::sha256_hex;

/// Digits of the hash in a name: enough for any number of directories.
const DIGITS: usize = 16;
/// Longest name that is kept, in bytes. Flink's are UUIDs.
const LONGEST: usize = 128;
/// The file that says what is in a snapshot.
const METADATA: &str = "_metadata";

/// From a snapshot's directory to that of its copy.
///
/// A file in the directory keeps its name. One elsewhere, such as a shared file of a checkpoint, keeps its own name in a
/// directory that stands for the one where it lies, `shared-0123456789abcdef`: the digits are of its location. So two
/// files never become one, and of directories that Flink deletes as a whole, those of merged files, each stays one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    from: Directory,
    /// As it stands in the copy, without a slash at its end.
    to: String,
}

/// A place that can't be that of a copy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{to:?} can't hold a copy: {problem}")]
pub struct InvalidTarget {
    /// As it was given.
    pub to: String,
    /// What is wrong, and the cure.
    pub problem: &'static str,
}

impl Relocation {
    /// From one directory to another. `to` keeps its scheme: Flink has one of its file systems for each.
    ///
    /// # Errors
    /// [`InvalidTarget`] where Flink might read a path below it as another one.
    pub fn new(from: &str, to: &str) -> Result<Self, InvalidTarget> {
        let invalid = |problem| InvalidTarget { to: to.chars().take(200).collect(), problem };
        let normal = location::normalise(to);
        let (_, rest) = normal.split_once("://").unwrap_or_default();
        if rest.split_once('/').is_none_or(|(_, path)| path.is_empty()) {
            return Err(invalid("name a directory of its own, not the bucket or the root of the file system"));
        }
        if rest.chars().any(char::is_control) || rest.contains('\\') || hides(rest) {
            return Err(invalid(
                "take control characters, backslashes and percent-encoded dots and slashes out of its name",
            ));
        }
        let scheme = location::scheme(to).unwrap_or("file").to_ascii_lowercase();
        Ok(Self { from: Directory::new(from), to: format!("{scheme}://{rest}") })
    }

    /// The directory of the copy, in its normal form.
    #[must_use]
    pub fn directory(&self) -> String {
        location::normalise(&self.to)
    }

    /// Where a file lies in the copy: its path below the directory, with one `/` between its parts.
    #[must_use]
    pub fn below(&self, file: &FileFacts) -> String {
        match file.place(&self.from) {
            Place::Inside(below) => below,
            Place::Outside(location) => named(&location),
        }
    }

    /// What stands in the copy for a file that is named by its whole URI.
    #[must_use]
    pub fn file(&self, uri: &str) -> String {
        let below = match self.from.place_of(uri) {
            Place::Inside(below) => below,
            Place::Outside(location) => named(&location),
        };
        format!("{}/{below}", self.to)
    }

    /// What stands in the copy for a directory of merged files: the one that has them there.
    #[must_use]
    pub fn folder(&self, uri: &str) -> String {
        match self.from.place_of(uri) {
            Place::Inside(below) => format!("{}/{below}", self.to),
            Place::Outside(location) if location == self.from.as_str() => self.to.clone(),
            Place::Outside(location) => format!("{}/{}", self.to, folder(&location)),
        }
    }
}

/// The path in the copy of a file elsewhere, by its location in its normal form.
fn named(location: &str) -> String {
    let (parent, name) = location.rsplit_once('/').unwrap_or(("", location));
    let name = if is_plain(name) { name.to_owned() } else { format!("file-{}", hash(location)) };
    format!("{}/{name}", folder(parent))
}

/// The directory in the copy that stands for one elsewhere.
fn folder(location: &str) -> String {
    let location = location.trim_end_matches('/');
    let name = location.rsplit('/').next().filter(|name| is_plain(name)).unwrap_or("files");
    format!("{name}-{}", hash(location))
}

fn hash(location: &str) -> String {
    sha256_hex(location.as_bytes()).chars().take(DIGITS).collect()
}

/// A name that means the same to every store and file system.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && name != METADATA && name.chars().all(plain)
}

#[cfg(test)]
#[path = "relocate_tests.rs"]
mod tests;
