//! The operator's binary: parses, connects, and runs the parts of the process until one of them or a signal ends it.

use std::{io::Write as _, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser as _;
use flink_savepoint_operator::{
    api,
    cli::{Cli, Command, Run, jar, snapshot},
    context::{Context, Settings, read_helper_jar},
    controllers, flink,
    runtime::{
        Error, admin,
        backoff::Backoff,
        error::chain,
        events::Events,
        kube_client,
        lease::{Identity, Lease, LeaseSettings},
        metrics::Metrics,
        readiness::{Pending, Readiness},
        shutdown::Shutdown,
        tasks::Tasks,
        telemetry,
    },
    store::{self, copies::copies},
    time::Clock,
};

/// With the release of the Lease (1 s) the end takes less than 5 s.
const GRACE: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let args = match Cli::parse().command {
        Command::Run(args) => args,
        Command::Crds => return print_crds(),
        Command::Jar(command) => return jar::run(&command),
        Command::Snapshot(command) => return snapshot::run(&command),
    };
    if let Err(error) = telemetry::init(args.log_format, &args.log) {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{}", chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

fn print_crds() -> ExitCode {
    let documents: Result<Vec<String>, _> = api::crds().iter().map(api::to_yaml).collect();
    let written = documents.map_err(anyhow::Error::from).and_then(|documents| {
        std::io::stdout().write_all(documents.join("---\n").as_bytes()).map_err(anyhow::Error::from)
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the CRDs can't be printed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: &Run) -> anyhow::Result<()> {
    // Few threads: the work is waiting. Blocking ones resolve names and read files.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(4).enable_all().build()?;
    let outcome = runtime.block_on(run(args));
    // Nothing is waited for: whoever still runs now must not act any more.
    runtime.shutdown_background();
    outcome
}

async fn run(args: &Run) -> anyhow::Result<()> {
    let stop = Shutdown::new();
    stop.trigger_on_signals()?;
    let helper_jar = read_helper_jar(&args.helper_jar)?;
    let client = kube_client::connect().await?;
    let (metrics, readiness) = (Metrics::new(), Readiness::new());
    let (events, publisher) = Events::new(client.clone(), args.pod());
    let lease_settings = LeaseSettings {
        namespace: args.own_namespace(client.default_namespace()),
        name: args.lease_name.clone(),
        duration: args.lease_duration(),
        identity: Identity::of_process(args.pod().as_deref()),
    };
    let lease = Lease::new(client.clone(), lease_settings, metrics.clone());
    let lease_seen = readiness.wait_for("the Lease");
    let settings = Settings {
        namespace: args.watched_namespace(),
        local_stores: args.local_stores.clone(),
        small_copy_bytes: args.small_copy_bytes,
        image: args.own_image(),
        pod: args.pod().map(|pod| (args.own_namespace(client.default_namespace()), pod)),
    };
    let listener = admin::bind(args.admin_address).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), ?settings, admin = %args.admin_address, "starting");

    let context = Context {
        client,
        metrics: metrics.clone(),
        events,
        claim: lease.watch(),
        readiness: readiness.clone(),
        clock: Clock::system(),
        backoff: Arc::new(Backoff::new()),
        flink: flink::Connector::new()?,
        stores: Arc::default(),
        checks: Arc::new(store::check::checks()),
        copies: Arc::new(copies()),
        turns: Arc::default(),
        known: Arc::default(),
        room: Arc::default(),
        helper_jar,
        settings: Arc::new(settings),
    };
    let mut tasks = Tasks::new();
    tasks.spawn("the admin server", admin::serve(listener, metrics, readiness, stop.clone()));
    tasks.spawn("the publisher of Events", publisher.run(stop.clone()));
    tasks.spawn("the controllers", control(context, lease_seen, stop.clone()));

    // The Lease outlives the tasks: it is released only when nobody acts any more.
    let lease_stop = Shutdown::new();
    let mut lease = tokio::spawn(lease.run(lease_stop.clone()));
    let ended = tokio::select! {
        ended = tasks.run(&stop, GRACE) => ended,
        lost = &mut lease => return Err(lost?.err().unwrap_or(Error::TaskEnded { name: "the Lease" }).into()),
    };
    if matches!(ended, Err(Error::StillRunning { .. })) {
        // A call of theirs may still take effect: the successor shall wait until the Lease has expired.
        return Ok(ended?);
    }
    lease_stop.trigger();
    lease.await??;
    Ok(ended?)
}

/// Waits until this process leads, then runs the controllers.
async fn control(context: Context, lease_seen: Pending, stop: Shutdown) -> anyhow::Result<()> {
    let lease_seen = tokio::select! {
        () = stop.requested() => return Ok(()),
        leading = context.until_leading(lease_seen) => leading?,
    };
    // Their watches are on the list of what is waited for before the Lease is taken off it: the process is not ready for a
    // moment in between.
    let mut tasks = Tasks::new();
    controllers::spawn(&mut tasks, &context, &stop);
    lease_seen.done();
    Ok(tasks.run(&stop, GRACE).await?)
}
