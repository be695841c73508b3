//! The port at which Flink's processes tell their metrics.

use std::collections::BTreeMap;

const PREFIX: &str = "metrics.reporter.";
const FACTORY: &str = ".factory.class";
const PROMETHEUS: &str = "org.apache.flink.metrics.prometheus.PrometheusReporterFactory";
/// The one of Flink's Prometheus reporter.
const DEFAULT: u16 = 9249;

/// The port of the Prometheus reporter that Flink's configuration sets up, if it does; of a range the first, as each
/// process has a pod of its own.
#[must_use]
pub fn port(entries: &BTreeMap<String, String>) -> Option<u16> {
    let factories = entries.iter().filter(|(_, class)| class.trim() == PROMETHEUS);
    let names = factories.filter_map(|(key, _)| key.strip_prefix(PREFIX)?.strip_suffix(FACTORY));
    let name = names.into_iter().find(|name| is_on(entries, name))?;
    let Some(given) = entries.get(&format!("{PREFIX}{name}.port")) else { return Some(DEFAULT) };
    given.trim().split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().filter(|port| *port > 0)
}

/// `metrics.reporters`, where it is set, names those that count.
fn is_on(entries: &BTreeMap<String, String>, name: &str) -> bool {
    let named = |list: &String| list.split([',', ';', '[', ']', '"', '\'', ' ']).any(|item| item == name);
    entries.get("metrics.reporters").is_none_or(named)
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
