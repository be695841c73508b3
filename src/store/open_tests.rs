use rstest::rstest;

use super::*;
use crate::api::{FlinkSnapshotStoreSpec, LocalRef};

fn secret(entries: &[(&str, &[u8])]) -> Secret {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect();
    Secret { data: Some(data), ..Secret::default() }
}

#[test]
fn credentials_come_from_the_secret() {
    let entries: [(&str, &[u8]); 3] =
        [("accessKeyId", b"key"), ("secretAccessKey", b"se/cr+et="), ("sessionToken", b"token")];
    let all = credentials("keys", Some(secret(&entries))).unwrap();
    assert_eq!((all.access_key_id.as_str(), all.secret_access_key.as_str()), ("key", "se/cr+et="));
    assert_eq!(all.session_token.as_deref(), Some("token"));
    assert_eq!(credentials("keys", Some(secret(&entries[..2]))).unwrap().session_token, None);
}

#[rstest]
#[case(None, "SecretMissing", "there is no Secret keys")]
#[case(Some(secret(&[("accessKeyId", b"key")])), "SecretIncomplete", "Secret keys has no key secretAccessKey")]
#[case(Some(secret(&[("accessKeyId", b"hidden\n"), ("secretAccessKey", b"hidden")])), "SecretMalformed", "key accessKeyId, ends with a line break")]
#[case(Some(secret(&[("accessKeyId", b"hidden"), ("secretAccessKey", b"")])), "SecretMalformed", "key secretAccessKey, is empty")]
#[case(Some(secret(&[("accessKeyId", b"\xffhidden"), ("secretAccessKey", b"x")])), "SecretMalformed", "is not text")]
#[case(Some(secret(&[("accessKeyId", b"hid den"), ("secretAccessKey", b"x")])), "SecretMalformed", "no credential has")]
fn a_secret_that_is_of_no_use_says_which_key(
    #[case] secret: Option<Secret>,
    #[case] reason: &str,
    #[case] message: &str,
) {
    let error = credentials("keys", secret).unwrap_err();
    assert_eq!(error.reason(), reason);
    assert!(error.to_string().contains(message), "{error}");
    assert!(!format!("{error} {error:?}").contains("hid"), "{error:?}");
}

#[rstest]
#[case("s3://bucket/x", &[], true)]
#[case("file:///snapshots", &[], false)]
#[case("file:///snapshots", &["/snapshots"], true)]
#[case("file:///snapshots/team", &["/other", "/snapshots"], true)]
#[case("file:///snapshots-of-others", &["/snapshots"], false)]
#[case("file:///snapshots/../etc", &["/snapshots"], false)]
fn the_operators_own_files_are_nobodys_store(#[case] url: &str, #[case] allowed: &[&str], #[case] may: bool) {
    let allowed: Vec<PathBuf> = allowed.iter().map(PathBuf::from).collect();
    assert_eq!(may_look(url, &allowed).is_ok(), may);
}

fn settings(url: &str) -> Settings {
    Settings {
        url: url.to_owned(),
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        region: None,
        credentials: None,
        access: Access::ReadWrite,
        patience: Patience::default(),
    }
}

fn opened(usable: &[&str], refused: &[&str]) -> Opened {
    let stores = usable.iter().map(|url| Store::open(&settings(url)).unwrap()).collect();
    let refused = refused.iter().map(|url| {
        let spec = FlinkSnapshotStoreSpec {
            url: (*url).to_owned(),
            credentials_secret_ref: Some(LocalRef { name: "keys".to_owned() }),
            ..FlinkSnapshotStoreSpec::default()
        };
        (FlinkSnapshotStore::new("refused", spec), OpenError::SecretMissing { name: "keys".to_owned() })
    });
    Opened::of(stores, refused.collect())
}

#[rstest]
#[case(&["s3://b", "s3://b/team"], &[], "s3a://b/team/sp/_metadata", "s3://b/team")]
#[case(&["s3://b", "s3://b/team"], &[], "s3://b/teams/sp", "s3://b/")]
#[case(&["s3://b"], &["s3://b/team"], "s3://b/team/sp", "refused")]
#[case(&["s3://b/team"], &["s3://b"], "s3://b/team/sp", "s3://b/team")]
#[case(&["s3://b/team"], &["s3://b"], "s3://b/other", "refused")]
#[case(&["s3://b"], &[], "s3://c/x", "nobody")]
fn the_longest_url_serves(
    #[case] usable: &[&str],
    #[case] refused: &[&str],
    #[case] location: &str,
    #[case] expected: &str,
) {
    let opened = opened(usable, refused);
    let by = match opened.serving(location) {
        Served::Nobody => "nobody".to_owned(),
        Served::Refused(name, _) => name,
        Served::By(store) => store.url().to_owned(),
    };
    assert_eq!(by, expected);
}

#[test]
fn a_store_is_opened_anew_only_when_something_of_it_changed() {
    let open = Open::default();
    let of = ("team".to_owned(), "archive".to_owned());
    open.open(of.clone(), settings("s3://b/x")).unwrap();
    open.open(of.clone(), settings("s3://b/x")).unwrap();
    assert_eq!(open.kept().len(), 1);
    let other = open.open(of.clone(), settings("s3://b/y")).unwrap();
    assert_eq!(other.url(), "s3://b/y");
    assert_eq!(open.kept().get(&of).map(|(settings, _)| settings.url.clone()), Some("s3://b/y".to_owned()));
}
