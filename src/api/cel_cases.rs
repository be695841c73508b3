//! One case for each admission rule: what it accepts, what it refuses, and what it says.

use serde_json::json;

use super::{Case, on, spec, update};

const FJU: &str = "FlinkJobUpgrade";
const FSP: &str = "FlinkSavepoint";
const FSS: &str = "FlinkSavepointSchedule";
const FST: &str = "FlinkSnapshotStore";

/// What is said of a text that is no DURATION, and of one that is zero.
const DURATION: &str = "'10' must be whole days, hours, minutes and seconds such as 90s, 10m or 1h30m";
const ZERO: &str = "'0s' must be longer than 0s";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = savepoint();
    cases.extend(immutable());
    cases.extend(upgrade());
    cases.extend(restore());
    cases.extend(job_texts());
    cases.extend(upgrade_texts());
    cases.extend(schedule());
    cases.extend(store());
    cases
}

fn savepoint() -> Vec<Case> {
    let no_job = json!({"jobRef": null});
    let path = json!({"jobRef": null, "path": "s3://bucket/savepoint-1"});
    let cluster = json!({"jobRef": null, "flinkCluster": {"service": "rest", "jobName": "orders"}});
    let copy = json!({"jobRef": null, "copyOf": {"name": "a"}, "targetDirectory": "s3://bucket/copies"});
    let with = |base: &serde_json::Value, patch: serde_json::Value| super::merged(base.clone(), &patch);
    let one = "give exactly one of jobRef, flinkCluster, path and copyOf";
    let taken = "formatType, then, timeout and backoffLimit belong to a savepoint that is taken: leave them out with \
        path and copyOf";
    let url = "'bucket/a' must be a URL with a scheme, such as s3://bucket/savepoints or file:///savepoints";
    let registers = "targetDirectory has no meaning with path, which registers a snapshot where it lies: use copyOf to \
        copy it";
    let one_copy = "give exactly one of name (a FlinkSavepoint) and path (a directory)";
    vec![
        spec(FSP, "spec", json!({}), no_job, one),
        spec(FSP, "spec", path.clone(), json!({"path": "s3://bucket/savepoint-1"}), one),
        spec(
            FSP,
            "spec",
            copy.clone(),
            with(&copy, json!({"targetDirectory": null})),
            "copyOf needs targetDirectory: the directory to copy into",
        ),
        spec(FSP, "spec", path.clone(), with(&path, json!({"targetDirectory": "s3://bucket/a"})), registers),
        spec(FSP, "spec", json!({"formatType": "NATIVE"}), with(&path, json!({"formatType": "NATIVE"})), taken),
        spec(FSP, "spec", json!({"then": "Continue"}), with(&copy, json!({"then": "Continue"})), taken),
        spec(FSP, "spec", json!({"timeout": "1m"}), with(&copy, json!({"timeout": "1m"})), taken),
        spec(FSP, "spec", json!({"backoffLimit": 1}), with(&path, json!({"backoffLimit": 1})), taken),
        spec(FSP, "spec.path", path.clone(), with(&path, json!({"path": "bucket/a"})), url),
        spec(
            FSP,
            "spec.targetDirectory",
            json!({"targetDirectory": "file:///savepoints"}),
            json!({"targetDirectory": "bucket/a"}),
            url,
        ),
        spec(FSP, "spec.copyOf", copy.clone(), with(&copy, json!({"copyOf": {"path": "s3://bucket/a"}})), one_copy),
        spec(FSP, "spec.copyOf", copy.clone(), with(&copy, json!({"copyOf": {"name": null}})), one_copy),
        spec(
            FSP,
            "spec.copyOf.path",
            with(&copy, json!({"copyOf": {"name": null, "path": "s3://bucket/a"}})),
            with(&copy, json!({"copyOf": {"name": null, "path": "bucket/a"}})),
            url,
        ),
        spec(
            FSP,
            "spec.timeout",
            json!({"timeout": "1h30m"}),
            json!({"timeout": "90"}),
            "'90' must be whole days, hours, minutes and seconds such as 90s, 10m or 1h30m",
        ),
        spec(FSP, "spec.timeout", json!({"timeout": "10s"}), json!({"timeout": "0m"}), "'0m' must be longer than 0s"),
        spec(
            FSP,
            "spec.flinkCluster",
            cluster.clone(),
            with(&cluster, json!({"flinkCluster": {"jobId": "0123456789abcdef0123456789abcdef"}})),
            "name the job by jobId or by jobName, not by both",
        ),
        spec(
            FSP,
            "spec.flinkCluster.jobId",
            cluster.clone(),
            with(&cluster, json!({"flinkCluster": {"jobName": null, "jobId": "0123"}})),
            "'0123' must be a Flink job ID: 32 hexadecimal digits in lower case",
        ),
    ]
}

