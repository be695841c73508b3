//! Pod templates: what the user gives, laid under what the operator needs.

use k8s_openapi::DeepMerge;
use k8s_openapi::api::core::v1::{
    Capabilities, Container, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, SeccompProfile, SecurityContext,
};
use serde_json::Value;

use super::error::SpecError;
use crate::naming::{JAR_CONTAINER, MAIN_CONTAINER, UPLOAD_DIRECTORY};

/// Name of the volume with Flink's configuration, as in Apache's operator: sidecars may mount it.
pub(super) const CONFIG_VOLUME: &str = "flink-config-volume";
/// Name of the volume with the jars.
pub(super) const JAR_VOLUME: &str = "flink-jars";
/// Name of the volume with the helper jar.
pub(super) const HELPER_VOLUME: &str = "flink-helper";
/// Name of the volume for temporary files.
pub(super) const TMP_VOLUME: &str = "flink-tmp";
/// Flink's configuration directory in the official images.
pub(super) const CONFIG_DIRECTORY: &str = "/opt/flink/conf";

const OWN_VOLUMES: [&str; 4] = [CONFIG_VOLUME, JAR_VOLUME, HELPER_VOLUME, TMP_VOLUME];
const OWN_MOUNTS: [&str; 2] = [CONFIG_DIRECTORY, UPLOAD_DIRECTORY];

/// User and group of Flink in the official images.
const FLINK_USER: i64 = 9999;

/// Reads a pod template of the spec.
///
/// # Errors
/// If it is no `PodTemplateSpec`, has a field that Kubernetes does not know, or sets what the operator owns.
pub fn parse(field: &str, given: &Value, image: &str) -> Result<PodTemplateSpec, SpecError> {
    let mut given = given.clone();
    if let Some(fields) = given.as_object_mut() {
        // Apache's samples give a whole Pod.
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    let broken =
        |problem: String| SpecError::invalid(field, "podTemplate", problem, "give a PodTemplateSpec of Kubernetes");
    let template: PodTemplateSpec =
        serde_json::from_value(given.clone()).map_err(|e| broken(format!("cannot be read: {e}")))?;
    let kept = serde_json::to_value(&template).map_err(|e| broken(format!("cannot be read: {e}")))?;
    if let Some(path) = unknown_field(&given, &kept, field) {
        let problem = "is not a field of a PodTemplateSpec, or has another type there";
        return Err(SpecError::invalid(path, "", problem, "remove it or correct its spelling"));
    }
    check(field, template.spec.as_ref(), image)?;
    Ok(template)
}

/// The path of a value that reading and writing it again lost.
pub(super) fn unknown_field(given: &Value, kept: &Value, path: &str) -> Option<String> {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match kept.get(key) {
                Some(kept) => unknown_field(value, kept, &path),
                None if is_empty(value) => None,
                None => Some(path),
            }
        }),
        (Value::Array(given), Value::Array(kept)) => given
            .iter()
            .zip(kept)
            .enumerate()
            .find_map(|(n, (given, kept))| unknown_field(given, kept, &format!("{path}[{n}]"))),
        _ => None,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// Refuses what would be overwritten: nothing that a user sets is silently ignored.
fn check(field: &str, spec: Option<&PodSpec>, image: &str) -> Result<(), SpecError> {
    let Some(spec) = spec else { return Ok(()) };
    let owned = |path: String, value: &str, cure: &str| {
        Err(SpecError::invalid(path, value, "cannot be set: the operator owns it", cure))
    };
    let inits = spec.init_containers.as_deref().unwrap_or_default();
    for container in spec.containers.iter().chain(inits) {
        if container.name.is_empty() {
            let cure = format!("give every container a name; Flink's is {MAIN_CONTAINER}");
            return Err(SpecError::invalid(format!("{field}.spec.containers"), "", "is no name of a container", cure));
        }
    }
    if inits.iter().any(|init| init.name == JAR_CONTAINER || init.name == MAIN_CONTAINER) {
        let path = format!("{field}.spec.initContainers");
        return owned(path, JAR_CONTAINER, "use another name for the init container");
    }
    if let Some(policy) = spec.restart_policy.as_deref().filter(|policy| *policy != "Always") {
        return owned(
            format!("{field}.spec.restartPolicy"),
            policy,
            "remove it: Kubernetes restarts Flink's processes",
        );
    }
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    if let Some(volume) = volumes.iter().find(|volume| OWN_VOLUMES.contains(&volume.name.as_str())) {
        return owned(format!("{field}.spec.volumes"), &volume.name, "use another name for the volume");
    }
    let Some(main) = spec.containers.iter().find(|container| container.name == MAIN_CONTAINER) else { return Ok(()) };
    let path = |last: &str| format!("{field}.spec.containers[{MAIN_CONTAINER}].{last}");
    if let Some(command) = &main.command {
        return owned(path("command"), &command.join(" "), "remove it: the image's entry point starts Flink");
    }
    if let Some(args) = &main.args {
        return owned(path("args"), &args.join(" "), "use spec.job.args for the job's arguments");
    }
    if let Some(other) = main.image.as_deref().filter(|other| *other != image) {
        return owned(path("image"), other, "use spec.image");
    }
    if let Some(resources) = &main.resources {
        for (list, name) in [(&resources.limits, "limits"), (&resources.requests, "requests")] {
            for resource in ["cpu", "memory"] {
                if let Some(amount) = list.as_ref().and_then(|list| list.get(resource)) {
                    let cure = format!("use resource.{resource} of spec.jobManager and spec.taskManager");
                    return owned(path(&format!("resources.{name}.{resource}")), &amount.0, &cure);
                }
            }
        }
    }
    let mounts = main.volume_mounts.as_deref().unwrap_or_default();
    if let Some(mount) = mounts.iter().find(|m| OWN_MOUNTS.contains(&m.mount_path.trim_end_matches('/'))) {
        return owned(path("volumeMounts"), &mount.mount_path, "mount the volume at another path");
    }
    Ok(())
}

