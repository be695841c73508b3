//! Measures upgrades by the operator, and the same by hand: `make bench-upgrade`.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use chrono::Utc;
use e2e::{
    bench::{
        JOB, RATES,
        by_hand::ByHand,
        by_operator::{ByOperator, helper_jar},
        process,
        report::UPGRADE,
        samples::{Machine, Process, Samples},
        side_by_side,
    },
    job::{Job, Version},
    namespace::Sandbox,
};

/// How long the operator's processor time is counted while nothing happens.
const REST: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    UPGRADE.main(measure).await
}

/// Each way has a namespace of its own. Both jobs run all the time, so each way is measured beside the other's job.
async fn measure(rounds: usize, commit: &str) -> Result<Samples> {
    side_by_side(["bench_operator", "bench_hand"], async |one, other| Box::pin(both(one, other, rounds, commit)).await)
        .await
}

async fn both(one: &Sandbox, other: &Sandbox, rounds: usize, commit: &str) -> Result<Samples> {
    let begin = Instant::now();
    let say = |what: &str| eprintln!("{:4.0}s {what}", begin.elapsed().as_secs_f64());
    let process = process::Process::of(&one.operator).await?;
    let memory = |when: &str| -> Result<Option<process::Memory>> {
        let memory = process.as_ref().map(process::Process::memory).transpose()?;
        say(&format!("the operator's memory {when}: {memory:?}"));
        Ok(memory)
    };
    let idle = memory("without a job")?;
    let job = Job::counting(&one.env, JOB, Version::V1_20);
    let mut by_operator = ByOperator::start(one, &job).await?;
    let one_job = memory("with one job")?;
    let cpu_percent = match &process {
        Some(process) => Some(process.cpu_percent(REST).await?),
        None => None,
    };
    say(&format!("its processor time at rest: {cpu_percent:?} %"));
    let mut by_hand = ByHand::start(other, &job, helper_jar(one, by_operator.resource()).await?).await?;
    say("both jobs run");

    let mut samples = Samples {
        measured_at: Utc::now(),
        commit: commit.to_owned(),
        machine: Machine::of(one, by_operator.flink()).await?,
        job: "counting job, parallelism 1, 200 records/s, state in memory, checkpoints to S3 every 2 s".to_owned(),
        by_operator: Vec::new(),
        by_hand: Vec::new(),
        savepoints_ms: Vec::new(),
        process: None,
    };
    let rates = RATES.iter().cycle().skip(1).take(rounds);
    for (round, rate) in rates.enumerate() {
        let changed = job.clone().rate(*rate);
        let upgrade = by_operator.upgrade(&changed).await?;
        say(&format!("{}/{rounds} by the operator: {upgrade:?}", round + 1));
        samples.by_operator.push(upgrade);
        let upgrade = by_hand.upgrade(&changed).await?;
        say(&format!("{}/{rounds} by hand: {upgrade:?}", round + 1));
        samples.by_hand.push(upgrade);
        let savepoint = by_operator.savepoint(&format!("bench-{}", round + 1)).await?;
        say(&format!("{}/{rounds} savepoint: {savepoint} ms", round + 1));
        samples.savepoints_ms.push(savepoint);
    }
    let end = memory("at the end")?;
    samples.measured_at = Utc::now();
    samples.process = (|| {
        let (idle, one_job, end) = (idle?, one_job?, end?);
        Some(Process {
            rss_idle_kib: idle.now_kib,
            rss_one_job_kib: one_job.now_kib,
            rss_end_kib: end.now_kib,
            rss_peak_kib: end.peak_kib,
            cpu_percent: cpu_percent?,
            cpu_seconds: REST.as_secs_f64(),
        })
    })();
    Ok(samples)
}