fn immutable() -> Vec<Case> {
    let of = |field: &'static str, old: serde_json::Value, new: serde_json::Value| {
        let message: &'static str =
            Box::leak(format!("{field} is immutable: delete the resource and create another").into_boxed_str());
        update(FSP, "spec", old, new, message)
    };
    let path = |path: &str| json!({"jobRef": null, "path": path});
    let service = |name: &str| json!({"jobRef": null, "flinkCluster": {"service": name}});
    let copy = |name: &str| json!({"jobRef": null, "copyOf": {"name": name}, "targetDirectory": "s3://b/c"});
    vec![
        of("jobRef", json!({}), json!({"jobRef": {"name": "other"}})),
        of("flinkCluster", service("a"), service("b")),
        of("flinkCluster", json!({}), service("b")),
        of("path", path("s3://b/1"), path("s3://b/2")),
        of("copyOf", copy("a"), copy("b")),
        of("formatType", json!({"formatType": "NATIVE"}), json!({"formatType": "CANONICAL"})),
        of("formatType", json!({}), json!({"formatType": "CANONICAL"})),
        of("targetDirectory", json!({"targetDirectory": "s3://b/1"}), json!({})),
        of("then", json!({}), json!({"then": "Stop"})),
        of("timeout", json!({"timeout": "1m"}), json!({"timeout": "2m"})),
        of("backoffLimit", json!({"backoffLimit": 1}), json!({"backoffLimit": 2})),
        of("verification", json!({}), json!({"verification": "Metadata"})),
        of("storeRef", json!({"storeRef": {"name": "a"}}), json!({"storeRef": {"name": "b"}})),
    ]
}

fn upgrade() -> Vec<Case> {
    let cluster = json!({"image": null, "flinkCluster": {"service": "rest"}});
    let in_cluster = |patch: serde_json::Value| super::merged(cluster.clone(), &patch);
    let one = "give exactly one of image (a Flink cluster for this job alone) and flinkCluster (an existing session \
        cluster)";
    let pods = "imagePullPolicy, imagePullSecrets, serviceAccount, logConfiguration, podTemplate, jobManager and \
        taskManager belong to image: an existing cluster (flinkCluster) brings its own pods";
    let stay = "upgrade.strategy Recreate replaces TaskManagers, and those of an existing cluster (flinkCluster) stay: \
        leave it out";
    let recreates = json!({"upgrade": {"strategy": "Recreate"}});
    let side_by_side = json!({"upgrade": {"strategy": "BlueGreen"}});
    let moved = "a job cannot be moved between a cluster of its own (image) and flinkCluster: create another \
        FlinkJobUpgrade with job.restoreFrom.fromJob";
    let elsewhere = "flinkCluster.service cannot be changed: a job's state moves to another cluster by another \
        FlinkJobUpgrade with job.restoreFrom";
    vec![
        on(
            FJU,
            "",
            json!({"metadata": {"name": "a".repeat(40)}}),
            json!({"metadata": {"name": "a".repeat(41)}}),
            "metadata.name must be at most 40 characters long: the names of the job's objects are made of it",
        ),
        on(
            FJU,
            "",
            json!({"metadata": {"name": "orders-2"}}),
            json!({"metadata": {"name": "2-orders"}}),
            "metadata.name must begin with a letter and consist of lower case letters, digits and '-': Services are \
             named after it",
        ),
        spec(FJU, "spec", cluster.clone(), json!({"image": null}), one),
        spec(FJU, "spec", json!({}), json!({"flinkCluster": {"service": "rest"}}), one),
        update(FJU, "spec", json!({}), cluster.clone(), moved),
        update(FJU, "spec", cluster.clone(), json!({}), moved),
        update(FJU, "spec", cluster.clone(), in_cluster(json!({"flinkCluster": {"service": "other"}})), elsewhere),
        spec(
            FJU,
            "spec",
            in_cluster(json!({"flinkVersion": null})),
            json!({"flinkVersion": null}),
            "flinkVersion is needed with image: the version of Flink in that image, such as v1_20",
        ),
        spec(FJU, "spec", json!({"imagePullPolicy": "Always"}), in_cluster(json!({"imagePullPolicy": "Always"})), pods),
        spec(FJU, "spec", json!({"imagePullSecrets": []}), in_cluster(json!({"imagePullSecrets": []})), pods),
        spec(FJU, "spec", json!({"serviceAccount": "a"}), in_cluster(json!({"serviceAccount": "a"})), pods),
        spec(FJU, "spec", json!({"logConfiguration": {}}), in_cluster(json!({"logConfiguration": {}})), pods),
        spec(FJU, "spec", json!({"podTemplate": {}}), in_cluster(json!({"podTemplate": {}})), pods),
        spec(FJU, "spec", json!({"jobManager": {}}), in_cluster(json!({"jobManager": {}})), pods),
        spec(FJU, "spec", json!({"taskManager": {}}), in_cluster(json!({"taskManager": {}})), pods),
        spec(FJU, "spec", recreates.clone(), in_cluster(recreates), stay),
        spec(
            FJU,
            "spec",
            side_by_side.clone(),
            in_cluster(side_by_side),
            "upgrade.strategy BlueGreen runs two clusters side by side, and flinkCluster is one that exists: leave it out",
        ),
    ]
}

