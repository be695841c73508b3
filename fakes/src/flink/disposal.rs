//! Disposal of savepoints.

use serde_json::json;
use tokio::time::Instant;

use super::answers::{completed, in_progress};
use super::files::{FileEffect, key, normal, scheme};
use super::http_answer::Answer;
use super::recorded;
use super::snapshots::METADATA;
use super::state::State;

/// A disposal that was asked for.
#[derive(Debug, Clone)]
pub(super) struct Disposal {
    asked: Instant,
    /// What was asked for, where no savepoint was found.
    missing: Option<String>,
    /// Somebody has looked: the first look comes too soon.
    seen: bool,
}

impl State {
    /// A savepoint is disposed of; `exists`: there is one.
    pub fn dispose(&mut self, path: &str, exists: bool) -> Answer {
        let id = self.draw_id();
        let location = normal(normal(path).trim_end_matches(METADATA));
        let directory = key(&self.settings.storage_root, &location).filter(|_| exists);
        let missing = directory.is_none().then(|| path.to_owned());
        self.outbox.extend(directory.map(FileEffect::Delete));
        self.disposals.insert(id.clone(), Disposal { asked: self.now, missing, seen: false });
        Answer::ok(json!({"request-id": id}))
    }

    /// What a disposal has come to.
    pub fn disposal_result(&mut self, id: &str) -> Answer {
        let (now, kept, version) = (self.now, self.settings.results_kept, self.settings.version);
        self.disposals.retain(|_, disposal| now.duration_since(disposal.asked) < kept);
        let Some(disposal) = self.disposals.get_mut(id) else {
            return recorded::DISPOSAL_UNKNOWN.of(version, &[]).into();
        };
        if !std::mem::replace(&mut disposal.seen, true) {
            return Answer::ok(in_progress());
        }
        let Some(path) = &disposal.missing else { return Answer::ok(completed(&json!({}))) };
        let replace = [
            ("file:/srv/fk/sp-edge-1.20.5/savepoint-8f09bc-518c39d3fd0b", path.as_str()),
            ("file:/srv/fk/sp-edge-2.3.0/savepoint-e3d01a-b406fe2da727", path),
            ("file system 'file'", &format!("file system '{}'", scheme(path))),
        ];
        recorded::DISPOSAL_FAILED_GONE.of(version, &replace).into()
    }
}
