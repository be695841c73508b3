//! The Kubernetes objects of a revision. None has an owner reference: a foreground deletion of the FlinkJobUpgrade
//! would kill the pods before their state is saved.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, StatefulSet, StatefulSetSpec, StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    ConfigMap, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, HTTPGetAction,
    LocalObjectReference, PodSpec, PodTemplateSpec, Probe, ResourceRequirements, Service, ServicePort, ServiceSpec,
    Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::config::{self, Configuration};
use super::error::SpecError;
use super::jar::Jar;
use super::render::Revision;
use super::template::{self, CONFIG_DIRECTORY, CONFIG_VOLUME, HELPER_VOLUME, JAR_VOLUME, TMP_VOLUME};
use crate::api::{FlinkJobUpgradeSpec, labels};
use crate::naming::{
    self, BLOB_PORT, HELPER_JAR, JAR_CONTAINER, MAIN_CONTAINER, REST_PORT, RPC_PORT, UPLOAD_DIRECTORY,
};

/// Number of objects of a revision: two `ConfigMaps`, a Service, a StatefulSet and a Deployment.
pub const OBJECTS: usize = 5;

/// Name of the port at which metrics are told.
const METRICS_PORT: &str = "metrics";

/// Flink writes its state to the store, not to its pods: nothing is gained by a long farewell.
const GRACE_SECONDS: i64 = 5;

/// Logging to the console only: the root file system is read-only.
const LOG4J: &str = include_str!("log4j-console.properties");
const LOG4J_FILE: &str = "log4j-console.properties";
/// The file of Flink's configuration, in the ConfigMap.
pub const CONFIG_FILE: &str = "config.yaml";

/// Processor and memory of a pod, in Kubernetes' notation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cpu: Option<String>,
    /// Memory.
    pub memory: Option<String>,
}

impl Resources {
    fn requirements(self) -> Option<ResourceRequirements> {
        let amounts = [("cpu", self.cpu), ("memory", self.memory)];
        let amounts: BTreeMap<_, _> =
            amounts.into_iter().filter_map(|(name, amount)| Some((name.to_owned(), Quantity(amount?)))).collect();
        (!amounts.is_empty()).then(|| ResourceRequirements {
            requests: Some(amounts.clone()),
            limits: Some(amounts),
            ..ResourceRequirements::default()
        })
    }
}

