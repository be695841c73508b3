use super::*;

const FILE: &str = "\
# written by e2e/cluster/up
E2E_KUBECONFIG=/c/admin.conf
export E2E_REGISTRY='localhost'
E2E_S3_ENDPOINT=\"http://10.244.0.1:7070\"
E2E_S3_BUCKET=flink
E2E_S3_ACCESS_KEY=a
E2E_S3_SECRET_KEY=s=1
E2E_RECORDS=/c/records
E2E_AUDIT_LOG=
";

#[test]
fn the_file_of_the_cluster_is_read() {
    let env = Env::from_variables(&parse(FILE), "/logs".into(), false).unwrap();
    assert_eq!(env.kubeconfig, Path::new("/c/admin.conf"));
    assert_eq!(env.registry, "localhost");
    assert_eq!(env.s3.endpoint, "http://10.244.0.1:7070");
    assert_eq!(env.s3.secret_key, "s=1");
    assert_eq!(env.audit_log, None);
}

#[test]
fn a_missing_variable_is_named() {
    let text = FILE.replace("E2E_S3_BUCKET=flink\n", "");
    let error = Env::from_variables(&parse(&text), "/logs".into(), false).unwrap_err();
    assert!(error.to_string().contains("E2E_S3_BUCKET"), "{error}");
}

#[test]
fn the_cache_folder_follows_xdg() {
    let variables = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let home = variables(&[("HOME", "/home/u")]);
    assert_eq!(cache_folder(&home).unwrap(), Path::new("/home/u/.cache/flink-savepoint-operator"));
    let xdg = variables(&[("HOME", "/home/u"), ("XDG_CACHE_HOME", "/x")]);
    assert_eq!(cache_folder(&xdg).unwrap(), Path::new("/x/flink-savepoint-operator"));
}
