//! Tells scenarios: undisturbed, and with each fault at each call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fakes::faults::Faults;
use flink_savepoint_operator::api::condition::{self, types};
use flink_savepoint_operator::api::{DeletionPolicy, FlinkSavepoint, SavepointPhase};
use flink_savepoint_operator::reconcile::passes;
use flink_savepoint_operator::savepoint::Savepoints;
use futures::future::{BoxFuture, join_all};
use kube::ResourceExt;
use tokio::time::{Instant, sleep_until};

use crate::cache::Cache;
use crate::common::faults::{faults_at, run};
use crate::world::{JOB, Wish, World};

/// What somebody does.
pub type Act = fn(World) -> BoxFuture<'static, ()>;

/// When somebody does something.
#[derive(Clone, Copy)]
pub enum When {
    /// So long after the beginning.
    At(Duration),
    /// As soon as a FlinkSavepoint is in this phase.
    Phase(&'static str, SavepointPhase),
    /// As soon as Ready of a FlinkSavepoint has this reason.
    Reason(&'static str, &'static str),
    /// As soon as the job is in this state.
    Job(&'static str),
}

/// What a FlinkSavepoint comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub name: &'static str,
    /// Its phase and the reason of its Ready; `None`: it is gone.
    pub status: Option<(SavepointPhase, &'static str)>,
    /// Attempts made; `None`: depends on when what happens.
    pub attempts: Option<usize>,
}

/// A scenario.
#[derive(Clone)]
pub struct Scenario {
    pub wish: Wish,
    pub begin: Act,
    pub acts: Vec<(When, Act)>,
    pub ends: Vec<End>,
    /// The job's state, by its JobManager's word; `None`: it is not known.
    pub job: Option<&'static str>,
    /// Or else it is not known.
    pub may_be_unknown: bool,
    /// Savepoints that are there in the end; `None`: depends on when what happens.
    pub whole: Option<usize>,
    /// What somebody does need not come to pass: it depends on what is struck.
    pub optional: bool,
    /// How long after the end the job is looked at.
    pub settles: Duration,
    /// At most so often the operator writes to the resource and its job, where nothing goes wrong.
    pub writes: Option<usize>,
    /// Events that tell of it, where nothing goes wrong.
    pub events: &'static [&'static str],
}

/// Where scenarios copy to.
pub const COPIES: &str = "archive";
/// It must be over by then.
const PATIENCE: Duration = Duration::from_secs(2 * 3600);
/// Something is looked at at least so often, while it is not over.
const OFTEN: Duration = Duration::from_secs(300);
/// What follows an error.
const AFTER_ERROR: Duration = Duration::from_secs(1);
/// Calls of a scenario that each fault strikes; of further ones it strikes some.
const ALL_OF: usize = 24;

/// What the operator has seen of a FlinkSavepoint, as versions of resources.
#[derive(PartialEq)]
struct Seen {
    own: Option<String>,
    /// Of its job and of the other FlinkSavepoints.
    others: Vec<String>,
}

/// A scenario as it was told.
struct Told {
    world: World,
    calls: Vec<String>,
}

/// Tells it to its end. `late`: so much later the controller's cache has what was written.
async fn tell(scenario: &Scenario, faults: Faults, down: Duration, late: Duration) -> Result<Told, String> {
    let world = World::new(&scenario.wish).await;
    (scenario.begin)(world.clone()).await;
    let begin = Instant::now();
    let mut acts = scenario.acts.clone();
    let (mut operator, mut mortal) = (world.operator(&faults), faults.clone());
    let mut cache = Cache::of(&operator);
    let mut back = begin;
    let mut failed = BTreeSet::new();
    let (mut due, mut seen) = (BTreeMap::<String, Instant>::new(), BTreeMap::<String, Seen>::new());
    loop {
        let next_act = do_what_is_due(&world, begin, &mut acts).await;
        if Instant::now() < back {
            // The world goes on without the operator.
            sleep_until(next_act.unwrap_or(back).min(back)).await;
            world.copier.go_on(&world).await;
            continue;
        }
        let all = world.all_savepoints();
        failed.retain(|name: &String| all.iter().any(|s| &s.name_any() == name));
        let news: Vec<String> = {
            let unseen = |s: &&FlinkSavepoint| {
                let now = Seen { own: s.resource_version(), others: world.versions_beside(&s.name_any()) };
                seen.get(&s.name_any()) != Some(&now)
            };
            all.iter().filter(unseen).map(ResourceExt::name_any).collect()
        };
        if (acts.is_empty() || scenario.optional) && all.iter().all(is_over) && news.is_empty() && failed.is_empty() {
            break;
        }
        if begin.elapsed() > PATIENCE {
            return Err(format!(
                "it is not over after {PATIENCE:?}: {:#?}",
                all.iter().map(|s| &s.status).collect::<Vec<_>>()
            ));
        }
        // A change is seen as by a watch.
        for name in news {
            due.entry(name).and_modify(|at| *at = (*at).min(Instant::now() + late)).or_insert(Instant::now() + late);
        }
        due.retain(|name, _| all.iter().any(|s| &s.name_any() == name));
        let next = due.values().copied().chain(next_act).min().unwrap_or_else(|| Instant::now() + OFTEN);
        sleep_until(next).await;
        let is_due = |name: &String| due.get(name).is_some_and(|at| *at <= Instant::now());
        let names: Vec<String> = all.iter().map(ResourceExt::name_any).filter(is_due).collect();
        let now: Vec<_> = names.iter().filter_map(|name| world.cached(name, late)).collect();
        if now.is_empty() {
            // The cache has none of them yet.
            due.retain(|name, _| !names.contains(name));
        }
        cache.set(all.iter().filter_map(|s| world.cached(&s.name_any(), late)));
        let before: BTreeMap<_, _> = names.iter().map(|name| (name.clone(), world.versions_beside(name))).collect();
        let ctx = &operator;
        let each = now.iter().map(|s| async move { (s.name_any(), passes::<Savepoints>(s, ctx).await) });
        let done = tokio::select! {
            biased;
            done = join_all(each) => done,
            () = mortal.crash() => {
                mortal = Faults::none();
                operator = world.operator(&mortal);
                cache = Cache::of(&operator);
                back = Instant::now() + down;
                seen.clear();
                failed.clear();
                continue;
            }
        };
        for (name, outcome) in done {
            let object = world.savepoint_now(&name);
            let over = object.as_ref().is_none_or(is_over);
            let wait = match outcome {
                Ok(wait) if !over && wait > OFTEN => {
                    return Err(format!("{name} is not over, and is looked at only after {wait:?}: {object:#?}"));
                }
                Ok(wait) => {
                    failed.remove(&name);
                    wait
                }
                Err(_) => {
                    failed.insert(name.clone());
                    AFTER_ERROR
                }
            };
            due.insert(name.clone(), Instant::now() + wait);
            let others = before.get(&name).cloned().unwrap_or_default();
            seen.insert(name, Seen { own: object.and_then(|o| o.resource_version()), others });
        }
        world.release_lock().await;
        world.copier.go_on(&world).await;
        twins(&world).await?;
    }
    let calls = faults.calls();
    tokio::time::sleep(scenario.settles).await;
    rest(&world, &world.operator(&Faults::none())).await?;
    Ok(Told { world, calls })
}

/// Does what it is time for; when the next one is due.
async fn do_what_is_due(world: &World, begin: Instant, acts: &mut Vec<(When, Act)>) -> Option<Instant> {
    let mut next = None;
    for (when, act) in std::mem::take(acts) {
        match when {
            When::At(at) if begin.elapsed() < at => {
                next = Some(next.map_or(begin + at, |other: Instant| other.min(begin + at)));
                acts.push((when, act));
            }
            _ if is_time(world, when).await => act(world.clone()).await,
            _ => acts.push((when, act)),
        }
    }
    next
}

async fn is_time(world: &World, when: When) -> bool {
    match when {
        When::At(_) => true,
        When::Phase(name, phase) => {
            world.savepoint_now(name).and_then(|s| s.status).and_then(|s| s.phase) == Some(phase)
        }
        When::Reason(name, reason) => world.savepoint_now(name).as_ref().and_then(ready) == Some(reason.to_owned()),
        When::Job(state) => world.job_state(JOB).await.as_deref() == Some(state),
    }
}

fn ready(savepoint: &FlinkSavepoint) -> Option<String> {
    condition::find(&savepoint.status.as_ref()?.conditions, types::READY).map(|c| c.reason.clone())
}

fn is_over(savepoint: &FlinkSavepoint) -> bool {
    let phase = savepoint.status.as_ref().and_then(|s| s.phase);
    let stays =
        savepoint.spec.deletion_policy() == DeletionPolicy::Delete && savepoint.metadata.deletion_timestamp.is_none();
    phase.is_some_and(SavepointPhase::is_terminal) && (stays || savepoint.finalizers().is_empty())
}

/// No attempt is ever made twice: each has a directory of its own, and there is one savepoint in it at most.
async fn twins(world: &World) -> Result<(), String> {
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for file in world.files("sp").await {
        let parts: Vec<&str> = file.split('/').collect();
        let [_, _, savepoint, attempt, directory, ..] = parts.as_slice() else { continue };
        let before = made.entry(format!("{savepoint}/{attempt}")).or_insert_with(|| (*directory).to_owned());
        if before != directory {
            return Err(format!("attempt {attempt} of {savepoint} was made twice: {before} and {directory}"));
        }
    }
    Ok(())
}

/// What is over stays as it is, and what failed attempts have left is gone.
async fn rest(world: &World, operator: &flink_savepoint_operator::context::Context) -> Result<(), String> {
    let before = world.invariants.writes().len();
    tokio::time::advance(Duration::from_secs(3600)).await;
    for savepoint in world.all_savepoints() {
        passes::<Savepoints>(&savepoint, operator).await.map_err(|e| e.to_string())?;
    }
    let writes = world.invariants.writes();
    if writes.len() > before {
        return Err(format!("at rest it writes: {:?}", &writes[before..]));
    }
    Ok(())
}

/// No two attempts went on at once: all scenarios have one job only.
fn one_after_the_other(world: &World) -> Result<(), String> {
    let all = world.all_savepoints();
    let attempts = all.iter().flat_map(|s| s.status.iter().flat_map(|status| &status.attempts));
    let mut spans: Vec<_> = attempts.map(|a| (a.start_time.clone(), a.completion_time.clone())).collect();
    spans.sort();
    let together = spans.windows(2).find(|two| two[0].1 > two[1].0);
    together.map_or(Ok(()), |two| Err(format!("two at once: {two:?}")))
}

/// The reasons that will do: `A or B`.
fn reasons(end: &End) -> Vec<&'static str> {
    end.status.map_or_else(|| vec![""], |(_, reasons)| reasons.split(" or ").collect())
}

