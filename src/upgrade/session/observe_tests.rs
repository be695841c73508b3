use serde_json::json;

use super::*;
use crate::api::{ClusterTls, LocalRef};

fn uploaded(id: &str, name: &str, at: i64) -> UploadedJar {
    UploadedJar { id: id.to_owned(), name: name.to_owned(), uploaded: at }
}

#[test]
fn a_jar_is_known_by_its_name() {
    let jars = vec![
        uploaded("c", "fju-uid-2-0b.jar", 30),
        uploaded("a", "fju-uid-2-0a.jar", 20),
        uploaded("b", "fju-uid-10-0c.jar", 10),
        uploaded("d", "fju-other-2-0a.jar", 40),
        uploaded("e", "fju-uid-2.jar", 50),
        uploaded("f", "orders.jar", 60),
    ];
    let found: Vec<_> = own(jars, "uid").into_iter().map(|jar| (jar.revision, jar.id, jar.sha256)).collect();
    let expected = [(10, "b", "0c"), (2, "a", "0a"), (2, "c", "0b")];
    assert_eq!(found, expected.map(|(n, id, sha)| (n, id.to_owned(), sha.to_owned())));
}

#[test]
fn a_carrier_is_like_the_session_clusters_job_manager() {
    let pod = json!({"spec": {
        "containers": [{"name": "proxy", "image": "envoy:1"}, {"name": "jobmanager", "image": "flink:1.20.5"}],
        "imagePullSecrets": [{"name": "registry"}],
    }});
    let spec = SessionClusterRef { service: "flink".to_owned(), port: Some(80), ..SessionClusterRef::default() };
    let configuration = [("state.checkpoints.dir".to_owned(), "s3://flink/ck".to_owned())].into();
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let found = carrier(&pod, "shop", &spec, &configuration).unwrap();
    let expected = Carrier {
        image: "flink:1.20.5".to_owned(),
        pull_secrets: vec!["registry".to_owned()],
        url: "http://flink.shop.svc:80".to_owned(),
        auth_secret: None,
        server_name: None,
        tls_secret: None,
        checkpoint_directory: Some("s3://flink/ck".to_owned()),
        savepoint_directory: None,
    };
    assert_eq!(found, expected);
    let tls = ClusterTls { secret_ref: Some(LocalRef { name: "flink-tls".to_owned() }), server_name: None };
    let spec = SessionClusterRef { tls: Some(tls), ..spec };
    let found = carrier(&pod, "shop", &spec, &configuration).unwrap();
    let expected = Carrier {
        url: "https://flink.shop.svc:80".to_owned(),
        server_name: Some("flink.shop.svc".to_owned()),
        tls_secret: Some("flink-tls".to_owned()),
        ..expected
    };
    assert_eq!(found, expected);
}

#[test]
fn whose_process_is_not_known_is_not_there() {
    let spec = SessionClusterRef { service: "flink".to_owned(), ..SessionClusterRef::default() };
    let found = |instance: Option<&str>| JobManager {
        url: "http://flink:8081".to_owned(),
        instance: instance.map(str::to_owned),
        pod: None,
        authorization: None,
        tls: None,
    };
    assert!(matches!(known(found(Some("a/0")), &spec), SessionJobManager::Here(process) if process.instance == "a/0"));
    assert!(matches!(known(found(None), &spec), SessionJobManager::NotNow(why) if why.contains("EndpointSlices")));
}
