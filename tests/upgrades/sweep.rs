//! Tells scenarios: undisturbed, and with faults.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use fakes::faults::{Fault, Faults};
use flink_savepoint_operator::api::condition::{self, types};
use flink_savepoint_operator::api::{FlinkSavepoint, JobPhase, SavepointPhase, UpgradeResult, UpgradeStep, labels};
use flink_savepoint_operator::naming;
use flink_savepoint_operator::reconcile::passes;
use flink_savepoint_operator::savepoint::Savepoints;
use flink_savepoint_operator::upgrade::Upgrades;
use futures::future::BoxFuture;
use tokio::time::{Instant, sleep};

use crate::common::NAMESPACE;
use crate::common::faults::{faults_at, is_read, run};
use crate::images;
use crate::operator;
use crate::session;
use crate::world::{NAME, SAVEPOINTS, UPGRADES, World};

/// What somebody does.
pub type Act = fn(World) -> BoxFuture<'static, ()>;

/// When somebody does something: each after the one before it.
#[derive(Clone, Copy)]
pub enum When {
    /// Nothing happens any more.
    Rest,
    /// The upgrade under way is at this step.
    Step(UpgradeStep),
    /// The world is like that.
    Is(fn(&World) -> bool),
    /// So long after what was done before.
    Later(Duration),
}

/// What a scenario comes to.
#[derive(Clone)]
pub struct End {
    /// The tag of the image whose job runs; `None`: nothing runs.
    pub runs: Option<&'static str>,
    /// In which phase the job is then if it has ended: nothing is started again.
    pub over: Option<JobPhase>,
    /// Whether it is Ready, and why; `None`: the resource is gone.
    pub ready: Option<(bool, &'static str)>,
    /// The revisions of its history, the newest first, and what became of them.
    pub history: Vec<(i64, UpgradeResult)>,
    /// Savepoints that are there.
    pub whole: usize,
    /// Savepoints that there were, and that Flink has deleted as its own.
    pub claimed: usize,
    /// ConfigMaps of high availability that are there.
    pub maps: usize,
}

/// A scenario.
#[derive(Clone)]
pub struct Scenario {
    pub begin: Act,
    pub acts: Vec<(When, Act)>,
    pub end: End,
    /// A FlinkSavepoint and how many attempts it takes, where nothing else goes wrong.
    pub attempts: Option<(&'static str, usize)>,
}

/// It must be over by then.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// The operator has nothing to do if it has written nothing for so long: it looks at a job at rest every 15 s, and a fault
/// may strike such a look.
const QUIET: Duration = Duration::from_secs(31);
/// How often it is looked whether the operator has written.
const LOOK: Duration = Duration::from_secs(1);
/// So many faults strike a scenario at calls that change something, and so many at others.
const WRITES: usize = 4;
const READS: usize = 2;
/// With this variable set, all strike: for an hour of somebody's patience.
const ALL: &str = "UPGRADES_ALL_FAULTS";

/// What disturbs a scenario. By default nothing does.
#[derive(Default)]
pub struct Disturbance {
    /// What strikes, and the call.
    pub fault: Option<(usize, Fault)>,
    /// For so long the operator is down after a crash.
    pub down: Duration,
    /// What somebody does right before a call.
    pub meanwhile: Option<(usize, Act)>,
    /// What the first call of a name waits for.
    pub before: Option<(&'static str, Act)>,
    /// The calls are counted from this act on; `None`: from the beginning. How many go before it may differ: what is read
    /// on another thread is awaited.
    pub from: Option<usize>,
    /// So much later the controllers' caches have what was written.
    pub late: Duration,
}

impl Disturbance {
    /// A fault, after which the operator is down for so many seconds.
    pub fn fault(at: usize, fault: Fault, down: u64) -> Self {
        Self { fault: Some((at, fault)), down: Duration::from_secs(down), ..Self::default() }
    }

