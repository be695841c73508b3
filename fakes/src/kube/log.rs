//! What was asked for and by whom.

use http::StatusCode;

/// One request, as the audit log of a real API server has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The client that made it; see [`super::Service::named`].
    pub client: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch` or `delete`; empty if the request was not understood.
    pub verb: &'static str,
    /// Plural name, such as `configmaps`.
    pub resource: String,
    /// Empty if it was not about one.
    pub namespace: String,
    /// Empty if it was about many objects, or had a name generated.
    pub name: String,
    /// Empty or `status`.
    pub subresource: String,
    /// How it was answered.
    pub code: StatusCode,
}
