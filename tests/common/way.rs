//! What leads to a Flink cluster that somebody else runs.

use fakes::kube::ApiServer;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::common::{NAMESPACE, create, objects};

/// A Service, the pod of its JobManager, and the address of that. Of which pod that address is, is told or not.
pub async fn create_way(server: &ApiServer, service: &str, pod: &str, address: &str, told: bool) {
    let ports = json!([{"name": "rest", "port": 8081}]);
    let object = json!({"metadata": {"name": service}, "spec": {"ports": ports}});
    create(server, "v1", "Service", Some(NAMESPACE), object).await;
    let container = json!({"name": "jobmanager", "image": "flink"});
    let object = json!({"metadata": {"name": pod}, "spec": {"containers": [container]}});
    create(server, "v1", "Pod", Some(NAMESPACE), object).await;
    let target = told.then(|| json!({"kind": "Pod", "name": pod}));
    let slice = json!({
        "metadata": {"name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4", "ports": ports,
        "endpoints": [{"addresses": [address], "targetRef": target}],
    });
    create(server, "discovery.k8s.io/v1", "EndpointSlice", Some(NAMESPACE), slice).await;
}

/// The container of a JobManager has been started so many times again.
pub async fn restarted(server: &ApiServer, pod: &str, times: u32) {
    let container =
        json!({"name": "jobmanager", "image": "flink", "imageID": "", "ready": true, "restartCount": times});
    let patch = json!({"status": {"containerStatuses": [container]}});
    let pods = objects(server, "v1", "Pod", Some(NAMESPACE));
    pods.patch_status(pod, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}