    /// Calls are counted from now on.
    fn begin(&self, world: &World, faults: &Faults) {
        let now = faults.calls().len();
        if let Some((at, fault)) = self.fault {
            faults.strike(now + at, fault);
        }
        if let Some((at, act)) = self.meanwhile {
            faults.meanwhile(now + at, act(world.clone()));
        }
        if let Some((name, act)) = self.before {
            faults.before(name, act(world.clone()));
        }
    }
}

/// A scenario as it was told.
pub struct Told {
    pub world: World,
    /// All calls that a fault could strike.
    pub calls: Vec<String>,
    /// How many of them went before each act.
    pub acts_at: Vec<usize>,
}

/// Tells a scenario to its end.
pub async fn tell(scenario: &Scenario, disturbance: Disturbance) -> Result<Told, String> {
    let (faults, world) = (Faults::none(), World::new().await);
    *world.stale.lock().unwrap() = disturbance.late;
    if disturbance.from.is_none() {
        disturbance.begin(&world, &faults);
    }
    (scenario.begin)(world.clone()).await;
    let acts = Acts {
        left: Mutex::new(VecDeque::from(scenario.acts.clone())),
        last: Mutex::new(Instant::now()),
        at: Mutex::default(),
        faults: faults.clone(),
        disturbance: &disturbance,
    };
    let pump = world.workload.run(async || {
        world.truth.look();
        while let Some(act) = acts.due(&world) {
            act(world.clone()).await;
        }
    });
    // Where nothing happens by itself, time passes.
    let clock = async {
        loop {
            sleep(LOOK).await;
            if let Some(act) = acts.due(&world) {
                act(world.clone()).await;
            }
        }
    };
    let story = async {
        tokio::select! {
            biased;
            broken = operator::run(&world, &faults) => return Err(broken),
            () = faults.crash() => {}
            over = at_rest(&world, &acts) => return over,
        }
        // The world goes on without the operator.
        sleep(disturbance.down).await;
        let none = Faults::none();
        tokio::select! {
            biased;
            broken = operator::run(&world, &none) => Err(broken),
            over = at_rest(&world, &acts) => over,
        }
    };
    tokio::select! {
        biased;
        told = story => told?,
        () = clock => {}
        stopped = pump => return Err(format!("the world has stopped: {stopped:?}")),
    }
    let (calls, acts_at) = (faults.calls(), acts.at.lock().unwrap().clone());
    stays(&world).await?;
    Ok(Told { world, calls, acts_at })
}

/// What is still to be done.
struct Acts<'a> {
    left: Mutex<VecDeque<(When, Act)>>,
    /// When something was done last.
    last: Mutex<Instant>,
    /// How many calls went before each that was done.
    at: Mutex<Vec<usize>>,
    faults: Faults,
    disturbance: &'a Disturbance,
}

impl Acts<'_> {
    /// The next act, if its time has come.
    fn due(&self, world: &World) -> Option<Act> {
        let since = self.since_last();
        self.next_if(world, |when| match when {
            When::Rest => false,
            When::Step(step) => world.is_at(*step),
            When::Is(holds) => holds(world),
            When::Later(time) => since >= *time,
        })
    }

    fn next_if(&self, world: &World, is_time: impl Fn(&When) -> bool) -> Option<Act> {
        let mut left = self.left.lock().unwrap();
        let (_, act) = *left.front().filter(|(when, _)| is_time(when))?;
        left.pop_front();
        *self.last.lock().unwrap() = Instant::now();
        let mut at = self.at.lock().unwrap();
        if self.disturbance.from == Some(at.len()) {
            self.disturbance.begin(world, &self.faults);
        }
        at.push(self.faults.calls().len());
        Some(act)
    }

    fn since_last(&self) -> Duration {
        self.last.lock().unwrap().elapsed()
    }

