//! What the planner's tests share: a FlinkSavepoint, its job, and what was observed of them.

use chrono::{DateTime, TimeDelta, Utc};

use super::copy::Copying;
use super::format::Setting;
use super::observed::{Answer, Forgotten, Found, Job, JobNow, Leftovers, Observed, Place, Submitted, Turn};
use super::plan::{Effect, Plan, plan};
use crate::api::condition::{self, Reason, types};
use crate::api::{
    FINALIZER, FlinkClusterRef, FlinkSavepoint, FlinkSavepointSpec, JobKind, JobRef, ObjectRef, Operation,
    OperationKind, SavepointPhase, SavepointSource, Then,
};
use crate::cluster::JobManager;
use crate::flink::{JobId, JobState};
use crate::store::check::Check;
use crate::time;

pub const JOB_ID: &str = "00000000000000000000000000000001";
pub const UID: &str = "0f0e0d0c-1111-2222-3333-444455556666";
pub const DIRECTORY: &str = "s3://bucket/savepoints/shop/daily-0f0e0d0c/1";

pub fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Of a FlinkJobUpgrade's job.
pub fn savepoint(then: Option<Then>) -> FlinkSavepoint {
    let spec = FlinkSavepointSpec {
        job_ref: Some(JobRef { kind: JobKind::FlinkJobUpgrade, name: "orders".to_owned() }),
        then,
        ..FlinkSavepointSpec::default()
    };
    let mut savepoint = FlinkSavepoint::new("daily", spec);
    savepoint.metadata.namespace = Some("shop".to_owned());
    savepoint.metadata.uid = Some(UID.to_owned());
    savepoint.metadata.generation = Some(1);
    savepoint.metadata.creation_timestamp = Some(time::to_k8s(now() - TimeDelta::seconds(1)));
    savepoint.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    savepoint
}

/// Of a foreign cluster's job.
pub fn foreign(then: Option<Then>) -> FlinkSavepoint {
    let mut savepoint = savepoint(then);
    savepoint.spec.job_ref = None;
    savepoint.spec.flink_cluster = Some(FlinkClusterRef { service: "flink".to_owned(), ..FlinkClusterRef::default() });
    savepoint
}

/// A job that can give a savepoint, and whose lock is this savepoint's.
pub fn job() -> Submitted {
    Submitted {
        turn: locked_by("daily", Some(UID)),
        source: SavepointSource { revision: Some(3), ..SavepointSource::default() },
        job_id: JobId::new(JOB_ID).unwrap(),
        savepoint_directory: Some("s3://bucket/savepoints".to_owned()),
        flink_version: Some("1.20.0".to_owned()),
        not_ready: None,
        setting: Setting::default(),
        store_trouble: None,
        harmed: None,
    }
}

pub fn locked_by(name: &str, uid: Option<&str>) -> Turn {
    let operation = Operation {
        id: "4-abcdef12".to_owned(),
        kind: OperationKind::Upgrade,
        savepoint: Some(ObjectRef { name: name.to_owned(), uid: uid.map(str::to_owned) }),
        since: None,
    };
    Turn::Lock { uid: "job-uid".to_owned(), operation: Some(operation) }
}

pub fn process(instance: &str) -> JobManager {
    JobManager {
        url: "http://10.1.2.3:8081".to_owned(),
        instance: Some(instance.to_owned()),
        pod: None,
        authorization: None,
        tls: None,
    }
}

pub fn observed(savepoint: FlinkSavepoint, job: Submitted, answer: Answer) -> Observed {
    Observed {
        now: now(),
        savepoint,
        unknown: Vec::new(),
        job: Job::Submitted(Box::new(job)),
        job_manager: Some(process("pod-a/0")),
        answer,
        job_now: JobNow::NotAsked,
        // Where no store serves the place, all depends on Flink's word.
        check: Check::NoStore { reason: Reason::NoStore, message: "no store".to_owned() },
        leftovers: Leftovers::default(),
        ownership: None,
        holds: None,
        copying: Copying::NotAsked,
        place: Place::NotRead,
        namespace_terminating: false,
    }
}

/// After its intent was recorded, `age` seconds ago, and sent to `pod-a/0`.
pub fn triggered(savepoint: FlinkSavepoint, age: i64) -> FlinkSavepoint {
    let mut o = observed(savepoint, job(), Answer::NotAsked);
    o.now = now() - TimeDelta::seconds(age);
    let plan = plan(&o);
    assert_eq!(plan.status.phase, Some(SavepointPhase::Triggering), "{:?}", plan.status);
    FlinkSavepoint { status: Some(plan.status), ..o.savepoint }
}

/// The trigger is not known, and this is.
pub fn forgotten(found: Found, job: JobNow) -> Answer {
    let remembered = std::time::Duration::from_secs(240);
    Answer::Forgotten(Box::new(Forgotten { found, in_progress: false, job, gone: false, remembered }))
}

pub fn whole() -> Found {
    Found::Whole { location: format!("{DIRECTORY}/savepoint-000000-1"), checkpoint_id: None }
}

pub fn lives() -> JobNow {
    JobNow::Lives { all_tasks_running: true, state: JobState::Running }
}

/// The reason of Ready.
pub fn reason(plan: &Plan) -> &str {
    &condition::find(&plan.status.conditions, types::READY).unwrap().reason
}

pub fn is(plan: &Plan, type_: &str) -> bool {
    condition::is_true(&plan.status.conditions, type_)
}

/// In a word: what the pass does, where it leaves the resource, and why.
pub fn outcome(plan: &Plan) -> (&'static str, &'static str, &str) {
    let effect = plan.effect.as_ref().map_or("-", Effect::name);
    (effect, plan.status.phase.map_or("-", SavepointPhase::as_str), reason(plan))
}
