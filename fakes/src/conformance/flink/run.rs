//! Runs cases on a world.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::future::LocalBoxFuture;

use super::hands::{Hands, RECOVERS};
use super::{World, cluster, history, job_manager, savepoint, stop, task_manager};

/// Longer than any case takes that is not stuck.
const LIMIT: Duration = Duration::from_secs(300);

/// Which worlds a case can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Any.
    Nothing,
    /// High availability.
    HighAvailability,
    /// None.
    NoHighAvailability,
}

/// Something that the operator counts on.
#[derive(Clone, Copy)]
pub struct Case {
    /// The name of the function.
    pub name: &'static str,
    /// Where it can run.
    pub needs: Needs,
    pub(super) run: for<'a> fn(&'a dyn World) -> LocalBoxFuture<'a, Result<()>>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}

macro_rules! case {
    ($function:ident) => {
        $crate::conformance::flink::run::case!($function, Nothing)
    };
    ($function:ident, $needs:ident) => {
        $crate::conformance::flink::Case {
            name: stringify!($function),
            needs: $crate::conformance::flink::Needs::$needs,
            run: |world| Box::pin($function(world)),
        }
    };
}
pub(super) use case;

/// The cases that a world with or without high availability can run. Those that need neither are in both, and told apart
/// by [`Case::needs`].
#[must_use]
pub fn cases(high_availability: bool) -> Vec<Case> {
    let unfit = if high_availability { Needs::NoHighAvailability } else { Needs::HighAvailability };
    let all = [cluster::CASES, savepoint::CASES, history::CASES, stop::CASES, job_manager::CASES, task_manager::CASES];
    all.into_iter().flatten().filter(|case| case.needs != unfit).copied().collect()
}

/// How cases ended.
#[derive(Debug, Default)]
pub struct Report {
    /// Each case, and why it failed.
    pub cases: Vec<(&'static str, Result<(), String>)>,
}

impl Report {
    /// The names of the cases that ran.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.cases.iter().map(|(name, _)| *name).collect()
    }

    /// What went wrong, a case a line.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let failed = |(name, result): &(&str, Result<(), String>)| Some(format!("{name}: {}", result.as_ref().err()?));
        self.cases.iter().filter_map(failed).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cases", self.cases.len())?;
        self.failures().iter().try_for_each(|failure| write!(f, "\n{failure}"))
    }
}

/// Runs cases one after the other, each on a cluster where nothing runs.
pub async fn run(world: &dyn World, cases: &[Case]) -> Report {
    let mut report = Report::default();
    for case in cases {
        let result = match tokio::time::timeout(LIMIT, alone(world, case)).await {
            Ok(result) => result.map_err(|e| format!("{e:#}")),
            Err(_) => Err(format!("not done within {} s", LIMIT.as_secs())),
        };
        report.cases.push((case.name, result));
    }
    report
}

async fn alone(world: &dyn World, case: &Case) -> Result<()> {
    idle(world).await.context("before the case")?;
    let result = (case.run)(world).await;
    result.and(idle(world).await.context("after the case"))
}

/// Cancels all jobs and waits until all slots are free.
async fn idle(world: &dyn World) -> Result<()> {
    let hands = Hands(world);
    let idle = async || {
        let Ok(overview) = hands.get("/overview").await else { return Ok(None) };
        if overview.status != 200 {
            return Ok(None);
        }
        for (job, state) in hands.jobs().await?.unwrap_or_default() {
            if !["FINISHED", "CANCELED", "FAILED", "CANCELLING"].contains(&state.as_str()) {
                let _gone = hands.cancel(&job).await;
            }
        }
        let number = |field: &str| overview.body.get(field).and_then(serde_json::Value::as_u64);
        match (number("slots-total"), number("slots-available"), number("jobs-running")) {
            (Some(2), Some(2), Some(0)) => Ok(Some(())),
            (None, ..) => bail!("no slots in {}", overview.body),
            _ => Ok(None),
        }
    };
    hands.until("two TaskManagers with a free slot each", RECOVERS, idle).await
}