    fn are_done(&self) -> bool {
        self.left.lock().unwrap().is_empty()
    }
}

/// Waits until nothing happens any more, after all that somebody does.
async fn at_rest(world: &World, acts: &Acts<'_>) -> Result<(), String> {
    let began = Instant::now();
    let (mut writes, mut since) = (0, began);
    // What happens is known that much later.
    let quiet = QUIET + *world.stale.lock().unwrap();
    loop {
        sleep(LOOK).await;
        let before = std::mem::replace(&mut writes, world.invariants.writes().len());
        let reads = |s: &FlinkSavepoint| s.status.as_ref().and_then(|s| s.phase) == Some(SavepointPhase::Verifying);
        if world.savepoints().iter().any(reads) {
            // On a thread of its own, which virtual time does not wait for.
            std::thread::sleep(Duration::from_millis(1));
            since = Instant::now();
        }
        if writes > before {
            since = Instant::now();
        }
        if since.elapsed() < quiet || acts.since_last() < quiet {
            continue;
        }
        let status = world.status();
        if status.upgrade.is_none() && status.operation.is_none() {
            match acts.next_if(world, |when| matches!(when, When::Rest)) {
                Some(act) => act(world.clone()).await,
                None if acts.are_done() => return Ok(()),
                None => {}
            }
        }
        if began.elapsed() > PATIENCE {
            let (left, savepoints) = (acts.left.lock().unwrap().len(), world.savepoints());
            return Err(format!(
                "it is not over after {PATIENCE:?}, {left} acts are left: {status:#?}, {savepoints:#?}"
            ));
        }
    }
}

/// An hour later another process of the operator finds nothing to write.
async fn stays(world: &World) -> Result<(), String> {
    tokio::time::advance(Duration::from_secs(3600)).await;
    world.workload.settle().await.map_err(|e| e.to_string())?;
    let before = world.invariants.writes().len();
    let (upgrades, savepoints) =
        (world.operator(UPGRADES, &Faults::none()), world.operator(SAVEPOINTS, &Faults::none()));
    if let Some(upgrade) = world.upgrade() {
        passes::<Upgrades>(&upgrade, &upgrades).await.map_err(|e| e.to_string())?;
    }
    for savepoint in world.savepoints() {
        passes::<Savepoints>(&savepoint, &savepoints).await.map_err(|e| e.to_string())?;
    }
    let writes = world.invariants.writes();
    if writes.len() > before { Err(format!("at rest it writes: {:?}", &writes[before..])) } else { Ok(()) }
}

/// The end is the one that is expected, and no invariant was broken.
pub fn compare(end: &End, world: &World) -> Result<(), String> {
    let broken = world.invariants.broken().into_iter().chain(world.truth.broken()).next();
    broken.map_or(Ok(()), Err)?;
    world.truth.lost_or_redone()?;
    let status = world.truth.last_status();
    let ready = world.upgrade().and_then(|_| condition::find(&status.conditions, types::READY).cloned());
    let ready = ready.as_ref().map(|ready| (ready.status == "True", ready.reason.as_str()));
    same("Ready", &ready, &end.ready, &status)?;
    let history: Vec<(i64, UpgradeResult)> = status.history.iter().map(|entry| (entry.to, entry.result)).collect();
    same("history", &history, &end.history, &status)?;
    let runs: Vec<String> = world.truth.processing().into_iter().collect();
    let over = status.phase.filter(|phase| matches!(phase, JobPhase::Failed | JobPhase::Finished));
    same("phase of what has ended", &over, &end.over, &status)?;
    let active = status.active.as_ref().filter(|_| end.runs.is_some() && end.over.is_none());
    let expected: Vec<String> = active.map(|active| active.submission.job_id.clone()).into_iter().collect();
    same("what runs", &runs, &expected, &status)?;
    if let Some(active) = active {
        let process = world.job_manager_instance(active.revision);
        same("JobManager", &active.submission.job_manager_instance, &process, &status)?;
    }
    let session = world.session_cluster();
    let own = |pod: &&serde_json::Value| pod["metadata"]["labels"].get(labels::JOB_UID).is_some();
    let found: Vec<String> = world.kube.objects("pods").iter().filter(own).map(image_of).collect();
    let tag = end.runs.filter(|_| session.is_none());
    let expected: Vec<String> = tag.map_or(Vec::new(), |tag| vec![images::image(tag); 3]);
    same("images of pods", &found, &expected, &status)?;
    let mut whole = world.files("sp");
    whole.retain(|file| file.ends_with("/_metadata"));
    same("whole savepoints", &whole.len(), &end.whole, &whole)?;
    let completed = |s: &SavepointPhase| *s == SavepointPhase::Completed;
    let records = world.savepoints().into_iter().filter_map(|s| s.status?.phase).filter(completed).count();
    same("completed FlinkSavepoints", &records, &(end.whole + end.claimed), &whole)?;
    left(end, world)?;
    let still =
        [types::DRIFTED, types::FOREIGN_JOBS].iter().find(|type_| condition::find(&status.conditions, type_).is_some());
    same("told of hands", &still, &None, &status)?;
    if let Some(cluster) = session {
        session::other_is_untouched(world)?;
        let uid = world.upgrade().and_then(|upgrade| upgrade.metadata.uid).unwrap_or_default();
        let active = status.active.as_ref().filter(|_| end.runs.is_some());
        let prefixes: Vec<String> = active.map(|a| naming::session_jar(&uid, a.revision)).into_iter().collect();
        let jars = cluster.uploaded_jars();
        let right = jars.len() == prefixes.len() && jars.iter().zip(&prefixes).all(|(jar, own)| jar.starts_with(own));
        return if right {
            Ok(())
        } else {
            Err(format!("jars on the session cluster: {jars:?}, {prefixes:?} expected"))
        };
    }
    match status.active.as_ref().filter(|_| end.runs.is_some()) {
        Some(active) => as_recorded(world, active.revision),
        None => Ok(()),
    }
}

/// The objects of a revision are what its record says.
pub fn as_recorded(world: &World, revision: i64) -> Result<(), String> {
    let of = |resource: &str, name: &str| world.kube.object(resource, NAMESPACE, name).unwrap_or_default();
    let record = of("controllerrevisions.apps", &naming::revision_name(NAME, revision));
    let objects = [
        ("configMap", "configmaps", naming::revision_name(NAME, revision)),
        ("helperConfigMap", "configmaps", naming::helper_name(NAME, revision)),
        ("service", "services", naming::revision_name(NAME, revision)),
        ("statefulSet", "statefulsets.apps", naming::job_manager_name(NAME, revision)),
        ("deployment", "deployments.apps", naming::task_manager_name(NAME, revision)),
    ];
    for (field, resource, name) in objects {
        let (stored, found) = (&record["data"][field], of(resource, &name));
        for part in ["/metadata/labels", "/spec", "/data"] {
            same(&format!("{name}{part}"), &found.pointer(part), &stored.pointer(part), &found)?;
        }
    }
    Ok(())
}

/// Nothing is left of what is not in use.
fn left(end: &End, world: &World) -> Result<(), String> {
    let expected = usize::from(end.runs.is_some());
    let session = world.session_cluster().is_some();
    let of_flink = |name: &String| name.ends_with("-config-map");
    let maps: Vec<String> = world.names("configmaps").into_iter().filter(of_flink).collect();
    same("ConfigMaps of high availability", &maps.len(), &end.maps, &maps)?;
    for (resource, of_each) in [("statefulsets.apps", 1), ("deployments.apps", 1), ("configmaps", 2), ("services", 2)] {
        let mut found = world.names(resource);
        found.retain(|name| !(of_flink(name) || session && name.starts_with(session::SERVICE)));
        // The stable Service of a suspended job stays.
        let stable = usize::from(resource == "services" && world.status().suspension.is_some());
        let expected = if session { 0 } else { of_each * expected + stable };
        same(resource, &found.len(), &expected, &found)?;
    }
    let accounts = usize::from(end.maps > 0);
    for resource in ["serviceaccounts", "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io"] {
        let found = world.names(resource);
        same(resource, &found.len(), &accounts, &found)?;
    }
    let mut records = world.names("controllerrevisions.apps");
    // A StatefulSet has one of its own: the session cluster's as well.
    records.retain(|name| !(session && name.starts_with(session::SERVICE)));
    let expected = if session { 0 } else { expected };
    let revisions: std::collections::BTreeSet<i64> = end.history.iter().map(|(number, _)| *number).collect();
    let expected = if end.ready.is_some() { revisions.len() + expected } else { 0 };
    same("records of revisions", &records.len(), &expected, &records)
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
    context: &impl std::fmt::Debug,
) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?} instead of {expected:?}: {context:#?}")) }
}