/// The end is the one that is expected, and no invariant was broken.
async fn compare(scenario: &Scenario, told: &Told) -> Result<(), String> {
    let world = &told.world;
    if let Some(first) = world.invariants.broken().first() {
        return Err(first.clone());
    }
    let mut whole: Vec<String> = world.files("sp").await;
    whole.retain(|file| file.ends_with("/_metadata"));
    for end in &scenario.ends {
        let found = world.savepoint_now(end.name);
        let status = found.as_ref().and_then(|s| Some((s.status.as_ref()?.phase?, ready(s)?)));
        let either = |said: &str| if reasons(end).contains(&said) { said } else { reasons(end)[0] }.to_owned();
        let said = status.as_ref().map_or("", |(_, reason)| reason);
        let expected = end.status.map(|(phase, _)| (phase, either(said)));
        if status != expected {
            return Err(format!(
                "{}: {status:?} instead of {expected:?}: {:#?}",
                end.name,
                found.and_then(|s| s.status)
            ));
        }
        let Some(status) = found.and_then(|s| s.status) else { continue };
        if end.attempts.is_some_and(|attempts| attempts != status.attempts.len()) {
            return Err(format!("{}: {} attempts: {:#?}", end.name, status.attempts.len(), status.attempts));
        }
        if status.phase == Some(SavepointPhase::Completed) {
            let location = status.location.unwrap_or_default();
            let metadata = format!("{}/_metadata", location.trim_start_matches("s3://flink/"));
            if !world.exists(&metadata).await {
                return Err(format!("{}: {location} is not there", end.name));
            }
        }
    }
    if scenario.whole.is_some_and(|expected| expected != whole.len()) {
        return Err(format!("{} savepoints instead of {:?}: {whole:?}", whole.len(), scenario.whole));
    }
    copies(world).await?;
    let job = world.job_state(JOB).await;
    if job.as_deref() != scenario.job && !(job.is_none() && scenario.may_be_unknown) {
        return Err(format!("the job is {job:?} instead of {:?}", scenario.job));
    }
    Ok(())
}

