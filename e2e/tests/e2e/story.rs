//! The parts that scenarios are told with.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    flink::Flink,
    job::{Job, SAVEPOINTS},
    namespace::Sandbox,
    records::{self, Handover, Records, Summary, Violation},
    wait::{self, Seen},
};
use flink_savepoint_operator::api::{
    FlinkJobUpgrade, FlinkSavepoint, HistoryEntry, RestoreMode, SavepointPhase, Submission, Then, UpgradeResult, labels,
};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind, ListParams},
};

/// Pods, two JVMs, the warm-up and the first checkpoint, on a machine that is busy with another test.
pub const START: Duration = Duration::from_secs(180);
/// The same for the new revision, and the old one's end.
pub const UPGRADE: Duration = Duration::from_secs(180);
/// What takes seconds at most.
pub const SOON: Duration = Duration::from_secs(60);
/// So many records show that a job works: one second's.
pub const SOME: usize = 200;

/// Kinds of the objects that the operator makes, and of those that come of them.
const KINDS: &[(&str, &str, &str)] = &[
    ("apps", "v1", "StatefulSet"),
    ("apps", "v1", "Deployment"),
    ("apps", "v1", "ReplicaSet"),
    ("apps", "v1", "ControllerRevision"),
    ("", "v1", "Pod"),
    ("", "v1", "Service"),
    ("", "v1", "ConfigMap"),
];

/// Number of the active revision.
pub fn revision(job: &FlinkJobUpgrade) -> Result<i64> {
    let active = job.status.as_ref().and_then(|status| status.active.as_ref());
    Ok(active.context("status.active is missing")?.revision)
}

/// The submission that runs.
pub fn submission(job: &FlinkJobUpgrade) -> Result<Submission> {
    let active = job.status.as_ref().and_then(|status| status.active.as_ref());
    active.map(|active| active.submission.clone()).context("status.active.submission is missing")
}

/// The newest entry of the history.
pub fn newest(job: &FlinkJobUpgrade) -> Result<HistoryEntry> {
    let history = job.status.as_ref().map(|status| status.history.as_slice()).unwrap_or_default();
    history.first().cloned().context("status.history is empty")
}

/// The JobManager of the active revision.
pub async fn flink(sandbox: &Sandbox, job: &FlinkJobUpgrade) -> Result<Flink> {
    let name = job.metadata.name.as_deref().unwrap_or_default();
    Flink::behind(&sandbox.client, &sandbox.namespace, &format!("{name}-{}", revision(job)?)).await
}

/// Starts a counting job: Ready, and its records flow.
pub async fn started(sandbox: &Sandbox, job: &Job) -> Result<FlinkJobUpgrade> {
    let object = sandbox.apply_ready(job, START).await?;
    writes(sandbox, &job.name, &submission(&object)?.job_id).await?;
    Ok(object)
}

/// Waits until the Flink job of that id has written a second's records more than it has now.
pub async fn writes(sandbox: &Sandbox, job: &str, id: &str) -> Result<Records> {
    let of_it = |records: &Records| records.0.iter().filter(|record| record.job == id).count();
    let before = of_it(&sandbox.records(job)?);
    let what = format!("Flink job {id} writes {SOME} more than {before}");
    sandbox.records_until(job, &what, SOON, |records| of_it(records) >= before + SOME).await
}

/// Whichever job has the state now: it writes on, and up to now nothing was lost, and nothing doubled. Returns the ids
/// of the Flink jobs that wrote.
pub async fn goes_on(sandbox: &Sandbox, job: &str) -> Result<Vec<String>> {
    let before = sandbox.records(job)?.0.len();
    let what = format!("{SOME} more than {before}");
    let records = sandbox.records_until(job, &what, SOON, |records| records.0.len() >= before + SOME).await?;
    Ok(records::check_exactly_once(&records)?.jobs)
}

/// An upgrade that has ended well.
pub struct Upgraded {
    /// The resource afterwards.
    pub job: FlinkJobUpgrade,
    /// What its history says.
    pub entry: HistoryEntry,
    /// Where the state lies.
    pub location: String,
}