/// What a job may be restored from, and how it may go back.
fn restore() -> Vec<Case> {
    let rollback =
        |policy: &str, mode: &str| json!({"upgrade": {"rollback": {"policy": policy}}, "job": {"restoreMode": mode}});
    let dropping =
        |preflight: &str| json!({"upgrade": {"preflight": preflight}, "job": {"allowedDroppedOperators": ["totals"]}});
    let blue = |mode: &str| json!({"upgrade": {"strategy": "BlueGreen"}, "job": {"restoreMode": mode}});
    let fork = |mode: &str| json!({"job": {"restoreMode": mode, "restoreFrom": {"id": "1", "fromJob": {"name": "a"}}}});
    let forks_from = |from: &str| json!({"upgrade": {"strategy": "BlueGreen", "from": from}});
    let promotion = json!({"strategy": "BlueGreen", "blueGreen": {"promotion": "Manual"}});
    let manual = |name| json!({"revisionName": name, "upgrade": promotion});
    let from = |patch: serde_json::Value| json!({"job": {"restoreFrom": super::merged(json!({"id": "1"}), &patch)}});
    let one_from = "give exactly one of path, savepointRef, fromJob, latest and empty";
    let only_true = "can only be true: leave it out instead of false";
    vec![
        spec(
            FJU,
            "spec",
            rollback("Automatic", "NO_CLAIM"),
            rollback("Automatic", "CLAIM"),
            "job.restoreMode CLAIM lets Flink delete the savepoint that upgrade.rollback.policy Automatic would go \
             back to: use NO_CLAIM, or rollback.policy Manual",
        ),
        spec(
            FJU,
            "spec",
            dropping("Warn"),
            dropping("Skip"),
            "job.allowedDroppedOperators is held against the state by the preflight: set upgrade.preflight to Enforce \
             or Warn, or use job.allowNonRestoredState",
        ),
        spec(
            FJU,
            "spec",
            blue("NO_CLAIM"),
            blue("CLAIM"),
            "upgrade.strategy BlueGreen runs two jobs from one savepoint: job.restoreMode must be NO_CLAIM",
        ),
        spec(
            FJU,
            "spec",
            forks_from("SavepointOrCheckpoint"),
            forks_from("Checkpoint"),
            "upgrade.strategy BlueGreen forks the running job by a savepoint: upgrade.from must be Savepoint or \
             SavepointOrCheckpoint (which counts for a job that does not run)",
        ),
        spec(
            FJU,
            "spec",
            fork("NO_CLAIM"),
            fork("LEGACY"),
            "job.restoreFrom.fromJob starts from another job's state: job.restoreMode must be NO_CLAIM",
        ),
        spec(
            FJU,
            "spec",
            manual(json!("v2")),
            manual(json!(null)),
            "upgrade.blueGreen.promotion Manual needs revisionName: the name that upgrade.blueGreen.promotedRevision \
             will promote",
        ),
        spec(
            FJU,
            "spec.upgrade",
            json!({"upgrade": {"strategy": "BlueGreen", "blueGreen": {}}}),
            json!({"upgrade": {"blueGreen": {}}}),
            "blueGreen belongs to strategy BlueGreen: set strategy, or leave blueGreen out",
        ),
        spec(FJU, "spec.job.restoreFrom", from(json!({"latest": true})), from(json!({})), one_from),
        spec(
            FJU,
            "spec.job.restoreFrom",
            from(json!({"path": "s3://b/c"})),
            from(json!({"path": "s3://b/c", "savepointRef": {"name": "a"}})),
            one_from,
        ),
        update(
            FJU,
            "spec.job.restoreFrom",
            from(json!({"savepointRef": {"name": "a"}})),
            from(json!({"savepointRef": {"name": "b"}})),
            "restoreFrom is acted on once for each id: give another id along with the change",
        ),
        spec(
            FJU,
            "spec.job.restoreFrom.latest",
            from(json!({"latest": true})),
            from(json!({"latest": false})),
            only_true,
        ),
        spec(FJU, "spec.job.restoreFrom.empty", from(json!({"empty": true})), from(json!({"empty": false})), only_true),
    ]
}

