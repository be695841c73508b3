//! Opens FlinkSnapshotStores, each with the credentials of a Secret of its own namespace and with no others.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::future::try_join_all;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::api::FlinkSnapshotStore;
use crate::context::Context;
use crate::flink::location;
use crate::reconcile::{Error, within};
use crate::snapshot::store::{Access, Credentials, Patience, Settings, Store, StoreError, Stores};

/// Keys of the Secret.
pub(crate) const ACCESS_KEY_ID: &str = "accessKeyId";
pub(crate) const SECRET_ACCESS_KEY: &str = "secretAccessKey";
pub(crate) const SESSION_TOKEN: &str = "sessionToken";

/// Opened stores that are kept: each holds its connections.
const KEPT: usize = 64;

/// Why a FlinkSnapshotStore can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// There is no such Secret.
    #[error(
        "spec.credentialsSecretRef.name: there is no Secret {name} in this namespace; create it with the keys \
         {ACCESS_KEY_ID} and {SECRET_ACCESS_KEY}"
    )]
    SecretMissing {
        /// Its name.
        name: String,
    },
    /// The Secret lacks a key.
    #[error(
        "spec.credentialsSecretRef.name: Secret {name} has no key {key}; it needs {ACCESS_KEY_ID} and \
         {SECRET_ACCESS_KEY}, and {SESSION_TOKEN} where one is used"
    )]
    SecretIncomplete {
        /// Its name.
        name: String,
        /// The missing key.
        key: &'static str,
    },
    /// What the Secret holds under a key can't be a credential.
    #[error(
        "spec.credentialsSecretRef.name: Secret {name}, key {key}, {problem}; write it anew, as with kubectl create \
         secret generic --from-literal"
    )]
    SecretMalformed {
        /// Its name.
        name: String,
        /// The key.
        key: &'static str,
        /// What is wrong, without the value.
        problem: &'static str,
    },
    /// A directory that the operator was not told to look into.
    #[error(
        "spec.url: {url} is read where the operator runs, and it may not look there; mount the volume into its pod and \
         name the directory by --local-stores (LOCAL_STORES), or use s3://"
    )]
    LocalNotAllowed {
        /// The URL.
        url: String,
    },
    /// The store itself can't be opened.
    #[error("{message}")]
    Store {
        /// Its reason.
        reason: &'static str,
        /// Its words.
        message: String,
    },
}

impl OpenError {
    /// A stable word for conditions, Events and metric labels.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::SecretMissing { .. } => "SecretMissing",
            Self::SecretIncomplete { .. } => "SecretIncomplete",
            Self::SecretMalformed { .. } => "SecretMalformed",
            Self::LocalNotAllowed { .. } => "LocalNotAllowed",
            Self::Store { reason, .. } => reason,
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        Self::Store { reason: error.reason(), message: error.to_string() }
    }
}

/// Stores that are open, by namespace and name: who opens one again finds its connections.
pub struct Open {
    opener: Box<Opener>,
    kept: Mutex<HashMap<(String, String), (Settings, Store)>>,
}

/// How a store is opened.
type Opener = dyn Fn(&Settings) -> Result<Store, StoreError> + Send + Sync;

impl Default for Open {
    fn default() -> Self {
        Self::by(Store::open)
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open").field("kept", &self.kept().len()).finish_non_exhaustive()
    }
}

