//! Where snapshots are read from: a location as a person writes it, and the stores that it takes.

use std::collections::BTreeSet;

use super::Error;
use crate::flink::location;
use crate::snapshot::path::Directory;
use crate::snapshot::store::{Access, Credentials, Patience, Settings, Snapshot, Store, Stores};

/// Buckets besides the snapshot's own whose files are looked at. Flink writes into one.
const MOST_BUCKETS: usize = 16;

/// A location as it was written on the command line: a path becomes a whole one, with `file://` before it.
///
/// # Errors
/// [`Error::Path`] if a relative path can't be resolved.
pub fn location(argument: &str) -> Result<String, Error> {
    if location::scheme(argument).is_some() {
        return Ok(argument.to_owned());
    }
    let path = std::path::absolute(argument).map_err(|source| Error::Path { path: argument.to_owned(), source })?;
    Ok(format!("file://{}", path.display()))
}

/// The variables of keys for S3, as the AWS tools name them: id, secret and token.
const KEYS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// The keys that the environment holds.
#[derive(Clone)]
pub enum Keys {
    /// Requests are signed with these.
    Whole(Credentials),
    /// Requests are not signed.
    None,
    /// One of the two variables is missing.
    Half {
        /// The one that is missing.
        missing: &'static str,
        /// The one that tells that it is.
        present: &'static str,
    },
}

impl Keys {
    /// Those of the variables that the AWS tools use. A variable that is set to nothing counts as left out.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::named(KEYS, variable)
    }

    /// Those of other variables: id, secret and token.
    pub fn named([id, secret, token]: [&'static str; 3], variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name| variable(name).filter(|value| !value.is_empty());
        match (value(id), value(secret), value(token)) {
            (Some(access_key_id), Some(secret_access_key), session_token) => {
                Self::Whole(Credentials { access_key_id, secret_access_key, session_token })
            }
            (Some(_), None, _) => Self::Half { missing: secret, present: id },
            (None, Some(_), _) => Self::Half { missing: id, present: secret },
            (None, None, Some(_)) => Self::Half { missing: id, present: token },
            (None, None, None) => Self::None,
        }
    }
}

/// How stores are reached.
pub struct Reach {
    endpoint: Option<String>,
    region: Option<String>,
    keys: Keys,
}

impl Reach {
    /// With these. A text that is empty counts as left out.
    pub fn new(endpoint: Option<String>, region: Option<String>, keys: Keys) -> Self {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self { endpoint: given(endpoint), region: given(region), keys }
    }

    /// Requests are signed.
    pub fn signs(&self) -> bool {
        matches!(self.keys, Keys::Whole(_))
    }

    /// What a location takes: its bucket, or the file system.
    ///
    /// # Errors
    /// [`Error::HalfOfKeys`], and what [`Store::open`] says.
    pub fn stores(&self, location: &str) -> Result<Stores, Error> {
        Ok(Stores::new(vec![self.store(location)?]))
    }

    /// The bucket of a location, or the file system.
    ///
    /// # Errors
    /// As [`Reach::stores`].
    pub fn store(&self, location: &str) -> Result<Store, Error> {
        self.open(&root(location))
    }

    /// As [`Reach::store`], to change files in.
    ///
    /// # Errors
    /// As [`Reach::stores`].
    pub fn writable(&self, location: &str) -> Result<Store, Error> {
        self.open_for(&root(location), Access::ReadWrite)
    }

    /// Another server, reached with what differs; `None` and [`Keys::None`]: as this one.
    pub fn other(&self, endpoint: Option<String>, region: Option<String>, keys: Keys) -> Self {
        let keys = if matches!(keys, Keys::None) { self.keys.clone() } else { keys };
        let other = Self::new(endpoint, region, keys);
        Self {
            endpoint: other.endpoint.or_else(|| self.endpoint.clone()),
            region: other.region.or_else(|| self.region.clone()),
            keys: other.keys,
        }
    }

    /// What a snapshot's files take: also the buckets of those that do not lie in its directory. Files on this machine
    /// are looked at only if the snapshot itself is here: on another one's `file:` they are others.
    ///
    /// # Errors
    /// As [`Reach::stores`].
    pub fn stores_of_files(&self, snapshot: &Snapshot) -> Result<Stores, Error> {
        let own = root(&snapshot.directory);
        let mut stores = vec![self.open(&own)?];
        let directory = Directory::new(&snapshot.directory);
        let mut buckets: BTreeSet<String> = BTreeSet::new();
        for (location, _) in snapshot.facts.files_outside(&directory) {
            if location.starts_with("s3://") && buckets.len() < MOST_BUCKETS {
                buckets.insert(root(&location));
            }
        }
        buckets.remove(&own);
        for bucket in buckets {
            match self.open(&bucket) {
                Ok(store) => stores.push(store),
                // No such bucket can be: its files are told as out of reach.
                Err(Error::Store(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Stores::new(stores))
    }

    fn open(&self, url: &str) -> Result<Store, Error> {
        self.open_for(url, Access::ReadOnly)
    }

    fn open_for(&self, url: &str, access: Access) -> Result<Store, Error> {
        let is_s3 = url.starts_with("s3:");
        let credentials = match &self.keys {
            Keys::Whole(credentials) if is_s3 => Some(credentials.clone()),
            Keys::Half { missing, present } if is_s3 => return Err(Error::HalfOfKeys { missing, present }),
            _ => None,
        };
        // An environment that is set for S3 does not stand in the way of a snapshot on this machine.
        let of_s3 = |text: &Option<String>| text.clone().filter(|_| is_s3);
        let settings = Settings {
            url: url.to_owned(),
            endpoint: of_s3(&self.endpoint),
            region: of_s3(&self.region),
            credentials,
            access,
            patience: Patience::default(),
        };
        Ok(Store::open(&settings)?)
    }
}

/// The widest that a store can be: a bucket, or the whole file system.
fn root(location: &str) -> String {
    let location = location::normalise(location);
    let (scheme, rest) = location.split_once("://").unwrap_or(("file", ""));
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}/")
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