/// The rules on single texts outside of `spec.upgrade`.
fn job_texts() -> Vec<Case> {
    let job = |name: &str, value: &str| json!({"job": {name: value}});
    let memory = |of: &str, value: &str| json!({of: {"resource": {"memory": value}}});
    let path = |value: &str| json!({"job": {"restoreFrom": {"id": "1", "path": value}}});
    let deletion = |value: &str| json!({"deletion": {"timeout": value}});
    let url = "'b/c' must be a URL with a scheme, such as s3://bucket/savepoints or file:///savepoints";
    let uri =
        "'/opt/a.jar' must be the URI of a jar: local:///path in the image, s3://, https://, or http:// with jarSHA256";
    let gs = "'gs://b/a.jar' must be the URI of a jar: local:///path in the image, s3://, https://, or http:// with jarSHA256";
    let abfs = "'abfs://b/a.jar' must be the URI of a jar: local:///path in the image, s3://, https://, or http:// with jarSHA256";
    let bytes = "'two' must be an amount of memory in Flink's grammar such as 2048m or 2g, or Kubernetes' 2Gi";
    let sha = "0aF".repeat(22);
    let at = |field: &'static str, accepted, refused, message| spec(FJU, field, accepted, refused, message);
    vec![
        at("spec.job.jarURI", job("jarURI", "https://repo/a.jar"), job("jarURI", "/opt/a.jar"), uri),
        at("spec.job.jarURI", job("jarURI", "s3://b/a.jar"), job("jarURI", "gs://b/a.jar"), gs),
        at("spec.job.jarURI", job("jarURI", "s3://b/a.jar"), job("jarURI", "abfs://b/a.jar"), abfs),
        at(
            "spec.job",
            json!({"job": {"jarURI": "http://repo/a.jar", "jarSHA256": &sha[..64]}}),
            job("jarURI", "http://repo/a.jar"),
            "jarURI with http:// needs jarSHA256, as nothing else says whose bytes come: give it, or use https://",
        ),
        at(
            "spec.job.jarSHA256",
            job("jarSHA256", &sha[..64]),
            job("jarSHA256", "0a"),
            "'0a' must be a SHA-256: 64 hexadecimal digits",
        ),
        at("spec.jobManager.resource.memory", memory("jobManager", "2048m"), memory("jobManager", "two"), bytes),
        at("spec.taskManager.resource.memory", memory("taskManager", "2 gb"), memory("taskManager", "two"), bytes),
        at("spec.job.restoreFrom.path", path("s3://b/c"), path("b/c"), url),
        at("spec.deletion.timeout", deletion("1m"), deletion("10"), DURATION),
        at("spec.deletion.timeout", deletion("1m"), deletion("0s"), ZERO),
    ]
}

