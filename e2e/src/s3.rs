//! A look into the bucket: which objects are below a prefix; and a hand in it, for what a test breaks on purpose.
//!
//! Four signed requests (AWS Signature Version 4). Not by the operator's own way to S3: that is what is tested.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, Utc};
use reqwest::Method;
use sha2::{Digest as _, Sha256};

/// The S3-compatible server of the cluster.
#[derive(Debug, Clone)]
pub struct S3 {
    /// `http://host:port`.
    pub endpoint: String,
    /// Bucket of all tests.
    pub bucket: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
}

/// What a request is signed for.
const REGION: &str = "us-east-1";

impl S3 {
    /// The keys of all files below a prefix. Markers of directories, which Flink leaves with this server, are none.
    ///
    /// # Errors
    /// The server cannot be reached or refuses.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>> {
        Ok(self.sizes(prefix).await?.into_keys().collect())
    }

    /// The keys of all files below a prefix, each with its size in bytes.
    ///
    /// # Errors
    /// See [`S3::list`].
    pub async fn sizes(&self, prefix: &str) -> Result<BTreeMap<String, i64>> {
        let mut sizes = BTreeMap::new();
        let mut from: Option<String> = None;
        loop {
            let mut query = vec![("list-type", "2".to_owned()), ("prefix", prefix.to_owned())];
            if let Some(token) = &from {
                query.insert(0, ("continuation-token", token.clone()));
            }
            let page = String::from_utf8(self.request(Method::GET, "", &query, Vec::new()).await?)?;
            for (key, size) in texts(&page, "Key").into_iter().zip(texts(&page, "Size")) {
                if !key.ends_with('/') {
                    sizes.insert(key, size.parse()?);
                }
            }
            from = texts(&page, "NextContinuationToken").pop();
            if from.is_none() {
                return Ok(sizes);
            }
        }
    }

    /// The directories below a prefix that hold a `_metadata`: whole savepoints and checkpoints.
    ///
    /// # Errors
    /// See [`S3::list`].
    pub async fn snapshots(&self, prefix: &str) -> Result<BTreeSet<String>> {
        let keys = self.list(prefix).await?;
        Ok(keys.iter().filter_map(|key| key.strip_suffix("/_metadata")).map(|key| self.url(key)).collect())
    }

    /// Whether the savepoint or checkpoint at a location as Flink gives it (`s3://bucket/key`) has its `_metadata`.
    ///
    /// # Errors
    /// See [`S3::list`]; or the location is in another bucket.
    pub async fn has_metadata(&self, location: &str) -> Result<bool> {
        let directory = self.key(location)?;
        Ok(self.list(&format!("{directory}/")).await?.contains(&format!("{directory}/_metadata")))
    }

    /// `host:port` of the endpoint.
    #[must_use]
    pub fn host(&self) -> &str {
        self.endpoint.split_once("://").map_or(self.endpoint.as_str(), |(_, host)| host)
    }

    /// `s3://bucket/key`, the form that Flink uses.
    #[must_use]
    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    /// The key of a location as Flink gives it, without a slash at its end.
    ///
    /// # Errors
    /// The location is not in this bucket.
    pub fn key<'a>(&self, location: &'a str) -> Result<&'a str> {
        let inside = location.strip_prefix(&self.url("")).map(|key| key.trim_end_matches('/'));
        inside.with_context(|| format!("{location} is not in bucket {}", self.bucket))
    }

    /// An object's bytes.
    ///
    /// # Errors
    /// See [`S3::list`]; or there is no such object.
    pub async fn read(&self, key: &str) -> Result<Vec<u8>> {
        self.request(Method::GET, key, &[], Vec::new()).await
    }

    /// Writes an object.
    ///
    /// # Errors
    /// See [`S3::list`].
    pub async fn write(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        self.request(Method::PUT, key, &[], bytes).await.map(drop)
    }

    /// Removes an object.
    ///
    /// # Errors
    /// See [`S3::list`].
    pub async fn remove(&self, key: &str) -> Result<()> {
        self.request(Method::DELETE, key, &[], Vec::new()).await.map(drop)
    }

    /// `key` needs no encoding: tests choose theirs, and Flink's have letters, digits, `-` and `_`.
    async fn request(&self, method: Method, key: &str, query: &[(&str, String)], body: Vec<u8>) -> Result<Vec<u8>> {
        let path = if key.is_empty() { format!("/{}", self.bucket) } else { format!("/{}/{key}", self.bucket) };
        let host = self.host();
        let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let query = query.join("&");
        let date = Utc::now();
        let hash = hex(&Sha256::digest(&body));
        let signed = Signed { method: method.as_str(), date, host, path: &path, query: &query, body: &hash };
        let request = reqwest::Client::new()
            .request(method.clone(), format!("{}{path}?{query}", self.endpoint))
            .timeout(std::time::Duration::from_secs(10))
            .header("x-amz-date", stamp(date))
            .header("x-amz-content-sha256", &hash)
            .header("authorization", self.authorization(&signed))
            .body(body);
        let answer = request.send().await.context("S3 server")?;
        let status = answer.status();
        let bytes = answer.bytes().await?.to_vec();
        ensure!(status.is_success(), "S3 server: {method} {path}: {status}: {}", String::from_utf8_lossy(&bytes));
        Ok(bytes)
    }

    /// The address of an object by which anybody can read it for an hour.
    #[must_use]
    pub fn signed_url(&self, key: &str) -> String {
        let (date, path) = (Utc::now(), format!("/{}/{key}", self.bucket));
        let credential = encoded(&format!("{}/{}", self.access_key, scope(date)));
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={}&X-Amz-Expires=3600&\
             X-Amz-SignedHeaders=host",
            stamp(date)
        );
        let canonical = format!("GET\n{path}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", self.host());
        format!("{}{path}?{query}&X-Amz-Signature={}", self.endpoint, self.signature(date, &canonical))
    }

    /// The `authorization` header of a request.
    fn authorization(&self, request: &Signed<'_>) -> String {
        let Signed { method, date, host, path, query, body } = request;
        let stamp = stamp(*date);
        let canonical = format!(
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{body}\nx-amz-date:{stamp}\n\n\
             host;x-amz-content-sha256;x-amz-date\n{body}"
        );
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders=host;x-amz-content-sha256;x-amz-date,Signature={}",
            self.access_key,
            scope(*date),
            self.signature(*date, &canonical)
        )
    }

    /// Of a request in its canonical form.
    fn signature(&self, date: DateTime<Utc>, canonical: &str) -> String {
        let (stamp, scope) = (stamp(date), scope(date));
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
        let mut key = hmac(format!("AWS4{}", self.secret_key).as_bytes(), day(date).as_bytes());
        for part in [REGION, "s3", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        hex(&hmac(&key, to_sign.as_bytes()))
    }
}