/// Applies a changed manifest, and checks everything about its upgrade but the records.
pub async fn upgraded(sandbox: &Sandbox, before: &FlinkJobUpgrade, changed: &Job) -> Result<Upgraded> {
    let job = sandbox.apply_ready(changed, UPGRADE).await?;
    let (old, new) = (revision(before)?, revision(&job)?);
    ensure!(new > old, "still revision {new}");
    let submission = submission(&job)?;

    let entry = newest(&job)?;
    ensure!(entry.result == UpgradeResult::Succeeded, "{entry:?}");
    ensure!(entry.from == Some(old) && entry.to == new, "from {old} to {new}: {entry:?}");
    let downtime = entry.downtime_seconds.context("downtimeSeconds is missing")?;
    ensure!(downtime > 0.0 && downtime < 60.0, "{entry:?}");

    let name = entry.savepoint.clone().context("the history names no savepoint")?;
    let savepoint = sandbox.savepoints().get(&name).await?;
    ensure!(savepoint.spec.then() == Then::Stop, "{:?}", savepoint.spec);
    let location = completed(&savepoint)?;
    ensure!(submission.restored_from.as_deref() == Some(&location), "{submission:?}, savepoint {location}");

    // Flink's own word for it.
    let mode = submission.restore_mode.context("status.active.submission.restoreMode is missing")?;
    let restored = flink(sandbox, &job).await?.restored(&submission.job_id).await?.context("it started empty")?;
    ensure!(restored.path.trim_end_matches('/') == location, "Flink restored {restored:?}, asked was {location}");
    ensure!(restored.is_savepoint == (mode != RestoreMode::Claim), "{mode:?}: {restored:?}");

    removed(sandbox, &changed.name, old).await?;
    Ok(Upgraded { job, entry, location })
}

/// Checks the records of an upgrade: the new job writes, nothing is lost or doubled, and the history tells the truth
/// about the downtime.
pub async fn handed_over(sandbox: &Sandbox, before: &FlinkJobUpgrade, after: &Upgraded) -> Result<Handover> {
    handed_over_by(records::check_exactly_once, sandbox, before, after).await
}

/// As [`handed_over`], of a job that Flink has restarted before: that it wrote again then is no fault of the upgrade.
pub async fn handed_over_after_restarts(
    sandbox: &Sandbox,
    before: &FlinkJobUpgrade,
    after: &Upgraded,
) -> Result<Handover> {
    let handover = handed_over_by(records::check, sandbox, before, after).await?;
    ensure!(handover.repeated == 0, "{handover:?}");
    Ok(handover)
}

async fn handed_over_by(
    judge: fn(&Records) -> Result<Summary, Violation>,
    sandbox: &Sandbox,
    before: &FlinkJobUpgrade,
    after: &Upgraded,
) -> Result<Handover> {
    let name = after.job.metadata.name.as_deref().unwrap_or_default();
    let (from, to) = (submission(before)?.job_id, submission(&after.job)?.job_id);
    let summary = judge(&writes(sandbox, name, &to).await?)?;
    let handover = summary.handovers.iter().find(|handover| handover.from == from && handover.to == to);
    let handover = handover.with_context(|| format!("no handover from {from} to {to}: {summary:?}"))?;
    let said = Duration::from_secs_f64(after.entry.downtime_seconds.unwrap_or_default());
    let measured = Duration::from_millis(u64::try_from(handover.downtime_ms)?);
    // The operator looks for tasks that run, and is late with that where the machine is busy.
    ensure!(said.abs_diff(measured) < Duration::from_secs(10), "history says {said:?}, records say {measured:?}");
    eprintln!("{name}: downtime {measured:?} by records, {said:?} by the history");
    Ok(handover.clone())
}

