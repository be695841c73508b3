//! Measures upgrades by the operator, and the same by hand: `make bench-upgrade`.
//!
//! `measure --rounds N --commit C --out FILE` measures on the cluster under test and writes every sample to a file;
//! `show FILE` prints its table; `table` writes the table of the newest measurements into README.md.

use std::{
    env, fs,
    io::Write as _,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use chrono::Utc;
use e2e::{
    bench::{
        JOB, RATES,
        by_hand::ByHand,
        by_operator::ByOperator,
        process, report,
        samples::{Machine, Process, Samples},
    },
    job::{Job, Version},
    namespace::Sandbox,
};

/// How long the operator's processor time is counted while nothing happens.
const REST: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-upgrade: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    // `cargo bench` adds an argument of its own.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["measure", "--rounds", rounds, "--commit", commit, "--out", file] => {
            let rounds = rounds.parse().with_context(|| format!("--rounds {rounds}"))?;
            let samples = Box::pin(measure(rounds, commit)).await?;
            fs::write(file, serde_json::to_string_pretty(&samples)? + "\n").with_context(|| (*file).to_owned())
        }
        ["show", file] => {
            let text = fs::read_to_string(file).with_context(|| (*file).to_owned())?;
            let table = report::table(&serde_json::from_str(&text)?)?;
            Ok(std::io::stdout().write_all(table.as_bytes())?)
        }
        ["table"] => {
            let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no folder above")?;
            let file = top.join("README.md");
            let readme = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            Ok(fs::write(&file, report::inserted(&readme, report::newest(&top.join("docs/bench"))?.as_ref())?)?)
        }
        other => bail!("{other:?}: give measure --rounds N --commit C --out FILE, show FILE, or table"),
    }
}

/// Each way has a namespace of its own. Both jobs run all the time, so each way is measured beside the other's job.
async fn measure(rounds: usize, commit: &str) -> Result<Samples> {
    let mut samples = None;
    let outcome = Box::pin(Sandbox::run("bench_operator", async |one| {
        Box::pin(Sandbox::run("bench_hand", async |other| {
            samples = Some(Box::pin(both(one, other, rounds, commit)).await?);
            Ok(())
        }))
        .await
    }))
    .await;
    let Some(samples) = samples else {
        outcome?;
        bail!("nothing was measured");
    };
    if let Err(error) = outcome {
        eprintln!("measured, but the namespaces could not be removed: {error:#}");
    }
    Ok(samples)
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
    let mut by_hand = ByHand::start(other, &job, by_operator.helper_jar().await?).await?;
    say("both jobs run");

    let mut samples = Samples {
        measured_at: Utc::now(),
        commit: commit.to_owned(),
        machine: machine(one, by_operator.flink_version().await?).await?,
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

async fn machine(sandbox: &Sandbox, flink: String) -> Result<Machine> {
    let memory = fs::read_to_string("/proc/meminfo")?;
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kib: u64 = memory.trim().trim_end_matches(" kB").parse().context("MemTotal of /proc/meminfo")?;
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        memory_mib: kib / 1024,
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
        kubernetes: sandbox.client.apiserver_version().await?.git_version,
        flink,
    })
}