/// Where copies go there is nothing but what a FlinkSavepoint says that it has copied, whole, and no Job is left of one that
/// is gone.
async fn copies(world: &World) -> Result<(), String> {
    let copied = |s: FlinkSavepoint| s.spec.copy_of.is_some().then(|| s.status?.location).flatten();
    let known: Vec<String> = world.all_savepoints().into_iter().filter_map(copied).collect();
    let places: Vec<&str> = known.iter().map(|place| place.trim_start_matches("s3://flink/")).collect();
    let files = world.files(COPIES).await;
    if let Some(other) = files.iter().find(|file| !places.iter().any(|place| file.starts_with(&format!("{place}/")))) {
        return Err(format!("{other} is nobody's copy: {known:?}"));
    }
    if let Some(half) = places.iter().find(|place| !files.contains(&format!("{place}/_metadata"))) {
        return Err(format!("{half} is not whole: {files:?}"));
    }
    let jobs = world.kube.objects("jobs.batch");
    let left = known.is_empty() && !jobs.is_empty();
    if left { Err(format!("Jobs are left: {jobs:#?}")) } else { Ok(()) }
}

/// Tells a scenario undisturbed.
pub fn check(scenario: fn() -> Scenario) {
    let scenario = scenario();
    run(async {
        let told =
            tell(&scenario, Faults::none(), Duration::ZERO, Duration::ZERO).await.unwrap_or_else(|e| panic!("{e}"));
        let outcome = compare(&scenario, &told).await;
        assert!(outcome.is_ok(), "{}\ncalls: {:#?}", outcome.unwrap_err(), told.calls);
        // How far it is with the files is written here only: in virtual time nobody waits for another thread.
        let mut writes = told.world.invariants.writes();
        writes.retain(|write| !write.contains("\"Verifying\""));
        assert!(scenario.writes.is_none_or(|most| writes.len() <= most), "too many writes: {writes:#?}");
        let events = told.world.events();
        for event in scenario.events {
            assert!(events.iter().any(|told| told == event), "no Event {event}: {events:?}");
        }
    });
}

