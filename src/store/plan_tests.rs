use super::*;
use crate::api::FlinkSnapshotStoreSpec;

fn store(read_only: bool) -> FlinkSnapshotStore {
    let url = "s3://bucket/prefix".to_owned();
    let spec = FlinkSnapshotStoreSpec { url, read_only: Some(read_only), ..FlinkSnapshotStoreSpec::default() };
    let mut store = FlinkSnapshotStore::new("archive", spec);
    store.metadata.generation = Some(3);
    store
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_780_000_000 + seconds, 0).unwrap()
}

/// The status after a probe of a store that had this status before.
fn after(
    before: Option<FlinkSnapshotStoreStatus>,
    probe: Probe,
    now: DateTime<Utc>,
) -> (FlinkSnapshotStoreStatus, Next) {
    plan(&Observed { now, store: FlinkSnapshotStore { status: before, ..store(false) }, probe, orphans: None })
}

fn shown(status: &FlinkSnapshotStoreStatus) -> Vec<String> {
    status.conditions.iter().map(|c| format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message)).collect()
}

fn cut_off() -> Probe {
    Probe::Failed { reason: "ConnectionCut", message: "reading: cut off".to_owned(), transient: true }
}

#[test]
fn a_store_that_works_is_available() {
    let (status, next) = after(None, Probe::Fine, at(0));
    let message = "it can be written, read, listed and deleted";
    assert_eq!(
        shown(&status),
        [format!("Available=True ProbeSucceeded: {message}"), format!("Ready=True ProbeSucceeded: {message}")]
    );
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.last_probe_time, Some(time::to_k8s(at(0))));
    assert_eq!(next, Next::After(FINE));
    let (status, _) = plan(&Observed { now: at(0), store: store(true), probe: Probe::Fine, orphans: None });
    assert_eq!(status.conditions[0].message, "it can be listed");
}

#[test]
fn one_that_may_come_back_is_reconciling_one_that_needs_help_stalled() {
    let (status, next) = after(None, cut_off(), at(0));
    assert_eq!(
        shown(&status),
        ["Available=False", "Ready=False", "Reconciling=True"].map(|c| format!("{c} ConnectionCut: reading: cut off"))
    );
    assert_eq!(next, Next::After(TRANSIENT));
    let (status, next) =
        after(Some(status), Probe::Refused(OpenError::SecretMissing { name: "keys".to_owned() }), at(9));
    let message = "spec.credentialsSecretRef.name: there is no Secret keys in this namespace; create it with the keys \
                   accessKeyId and secretAccessKey";
    assert_eq!(
        shown(&status),
        ["Available=False", "Ready=False", "Stalled=True"].map(|c| format!("{c} SecretMissing: {message}"))
    );
    assert_eq!(next, Next::After(NEEDS_HELP));
}

#[test]
fn the_same_outcome_is_not_written_again() {
    let (first, _) = after(None, Probe::Fine, at(0));
    let (second, _) = after(Some(first.clone()), Probe::Fine, at(300));
    assert_eq!(second, first);
    let (third, _) = after(Some(second), cut_off(), at(600));
    assert_eq!(third.last_probe_time, Some(time::to_k8s(at(600))));
}

#[test]
fn what_nobody_keeps_in_order_is_looked_for_each_hour_and_told() {
    let mut store = store(false);
    assert!(orphans_are_due(&store, at(0)));
    let found = Orphans { time: Some(time::to_k8s(at(0))), directories_without_record: 3, ..Orphans::default() };
    let observed = Observed { now: at(0), store: store.clone(), probe: Probe::Fine, orphans: Some(found.clone()) };
    store.status = Some(plan(&observed).0);
    assert_eq!(store.status.as_ref().unwrap().orphans.as_ref(), Some(&found));
    assert!(!orphans_are_due(&store, at(3599)));
    assert!(orphans_are_due(&store, at(3600)));
    let (status, _) = plan(&Observed { now: at(60), store, probe: Probe::Fine, orphans: None });
    assert_eq!(status.orphans, Some(found), "it stays until it is looked for again");
}
