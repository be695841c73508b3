//! A hundred FlinkSavepoints of twenty jobs, created at once: the operator's controllers over an API server in this process
//! and twenty session clusters over HTTP. `cargo bench --bench savepoints`.
//!
//! Measured is what the operator adds: the fake Flink takes 80 ms for a savepoint, and the fake API server next to nothing
//! for a write.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::Utc;
use serde_json::{Value, json};

#[allow(dead_code, reason = "each benchmark uses a part of it")]
mod common;

use common::{OPERATOR, SAVEPOINT, World, service, spread, wait};

const JOBS: usize = 20;
const SAVEPOINTS: usize = 100;

/// When each FlinkSavepoint was created and Completed, and how often it was written.
type Seen = Arc<Mutex<BTreeMap<String, (Instant, Option<Instant>, usize)>>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        alone.extend(runtime.block_on(round(1, 1))?.0);
        together.push(runtime.block_on(round(JOBS, SAVEPOINTS))?);
    }
    let (least, median, most) = spread(alone);
    let mut told = format!("one savepoint, apply to Completed: {median:.0?} ({least:.0?} to {most:.0?})\n");
    for (each, writes, all) in together {
        let (least, median, most) = spread(each);
        let writes = writes.div_ceil(SAVEPOINTS);
        writeln!(
            told,
            "{SAVEPOINTS} savepoints of {JOBS} jobs: all Completed after {all:.2?}; each after {median:.0?} ({least:.0?} to \
             {most:.0?}), with at most {writes} writes on average"
        )?;
    }
    std::io::stdout().write_all(told.as_bytes())?;
    Ok(())
}

/// How long each took, all writes to them, and how long all took.
async fn round(jobs: usize, savepoints: usize) -> Result<(Vec<Duration>, usize, Duration)> {
    let world = World::new(Utc::now(), jobs, 1, None).await?;
    let seen = Seen::default();
    let observer = Arc::clone(&seen);
    world.server.on_change(Box::new(move |change| {
        if change.key.resource != SAVEPOINT {
            return;
        }
        let Ok(mut seen) = observer.lock() else { return };
        let entry = seen.entry(change.key.name.clone()).or_insert_with(|| (Instant::now(), None, 0));
        entry.2 += usize::from(change.client == OPERATOR);
        let phase = change.new.and_then(|new| new.pointer("/status/phase")).and_then(Value::as_str);
        if phase == Some("Completed") && entry.1.is_none() {
            entry.1 = Some(Instant::now());
        }
    }));
    let operator = world.operator().await?;

    let began = Instant::now();
    for n in 0..savepoints {
        let spec = json!({"flinkCluster": {"service": service(n % jobs)}, "targetDirectory": "s3://flink/sp"});
        world.apply("FlinkSavepoint", "flinksavepoints", &format!("s-{n}"), spec).await?;
    }
    let finished = || seen.lock().map(|s| s.values().filter(|(_, end, _)| end.is_some()).count()).unwrap_or_default();
    wait(savepoints, finished).await?;
    let all = began.elapsed();
    drop(operator);
    let seen = seen.lock().map_err(|_| anyhow::anyhow!("an observer failed"))?;
    let each = seen.values().filter_map(|(begin, end, _)| Some(end.as_ref()?.duration_since(*begin))).collect();
    let writes = seen.values().map(|(_, _, writes)| writes).sum();
    Ok((each, writes, all))
}
