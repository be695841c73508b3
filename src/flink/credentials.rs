//! What is sent with every request to a JobManager that asks for credentials.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;

/// Key of a bearer token in a Secret.
pub const TOKEN: &str = "token";
/// Key of the user's name in a Secret.
pub const USERNAME: &str = "username";
/// Key of the user's password in a Secret.
pub const PASSWORD: &str = "password";

/// The variables by which `jar fetch` is told what the keys have.
pub const VARIABLES: [(&str, &str); 3] =
    [("FLINK_REST_TOKEN", TOKEN), ("FLINK_REST_USERNAME", USERNAME), ("FLINK_REST_PASSWORD", PASSWORD)];

/// The header for credentials by their keys. `None`: they are not complete, or can't be in a header.
#[must_use]
pub fn header(data: &BTreeMap<String, Vec<u8>>) -> Option<HeaderValue> {
    let text = |key: &str| data.get(key).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let value = match (text(TOKEN), text(USERNAME), text(PASSWORD)) {
        (Some(token), _, _) => format!("Bearer {token}"),
        (None, Some(user), Some(password)) => {
            format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
        }
        _ => return None,
    };
    let mut header = HeaderValue::from_str(&value).ok()?;
    header.set_sensitive(true);
    Some(header)
}