fn image_of(pod: &serde_json::Value) -> String {
    pod.pointer("/spec/containers/0/image").and_then(|image| image.as_str()).unwrap_or_default().to_owned()
}

/// Tells a scenario undisturbed.
pub fn check(scenario: &Scenario) {
    run(async {
        let told = tell(scenario, Disturbance::default()).await.unwrap_or_else(|e| panic!("{e}"));
        let outcome = compare(&scenario.end, &told.world);
        assert!(outcome.is_ok(), "{}\ncalls: {:#?}", outcome.unwrap_err(), told.calls);
        if let Some((name, attempts)) = scenario.attempts {
            assert_eq!(told.world.attempts(name), attempts, "attempts of {name}");
        }
    });
}

/// What a cache is late by: more than a pass takes, and more than many a step takes.
const LATE: [Duration; 2] = [Duration::from_millis(300), Duration::from_secs(5)];

/// Tells a scenario with caches that are late: the same end, whatever was decided before what was written is known.
pub fn late(scenario: &Scenario) {
    for late in LATE {
        let outcome = run(async {
            let told = tell(scenario, Disturbance { late, ..Disturbance::default() }).await?;
            compare(&scenario.end, &told.world)
        });
        assert!(outcome.is_ok(), "late by {late:?}: {}", outcome.unwrap_err());
    }
}