/// The rules on single texts of `spec.upgrade`.
fn upgrade_texts() -> Vec<Case> {
    let upgrade = |name: &str, value: &str| json!({"upgrade": {name: value}});
    let savepoint = |name: &str, value: &str| json!({"upgrade": {"savepoint": {name: value}}});
    let running = |value: &str| json!({"upgrade": {"stability": {"minRunning": value}}});
    let blue = |value: &str| json!({"upgrade": {"strategy": "BlueGreen", "blueGreen": {"abortAfter": value}}});
    let window = |schedule: &str, duration: &str| {
        let window = json!({"schedule": schedule, "duration": duration});
        json!({"upgrade": {"windows": [window]}})
    };
    let url = "'b/c' must be a URL with a scheme, such as s3://bucket/savepoints or file:///savepoints";
    let cron = "'0 3 * *' must be a cron expression of five fields such as '0 3 * * *', or a macro such as @daily";
    let zone = "'TZ=UTC 3 * * *' must not contain TZ or CRON_TZ: set timeZone instead";
    let deadline = "progressDeadline";
    let directory = "targetDirectory";
    let at = |field: &'static str, accepted, refused, message| spec(FJU, field, accepted, refused, message);
    vec![
        at("spec.upgrade.progressDeadline", upgrade(deadline, "15m"), upgrade(deadline, "10"), DURATION),
        at("spec.upgrade.progressDeadline", upgrade(deadline, "1s"), upgrade(deadline, "0s"), ZERO),
        at("spec.upgrade.savepoint.timeout", savepoint("timeout", "1m"), savepoint("timeout", "10"), DURATION),
        at("spec.upgrade.savepoint.timeout", savepoint("timeout", "1m"), savepoint("timeout", "0s"), ZERO),
        at("spec.upgrade.savepoint.targetDirectory", savepoint(directory, "s3://b"), savepoint(directory, "b/c"), url),
        at("spec.upgrade.stability.minRunning", running("0s"), running("10"), DURATION),
        at("spec.upgrade.blueGreen.abortAfter", blue("10m"), blue("10"), DURATION),
        at("spec.upgrade.blueGreen.abortAfter", blue("10m"), blue("0s"), ZERO),
        at("spec.upgrade.windows[0].schedule", window("0 3 * * 1-5", "2h"), window("0 3 * *", "2h"), cron),
        at("spec.upgrade.windows[0].schedule", window("@daily", "2h"), window("TZ=UTC 3 * * *", "2h"), zone),
        at("spec.upgrade.windows[0].duration", window("@daily", "2h"), window("@daily", "10"), DURATION),
        at("spec.upgrade.windows[0].duration", window("@daily", "2h"), window("@daily", "0s"), ZERO),
    ]
}

