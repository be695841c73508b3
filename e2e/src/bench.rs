//! The benchmarks: of upgrades, by the operator and, in the same run, the same by hand over Flink's REST API; and of
//! recoveries ([`recovery`]); and of upgrades by every strategy, with small and with large state ([`strategies`]).
//!
//! By hand is the limit: whoever drives the requests knows at once what comes next, and records nothing. What is
//! measured is described in `docs/bench/README.md`; the project's README shows it ([`report`]).

mod benchmark;
pub mod by_hand;
pub mod by_operator;
mod clock;
pub mod marks;
pub mod process;
pub mod recovery;
pub mod report;
pub mod samples;
mod stats;
pub mod strategies;
mod timeline;

use anyhow::Result;

use crate::{
    job::{CHECKPOINTS, SAVEPOINTS},
    namespace::Sandbox,
};

/// Rates between which the job changes from upgrade to upgrade, in records a second: the changed argument.
pub const RATES: [u32; 2] = [200, 201];
/// Name of the measured job, of its record file, and of its objects.
pub const JOB: &str = "bench";

/// Measures in two namespaces side by side, of these names. What was measured counts although they could not be removed.
///
/// # Errors
/// Those of the measurements.
pub async fn side_by_side<S>(
    names: [&str; 2],
    measure: impl AsyncFnOnce(&Sandbox, &Sandbox) -> Result<S>,
) -> Result<S> {
    let mut measured = None;
    let [one, other] = names;
    let outcome = Box::pin(Sandbox::run(one, async |one| {
        Box::pin(Sandbox::run(other, async |other| {
            measured = Some(Box::pin(measure(one, other)).await?);
            Ok(())
        }))
        .await
    }))
    .await;
    match (measured, outcome) {
        (Some(measured), outcome) => {
            if let Err(error) = outcome {
                eprintln!("measured, but the namespaces could not be removed: {error:#}");
            }
            Ok(measured)
        }
        (None, Err(error)) => Err(error),
        (None, Ok(())) => anyhow::bail!("nothing was measured"),
    }
}

/// Removes what the jobs of a namespace have left in the bucket.
///
/// # Errors
/// The server cannot be reached or refuses.
pub async fn clear(sandbox: &Sandbox) -> Result<()> {
    for prefix in [CHECKPOINTS, SAVEPOINTS] {
        for key in sandbox.env.s3.list(&format!("{prefix}/{}/", sandbox.namespace)).await? {
            sandbox.env.s3.remove(&key).await?;
        }
    }
    Ok(())
}