/// Whether all faults strike, for somebody who asks for that.
pub fn all_strike() -> bool {
    std::env::var_os(ALL).is_some()
}

/// What strikes: a call, how it goes wrong, and for how many seconds the operator is down then.
type Strike<'a> = (usize, &'a str, Fault, u64);

/// What strikes a scenario, from the first thing that somebody does on: what goes before is the first start's, which has a
/// scenario of its own. Scenarios that share their calls are struck at different ones.
fn strikes<'a>(name: &str, calls: &'a [String], from: usize) -> Vec<Strike<'a>> {
    let calls = calls.iter().enumerate().skip(from).map(|(at, call)| (at, call.as_str()));
    let all = calls.flat_map(|(at, call)| faults_at(at, call).into_iter().map(move |(f, down)| (at, call, f, down)));
    let (reads, writes): (Vec<_>, Vec<_>) = all.partition(|(_, call, ..)| is_read(call));
    if all_strike() {
        return writes.into_iter().chain(reads).collect();
    }
    let offset = name.bytes().fold(0, |sum: usize, byte| sum * 31 % 1009 + usize::from(byte));
    let spread = |all: Vec<Strike<'a>>, most: usize| {
        let step = all.len().div_ceil(most).max(1);
        all.into_iter().skip(offset % step).step_by(step).collect::<Vec<_>>()
    };
    [spread(writes, WRITES), spread(reads, READS)].concat()
}

/// Tells a scenario with each of its faults.
pub fn sweep(name: &str, scenario: &Scenario) {
    let began = std::time::Instant::now();
    let told = run(tell(scenario, Disturbance::default())).unwrap_or_else(|e| panic!("{e}"));
    let strikes = strikes(name, &told.calls, told.acts_at.first().copied().unwrap_or_default());
    let mut broken = Vec::new();
    for (at, call, fault, down) in &strikes {
        let outcome = run(async {
            let told = tell(scenario, Disturbance::fault(*at, *fault, *down)).await?;
            compare(&scenario.end, &told.world)
        });
        let what = format!("{name}: {fault:?} at call {at}, {call}, down for {down} s");
        broken.extend(outcome.err().map(|e| format!("{what}: {e}")));
    }
    let (calls, told) = (told.calls.len(), strikes.len());
    println!("{name}: {calls} calls, told {told} times in {:?}, {} broken", began.elapsed(), broken.len());
    assert!(broken.is_empty(), "{} broken, the first: {}", broken.len(), broken[0]);
    // There are some in which nothing is written.
    assert!(told >= READS, "a scenario without calls");
}
