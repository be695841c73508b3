use std::process::{Command, Stdio};

use serde_json::json;

use super::*;

const ID: &str = "8f2d3c1b0a998877665544332211ffeeddccbbaa00112233445566778899aabb";

fn pod(id: &str, state: &str) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": "e2e-x", "name": "orders-jobmanager-0"},
        "status": {"containerStatuses": [
            {"name": "other", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
                "containerID": format!("containerd://{}", "0".repeat(64)), "state": {"running": {}}},
            {"name": "flink", "image": "i", "imageID": "i", "ready": true, "restartCount": 0,
                "containerID": id, "state": {state: if state == "terminated" { json!({"exitCode": 1}) } else { json!({}) }}},
        ]},
    }))
    .unwrap()
}

#[test]
fn only_a_whole_id_of_the_running_container_of_that_name_counts() {
    let with = format!("containerd://{ID}");
    assert_eq!(running_container(&pod(&with, "running"), "flink"), Some(ID));
    for (id, state, name) in [
        (with.as_str(), "terminated", "flink"),
        (with.as_str(), "waiting", "flink"),
        (with.as_str(), "running", "init"),
        ("containerd://", "running", "flink"),
        ("containerd://8f2d", "running", "flink"),
        (ID, "running", "flink"),
    ] {
        assert_eq!(running_container(&pod(id, state), name), None, "{id} {state} {name}");
    }
}

#[test]
fn a_control_group_tells_the_container() {
    for path in [
        format!("0::/kubepods/burstable/pod0d9b2a52/{ID}\n"),
        format!("9:name=systemd:/\n0::/kubepods.slice/kubepods-pod0d.slice/cri-containerd-{ID}.scope\n"),
    ] {
        assert!(in_container(&path, ID), "{path}");
    }
    for path in ["0::/\n".to_owned(), format!("0::/kubepods/{ID}/inner\n"), String::new()] {
        assert!(!in_container(&path, ID), "{path}");
    }
}

#[test]
fn process_one_of_a_container_is_known_by_its_innermost_number() {
    assert!(is_first("Name:\tjava\nNSpid:\t4711\t1\n"));
    assert!(is_first("NSpid:\t9\t4711\t1\n"));
    for status in ["NSpid:\t4711\t12\n", "NSpid:\t1\n", "NSpid:\n", ""] {
        assert!(!is_first(status), "{status}");
    }
}

#[test]
fn what_runs_elsewhere_is_refused() {
    let error = Process::of(&pod(&format!("containerd://{ID}"), "running"), "flink").unwrap_err().to_string();
    assert!(error.contains("e2e-x/orders-jobmanager-0") && error.contains("no process on this machine"), "{error}");
}

#[test]
fn the_process_behind_the_descriptor_is_killed() {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let number = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let descriptor = pidfd_open(number, PidfdFlags::empty()).unwrap();
    let process = Process { descriptor, number, pod: "e2e-x/orders-jobmanager-0".to_owned() };
    process.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(process.kill().is_err(), "it has ended");
}
