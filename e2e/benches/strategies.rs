//! Measures upgrades by each strategy, of small and of large state, by the operator and by hand: `make bench-strategies`.

use std::{process::ExitCode, time::Instant};

use anyhow::{Context as _, Result};
use chrono::Utc;
use e2e::{
    bench::{
        RATES,
        by_hand::ByHand,
        by_operator::helper_jar,
        clear,
        marks::between,
        samples::Machine,
        side_by_side,
        strategies::{ByOperator, Measured, STRATEGIES, Samples, Setup, Upgrade},
    },
    namespace::Sandbox,
};

#[tokio::main]
async fn main() -> ExitCode {
    STRATEGIES.main(measure).await
}

/// Setups after one another; of each both ways alternately, each in a namespace of its own, beside the other's job.
async fn measure(rounds: usize, commit: &str) -> Result<Samples> {
    let begin = Instant::now();
    let mut machine = None;
    let mut setups = Vec::new();
    for setup in Setup::all() {
        eprintln!("{:4.0}s {setup:?}", begin.elapsed().as_secs_f64());
        let rounds = setup.rounds(rounds);
        let names = ["bench_operator", "bench_hand"];
        let both = async |one: &Sandbox, other: &Sandbox| {
            let measured = Box::pin(both(one, other, setup, rounds)).await?;
            clear(one).await?;
            clear(other).await?;
            Ok(measured)
        };
        let (measured, on) = side_by_side(names, both).await.with_context(|| format!("{setup:?}"))?;
        machine.get_or_insert(on);
        setups.push(measured);
    }
    let machine = machine.context("there is nothing to measure")?;
    Ok(Samples { measured_at: Utc::now(), commit: commit.to_owned(), machine, setups })
}

async fn both(one: &Sandbox, other: &Sandbox, setup: Setup, rounds: usize) -> Result<(Measured, Machine)> {
    let mut rates = RATES.iter().copied().cycle();
    let mut job = || setup.job(&one.env, rates.next().unwrap_or_default());
    let first = job();
    let mut by_operator = ByOperator::start(one, &first).await?;
    let machine = Machine::of(one, &one.flink(&first.name).await?).await?;
    let jar = helper_jar(one, by_operator.resource()).await?;
    let mut by_hand = ByHand::start(other, &first, jar).await?;
    let (mut operator, mut hand) = (vec![by_operator.job()?.to_owned()], vec![by_hand.job().to_owned()]);
    let mut measured = Measured { setup, by_operator: Vec::new(), by_hand: Vec::new() };
    for round in 1..=rounds {
        let changed = job();
        let whole_ms = by_operator.upgrade(&changed).await?;
        operator.push(by_operator.job()?.to_owned());
        let upgrade = Upgrade { records_ms: between(one, &operator).await?, whole_ms };
        eprintln!("      {round}/{rounds} by the operator: {upgrade:?}");
        measured.by_operator.push(upgrade);

        let whole_ms = Box::pin(by_hand.upgrade_by(&changed, setup.strategy, setup.request_format())).await?;
        hand.push(by_hand.job().to_owned());
        let upgrade = Upgrade { records_ms: between(other, &hand).await?, whole_ms };
        eprintln!("      {round}/{rounds} by hand: {upgrade:?}");
        measured.by_hand.push(upgrade);
    }
    Ok((measured, machine))
}