/// The location of a savepoint that is Completed by one attempt.
pub fn completed(savepoint: &FlinkSavepoint) -> Result<String> {
    let status = savepoint.status.as_ref().context("a savepoint without a status")?;
    ensure!(status.phase == Some(SavepointPhase::Completed), "{}", wait::describe(savepoint));
    ensure!(status.attempts.len() == 1, "one attempt is enough: {:?}", status.attempts);
    let location = status.location.clone().context("a completed savepoint without a location")?;
    Ok(location.trim_end_matches('/').to_owned())
}

/// All savepoint directories of this namespace in the bucket, whole or not, below a base directory's key.
pub async fn directories(sandbox: &Sandbox, base: &str) -> Result<BTreeSet<String>> {
    let keys = sandbox.env.s3.list(&format!("{base}/{}/", sandbox.namespace)).await?;
    // Flink names its own directory savepoint-<short job id>-<random>.
    let directory = |key: &String| {
        let start = key.rfind("/savepoint-")? + 1;
        let end = key.get(start..)?.find('/')? + start;
        key.get(..end).map(|directory| sandbox.env.s3.url(directory))
    };
    Ok(keys.iter().filter_map(directory).collect())
}

/// Exactly these savepoints lie in the configured directory, and they are whole.
pub async fn only_savepoints(sandbox: &Sandbox, locations: &[&str]) -> Result<()> {
    let expected: BTreeSet<String> = locations.iter().map(|location| (*location).to_owned()).collect();
    let found = directories(sandbox, SAVEPOINTS).await?;
    ensure!(found == expected, "savepoint directories {found:#?}, expected {expected:#?}");
    only_whole_savepoints(sandbox, locations).await
}

/// No other savepoints than these lie whole in the configured directory. Of one that Flink claimed something may be
/// left: it deletes what it no longer needs.
pub async fn only_whole_savepoints(sandbox: &Sandbox, locations: &[&str]) -> Result<()> {
    let expected: BTreeSet<String> = locations.iter().map(|location| (*location).to_owned()).collect();
    let whole = sandbox.env.s3.snapshots(&format!("{SAVEPOINTS}/{}/", sandbox.namespace)).await?;
    ensure!(whole == expected, "whole savepoints {whole:#?}, expected {expected:#?}");
    Ok(())
}

/// Everything of a job that can be found by its labels; `revision` left out: of all of them.
pub async fn objects(sandbox: &Sandbox, job: &str, revision: Option<i64>) -> Result<Vec<(String, DynamicObject)>> {
    let mut selector = format!("{}={job}", labels::JOB);
    if let Some(revision) = revision {
        selector = format!("{selector},{}={revision}", labels::REVISION);
    }
    let mut all = Vec::new();
    for (group, version, kind) in KINDS {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(sandbox.client.clone(), &sandbox.namespace, &resource);
        let list = api.list(&ListParams::default().labels(&selector)).await?;
        all.extend(list.items.into_iter().map(|object| ((*kind).to_owned(), object)));
    }
    Ok(all)
}

/// Waits until nothing of a revision is left but its record.
pub async fn removed(sandbox: &Sandbox, job: &str, revision: i64) -> Result<()> {
    none_left(sandbox, job, Some(revision), |kind| kind != "ControllerRevision").await
}

/// Waits until nothing of a job is left.
pub async fn all_removed(sandbox: &Sandbox, job: &str) -> Result<()> {
    none_left(sandbox, job, None, |_| true).await
}

async fn none_left(sandbox: &Sandbox, job: &str, revision: Option<i64>, counts: impl Fn(&str) -> bool) -> Result<()> {
    wait::until(&format!("no objects of {job}, revision {revision:?}, are left"), SOON, async || {
        let left: Vec<String> = objects(sandbox, job, revision)
            .await?
            .into_iter()
            .filter(|(kind, _)| counts(kind))
            .map(|(kind, object)| format!("{kind} {}", object.metadata.name.unwrap_or_default()))
            .collect();
        Ok(if left.is_empty() { Seen::Yes(()) } else { Seen::NotYet(left.join("\n")) })
    })
    .await
}