impl Open {
    /// None is open yet, and each is opened this way.
    pub fn by(opener: impl Fn(&Settings) -> Result<Store, StoreError> + Send + Sync + 'static) -> Self {
        Self { opener: Box::new(opener), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<(String, String), (Settings, Store)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, of: (String, String), settings: Settings) -> Result<Store, StoreError> {
        let mut kept = self.kept();
        if let Some((_, store)) = kept.get(&of).filter(|(before, _)| *before == settings) {
            return Ok(store.clone());
        }
        let store = (self.opener)(&settings)?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(of, (settings, store.clone()));
        Ok(store)
    }
}

/// Opens a store.
///
/// # Errors
/// The outer one if Kubernetes can't be asked, the inner one if the store can't be used as it is.
pub async fn open(ctx: &Context, store: &FlinkSnapshotStore) -> Result<Result<Store, OpenError>, Error> {
    let namespace = store.namespace().unwrap_or_default();
    if let Err(e) = may_look(&store.spec.url, &ctx.settings.local_stores) {
        return Ok(Err(e));
    }
    let credentials = match &store.spec.credentials_secret_ref {
        None => None,
        Some(named) => {
            let secrets: Api<Secret> = Api::namespaced(ctx.client.clone(), &namespace);
            match credentials(&named.name, within("get Secret", secrets.get_opt(&named.name)).await?) {
                Ok(credentials) => Some(credentials),
                Err(e) => return Ok(Err(e)),
            }
        }
    };
    let settings = Settings {
        url: store.spec.url.clone(),
        endpoint: store.spec.endpoint.clone(),
        region: store.spec.region.clone(),
        credentials,
        access: if store.spec.read_only() { Access::ReadOnly } else { Access::ReadWrite },
        patience: Patience::default(),
    };
    Ok(ctx.stores.open((namespace, store.name_any()), settings).map_err(OpenError::from))
}

/// The operator's own files are nobody's store, unless its owner says so.
fn may_look(url: &str, allowed: &[PathBuf]) -> Result<(), OpenError> {
    let normal = location::normalise(url);
    let Some(path) = normal.strip_prefix("file://") else { return Ok(()) };
    if allowed.iter().any(|root| std::path::Path::new(path).starts_with(root)) {
        return Ok(());
    }
    Err(OpenError::LocalNotAllowed { url: url.to_owned() })
}

fn credentials(name: &str, secret: Option<Secret>) -> Result<Credentials, OpenError> {
    let Some(secret) = secret else { return Err(OpenError::SecretMissing { name: name.to_owned() }) };
    let data = secret.data.unwrap_or_default();
    let needed =
        |key| text(name, &data, key)?.ok_or_else(|| OpenError::SecretIncomplete { name: name.to_owned(), key });
    Ok(Credentials {
        access_key_id: needed(ACCESS_KEY_ID)?,
        secret_access_key: needed(SECRET_ACCESS_KEY)?,
        session_token: text(name, &data, SESSION_TOKEN)?,
    })
}

fn text(name: &str, data: &BTreeMap<String, ByteString>, key: &'static str) -> Result<Option<String>, OpenError> {
    let Some(bytes) = data.get(key) else { return Ok(None) };
    let malformed = |problem| OpenError::SecretMalformed { name: name.to_owned(), key, problem };
    let text = std::str::from_utf8(&bytes.0).map_err(|_| malformed("is not text"))?;
    if text.is_empty() {
        return Err(malformed("is empty"));
    }
    if text.ends_with('\n') {
        // By far the most frequent one: `echo` adds it.
        return Err(malformed("ends with a line break"));
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(malformed("has a character that no credential has, such as a blank"));
    }
    Ok(Some(text.to_owned()))
}

/// The stores of a namespace.
#[derive(Debug, Default)]
pub struct Opened {
    stores: Stores,
    refused: Vec<(FlinkSnapshotStore, OpenError)>,
}

/// Who serves a place.
#[derive(Debug)]
pub enum Served<'a> {
    /// No FlinkSnapshotStore.
    Nobody,
    /// One that can't be used: its name, and why.
    Refused(String, &'a OpenError),
    /// This one.
    By(&'a Store),
}

impl Opened {
    /// These, and those that can't be used.
    #[must_use]
    pub fn of(stores: Vec<Store>, refused: Vec<(FlinkSnapshotStore, OpenError)>) -> Self {
        Self { stores: Stores::new(stores), refused }
    }

    /// All of them that can be used.
    #[must_use]
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// The store with the longest url that a location is at or below.
    #[must_use]
    pub fn serving(&self, place: &str) -> Served<'_> {
        let refused = self.refused.iter().filter(|(store, _)| serves(&store.spec.url, place));
        let refused = refused.max_by_key(|(store, _)| location::normalise(&store.spec.url).len());
        match (self.stores.of(place), refused) {
            (Some(open), Some((closed, _))) if open.url().len() >= location::normalise(&closed.spec.url).len() => {
                Served::By(open)
            }
            (_, Some((closed, why))) => Served::Refused(closed.name_any(), why),
            (Some(open), None) => Served::By(open),
            (None, None) => Served::Nobody,
        }
    }
}

/// A store with this URL serves this place.
pub(crate) fn serves(url: &str, place: &str) -> bool {
    location::same(url, place) || location::is_below(place, url)
}

/// Opens the stores of a namespace, or only one of them.
///
/// # Errors
/// If Kubernetes can't be asked. A store that can't be used is no error until it is needed.
pub async fn of_namespace(ctx: &Context, namespace: &str, only: Option<&str>) -> Result<Opened, Error> {
    let api: Api<FlinkSnapshotStore> = Api::namespaced(ctx.client.clone(), namespace);
    let found = if let Some(name) = only {
        within("get FlinkSnapshotStore", api.get_opt(name)).await?.into_iter().collect()
    } else {
        // As the API server knows them at once: a list of now would wait for its cache while a job is down.
        within("list FlinkSnapshotStores", api.list(&ListParams::default().match_any())).await?.items
    };
    let each = found.into_iter().map(async |store| Ok::<_, Error>((open(ctx, &store).await?, store)));
    let mut opened = Vec::new();
    let mut refused = Vec::new();
    for (outcome, store) in try_join_all(each).await? {
        match outcome {
            Ok(open) => opened.push(open),
            Err(why) => refused.push((store, why)),
        }
    }
    Ok(Opened::of(opened, refused))
}

#[cfg(test)]
#[path = "open_tests.rs"]
mod tests;
