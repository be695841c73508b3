//! What the tests of this folder share: an S3 and a directory, each with snapshots in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::stub_s3::Stub;
use super::{Access, Credentials, Patience, Settings, Store, Stores};
use crate::snapshot::bytes::{Subtask, incremental, inline, one};

/// None of these may ever be seen.
pub const SECRETS: [&str; 3] = ["AKIAIDOFTHEKEY", "SecretOfTheKey", "TokenOfTheSession"];

pub fn credentials() -> Credentials {
    let [id, secret, token] = SECRETS.map(str::to_owned);
    Credentials { access_key_id: id, secret_access_key: secret, session_token: Some(token) }
}

/// For servers that never answer; nothing else has to be done within it.
pub fn impatient() -> Patience {
    Patience { answer: Duration::from_millis(200), ..Patience::default() }
}

pub fn settings(url: &str) -> Settings {
    let (url, access) = (url.to_owned(), Access::ReadWrite);
    Settings { url, endpoint: None, region: None, credentials: None, access, patience: Patience::default() }
}

/// Of the bucket `flink`, with pages of two; requests must be signed.
pub async fn s3() -> Stub {
    Stub::start("flink", Some(SECRETS[0]), 2).await.unwrap()
}

pub fn s3_settings(stub: &Stub, url: &str) -> Settings {
    Settings { endpoint: Some(stub.endpoint.clone()), credentials: Some(credentials()), ..settings(url) }
}

pub fn stores(settings: &Settings) -> Stores {
    Stores::new(vec![Store::open(settings).unwrap()])
}

pub fn s3_stores(stub: &Stub) -> Stores {
    stores(&s3_settings(stub, "s3://flink"))
}

/// A `_metadata` that names these files.
pub fn metadata(files: &[Vec<u8>]) -> Vec<u8> {
    one(6, Subtask { managed_keyed: incremental(11, &inline(1), files, &[]), ..Subtask::default() })
}

/// A directory of its own, which goes when the test does.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("flink-store-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.0.display())
    }

    pub fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let file = self.0.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}
