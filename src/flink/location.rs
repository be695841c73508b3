//! Where snapshots lie. Flink writes one place in several ways (`file:/x` whatever form was asked for; `s3a` where
//! `s3` was), so locations are compared in one normal form.

/// The file of a snapshot that says what is in it; as good a name of the snapshot as its directory.
const METADATA: &str = "_metadata";

/// The normal form of a location: `scheme://authority/path` with `file` where there is no scheme and `s3` for all of
/// Flink's S3 file systems; one slash between parts, none at the end; `.` and `..` resolved, as Flink does; the
/// directory where the `_metadata` in it was named. The case of all but the scheme is kept.
#[must_use]
pub fn normalise(location: &str) -> String {
    let (scheme, rest) = split_scheme(location.trim());
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "s3a" | "s3n" | "s3p" => "s3".to_owned(),
        "" => "file".to_owned(),
        other => other.to_owned(),
    };
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
        None => ("", rest),
    };
    let authority = if scheme == "file" && authority == "localhost" { "" } else { authority };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.pop_if(|last| *last == METADATA);
    format!("{scheme}://{authority}/{}", parts.join("/"))
}

/// Both name one place.
#[must_use]
pub fn same(a: &str, b: &str) -> bool {
    normalise(a) == normalise(b)
}

/// The first lies somewhere below the second, and is not the second itself.
#[must_use]
pub fn is_below(location: &str, directory: &str) -> bool {
    let directory = normalise(directory);
    let directory = directory.strip_suffix('/').unwrap_or(&directory);
    normalise(location).strip_prefix(directory).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

/// The scheme of a location, as it is written. `None`: it is a path.
#[must_use]
pub fn scheme(location: &str) -> Option<&str> {
    Some(split_scheme(location.trim()).0).filter(|scheme| !scheme.is_empty())
}

/// A scheme, without its colon, and the rest.
fn split_scheme(location: &str) -> (&str, &str) {
    match location.split_once(':') {
        Some((scheme, rest))
            if scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) =>
        {
            (scheme, rest)
        }
        _ => ("", location),
    }
}
