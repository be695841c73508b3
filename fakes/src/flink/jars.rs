//! Jars that are uploaded to a JobManager: they are gone with its process, and jobs that were run from them are not.

use bytes::Bytes;
use http::Request;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::cluster::{Cluster, Down};
use super::http_answer::Answer;
use super::process::Phase;
use super::settings::JobScript;
use super::state::State;

/// A jar that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upload {
    /// `<uuid>_<name>`.
    id: String,
    name: String,
    at: i64,
    content: String,
}

/// The one file of a request: its name and its content.
pub(super) fn file_of(request: &Request<Bytes>) -> Option<(String, String)> {
    let boundary = request.headers().get(CONTENT_TYPE)?.to_str().ok()?.split_once("boundary=")?.1;
    let body = String::from_utf8_lossy(request.body()).into_owned();
    let (head, rest) = body.split_once("\r\n\r\n")?;
    let name = head.split_once("filename=\"")?.1.split_once('"')?.0;
    let content = rest.split_once(&format!("\r\n--{boundary}"))?.0;
    Some((name.to_owned(), content.to_owned()))
}

impl State {
    pub(super) fn upload_jar(&mut self, name: &str, content: &str) -> Answer {
        let id = self.draw_id();
        let uuid = [id.get(..8), id.get(8..12), id.get(12..16), id.get(16..20), id.get(20..32)];
        let id = format!("{}_{name}", uuid.map(Option::unwrap_or_default).join("-"));
        let filename = format!("/tmp/flink-web-fake/flink-web-upload/{id}");
        let at = self.timestamp();
        self.uploads.push(Upload { id, name: name.to_owned(), at, content: content.to_owned() });
        Answer::ok(json!({"filename": filename, "status": "success"}))
    }

    pub(super) fn jars(&self) -> Answer {
        let file = |jar: &Upload| json!({"id": jar.id, "name": jar.name, "uploaded": jar.at, "entry": []});
        let files: Value = self.uploads.iter().rev().map(file).collect();
        Answer::ok(json!({"address": format!("http://{}:8081", self.settings.address), "files": files}))
    }

    pub(super) fn delete_jar(&mut self, id: &str) -> Answer {
        let before = self.uploads.len();
        self.uploads.retain(|jar| jar.id != id);
        if self.uploads.len() == before {
            let text = format!("File {id} does not exist in /tmp/flink-web-fake/flink-web-upload.");
            return Answer::refused(400, &text);
        }
        Answer::ok(json!({}))
    }

    /// The job in a jar: one that is in the upload directory from the beginning, or was uploaded.
    pub(super) fn job_in(&self, jar: &str) -> Option<JobScript> {
        let given = self.settings.jars.iter().find(|(name, _)| name == jar).map(|(_, script)| script.clone());
        given.or_else(|| {
            let upload = self.uploads.iter().find(|upload| upload.id == jar)?;
            (self.settings.uploaded)(&upload.content)
        })
    }
}

impl Cluster {
    /// Uploads a jar, unless one of this name is there, as an init container does.
    ///
    /// # Errors
    /// Nobody listens, or answers.
    pub fn upload_jar(&self, name: &str, content: &str) -> Result<(), Down> {
        let mut state = self.changing();
        if state.stopped.is_some() {
            return Err(Down::Stopped);
        }
        if state.phase != Phase::Leads {
            return Err(Down::Dead);
        }
        if !state.uploads.iter().any(|jar| jar.name == name) {
            state.upload_jar(name, content);
        }
        Ok(())
    }

    /// Its upload directory is emptied.
    pub fn lose_jars(&self) {
        self.changing().uploads.clear();
    }

    /// The names of the jars that were uploaded.
    #[must_use]
    pub fn uploaded_jars(&self) -> Vec<String> {
        self.current().uploads.iter().map(|jar| jar.name.clone()).collect()
    }
}