/// What a signature is of.
struct Signed<'a> {
    method: &'a str,
    date: DateTime<Utc>,
    host: &'a str,
    path: &'a str,
    /// Sorted and encoded.
    query: &'a str,
    /// SHA-256 of the body, in hexadecimal digits.
    body: &'a str,
}

fn stamp(date: DateTime<Utc>) -> String {
    date.format("%Y%m%dT%H%M%SZ").to_string()
}

fn day(date: DateTime<Utc>) -> String {
    date.format("%Y%m%d").to_string()
}

/// What a key signs for.
fn scope(date: DateTime<Utc>) -> String {
    format!("{}/{REGION}/s3/aws4_request", day(date))
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    const BLOCK: usize = 64;
    let mut padded = if key.len() > BLOCK { Sha256::digest(key).to_vec() } else { key.to_vec() };
    padded.resize(BLOCK, 0);
    let pad = |with: u8| padded.iter().map(|byte| byte ^ with).collect::<Vec<u8>>();
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Percent-encoding as the signature wants it.
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// The contents of all elements of that name: enough of XML for a list of keys without `&` and `<`.
fn texts(xml: &str, element: &str) -> Vec<String> {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    let after = xml.split(open.as_str()).skip(1);
    after.filter_map(|rest| rest.split_once(close.as_str())).map(|(text, _)| text.to_owned()).collect()
}

#[cfg(test)]
#[path = "s3_tests.rs"]
mod s3_tests;
