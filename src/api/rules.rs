//! Admission rules that more than one field uses. CEL, evaluated by the API server.

use kube::core::Rule;

/// Longest URL that is accepted; bounds what the rules on it may cost.
pub(super) const MAX_URL: u64 = 1024;

/// A URL of a directory: a scheme, then something.
pub(super) const URL: (&str, &str) = (
    "self.matches('^[a-z][a-z0-9+.-]*://[^ ]+$')",
    "must be a URL with a scheme, such as s3://bucket/savepoints or file:///savepoints",
);

/// A cron expression of five fields or one of Kubernetes' macros.
pub(super) const CRON: (&str, &str) = (
    "self.matches('^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|([^ ]+ +){4}[^ ]+)$')",
    "must be a cron expression of five fields such as '0 3 * * *', or a macro such as @daily",
);

/// The time zone has a field of its own, as on CronJob.
pub(super) const NO_TIME_ZONE: (&str, &str) =
    ("!self.contains('TZ')", "must not contain TZ or CRON_TZ: set timeZone instead");

/// A duration that must not be zero.
pub(super) const LONGER_THAN_ZERO: (&str, &str) = ("self.matches('[1-9]')", "must be longer than 0s");

/// A field of a spec that keeps the value, or the absence, that it was created with.
pub(super) fn immutable(field: &str) -> Rule {
    Rule::new(format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    ))
    .message(format!("{field} is immutable: delete the resource and create another").as_str())
}
