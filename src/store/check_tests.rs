use rstest::rstest;

use super::*;
use crate::api::{FlinkSnapshotStore, FlinkSnapshotStoreSpec};

fn opened(url: &str) -> Opened {
    let settings = store::Settings {
        url: url.to_owned(),
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        region: None,
        credentials: None,
        access: store::Access::ReadWrite,
        patience: store::Patience::default(),
    };
    Opened::of(vec![store::Store::open(&settings).unwrap()], Vec::new())
}

#[rstest]
#[case(None, "s3://b/elsewhere/sp", Reason::NoStore)]
#[case(Some("archive"), "s3://b/elsewhere/sp", Reason::WrongStore)]
fn a_named_store_must_serve_the_place(#[case] named: Option<&str>, #[case] place: &str, #[case] expected: Reason) {
    let opened = opened("s3://b/archive");
    assert!(serving(&opened, named, "s3a://b/archive/sp").is_ok());
    let Err(why) = serving(&opened, named, place) else { panic!("served") };
    let Check::NoStore { reason, message } = *why else { panic!("{why:?}") };
    assert_eq!(reason, expected);
    assert!(message.contains(place) && named.is_none_or(|name| message.contains(name)), "{message}");
}

#[test]
fn a_store_that_cannot_be_opened_says_why() {
    let url = "s3://b/archive".to_owned();
    let spec = FlinkSnapshotStoreSpec { url, ..FlinkSnapshotStoreSpec::default() };
    let why = OpenError::SecretMissing { name: "keys".to_owned() };
    let opened = Opened::of(Vec::new(), vec![(FlinkSnapshotStore::new("archive", spec), why)]);
    let Err(why) = serving(&opened, None, "s3://b/archive/sp") else { panic!("served") };
    let Check::Failed(failure) = *why else { panic!("{why:?}") };
    assert_eq!((failure.reason, failure.again), (Reason::SecretMissing, Again::WithHelp));
    assert!(failure.message.starts_with("FlinkSnapshotStore archive: "), "{}", failure.message);
}
