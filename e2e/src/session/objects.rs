//! The objects of a session cluster, as somebody without an operator would write them.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::{
    apps::v1::StatefulSet,
    core::v1::{ConfigMap, Service},
};
use serde_json::{Value, json};

use super::{JAR, Wish};
use crate::{
    job::RECORDS_MOUNT,
    namespace::{RECORDS, Sandbox},
};

/// Name of the container that Flink runs in.
pub(super) const CONTAINER: &str = "flink";
/// Where Flink keeps uploaded jars, below `flink-web-upload`.
const UPLOADS: &str = "/flink-jars";
/// The image's configuration, which has the flags that the JVM needs, and behind it ours; the jar of the counting job
/// where Flink looks for uploaded ones.
const FURNISH: &str = r#"cp /opt/flink/conf/* /conf && cat /given/config.yaml >> /conf/config.yaml &&
mkdir /flink-jars/flink-web-upload && cp /opt/flink/usrlib/counting.jar "/flink-jars/flink-web-upload/$1""#;

/// Name of the init container that makes the endpoint's certificate. Its message is its authority's.
pub(super) const CERTIFY: &str = "certify";
/// Of no worth: what it protects ends with the pod.
const PASSWORD: &str = "changeit";
/// An authority, and a certificate of it for a name ($1), in a keystore as Flink wants it.
const CERTIFIED: &str = r#"set -e; cd /tls; key() { /opt/java/bin/keytool "$@" -storepass changeit -storetype PKCS12; }
key -genkeypair -keystore ca.p12 -alias ca -keyalg RSA -keysize 2048 -dname CN=authority -ext bc:c -validity 7
key -exportcert -rfc -keystore ca.p12 -alias ca > ca.crt
key -genkeypair -keystore rest.p12 -alias rest -keyalg RSA -keysize 2048 -dname CN=rest -validity 7
key -certreq -keystore rest.p12 -alias rest > rest.csr
key -gencert -rfc -keystore ca.p12 -alias ca -ext "san=dns:$1" -validity 7 -infile rest.csr > rest.crt
key -importcert -noprompt -keystore rest.p12 -alias ca -file ca.crt
key -importcert -noprompt -keystore rest.p12 -alias rest -file rest.crt
cat ca.crt > /dev/termination-log"#;

/// Name of the JobManager's StatefulSet.
pub(super) fn job_manager(cluster: &str) -> String {
    format!("{cluster}-jobmanager")
}

/// Name of the `TaskManagers`' StatefulSet.
pub(super) fn task_manager(cluster: &str) -> String {
    format!("{cluster}-taskmanager")
}

/// Applies all objects of a cluster.
pub(super) async fn apply(sandbox: &Sandbox, name: &str, wish: &Wish) -> Result<()> {
    let config = serde_yaml::to_string(&configuration(sandbox, name, wish))?;
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"config.yaml": config}});
    sandbox.put::<ConfigMap>(name, config).await?;
    let port = |name: &str, port: u16| json!({"name": name, "port": port});
    let service = json!({"apiVersion": "v1", "kind": "Service", "spec": {
        // TaskManagers reach the JobManager before it is ready.
        "publishNotReadyAddresses": true,
        "selector": labels(&job_manager(name)),
        "ports": [port("rpc", 6123), port("blob", 6124), port("rest", super::REST_PORT)],
    }});
    sandbox.put::<Service>(name, service).await?;
    if wish.high_availability {
        sandbox.grant_high_availability(name).await?;
    }
    for (pods, replicas, manifest) in
        [(job_manager(name), 1, job_manager_pod(wish)), (task_manager(name), wish.task_managers, task_manager_pod())]
    {
        sandbox.put::<StatefulSet>(&pods, stateful_set(sandbox, name, wish, &pods, replicas, manifest)).await?;
    }
    Ok(())
}