/// Lays one template over another, as Kubernetes' strategic merge does: containers, volumes, variables and mounts by
/// their keys, maps entry by entry. Tolerations and `envFrom`, which have no key, are joined. What can be only one of
/// several things, such as a volume's source or a probe's way to ask, is replaced.
#[must_use]
pub fn merge(mut under: PodTemplateSpec, mut over: PodTemplateSpec) -> PodTemplateSpec {
    if let (Some(under), Some(over)) = (&mut under.spec, &mut over.spec) {
        join(under.tolerations.as_deref(), &mut over.tolerations);
        if let Some(selector) = under.node_selector.clone() {
            let own = over.node_selector.take().unwrap_or_default();
            over.node_selector = Some(selector.into_iter().chain(own).collect());
        }
        // A volume has one source, a variable one value: the whole entry is replaced.
        replace(&mut under.volumes, over.volumes.as_deref(), |volume| volume.name.clone());
        merge_containers(&mut under.containers, &mut over.containers);
        if let (Some(under), Some(over)) = (&mut under.init_containers, &mut over.init_containers) {
            merge_containers(under, over);
        }
    }
    under.merge_from(over);
    under
}

fn merge_containers(under: &mut [Container], over: &mut [Container]) {
    for over in over {
        if let Some(under) = under.iter_mut().find(|under| under.name == over.name) {
            join(under.env_from.as_deref(), &mut over.env_from);
            replace(&mut under.env, over.env.as_deref(), |variable| variable.name.clone());
            replace(&mut under.volume_mounts, over.volume_mounts.as_deref(), |mount| mount.mount_path.clone());
            for (under, over) in [
                (&mut under.liveness_probe, &over.liveness_probe),
                (&mut under.readiness_probe, &over.readiness_probe),
                (&mut under.startup_probe, &over.startup_probe),
            ] {
                if let (Some(under), true) = (under, over.as_ref().is_some_and(has_handler)) {
                    *under =
                        Probe { exec: None, grpc: None, http_get: None, tcp_socket: None, ..std::mem::take(under) };
                }
            }
            if let (Some(under), Some(over)) = (&mut under.lifecycle, &over.lifecycle) {
                under.post_start = under.post_start.take().filter(|_| over.post_start.is_none());
                under.pre_stop = under.pre_stop.take().filter(|_| over.pre_stop.is_none());
            }
        }
    }
}

/// A probe has one way to ask: another one takes its place.
fn has_handler(probe: &Probe) -> bool {
    probe.exec.is_some() || probe.grpc.is_some() || probe.http_get.is_some() || probe.tcp_socket.is_some()
}

/// Gives a probe what it does not say itself: of one that has no way to ask, that, too.
pub fn complete(probe: &mut Option<Probe>, default: Probe) {
    match probe {
        Some(given) if has_handler(given) => {}
        Some(given) => {
            let given = std::mem::take(given);
            let mut whole = default;
            whole.merge_from(given);
            *probe = Some(whole);
        }
        None => *probe = Some(default),
    }
}

/// Puts the lower list before the upper one.
fn join<T: Clone + PartialEq>(under: Option<&[T]>, over: &mut Option<Vec<T>>) {
    if let Some(under) = under {
        let mut all = under.to_vec();
        all.extend(over.take().unwrap_or_default().into_iter().filter(|item| !under.contains(item)));
        *over = Some(all);
    }
}

/// Removes from the lower list what the upper one has, too.
fn replace<T>(under: &mut Option<Vec<T>>, over: Option<&[T]>, key: impl Fn(&T) -> String) {
    if let (Some(under), Some(over)) = (under, over) {
        under.retain(|item| !over.iter().any(|other| key(other) == key(item)));
    }
}

/// What namespaces with Pod Security `restricted` ask of a pod, where the template does not say otherwise.
pub fn secure_pod(spec: &mut PodSpec) {
    let context = spec.security_context.get_or_insert_with(PodSecurityContext::default);
    context.run_as_non_root.get_or_insert(true);
    context.run_as_user.get_or_insert(FLINK_USER);
    context.run_as_group.get_or_insert(FLINK_USER);
    context.fs_group.get_or_insert(FLINK_USER);
    context
        .seccomp_profile
        .get_or_insert_with(|| SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() });
}

/// The same for a container.
pub fn secure_container(container: &mut Container) {
    let context = container.security_context.get_or_insert_with(SecurityContext::default);
    context.allow_privilege_escalation.get_or_insert(false);
    context.read_only_root_filesystem.get_or_insert(true);
    context
        .capabilities
        .get_or_insert_with(|| Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() });
}

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
