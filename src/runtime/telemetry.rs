//! Logs: structured, to standard error.

use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::Error;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line, the event's fields at the top level.
    Json,
    /// For people.
    Text,
}

/// Starts logging, and logs panics as errors, too.
///
/// # Errors
/// [`Error::LogFilter`] if the filter can't be read, [`Error::LogTwice`] if this was called before.
pub fn init(format: LogFormat, filter: &str) -> Result<(), Error> {
    let filter = parse_filter(filter)?;
    let lines = fmt::layer().with_writer(std::io::stderr);
    let logs = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            logs.with(lines).try_init()
        }
        LogFormat::Text => logs.with(lines).try_init(),
    };
    started.map_err(|error| Error::LogTwice(error.to_string()))?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let payload = panic.payload();
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("of an unknown kind");
        tracing::error!(place, "panic: {text}");
    }));
    Ok(())
}

fn parse_filter(value: &str) -> Result<Targets, Error> {
    value.parse().map_err(|error: tracing_subscriber::filter::ParseError| Error::LogFilter {
        value: value.to_owned(),
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_filters() {
        assert!(parse_filter("info").is_ok());
        assert!(parse_filter("info,kube=debug").is_ok());
        let error = parse_filter("info,kube=loud").unwrap_err().to_string();
        assert!(error.contains("--log (LOG)") && error.contains("info,kube=loud"), "{error}");
    }
}