/// Flink's configuration: what it needs to run here, and what was wished for.
fn configuration(sandbox: &Sandbox, name: &str, wish: &Wish) -> BTreeMap<String, String> {
    let below = |what: &str| sandbox.env.s3.url(&format!("{}/{what}", super::prefix(&sandbox.namespace, name)));
    let mut entries: BTreeMap<String, String> = [
        ("jobmanager.rpc.address", name),
        ("jobmanager.rpc.port", "6123"),
        ("blob.server.port", "6124"),
        ("jobmanager.bind-host", "0.0.0.0"),
        ("taskmanager.bind-host", "0.0.0.0"),
        ("rest.address", name),
        ("rest.bind-address", "0.0.0.0"),
        ("web.upload.dir", UPLOADS),
        ("state.backend.type", "hashmap"),
        ("s3.endpoint", &sandbox.env.s3.endpoint),
        ("s3.path.style.access", "true"),
        // A server that keeps objects as files has no directory markers to take away.
        ("s3.directory.marker.retention", "keep"),
        ("env.java.opts.jobmanager", "-XX:SharedArchiveFile=/opt/flink/cds/jobmanager.jsa"),
        ("env.java.opts.taskmanager", "-XX:SharedArchiveFile=/opt/flink/cds/taskmanager.jsa"),
        ("jobmanager.memory.heap.size", "96m"),
        ("jobmanager.memory.off-heap.size", "32m"),
        // 96m are too few for the classes of high availability, and for many jobs one after the other.
        ("jobmanager.memory.jvm-metaspace.size", "192m"),
        ("jobmanager.memory.jvm-overhead.min", "32m"),
        ("jobmanager.memory.jvm-overhead.max", "32m"),
        ("taskmanager.memory.framework.heap.size", "32m"),
        ("taskmanager.memory.task.heap.size", "32m"),
        ("taskmanager.memory.framework.off-heap.size", "32m"),
        ("taskmanager.memory.managed.size", "16m"),
        ("taskmanager.memory.network.min", "4m"),
        ("taskmanager.memory.network.max", "4m"),
        ("taskmanager.memory.jvm-metaspace.size", "128m"),
        ("taskmanager.memory.jvm-overhead.min", "32m"),
        ("taskmanager.memory.jvm-overhead.max", "32m"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    entries.insert("execution.checkpointing.dir".to_owned(), below(super::CHECKPOINTS));
    entries.insert("taskmanager.numberOfTaskSlots".to_owned(), wish.slots.to_string());
    if wish.high_availability {
        for (key, value) in [
            ("high-availability.type", "kubernetes"),
            ("high-availability.storageDir", &below(super::HIGH_AVAILABILITY)),
            ("high-availability.cluster-id", name),
            ("high-availability.jobmanager.port", "6123"),
            ("kubernetes.cluster-id", name),
            ("kubernetes.namespace", &sandbox.namespace),
        ] {
            entries.insert(key.to_owned(), value.to_owned());
        }
    }
    if wish.tls {
        for (key, value) in [
            ("security.ssl.rest.enabled", "true"),
            ("security.ssl.rest.keystore", "/tls/rest.p12"),
            ("security.ssl.rest.keystore-password", PASSWORD),
            ("security.ssl.rest.key-password", PASSWORD),
            ("security.ssl.rest.truststore", "/tls/rest.p12"),
            ("security.ssl.rest.truststore-password", PASSWORD),
            // Those of Flink 1.20 are none that a client of today has.
            ("security.ssl.algorithms", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        ] {
            entries.insert(key.to_owned(), value.to_owned());
        }
    }
    entries.extend(wish.configuration.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    entries
}

fn labels(pods: &str) -> Value {
    json!({"app": pods})
}

/// What is different in the JobManager's container.
fn job_manager_pod(wish: &Wish) -> Value {
    let scheme = if wish.tls { "HTTPS" } else { "HTTP" };
    json!({
        "args": ["jobmanager"],
        "resources": {"requests": {"cpu": "50m", "memory": "512Mi"}, "limits": {"memory": "512Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/overview", "port": super::REST_PORT, "scheme": scheme}, "periodSeconds": 1,
        },
    })
}

/// What is different in a TaskManager's container.
fn task_manager_pod() -> Value {
    json!({
        "args": ["taskmanager"],
        "resources": {"requests": {"cpu": "50m", "memory": "384Mi"}, "limits": {"memory": "384Mi"}},
    })
}

fn stateful_set(sandbox: &Sandbox, name: &str, wish: &Wish, pods: &str, replicas: u32, own: Value) -> Value {
    let image = format!("{}/flink-jobs:{}", sandbox.env.registry, wish.version.tag());
    let restricted = json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    });
    let mount = |name: &str, path: &str| json!({"name": name, "mountPath": path});
    let empty = |name: &str| json!({"name": name, "emptyDir": {}});
    let mut container = json!({
        "name": CONTAINER,
        "image": image,
        "securityContext": restricted,
        "envFrom": [{"secretRef": {"name": "s3"}}],
        "volumeMounts": [
            mount("conf", "/opt/flink/conf"),
            mount("log", "/opt/flink/log"),
            mount("tmp", "/tmp"),
            mount("jars", UPLOADS),
            mount(RECORDS, RECORDS_MOUNT),
        ],
    });
    let mut certify = json!({
        "name": CERTIFY,
        "image": image,
        "command": ["bash", "-c", CERTIFIED, "bash", format!("{name}.{}.svc", sandbox.namespace)],
        "securityContext": restricted,
        "volumeMounts": [mount("tls", "/tls"), mount("tmp", "/tmp")],
    });
    if let (Some(container), Value::Object(own)) = (container.as_object_mut(), own) {
        container.extend(own);
    }
    let mut pod = json!({
        "enableServiceLinks": false,
        "automountServiceAccountToken": wish.high_availability,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 9999, "runAsGroup": 9999, "fsGroup": 9999,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [{
            "name": "furnish",
            "image": image,
            "command": ["sh", "-c", FURNISH, "sh", JAR],
            "securityContext": restricted,
            "volumeMounts": [mount("conf", "/conf"), mount("given", "/given"), mount("jars", UPLOADS)],
        }],
        "containers": [container],
        "volumes": [
            {"name": "given", "configMap": {"name": name}},
            empty("conf"), empty("log"), empty("tmp"), empty("jars"),
            {"name": RECORDS, "persistentVolumeClaim": {"claimName": RECORDS}},
        ],
    });
    if wish.tls {
        for (list, item) in [
            ("/volumes", empty("tls")),
            ("/initContainers", certify.take()),
            ("/containers/0/volumeMounts", mount("tls", "/tls")),
        ] {
            pod.pointer_mut(list).and_then(Value::as_array_mut).into_iter().for_each(|list| list.push(item.clone()));
        }
    }
    if let Some(pod) = pod.as_object_mut().filter(|_| wish.high_availability) {
        pod.insert("serviceAccountName".to_owned(), json!(name));
    }
    json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "spec": {
        "replicas": replicas,
        "serviceName": name,
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": labels(pods)},
        "template": {"metadata": {"labels": labels(pods)}, "spec": pod},
    }})
}
