//! In which format a savepoint is taken, by what its job is about to change. Pure.

use crate::api::FormatType;
use crate::flink::SavepointFormat;
use crate::snapshot::capability::{self, Change};
use crate::snapshot::layout::FlinkRelease;
use crate::upgrade::changes;
use crate::upgrade::workload::Rendered;

/// What a job runs with, as far as formats depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// `state.backend.type`, if the revision's configuration sets it. The job's code may set another.
    pub state_backend: Option<String>,
    /// What the upgrade that asks for the savepoint changes. Empty: nothing is known of any.
    pub changes: Vec<Change>,
}

/// The setting of a job that goes on as it is.
#[must_use]
pub fn as_it_is(running: &Rendered) -> Setting {
    Setting { state_backend: running.state_backend(), changes: Vec::new() }
}

/// The setting of a job that is about to be upgraded. A new revision may have other operators, so that is always one of
/// the changes; what its code does to types of state can't be seen from here.
#[must_use]
pub fn upgraded(running: &Rendered, next: &Rendered, from: Option<FlinkRelease>, to: Option<FlinkRelease>) -> Setting {
    let mut changes = vec![Change::Graph];
    changes.extend(changes::between(running, next, from, to));
    Setting { state_backend: running.state_backend(), changes }
}

/// A format, and why it was chosen where nobody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// The format.
    pub format: FormatType,
    /// Why. `None`: it was asked for.
    pub because: Option<String>,
}

/// The format of a savepoint.
///
/// # Errors
/// Why no savepoint may be taken, in words: none would allow what is to change, or the state backend does not write the
/// format.
pub fn choose(asked: Option<FormatType>, setting: &Setting) -> Result<Chosen, String> {
    if let Some(verdict) = capability::impossible(&setting.changes) {
        let cure = verdict.cure.unwrap_or_default();
        return Err(format!("{}; {cure}", verdict.message));
    }
    let backend = setting.state_backend.as_deref();
    match asked {
        // Flink 2.3 tries, fails, and restarts the job.
        Some(FormatType::Canonical) if capability::writes_native_only(backend) => Err(
            "formatType: the state backend ForSt (state.backend.type: forst) writes NATIVE savepoints only; set NATIVE, \
             or leave it out"
                .to_owned(),
        ),
        Some(format) => Ok(Chosen { format, because: None }),
        None => match capability::choose_format(&setting.changes, backend) {
            Ok(choice) => Ok(Chosen {
                format: match choice.format {
                    SavepointFormat::Canonical => FormatType::Canonical,
                    SavepointFormat::Native => FormatType::Native,
                },
                because: Some(choice.because),
            }),
            Err(none) => Err(none.to_string()),
        },
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
