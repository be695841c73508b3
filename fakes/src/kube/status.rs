//! Answers that refuse, in the real API server's words: clients decide by code and reason, people by the message.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::kind::{Kind, Trait};
use super::namespaces;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: StatusCode,
    reason: &'static str,
    message: String,
    details: Option<Map<String, Value>>,
}

/// What an answer is about; `kind` is the kind or the resource: the real one names either.
fn details(group: &str, kind: &str, name: &str, causes: &[Value]) -> Map<String, Value> {
    let mut details = Map::new();
    for (field, value) in [("name", name), ("group", group), ("kind", kind)] {
        if !value.is_empty() {
            details.insert(field.to_owned(), value.into());
        }
    }
    if !causes.is_empty() {
        details.insert("causes".to_owned(), causes.into());
    }
    details
}

fn cause(reason: &str, message: &str, field: &str) -> Value {
    json!({"reason": reason, "message": message, "field": field})
}

impl Failure {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, kind: &Kind, name: &str, causes: &[Value]) -> Self {
        self.details = Some(details(&kind.group, &kind.plural, name, causes));
        self
    }

    /// Of a request that is not understood: about nothing.
    fn about_nothing(mut self) -> Self {
        self.details = Some(Map::new());
        self
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// No such path.
    pub(super) fn no_resource() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource").about_nothing()
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).about_nothing()
    }

    pub(super) fn unsupported_media_type() -> Self {
        let message = "415: Unsupported Media Type";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message).about_nothing()
    }

    /// A JSON patch whose operations do not fit.
    pub(super) fn unfit_patch() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about_nothing()
    }

    pub(super) fn version_on_create() -> Self {
        let message = "resourceVersion should not be set on objects to be created";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "", message)
    }

    pub(super) fn not_found(kind: &Kind, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", kind.resource());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(kind, name, &[])
    }

    pub(super) fn no_namespace(name: &str) -> Self {
        let mut failure = Self::new(StatusCode::NOT_FOUND, "NotFound", format!("namespaces \"{name}\" not found"));
        failure.details = Some(details("", namespaces::RESOURCE, name, &[]));
        failure
    }

    pub(super) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} because it is being \
             terminated",
            kind.resource()
        );
        let why = format!("namespace {namespace} is being terminated");
        let causes = [cause("NamespaceTerminating", &why, "metadata.namespace")];
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).about(kind, name, &causes)
    }

    pub(super) fn already_exists(kind: &Kind, name: &str, deleting: bool) -> Self {
        let prefix = if deleting { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} \"{name}\" already exists", kind.resource());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(kind, name, &[])
    }

    fn cannot_be_fulfilled(resource: &str, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}");
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// The object is at another resourceVersion.
    pub(super) fn modified(kind: &Kind, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::cannot_be_fulfilled(&kind.resource(), name, why).about(kind, name, &[])
    }

    /// A replacement is of an object of another UID.
    pub(super) fn other_uid(kind: &Kind, namespace: &str, name: &str, wanted: &str, found: &str) -> Self {
        let folder =
            if kind.is(Trait::Custom) { format!("{}/{}", kind.group, kind.plural) } else { kind.plural.clone() };
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: /registry/{folder}/{namespace}/{name}, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        );
        Self::cannot_be_fulfilled(&kind.resource(), name, &why).about(kind, name, &[])
    }

    /// A deletion has a precondition that does not hold; such answers name the kind, not the resource.
    pub(super) fn precondition(kind: &Kind, name: &str, what: &str, wanted: &str, found: &str) -> Self {
        let hint = if what == "UID" { "deleted and then recreated" } else { "modified" };
        let why = format!(
            "the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might \
             have been {hint}"
        );
        let mut failure = Self::cannot_be_fulfilled(&kind.qualified(), name, &why);
        failure.details = Some(details(&kind.group, &kind.kind, name, &[]));
        failure
    }

    /// A replacement must say what it replaces; such answers name the resource, not the kind.
    pub(super) fn version_missing(kind: &Kind, name: &str) -> Self {
        let why = "Invalid value: 0: must be specified for an update";
        let field = "metadata.resourceVersion";
        let message = format!("{} \"{name}\" is invalid: {field}: {why}", kind.resource());
        let causes = [cause("FieldValueInvalid", why, field)];
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message).about(kind, name, &causes)
    }

    /// Fields that may not be so; `(reason of the cause, field, why)`.
    pub(super) fn invalid(kind: &Kind, name: &str, errors: &[(&str, &str, String)]) -> Self {
        let causes: Vec<Value> = errors.iter().map(|(reason, field, why)| cause(reason, why, field)).collect();
        let mut texts: Vec<String> = errors.iter().map(|(_, field, why)| format!("{field}: {why}")).collect();
        // The real one finds some twice, and tells them once.
        texts.dedup();
        let text = if texts.len() == 1 { texts.concat() } else { format!("[{}]", texts.join(", ")) };
        let message = format!("{} \"{name}\" is invalid: {text}", kind.qualified());
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        failure.details = Some(details(&kind.group, &kind.kind, name, &causes));
        failure
    }

    /// A field of a request's options that may not be so.
    pub(super) fn invalid_options(options: &str, reason: &str, field: &str, why: &str) -> Self {
        let message = format!("{options}.meta.k8s.io \"\" is invalid: {field}: {why}");
        let mut failure = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message);
        failure.details = Some(details("meta.k8s.io", options, "", &[cause(reason, why, field)]));
        failure
    }

    /// What was asked for is no longer known.
    pub(super) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// As the body of an answer, or the object of an `ERROR` event.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code.as_u16(),
        });
        if let Some(fields) = body.as_object_mut() {
            if !self.reason.is_empty() {
                fields.insert("reason".to_owned(), self.reason.into());
            }
            if let Some(details) = self.details.clone() {
                fields.insert("details".to_owned(), Value::Object(details));
            }
        }
        body
    }
}

/// The answer to a deletion that has happened.
pub(super) fn deleted(kind: &Kind, name: &str, uid: &str) -> Value {
    let mut details = details(&kind.group, &kind.plural, name, &[]);
    details.insert("uid".to_owned(), uid.into());
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}
