//! The fake of Flink and Flink: the same cases, in the same run.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use e2e::{conformance_flink::RealFlink, job, namespace::Sandbox};
use fakes::{
    conformance::flink::{Case, Fake, Needs, Report, cases, run},
    flink::Version,
};

/// Each case on a fake and on a session cluster. A case of neither kind of cluster runs on one without high
/// availability; there are two, so that those with a JobManager that dies do not wait for the others.
pub async fn fake_and_real(sandbox: &Sandbox, version: job::Version) -> Result<()> {
    let faked = tokio::task::spawn_blocking(move || on_fake(version)).await??;
    let (plain, available) = futures::try_join!(on_real(sandbox, version, false), on_real(sandbox, version, true))?;
    let real = [plain, available];

    let mut failures = Vec::new();
    for (fake, real) in faked.iter().zip(&real) {
        ensure!(fake.names() == real.names(), "skipped on one side: {:?}, {:?}", fake.names(), real.names());
        failures.extend(fake.failures().into_iter().map(|failure| format!("on the fake: {failure}")));
        failures.extend(real.failures().into_iter().map(|failure| format!("on Flink: {failure}")));
    }
    let number: usize = real.iter().map(|report| report.cases.len()).sum();
    eprintln!("flink {}: {number} cases x 2, {} failures", version.tag(), failures.len());
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// The cases of a kind of cluster.
fn of(high_availability: bool) -> Vec<Case> {
    let all = cases(high_availability).into_iter();
    if high_availability { all.filter(|case| case.needs == Needs::HighAvailability).collect() } else { all.collect() }
}

/// On a clock of its own, which goes on by itself.
fn on_fake(version: job::Version) -> Result<[Report; 2]> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    let version = match version {
        job::Version::V1_20 => Version::V1_20,
        job::Version::V2_3 => Version::V2_3,
    };
    let on = |high_availability| runtime.block_on(run(&Fake::new(version, high_availability), &of(high_availability)));
    Ok([on(false), on(true)])
}

async fn on_real(sandbox: &Sandbox, version: job::Version, high_availability: bool) -> Result<Report> {
    let started = Instant::now();
    let world = RealFlink::start(sandbox, version, high_availability).await?;
    let mut report = Report::default();
    for case in of(high_availability) {
        report.cases.extend(run(&world, &[case]).await.cases);
        world.settle().await.with_context(|| format!("after {}", case.name))?;
        eprintln!("{:6.1} s: {}", started.elapsed().as_secs_f64(), case.name);
    }
    Ok(report)
}
