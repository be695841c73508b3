//! What an HTTP request asks for.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::kind::{Kind, Trait};
use super::status::Failure;
use super::store::Key;

/// A request to the API server.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) verb: Verb,
    pub(super) kind: Arc<Kind>,
    /// Empty for all namespaces, and for kinds without.
    pub(super) namespace: String,
    /// Empty for all objects.
    pub(super) name: String,
    /// Whether it is about the `status` subresource.
    pub(super) status: bool,
    /// Whether only metadata is to be answered (`PartialObjectMetadata`).
    pub(super) metadata_only: bool,
    pub(super) body: Value,
    query: Vec<(String, String)>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Replace,
    MergePatch,
    JsonPatch,
    Delete,
}

impl Verb {
    /// As audit logs and RBAC name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Replace => "update",
            Self::MergePatch | Self::JsonPatch => "patch",
            Self::Delete => "delete",
        }
    }
}

/// The parts of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Path {
    group: String,
    version: String,
    pub(super) namespace: String,
    pub(super) plural: String,
    pub(super) name: String,
    pub(super) subresource: String,
}

impl Path {
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned);
        let group = match parts.next()?.as_str() {
            "api" => String::new(),
            "apis" => parts.next()?,
            _ => return None,
        };
        let version = parts.next()?;
        let rest: Vec<String> = parts.collect();
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        let (namespace, rest) = match rest.as_slice() {
            // A namespace itself, and not what is in it.
            ["namespaces", _, "status" | "finalize"] => ("", rest.as_slice()),
            ["namespaces", namespace, inside @ ..] if !inside.is_empty() => (*namespace, inside),
            all => ("", all),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource] => (*plural, *name, *subresource),
            _ => return None,
        };
        Some(Self {
            group,
            version,
            namespace: namespace.to_owned(),
            plural: plural.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        })
    }
}

impl Request {
    pub(super) fn parse(request: &http::Request<Bytes>, kinds: &[Arc<Kind>]) -> Result<Self, Failure> {
        let path = Path::parse(request.uri().path()).ok_or_else(Failure::no_resource)?;
        let found =
            kinds.iter().find(|k| k.group == path.group && k.version == path.version && k.plural == path.plural);
        let kind = found.cloned().ok_or_else(Failure::no_resource)?;
        let status = match path.subresource.as_str() {
            "" => false,
            "status" if kind.is(Trait::Status) => true,
            _ => return Err(Failure::no_resource()),
        };
        let query: Vec<(String, String)> =
            form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let watches = query.iter().any(|(key, value)| key == "watch" && (value == "true" || value == "1"));
        let content = header(http::header::CONTENT_TYPE);
        let verb = verb(request.method(), path.name.is_empty(), watches, content)?;
        let parsed = Self {
            verb,
            kind,
            namespace: path.namespace,
            name: path.name,
            status,
            metadata_only: header(http::header::ACCEPT).contains("as=PartialObjectMetadata"),
            body: body(request.body())?,
            query,
        };
        parsed.checked()
    }

    /// A deletion of an object by the server itself.
    pub(super) fn deletion(kind: Arc<Kind>, key: &Key) -> Self {
        Self {
            verb: Verb::Delete,
            kind,
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            status: false,
            metadata_only: false,
            body: Value::Null,
            query: Vec::new(),
        }
    }

    fn checked(self) -> Result<Self, Failure> {
        let cluster = self.kind.is(Trait::ClusterScoped);
        if cluster != self.namespace.is_empty() && (cluster || !matches!(self.verb, Verb::List | Verb::Watch)) {
            return Err(Failure::no_resource());
        }
        let writes_object = matches!(self.verb, Verb::Create | Verb::Replace);
        let is_object = self.body.is_object() && self.body.get("metadata").is_none_or(Value::is_object);
        if writes_object && !is_object || self.verb == Verb::MergePatch && !self.body.is_object() {
            return Err(Failure::bad_request("the body is not a JSON object"));
        }
        for (field, right) in [("kind", self.kind.kind.clone()), ("apiVersion", self.kind.api_version())] {
            let given = self.body.get(field).and_then(Value::as_str);
            // Of its own kinds the real one knows by the path what they are.
            let optional = !self.kind.is(Trait::Custom);
            if writes_object && given != Some(right.as_str()) && (given.is_some() || !optional) {
                let given = given.unwrap_or_default();
                return Err(Failure::bad_request(format!("the object's {field} is {given:?}, and not {right:?}")));
            }
        }
        Ok(self)
    }

    /// An option of the query; empty if it is not given.
    pub(super) fn option(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    pub(super) fn is_set(&self, name: &str) -> bool {
        matches!(self.option(name), "true" | "1")
    }
}

fn verb(method: &Method, collection: bool, watches: bool, content: &str) -> Result<Verb, Failure> {
    Ok(match (method.as_str(), collection) {
        ("GET", true) if watches => Verb::Watch,
        ("GET", true) => Verb::List,
        ("GET", false) => Verb::Get,
        ("POST", true) => Verb::Create,
        ("PUT", false) => Verb::Replace,
        ("DELETE", false) => Verb::Delete,
        ("PATCH", false) => match content {
            "application/merge-patch+json" => Verb::MergePatch,
            "application/json-patch+json" => Verb::JsonPatch,
            _ => return Err(Failure::unsupported_media_type()),
        },
        _ => return Err(Failure::method_not_allowed()),
    })
}

fn body(bytes: &Bytes) -> Result<Value, Failure> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| Failure::bad_request(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_an_object() {
        let path = |group: &str, version: &str, namespace: &str, plural: &str, name: &str, subresource: &str| {
            let [group, version, namespace, plural, name, subresource] =
                [group, version, namespace, plural, name, subresource].map(str::to_owned);
            Some(Path { group, version, namespace, plural, name, subresource })
        };
        let cases = [
            ("/api/v1/pods", path("", "v1", "", "pods", "", "")),
            ("/api/v1/namespaces/ns", path("", "v1", "", "namespaces", "ns", "")),
            ("/api/v1/namespaces/ns/status", path("", "v1", "", "namespaces", "ns", "status")),
            ("/api/v1/namespaces/ns/pods/p/status", path("", "v1", "ns", "pods", "p", "status")),
            ("/apis/a.dev/v1alpha1/namespaces/ns/as?x=y", path("a.dev", "v1alpha1", "ns", "as?x=y", "", "")),
            ("/version", None),
            ("/api/v1/namespaces/ns/pods/p/status/more", None),
        ];
        for (text, expected) in cases {
            assert_eq!(Path::parse(text), expected, "{text}");
        }
    }
}