/// Tells a scenario with each fault at each call.
pub fn sweep(name: &str, scenario: fn() -> Scenario) {
    let began = std::time::Instant::now();
    let scenario = scenario();
    let told = run(tell(&scenario, Faults::none(), Duration::ZERO, Duration::ZERO)).unwrap_or_else(|e| panic!("{e}"));
    let calls = told.calls;
    let every = |n: &usize| *n < ALL_OF || n.is_multiple_of(1 + calls.len() / ALL_OF);
    let mut told = 0;
    for (at, call) in calls.iter().enumerate().filter(|(n, _)| every(n)) {
        for (fault, down) in faults_at(at, call) {
            let outcome = run(async {
                let told = tell(&scenario, Faults::at(at, fault), Duration::from_secs(down), Duration::ZERO).await?;
                compare(&scenario, &told).await
            });
            let what = format!("{name}: {fault:?} at call {at}, {call}, down for {down} s");
            assert!(outcome.is_ok(), "{what}: {}", outcome.unwrap_err());
            told += 1;
        }
    }
    println!("{name}: {} calls, told {told} times in {:?}", calls.len(), began.elapsed());
    assert!(told > 40, "a scenario without calls");
}

/// What a cache is late by: less than a call takes, more than that, and more than an attempt takes.
const LATE: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(300), Duration::from_secs(20)];

/// Tells a scenario with a cache that is late: the same end, whatever was read before what was written is known.
pub fn late(scenario: fn() -> Scenario) {
    let scenario = scenario();
    for late in LATE {
        let outcome = run(async {
            let told = tell(&scenario, Faults::none(), Duration::ZERO, late).await?;
            one_after_the_other(&told.world)?;
            compare(&scenario, &told).await
        });
        assert!(outcome.is_ok(), "late by {late:?}: {}", outcome.unwrap_err());
    }
}
