//! A thousand FlinkSavepointSchedules of the same minute, each of a job of its own: the operator's controllers over an API
//! server in this process and twenty session clusters over HTTP. `cargo bench --bench schedules`.
//!
//! Told once with a store that takes twenty savepoints at once, and once with one that takes all. The fake Flink takes 80 ms
//! for a savepoint, so what is measured is what the operator adds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use fakes::kube::Change;
use serde_json::{Value, json};

#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod common;

use common::{SAVEPOINT, World, job_id, service, spread, wait};

const CLUSTERS: usize = 20;
const JOBS_OF_EACH: usize = 50;
const SCHEDULES: usize = CLUSTERS * JOBS_OF_EACH;
/// `maxConcurrentSavepoints` of the store.
const AT_ONCE: usize = 20;
/// Just before the slot; there is no other one for a day.
const BEFORE: &str = "2026-11-22T09:59:30Z";
const SLOT: &str = "2026-11-22T10:00:00Z";

/// What became of the FlinkSavepoints.
#[derive(Default)]
struct Seen {
    /// When each was created, and when it was Completed.
    each: BTreeMap<String, (Instant, Option<Instant>)>,
    /// Those that Flink may be writing.
    under_way: BTreeSet<String>,
    /// The most that it wrote at once.
    most: usize,
}

impl Seen {
    fn look(&mut self, change: &Change<'_>) {
        let Some(object) = change.new.filter(|_| change.key.resource == SAVEPOINT) else { return };
        let name = &change.key.name;
        let entry = self.each.entry(name.clone()).or_insert_with(|| (Instant::now(), None));
        if object.pointer("/status/phase").and_then(Value::as_str) == Some("Completed") {
            entry.1.get_or_insert_with(Instant::now);
        }
        let attempt = object.pointer("/status/attempts").and_then(Value::as_array).and_then(|all| all.last());
        if attempt.is_some_and(|attempt| attempt.get("result").is_none_or(Value::is_null)) {
            self.under_way.insert(name.clone());
        } else {
            self.under_way.remove(name);
        }
        self.most = self.most.max(self.under_way.len());
    }

    fn completed(&self) -> usize {
        self.each.values().filter(|(_, end)| end.is_some()).count()
    }
}

/// What a round comes to.
struct Round {
    /// From the slot's time until all are Completed.
    all: Duration,
    /// Of each savepoint, from its creation.
    each: Vec<Duration>,
    /// The most that Flink wrote at once.
    most: usize,
    /// Requests of the operator to the API server from the slot's time on.
    requests: usize,
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut told = String::new();
    for (words, at_once) in [(format!("at most {AT_ONCE} at once"), Some(AT_ONCE)), ("no limit".to_owned(), None)] {
        let Round { all, each, most, requests } = runtime.block_on(round(at_once))?;
        let (least, median, longest) = spread(each);
        let of_each = requests.div_ceil(SCHEDULES);
        writeln!(
            told,
            "{SCHEDULES} schedules of one minute, {words}: all Completed {all:.2?} after the slot; each after {median:.2?} \
             ({least:.2?} to {longest:.2?}) from its creation; {most} at once at most; {of_each} requests to the API \
             server for each"
        )?;
    }
    std::io::stdout().write_all(told.as_bytes())?;
    Ok(())
}

async fn round(at_once: Option<usize>) -> Result<Round> {
    let before: DateTime<Utc> = BEFORE.parse()?;
    let slot: DateTime<Utc> = SLOT.parse()?;
    let world = World::new(before, CLUSTERS, JOBS_OF_EACH, at_once).await?;
    let seen: Arc<Mutex<Seen>> = Arc::default();
    let observer = Arc::clone(&seen);
    world.server.on_change(Box::new(move |change| {
        if let Ok(mut seen) = observer.lock() {
            seen.look(change);
        }
    }));
    let operator = world.operator().await?;
    for n in 0..SCHEDULES {
        let (cluster, job) = (n % CLUSTERS, n / CLUSTERS);
        let spec = json!({
            "flinkCluster": {"service": service(cluster), "jobId": job_id(cluster, job)},
            "targetDirectory": "s3://flink/sp",
        });
        let spec = json!({"schedule": "0 10 * * *", "savepointTemplate": {"spec": spec}});
        world.apply("FlinkSavepointSchedule", "flinksavepointschedules", &format!("nightly-{n}"), spec).await?;
    }
    let left = (slot - world.clock.now()).to_std().context("it took too long until all schedules were there")?;
    tokio::time::sleep(left).await;
    let (began, calls) = (Instant::now(), world.calls.calls().len());
    wait(SCHEDULES, || seen.lock().map(|seen| seen.completed()).unwrap_or_default()).await?;
    let (all, requests) = (began.elapsed(), world.calls.calls().len() - calls);
    drop(operator);
    let seen = seen.lock().map_err(|_| anyhow::anyhow!("an observer failed"))?;
    let each = seen.each.values().filter_map(|(begin, end)| Some(end.as_ref()?.duration_since(*begin))).collect();
    Ok(Round { all, each, most: seen.most, requests })
}
