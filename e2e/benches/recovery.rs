//! Measures recoveries by the operator, and by Flink itself: `make bench-recovery`.

use std::{process::ExitCode, time::Instant};

use anyhow::Result;
use chrono::Utc;
use e2e::{
    bench::{
        JOB, RATES,
        recovery::{RECOVERY, Samples, by_flink::ByFlink, by_operator::ByOperator},
        samples::Machine,
        side_by_side,
    },
    job::{Job, Version},
    namespace::Sandbox,
};

const VERSION: Version = Version::V1_20;

#[tokio::main]
async fn main() -> ExitCode {
    RECOVERY.main(measure).await
}

/// Each way has a namespace of its own. Both jobs run all the time, so each way is measured beside the other's job.
async fn measure(rounds: usize, commit: &str) -> Result<Samples> {
    side_by_side(["bench_operator", "bench_flink"], async |one, other| Box::pin(both(one, other, rounds, commit)).await)
        .await
}

async fn both(one: &Sandbox, other: &Sandbox, rounds: usize, commit: &str) -> Result<Samples> {
    let begin = Instant::now();
    let say = |what: &str| eprintln!("{:4.0}s {what}", begin.elapsed().as_secs_f64());
    let job = Job::counting(&one.env, JOB, VERSION).never_empty();
    let mut by_operator = ByOperator::start(one, &job).await?;
    let by_flink = ByFlink::start(other, VERSION).await?;
    say("both jobs run");

    let mut samples = Samples {
        measured_at: Utc::now(),
        commit: commit.to_owned(),
        machine: Machine::of(one, &by_operator.flink().await?).await?,
        job: "counting job, parallelism 1, 200 records/s, state in memory, checkpoints to S3 every 2 s".to_owned(),
        by_operator: Vec::new(),
        by_flink: Vec::new(),
    };
    let rates = RATES.iter().cycle().skip(1).take(rounds);
    for (round, rate) in rates.enumerate() {
        let recovery = by_operator.recovery().await?;
        say(&format!("{}/{rounds} by the operator: {recovery:?}", round + 1));
        samples.by_operator.push(recovery);
        by_operator.renew(&job.clone().rate(*rate)).await?;
        let recovery = by_flink.recovery().await?;
        say(&format!("{}/{rounds} by Flink: {recovery:?}", round + 1));
        samples.by_flink.push(recovery);
        by_flink.renew().await?;
    }
    samples.measured_at = Utc::now();
    Ok(samples)
}