fn schedule() -> Vec<Case> {
    let template = |patch: serde_json::Value| json!({"savepointTemplate": {"spec": patch}});
    let cluster =
        |patch| template(json!({"jobRef": null, "flinkCluster": super::merged(json!({"service": "a"}), &patch)}));
    let within = |value: &str| json!({"retention": {"keepWithin": value}});
    let url = "'b/c' must be a URL with a scheme, such as s3://bucket/savepoints or file:///savepoints";
    let hex = "0123456789abcdef0123456789abcdef";
    let at = |field: &'static str, accepted, refused, message| spec(FSS, field, accepted, refused, message);
    vec![
        on(
            FSS,
            "",
            json!({"metadata": {"name": "a".repeat(40)}}),
            json!({"metadata": {"name": "a".repeat(41)}}),
            "metadata.name must be at most 40 characters long: the names of its savepoints are made of it",
        ),
        at(
            "spec.schedule",
            json!({"schedule": "*/5 * * * *"}),
            json!({"schedule": "daily"}),
            "'daily' must be a cron expression of five fields such as '0 3 * * *', or a macro such as @daily",
        ),
        at(
            "spec.schedule",
            json!({"schedule": "@hourly"}),
            json!({"schedule": "CRON_TZ=UTC 0 3 * * *"}),
            "'CRON_TZ=UTC 0 3 * * *' must not contain TZ or CRON_TZ: set timeZone instead",
        ),
        at(
            "spec.retention",
            json!({"retention": {"keepLast": 0, "keepDaily": 1}}),
            json!({"retention": {"keepLast": 0}}),
            "retention keeps nothing: give keepWithin, or one of keepLast, keepHourly, keepDaily, keepWeekly and \
             keepMonthly above 0, or leave retention out to keep all",
        ),
        at("spec.retention.keepWithin", within("7d"), within("0s"), ZERO),
        at("spec.retention.keepWithin", within("7d"), within("10"), DURATION),
        at(
            "spec.savepointTemplate.spec",
            json!({}),
            template(json!({"jobRef": null})),
            "give exactly one of jobRef and flinkCluster",
        ),
        at(
            "spec.savepointTemplate.spec",
            json!({}),
            template(json!({"path": "s3://b/c"})),
            "path has no meaning in a schedule, which takes savepoints: leave it out, and register that one snapshot by a \
             FlinkSavepoint with path",
        ),
        at(
            "spec.savepointTemplate.spec.flinkCluster",
            cluster(json!({"jobName": "a"})),
            cluster(json!({"jobName": "a", "jobId": hex})),
            "name the job by jobId or by jobName, not by both",
        ),
        at(
            "spec.savepointTemplate.spec.flinkCluster.jobId",
            cluster(json!({"jobId": hex})),
            cluster(json!({"jobId": "12"})),
            "'12' must be a Flink job ID: 32 hexadecimal digits in lower case",
        ),
        at(
            "spec.savepointTemplate.spec.targetDirectory",
            template(json!({"targetDirectory": "s3://b/c"})),
            template(json!({"targetDirectory": "b/c"})),
            url,
        ),
        at(
            "spec.savepointTemplate.spec.timeout",
            template(json!({"timeout": "10s"})),
            template(json!({"timeout": "10"})),
            DURATION,
        ),
        at(
            "spec.savepointTemplate.spec.timeout",
            template(json!({"timeout": "10s"})),
            template(json!({"timeout": "0s"})),
            "'0s' must be longer than 0s",
        ),
    ]
}

fn store() -> Vec<Case> {
    let url = |accepted: &str, refused: &str, message| {
        spec(FST, "spec.url", json!({"url": accepted}), json!({"url": refused}), message)
    };
    let endpoint = |value: &str| json!({"endpoint": value});
    let address = "'minio:9000' must be an http:// or https:// address without a path, such as \
        http://minio.storage:9000";
    vec![
        url(
            "s3://bucket",
            "ftp://bucket",
            "'ftp://bucket' must be a URL such as s3://bucket/prefix or file:///savepoints",
        ),
        url(
            "file:///savepoints",
            "gs://bucket",
            "'gs://bucket' is of a scheme that is not supported yet: use s3:// or file://",
        ),
        url(
            "s3://bucket/a",
            "abfs://bucket",
            "'abfs://bucket' is of a scheme that is not supported yet: use s3:// or file://",
        ),
        url(
            "s3://bucket/a",
            "hdfs://name/a",
            "'hdfs://name/a' is of a scheme that is not supported yet: use s3:// or file://",
        ),
        url(
            "s3://bucket/a/b/",
            "s3a://bucket/a",
            "'s3a://bucket/a' names a file system of Flink: write the same place as s3://",
        ),
        url("s3://my.bucket-1/a", "s3:///a", "'s3:///a' must name a bucket, such as s3://bucket or s3://bucket/prefix"),
        url("file:///a", "file://a/b", "'file://a/b' must name an absolute directory, such as file:///savepoints"),
        spec(FST, "spec.endpoint", endpoint("http://minio.storage:9000"), endpoint("minio:9000"), address),
        spec(
            FST,
            "spec",
            json!({"region": "eu-central-1"}),
            json!({"url": "file:///a", "region": "eu-central-1"}),
            "endpoint, region and credentialsSecretRef belong to s3://: leave them out with file://",
        ),
    ]
}