/// The ConfigMap with Flink's configuration.
///
/// # Errors
/// If `logConfiguration` names a file that the operator owns or that cannot be in a ConfigMap.
pub fn config_map(
    revision: &Revision<'_>,
    configuration: &Configuration,
    logging: Option<&BTreeMap<String, String>>,
) -> Result<ConfigMap, SpecError> {
    let mut data: BTreeMap<String, String> = [(LOG4J_FILE.to_owned(), LOG4J.to_owned())].into();
    for (file, text) in logging.into_iter().flatten() {
        let refused =
            |problem: &str, cure: &str| Err(SpecError::invalid("spec.logConfiguration", file.as_str(), problem, cure));
        // Flink 1.20 would read a flink-conf.yaml instead of config.yaml.
        if [CONFIG_FILE, "flink-conf.yaml"].contains(&file.as_str()) {
            return refused("is not a file of the logging configuration", "use spec.flinkConfiguration");
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        if file.is_empty() || file.len() > 253 || file.starts_with("..") || !file.chars().all(allowed) {
            return refused("is not a file name", "use a name such as log4j-console.properties");
        }
        data.insert(file.clone(), text.clone());
    }
    data.insert(CONFIG_FILE.to_owned(), config::to_yaml(&configuration.entries)?);
    let metadata = meta(revision, naming::revision_name(revision.name, revision.number), None);
    Ok(ConfigMap { metadata, data: Some(data), ..ConfigMap::default() })
}

/// The ConfigMap with the helper jar.
#[must_use]
pub fn helper_config_map(revision: &Revision<'_>) -> ConfigMap {
    ConfigMap {
        metadata: meta(revision, naming::helper_name(revision.name, revision.number), None),
        binary_data: Some([(HELPER_JAR.to_owned(), ByteString(revision.helper_jar.to_vec()))].into()),
        ..ConfigMap::default()
    }
}

/// The Service by which the `TaskManagers` and the operator reach the JobManager, ready or not.
#[must_use]
pub fn service(revision: &Revision<'_>) -> Service {
    Service {
        metadata: meta(revision, naming::revision_name(revision.name, revision.number), Some(labels::JOBMANAGER)),
        spec: Some(ServiceSpec {
            publish_not_ready_addresses: Some(true),
            selector: Some(naming::component_selector(revision.owner_uid, revision.number, labels::JOBMANAGER)),
            ports: Some(vec![
                service_port("rest", REST_PORT),
                service_port("rpc", RPC_PORT),
                service_port("blob", BLOB_PORT),
            ]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

/// The Service of a job that always leads to one revision's REST API and web interface: the active one's.
#[must_use]
pub fn stable_service(namespace: &str, job: &str, owner_uid: &str, revision: i64) -> Service {
    Service {
        metadata: ObjectMeta {
            name: Some(naming::stable_service_name(job)),
            namespace: Some(namespace.to_owned()),
            // It outlives every revision, so a revision's selector must not find it.
            labels: Some(naming::job_labels(job, owner_uid)),
            ..ObjectMeta::default()
        },
        spec: Some(ServiceSpec {
            selector: Some(naming::component_selector(owner_uid, revision, labels::JOBMANAGER)),
            ports: Some(vec![service_port("rest", REST_PORT)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn service_port(name: &str, port: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(port),
        target_port: Some(IntOrString::Int(i32::from(port))),
        ..ServicePort::default()
    }
}

fn meta(revision: &Revision<'_>, name: String, component: Option<&str>) -> ObjectMeta {
    let (job, uid, number) = (revision.name, revision.owner_uid, revision.number);
    let labels = match component {
        Some(component) => naming::component_labels(job, uid, number, component),
        None => naming::revision_labels(job, uid, number),
    };
    ObjectMeta {
        name: Some(name),
        namespace: Some(revision.namespace.to_owned()),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

/// What the pods of a revision have in common.
#[derive(Clone, Copy, Debug)]
pub struct Pods<'a> {
    /// The revision.
    pub revision: &'a Revision<'a>,
    /// The spec.
    pub spec: &'a FlinkJobUpgradeSpec,
    /// Image of Flink and the job.
    pub image: &'a str,
    /// The processes talk to the Kubernetes API.
    pub high_availability: bool,
    /// Where the processes tell their metrics, if they do.
    pub metrics_port: Option<u16>,
}

impl Pods<'_> {
    /// The JobManager: one pod, never replaced before the old one is gone.
    #[must_use]
    pub fn stateful_set(&self, template: PodTemplateSpec, resources: Resources, jar: Jar<'_>) -> StatefulSet {
        let Revision { name, number, .. } = *self.revision;
        let main = Container {
            ports: self.ports(&template, &[("rest", REST_PORT), ("rpc", RPC_PORT), ("blob", BLOB_PORT)]),
            volume_mounts: Some(vec![read_only(CONFIG_VOLUME, CONFIG_DIRECTORY), mount(JAR_VOLUME, UPLOAD_DIRECTORY)]),
            ..self.main("jobmanager", resources)
        };
        let helper = naming::helper_name(name, number);
        let spec = PodSpec {
            init_containers: Some(vec![self.jar_container(jar, &template, &main)]),
            containers: vec![main],
            volumes: Some(vec![self.config_volume(), config_map_volume(HELPER_VOLUME, helper), empty_dir(JAR_VOLUME)]),
            ..self.pod()
        };
        let mut template = self.template(template, spec, labels::JOBMANAGER);
        if let Some(main) = main_container(&mut template) {
            template::complete(&mut main.readiness_probe, overview_probe());
        }
        StatefulSet {
            metadata: meta(self.revision, naming::job_manager_name(name, number), Some(labels::JOBMANAGER)),
            spec: Some(StatefulSetSpec {
                replicas: Some(1),
                pod_management_policy: Some("Parallel".to_owned()),
                update_strategy: Some(StatefulSetUpdateStrategy {
                    type_: Some("OnDelete".to_owned()),
                    ..StatefulSetUpdateStrategy::default()
                }),
                service_name: Some(naming::revision_name(name, number)),
                selector: self.selector(labels::JOBMANAGER),
                template,
                ..StatefulSetSpec::default()
            }),
            ..StatefulSet::default()
        }
    }

    /// The `TaskManagers`. `Recreate`, so that there are never more of them than asked for.
    #[must_use]
    pub fn deployment(&self, template: PodTemplateSpec, resources: Resources, replicas: i32) -> Deployment {
        let Revision { name, number, .. } = *self.revision;
        let main = Container {
            ports: self.ports(&template, &[]),
            volume_mounts: Some(vec![read_only(CONFIG_VOLUME, CONFIG_DIRECTORY)]),
            ..self.main("taskmanager", resources)
        };
        let spec = PodSpec { containers: vec![main], volumes: Some(vec![self.config_volume()]), ..self.pod() };
        Deployment {
            metadata: meta(self.revision, naming::task_manager_name(name, number), Some(labels::TASKMANAGER)),
            spec: Some(DeploymentSpec {
                replicas: Some(replicas),
                strategy: Some(DeploymentStrategy {
                    type_: Some("Recreate".to_owned()),
                    ..DeploymentStrategy::default()
                }),
                selector: self.selector(labels::TASKMANAGER),
                template: self.template(template, spec, labels::TASKMANAGER),
                ..DeploymentSpec::default()
            }),
            ..Deployment::default()
        }
    }

    fn selector(&self, component: &str) -> LabelSelector {
        let labels = naming::component_selector(self.revision.owner_uid, self.revision.number, component);
        LabelSelector { match_labels: Some(labels), ..LabelSelector::default() }
    }

    fn main(&self, arg: &str, resources: Resources) -> Container {
        Container {
            name: MAIN_CONTAINER.to_owned(),
            args: Some(vec![arg.to_owned()]),
            resources: resources.requirements(),
            ..self.container()
        }
    }

    /// A container of the job's image. Why it failed is read from its status.
    fn container(&self) -> Container {
        Container {
            image: Some(self.image.to_owned()),
            image_pull_policy: self.spec.image_pull_policy.map(|policy| policy.as_str().to_owned()),
            termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
            ..Container::default()
        }
    }

    /// The ports of Flink's container that the template does not give, whose names are the user's.
    fn ports(&self, template: &PodTemplateSpec, own: &[(&str, u16)]) -> Option<Vec<ContainerPort>> {
        let given = given_main(template).and_then(|given| given.ports.as_deref()).unwrap_or_default();
        let metrics = self.metrics_port.map(|port| (METRICS_PORT, port));
        let missing = own
            .iter()
            .copied()
            .chain(metrics)
            .filter(|(_, port)| given.iter().all(|given| given.container_port != i32::from(*port)));
        let ports: Vec<ContainerPort> = missing
            .map(|(name, port)| {
                let taken = given.iter().any(|given| given.name.as_deref() == Some(name));
                ContainerPort {
                    name: (!taken).then(|| name.to_owned()),
                    container_port: i32::from(port),
                    ..ContainerPort::default()
                }
            })
            .collect();
        (!ports.is_empty()).then_some(ports)
    }

    /// It asks for as much as Flink's container: together that is no more, and a quota wants each to say.
    fn jar_container(&self, jar: Jar<'_>, template: &PodTemplateSpec, main: &Container) -> Container {
        let of_image = Container { resources: main.resources.clone(), ..self.container() };
        let sha256 = self.spec.job.jar_sha256.as_deref();
        let mut container = jar.container(sha256, self.revision.fetch, of_image, given_main(template));
        if let Some(carrier) = self.revision.carrier {
            let prefix = naming::session_jar(self.revision.owner_uid, self.revision.number);
            let flags = carrier.args(&prefix).into_iter().map(|(flag, value)| format!("{flag}={value}"));
            container.args.get_or_insert_default().extend(flags);
            let variables = carrier.env();
            if !variables.is_empty() {
                container.env.get_or_insert_default().extend(variables);
            }
        }
        template::secure_container(&mut container);
        container
    }

    fn config_volume(&self) -> Volume {
        config_map_volume(CONFIG_VOLUME, naming::revision_name(self.revision.name, self.revision.number))
    }

    /// What the operator owns of every pod.
    fn pod(&self) -> PodSpec {
        let secrets = self.spec.image_pull_secrets.as_ref();
        PodSpec {
            image_pull_secrets: secrets.map(|secrets| {
                secrets.iter().map(|secret| LocalObjectReference { name: secret.name.clone() }).collect()
            }),
            service_account_name: self.spec.service_account.clone(),
            automount_service_account_token: self.high_availability.then_some(true),
            ..PodSpec::default()
        }
    }

    /// Lays the operator's pod over the user's template, and adds defaults where neither says anything.
    fn template(&self, template: PodTemplateSpec, own: PodSpec, component: &str) -> PodTemplateSpec {
        let Revision { name, owner_uid, number, .. } = *self.revision;
        let metadata = ObjectMeta {
            labels: Some(naming::component_labels(name, owner_uid, number, component)),
            ..ObjectMeta::default()
        };
        let own = PodTemplateSpec { metadata: Some(metadata), spec: Some(own) };
        let mut merged = template::merge(template, own);
        if let Some(metadata) = &mut merged.metadata {
            // Apache's samples give their template a name; pods get their own.
            metadata.name = None;
            metadata.namespace = None;
            let labels = metadata.labels.get_or_insert_default();
            for (key, value) in [(labels::NAME, labels::FLINK), (labels::INSTANCE, name), (labels::PART, component)] {
                labels.entry(key.to_owned()).or_insert_with(|| value.to_owned());
            }
            let annotations = metadata.annotations.get_or_insert_default();
            annotations
                .entry("kubectl.kubernetes.io/default-container".to_owned())
                .or_insert_with(|| MAIN_CONTAINER.to_owned());
        }
        let Some(spec) = &mut merged.spec else { return merged };
        spec.automount_service_account_token.get_or_insert(false);
        // Its older name, which Kubernetes still understands.
        let older = spec.service_account.take();
        spec.service_account_name = spec.service_account_name.take().or(older);
        if self.high_availability {
            spec.service_account_name.get_or_insert_with(|| naming::account_name(name));
        }
        spec.enable_service_links.get_or_insert(false);
        spec.termination_grace_period_seconds.get_or_insert(GRACE_SECONDS);
        template::secure_pod(spec);
        // The merge put the operator's own behind the user's.
        spec.containers.sort_by_key(|container| container.name != MAIN_CONTAINER);
        // It comes last: the jar may be in a volume that another init container fills.
        if let Some(inits) = &mut spec.init_containers {
            inits.sort_by_key(|container| container.name == JAR_CONTAINER);
        }
        let inits = spec.init_containers.iter_mut().flatten();
        for variable in spec.containers.iter_mut().chain(inits).flat_map(|c| c.env.iter_mut().flatten()) {
            variable.value = variable.value.as_deref().map(|value| self.revision.substitute_in_env(value));
        }
        if let Some(main) = spec.containers.first_mut() {
            template::secure_container(main);
            let mounts = main.volume_mounts.get_or_insert_default();
            if !mounts.iter().any(|mount| mount.mount_path.trim_end_matches('/') == "/tmp") {
                mounts.push(mount(TMP_VOLUME, "/tmp"));
                spec.volumes.get_or_insert_default().push(empty_dir(TMP_VOLUME));
            }
        }
        merged
    }
}

/// What a template says of Flink's container.
fn given_main(template: &PodTemplateSpec) -> Option<&Container> {
    template.spec.as_ref()?.containers.iter().find(|container| container.name == MAIN_CONTAINER)
}

fn main_container(template: &mut PodTemplateSpec) -> Option<&mut Container> {
    template.spec.as_mut()?.containers.iter_mut().find(|container| container.name == MAIN_CONTAINER)
}

/// Says that the REST API is up; whether the job is well is asked of Flink itself.
fn overview_probe() -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some("/overview".to_owned()),
            port: IntOrString::Int(i32::from(REST_PORT)),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(1),
        timeout_seconds: Some(3),
        ..Probe::default()
    }
}

fn mount(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { name: volume.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}

fn read_only(volume: &str, path: &str) -> VolumeMount {
    VolumeMount { read_only: Some(true), ..mount(volume, path) }
}

fn empty_dir(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

fn config_map_volume(name: &str, config_map: String) -> Volume {
    Volume {
        name: name.to_owned(),
        config_map: Some(ConfigMapVolumeSource { name: config_map, ..ConfigMapVolumeSource::default() }),
        ..Volume::default()
    }
}
