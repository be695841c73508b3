//! Admission rules that more than one field uses. CEL, evaluated by the API server.

use kube::core::{Message, Rule};

/// Longest URL that is accepted; bounds what the rules on it may cost.
pub(super) const MAX_URL: u64 = 1024;

/// A duration: whole days, hours, minutes and seconds, in this order, at least one of them.
///
/// So many digits at most that `Duration::parse` can read whatever is admitted.
pub(super) const DURATION: &str =
    "self.matches('^([0-9]{1,5}d)?([0-9]{1,6}h)?([0-9]{1,8}m)?([0-9]{1,9}s)?$') && self != ''";

/// What to write as a duration.
pub(super) const DURATION_CURE: &str = "must be whole days, hours, minutes and seconds such as 90s, 10m or 1h30m";

/// A rule on a text, whose message names the text; the API server puts the field before it.
///
/// `cure` says what the text must be, without double quotes.
pub(super) fn text(rule: &str, cure: &str) -> Rule {
    Rule::new(rule).message(naming_the_text(cure))
}

/// The message of [`text`].
pub(super) fn naming_the_text(cure: &str) -> Message {
    Message::Expression(format!("\"'\" + self + \"' {cure}\""))
}

/// A URL of a directory: a scheme, then something.
pub(super) fn url() -> Rule {
    text(
        "self.matches('^[a-z][a-z0-9+.-]*://[^ ]+$')",
        "must be a URL with a scheme, such as s3://bucket/savepoints or file:///savepoints",
    )
}

/// A cron expression of five fields or one of Kubernetes' macros.
pub(super) fn cron() -> Rule {
    text(
        "self.matches('^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|([^ ]+ +){4}[^ ]+)$')",
        "must be a cron expression of five fields such as '0 3 * * *', or a macro such as @daily",
    )
}

/// The time zone has a field of its own, as on CronJob.
pub(super) fn no_time_zone() -> Rule {
    text("!self.contains('TZ')", "must not contain TZ or CRON_TZ: set timeZone instead")
}

/// A duration that must not be zero.
pub(super) fn longer_than_zero() -> Rule {
    text("self.matches('[1-9]')", "must be longer than 0s")
}

/// A field of a spec that keeps the value, or the absence, that it was created with.
pub(super) fn immutable(field: &str) -> Rule {
    Rule::new(format!(
        "has(self.{field}) == has(oldSelf.{field}) && (!has(self.{field}) || self.{field} == oldSelf.{field})"
    ))
    .message(format!("{field} is immutable: delete the resource and create another").as_str())
}
