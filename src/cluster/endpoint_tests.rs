use rstest::rstest;
use serde_json::json;

use super::*;

fn data(of: &[(&str, &str)]) -> Data {
    of.iter().map(|(k, v)| ((*k).to_owned(), v.as_bytes().to_vec())).collect()
}

#[rstest]
#[case::token(&[("token", "abc")], Some("Bearer abc"))]
#[case::password(&[("username", "me"), ("password", "secret")], Some("Basic bWU6c2VjcmV0"))]
#[case::half(&[("username", "me")], None)]
#[case::line_break(&[("token", "abc\n")], None)]
#[case::empty(&[], None)]
fn credentials_become_a_header(#[case] holds: &[(&str, &str)], #[case] expected: Option<&str>) {
    let header = authorization(Some(data(holds)), "rest", "flink");
    assert_eq!(header.as_ref().ok().and_then(|h| h.to_str().ok()), expected);
    match header {
        Ok(header) => assert!(header.is_sensitive(), "it is not logged"),
        Err(message) => {
            let begins = "spec.flinkCluster.authSecretRef.name: Secret rest must hold username and password, or token";
            assert!(message.starts_with(begins) && !message.contains("abc"), "{message}");
        }
    }
}

#[rstest]
#[case::right(json!({"savepoints.dev/flink-service": "flink"}), true)]
#[case::for_another(json!({"savepoints.dev/flink-service": "other"}), false)]
#[case::not_marked(json!({}), false)]
fn a_secret_says_where_it_may_be_used(#[case] labels: serde_json::Value, #[case] expected: bool) {
    let secret = json!({"metadata": {"name": "rest", "labels": labels}, "data": {"token": "YWJj"}});
    let found = of_service(serde_json::from_value(secret).unwrap(), "flink");
    assert_eq!(found, expected.then(|| data(&[("token", "abc")])));
}

#[test]
fn what_is_wrong_with_a_secret_names_field_secret_key_and_cure() {
    let flink = Connector::new().unwrap();
    let refused =
        |secret: Option<(&str, Option<Data>)>, name: &str| secured(&flink, secret, name, "flink").unwrap_err();
    let (reason, message) = refused(Some(("flink-tls", None)), "flink.shop.svc");
    assert_eq!(reason, Reason::SecretMalformed);
    let expected = "spec.flinkCluster.tls.secretRef.name: Secret flink-tls must exist and have the label \
                    savepoints.dev/flink-service: flink, which allows that it is used there";
    assert_eq!(message, expected);
    let (reason, message) = refused(Some(("flink-tls", Some(data(&[("ca.crt", "hidden")])))), "flink.shop.svc");
    assert_eq!(reason, Reason::SecretMalformed);
    let expected = "spec.flinkCluster.tls.secretRef.name: Secret flink-tls has no certificate in ca.crt that can be read: it \
                    must be PEM, from BEGIN CERTIFICATE to END CERTIFICATE";
    assert_eq!(message, expected);
    let (reason, message) = refused(None, "no name");
    assert_eq!(reason, Reason::InvalidSpec);
    assert!(message.starts_with("spec.flinkCluster.tls.serverName: 'no name' is neither a DNS name"), "{message}");
    let (_, message) = refused(Some(("flink-tls", Some(Data::new()))), "no name");
    assert!(message.starts_with("spec.flinkCluster.tls.serverName: 'no name'"), "{message}");
}

#[test]
fn an_endpoint_is_asked_by_its_service_and_certified_for_it() {
    let plain = SessionClusterRef { service: "flink".to_owned(), ..SessionClusterRef::default() };
    assert_eq!(url(&plain, "shop"), "http://flink.shop.svc:8081");
    let tls = ClusterTls::default();
    let cluster = SessionClusterRef { port: Some(443), tls: Some(tls.clone()), ..plain };
    assert_eq!(url(&cluster, "shop"), "https://flink.shop.svc:443");
    assert_eq!(server_name(&cluster, &tls, "shop"), "flink.shop.svc");
    let named = ClusterTls { server_name: Some("flink.example".to_owned()), ..tls };
    assert_eq!(server_name(&cluster, &named, "shop"), "flink.example");
}
