use super::*;
use crate::api::LocalRef;

fn copy() -> Copy {
    let store = |url: &str, secret: &str| FlinkSnapshotStoreSpec {
        url: url.to_owned(),
        endpoint: Some(format!("http://{secret}:9000")),
        credentials_secret_ref: Some(LocalRef { name: secret.to_owned() }),
        ..FlinkSnapshotStoreSpec::default()
    };
    Copy {
        namespace: "shop".to_owned(),
        savepoint: "daily-copy".to_owned(),
        uid: "0f0e0d0c-1111".to_owned(),
        image: "operator:1".to_owned(),
        pull_secrets: vec!["registry".to_owned()],
        from: "s3://flink/sp/savepoint-1".to_owned(),
        to: "s3://archive/savepoint-1".to_owned(),
        source: store("s3://flink", "keys"),
        target: store("s3://archive", "archive-keys"),
    }
}

fn container(copy: &Copy) -> Container {
    render(copy).spec.unwrap().template.spec.unwrap().containers.remove(0)
}

#[test]
fn it_copies_with_the_credentials_of_the_namespace_s_stores() {
    let container = container(&copy());
    let args = container.args.unwrap();
    assert_eq!(args[..3], ["snapshot", "copy", "--no-progress"]);
    assert!(args.contains(&"--endpoint=http://keys:9000".to_owned()), "{args:?}");
    assert!(args.contains(&"--to-endpoint=http://archive-keys:9000".to_owned()), "{args:?}");
    let env: BTreeMap<String, String> = container
        .env
        .unwrap()
        .into_iter()
        .map(|e| {
            let of = e.value_from.unwrap().secret_key_ref.unwrap();
            (e.name, format!("{}/{}", of.name, of.key))
        })
        .collect();
    assert_eq!(env["AWS_ACCESS_KEY_ID"], "keys/accessKeyId");
    assert_eq!(env["TO_AWS_SECRET_ACCESS_KEY"], "archive-keys/secretAccessKey");
    assert_eq!(env.len(), 6);
}

/// Left out, the command would take the other store's.
#[test]
fn a_store_at_amazon_beside_one_that_is_not() {
    let mut copy = copy();
    copy.target.endpoint = None;
    copy.target.region = Some("eu-central-1".to_owned());
    let args = container(&copy).args.unwrap();
    assert!(args.contains(&"--to-endpoint=https://s3.eu-central-1.amazonaws.com".to_owned()), "{args:?}");
}

#[test]
fn it_may_run_where_pods_are_restricted() {
    let job = render(&copy());
    assert_eq!(job.metadata.name.as_deref(), Some(naming::copy_job_name("daily-copy", "0f0e0d0c-1111").as_str()));
    let pod = job.spec.unwrap().template.spec.unwrap();
    assert_eq!(pod.automount_service_account_token, Some(false));
    assert_eq!(
        pod.image_pull_secrets.unwrap_or_default().into_iter().map(|s| s.name).collect::<Vec<_>>(),
        ["registry"]
    );
    assert_eq!(pod.security_context.unwrap().run_as_non_root, Some(true));
    let container = pod.containers[0].security_context.clone().unwrap();
    assert_eq!((container.read_only_root_filesystem, container.allow_privilege_escalation), (Some(true), Some(false)));
}
