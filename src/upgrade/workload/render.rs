//! From a spec to everything that a revision consists of.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use serde::{Deserialize, Serialize};

use super::account::Account;
use super::carrier::{self, ANY_CARRIER, Carrier};
use super::config::{self, Configuration};
use super::error::SpecError;
use super::hash::revision_hash;
use super::jar::{Fetch, Jar};
use super::memory::{self, Process};
use super::objects::{self, Pods};
use super::{metrics, record, template};
use crate::api::{FlinkJobUpgrade, FlinkJobUpgradeSpec, ResourceSpec};
use crate::{flink, naming};

/// Version of the form in which a rendering is stored. It grows when an older operator could not read it any more.
pub const RENDER_VERSION: u32 = 1;

/// A revision that is to be rendered.
#[derive(Clone, Copy, Debug)]
pub struct Revision<'a> {
    /// Namespace of the FlinkJobUpgrade.
    pub namespace: &'a str,
    /// Name of the FlinkJobUpgrade.
    pub name: &'a str,
    /// UID of the FlinkJobUpgrade.
    pub owner_uid: &'a str,
    /// Number of the revision.
    pub number: i64,
    /// Id of the upgrade that brings it in.
    pub upgrade_id: &'a str,
    /// Its color, where two revisions run side by side.
    pub color: &'a str,
    /// Content of the helper jar.
    pub helper_jar: &'a [u8],
    /// How the job's jar is fetched, if it is not in the image.
    pub fetch: &'a Fetch,
    /// What its pod is made of, if its job runs on a session cluster.
    pub carrier: Option<&'a Carrier>,
}

impl Revision<'_> {
    /// Replaces `$(FLINK_REVISION)`, `$(FLINK_COLOR)` and `$(FLINK_UPGRADE_ID)` in a text; with another `$` before it
    /// such a name stands for itself. All else is left as it is.
    #[must_use]
    pub fn substitute(&self, text: &str) -> String {
        self.replaced(text, "")
    }

    /// The same in the value of an environment variable, where it is Kubernetes that takes the other `$` away.
    #[must_use]
    pub fn substitute_in_env(&self, text: &str) -> String {
        self.replaced(text, "$")
    }

    /// `escape`: what becomes of the `$` before a name that stands for itself.
    fn replaced(&self, text: &str, escape: &str) -> String {
        let number = self.number.to_string();
        let known = [
            ("$(FLINK_REVISION)", number.as_str()),
            ("$(FLINK_COLOR)", self.color),
            ("$(FLINK_UPGRADE_ID)", self.upgrade_id),
        ];
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("$(") {
            let found = known.iter().find_map(|(name, value)| {
                let after = after.strip_prefix(name.strip_prefix("$(")?)?;
                Some((name, value, after))
            });
            // Of several `$` each second one is escaped by the one before it.
            let plain = before.trim_end_matches('$');
            let escaped = (before.len() - plain.len()) % 2 == 1;
            match (found, before.strip_suffix('$').filter(|_| escaped)) {
                (Some((name, _, after)), Some(before)) => {
                    out.extend([before, escape, name]);
                    rest = after;
                }
                (Some((_, value, after)), None) => {
                    out.extend([before, value]);
                    rest = after;
                }
                (None, _) => {
                    out.extend([before, "$("]);
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }
}

/// Whether anything in a spec is another for two revisions that run side by side.
#[must_use]
pub fn tells_sides_apart(spec: &FlinkJobUpgradeSpec) -> bool {
    // A spec is plain data: it can always be written as JSON.
    let text = serde_json::to_string(spec).unwrap_or_default();
    let fetch = Fetch::default();
    let side = |number: i64, name: &str| {
        let revision = Revision {
            namespace: "",
            name: "",
            owner_uid: "",
            number,
            upgrade_id: name,
            color: name,
            helper_jar: &[],
            fetch: &fetch,
            carrier: None,
        };
        revision.substitute(&text)
    };
    side(1, "blue") != side(2, "green")
}

/// Everything that a revision consists of. It is stored at the revision's birth and never rendered anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rendered {
    /// [`RENDER_VERSION`] at that time.
    pub render_version: u32,
    /// Namespace of the FlinkJobUpgrade.
    pub namespace: String,
    /// Name of the FlinkJobUpgrade.
    pub name: String,
    /// UID of the FlinkJobUpgrade.
    pub owner_uid: String,
    /// Number of the revision.
    pub revision: i64,
    /// `revisionName` of the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision_name: Option<String>,
    /// Id of the upgrade that brings it in.
    pub upgrade_id: String,
    /// Its color.
    pub color: String,
    /// Hash over the revision part of the spec ([`revision_hash`]).
    pub revision_hash: String,
    /// How the job is submitted.
    pub submission: Submission,
    /// Slots of all `TaskManagers` together.
    pub slots: i32,
    /// Directory of savepoints that name no other, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub savepoint_directory: Option<String>,
    /// Directory of the job's checkpoints, if one is configured. The job's code may set another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_directory: Option<String>,
    /// Directory of the checkpoints of the throw-away job that warms the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up_directory: Option<String>,
    /// The JobManager recovers by Kubernetes.
    pub high_availability: bool,
    /// Where that keeps its data; nothing but this revision's lies there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub high_availability_directories: Vec<String>,
    /// The pods' ServiceAccount, if the operator makes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Flink's configuration and that of its logging.
    pub config_map: ConfigMap,
    /// The helper jar.
    pub helper_config_map: ConfigMap,
    /// The JobManager's Service.
    pub service: Service,
    /// The JobManager.
    pub stateful_set: StatefulSet,
    /// The `TaskManagers`.
    pub deployment: Deployment,
}

impl Rendered {
    /// The state backend that Flink's configuration sets, in lower case. The job's code may set another.
    #[must_use]
    pub fn state_backend(&self) -> Option<String> {
        let text = self.config_map.data.as_ref()?.get(objects::CONFIG_FILE)?;
        let configuration = serde_yaml::from_str(text).ok()?;
        flink::config::STATE_BACKEND.get(&configuration).map(str::to_ascii_lowercase)
    }
}

/// How a revision's job is submitted, whatever it is restored from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Submission {
    /// Flink's id of the job's jar.
    pub jar_id: String,
    /// The class whose `main()` builds the job. Left out: the one that the jar's manifest names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// Arguments of `main()`, variables substituted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Parallelism of the job.
    pub parallelism: i32,
    /// Flink's configuration of the job alone, on a session cluster.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flink_configuration: BTreeMap<String, String>,
}

/// Whether the spec of a FlinkJobUpgrade can be rendered.
///
/// # Errors
/// The same as those of [`render`].
pub fn check(upgrade: &FlinkJobUpgrade) -> Result<(), SpecError> {
    render(&any_revision(upgrade), &upgrade.spec).map(drop)
}

/// Stands for whatever a jar will be fetched by.
pub(super) static ANY_FETCH: Fetch = Fetch { image: String::new(), endpoint: None, region: None, secret: None };

/// A revision of a job, whichever.
fn any_revision(upgrade: &FlinkJobUpgrade) -> Revision<'_> {
    Revision {
        namespace: upgrade.metadata.namespace.as_deref().unwrap_or_default(),
        name: upgrade.metadata.name.as_deref().unwrap_or_default(),
        owner_uid: upgrade.metadata.uid.as_deref().unwrap_or_default(),
        number: 1,
        upgrade_id: "1-00000000",
        color: "blue",
        helper_jar: &[],
        fetch: &ANY_FETCH,
        carrier: upgrade.spec.flink_cluster.as_ref().map(|_| &ANY_CARRIER),
    }
}

/// The directories that a spec's configuration gives its job for checkpoints and savepoints.
///
/// # Errors
/// If the configuration can't be used.
pub fn state_directories(upgrade: &FlinkJobUpgrade) -> Result<Vec<String>, SpecError> {
    let nothing = crate::api::FlinkConfiguration::new();
    let given = upgrade.spec.flink_configuration.as_ref().unwrap_or(&nothing);
    let built = config::build(&any_revision(upgrade), upgrade.spec.flink_version, given)?;
    Ok(built.checkpoint_directory.into_iter().chain(built.savepoint_directory).collect())
}

/// Renders a revision.
///
/// # Errors
/// If a value of the spec does not work; the message names field, value and cure.
pub fn render(revision: &Revision<'_>, given: &FlinkJobUpgradeSpec) -> Result<Rendered, SpecError> {
    let of_carrier = revision.carrier.map(|carrier| carrier.spec(given));
    let spec = of_carrier.as_ref().unwrap_or(given);
    let Some(image) = spec.image.as_deref() else {
        let cure = "give the image of a Flink cluster of its own, or name a session cluster in spec.flinkCluster";
        return Err(SpecError::invalid("spec.image", "", "is missing", cure));
    };
    let jar = Jar::of(&spec.job)?;
    if revision.carrier.is_some() {
        carrier::check(given, jar)?;
    }
    let nothing = crate::api::FlinkConfiguration::new();
    let flink_configuration = spec.flink_configuration.as_ref().unwrap_or(&nothing);
    let mut configuration = config::build(revision, spec.flink_version, flink_configuration)?;

    let job_manager = spec.job_manager.as_ref();
    let task_manager = spec.task_manager.as_ref();
    let of_job_manager = job_manager.and_then(|part| part.resource.as_ref());
    let of_task_manager = task_manager.and_then(|part| part.resource.as_ref());
    let job_manager_resources = resources(Process::JobManager, of_job_manager, &mut configuration)?;
    let task_manager_resources = resources(Process::TaskManager, of_task_manager, &mut configuration)?;

    let common =
        spec.pod_template.as_ref().map(|given| template::parse("spec.podTemplate", given, image)).transpose()?;
    let common = common.unwrap_or_default();
    let templates = [
        ("spec.jobManager.podTemplate", job_manager.and_then(|part| part.pod_template.as_ref())),
        ("spec.taskManager.podTemplate", task_manager.and_then(|part| part.pod_template.as_ref())),
    ];
    let [of_job_manager, of_task_manager] = templates.map(|(field, given)| match given {
        Some(given) => template::parse(field, given, image).map(|own| template::merge(common.clone(), own)),
        None => Ok(common.clone()),
    });

    // A carrier has no TaskManagers: its job's slots are the session cluster's.
    let replicas = if revision.carrier.is_some() { 0 } else { replicas(spec, configuration.slots)? };
    let slots = replicas.saturating_mul(configuration.slots);
    let pods = Pods {
        revision,
        spec,
        image,
        high_availability: configuration.high_availability,
        metrics_port: metrics::port(&configuration.entries),
    };
    let stateful_set = pods.stateful_set(of_job_manager?, job_manager_resources, jar);
    let deployment = pods.deployment(of_task_manager?, task_manager_resources, replicas);
    let of_cluster = |own: Option<String>, of_carrier: fn(&Carrier) -> &Option<String>| {
        own.or_else(|| revision.carrier.and_then(|carrier| of_carrier(carrier).clone()))
    };
    let flink_configuration = match revision.carrier {
        Some(_) => carrier::of_the_job(&configuration.entries),
        None => BTreeMap::new(),
    };
    let specs = [
        stateful_set.spec.as_ref().and_then(|set| set.template.spec.as_ref()),
        deployment.spec.as_ref().and_then(|deployment| deployment.template.spec.as_ref()),
    ];
    let account = Account::used_by(revision, spec.service_account.as_deref(), specs);
    let rendered = Rendered {
        render_version: RENDER_VERSION,
        namespace: revision.namespace.to_owned(),
        name: revision.name.to_owned(),
        owner_uid: revision.owner_uid.to_owned(),
        revision: revision.number,
        revision_name: spec.revision_name.clone(),
        upgrade_id: revision.upgrade_id.to_owned(),
        color: revision.color.to_owned(),
        revision_hash: revision_hash(given),
        submission: Submission {
            jar_id: naming::JOB_JAR.to_owned(),
            entry_class: spec.job.entry_class.clone(),
            args: spec.job.args.iter().flatten().map(|arg| revision.substitute(arg)).collect(),
            parallelism: spec.job.parallelism,
            flink_configuration,
        },
        slots,
        config_map: objects::config_map(revision, &configuration, spec.log_configuration.as_ref())?,
        helper_config_map: objects::helper_config_map(revision),
        service: objects::service(revision),
        stateful_set,
        deployment,
        account,
        savepoint_directory: of_cluster(configuration.savepoint_directory, |carrier| &carrier.savepoint_directory),
        checkpoint_directory: of_cluster(configuration.checkpoint_directory, |carrier| &carrier.checkpoint_directory),
        warm_up_directory: configuration.warm_up_directory,
        high_availability: configuration.high_availability,
        high_availability_directories: configuration.high_availability_directories,
    };
    // It must fit into its record, or it would be known only after the upgrade began.
    record::to_controller_revision(&rendered)?;
    Ok(rendered)
}

/// Processor and memory of a process' pod, in Kubernetes' notation.
fn resources(
    process: Process,
    given: Option<&ResourceSpec>,
    configuration: &mut Configuration,
) -> Result<objects::Resources, SpecError> {
    let memory = given.and_then(|given| given.memory.as_deref());
    let memory = memory::apply(process, memory, &mut configuration.entries)?.map(memory::quantity);
    let cpu = given.and_then(|given| given.cpu).map(|cpu| {
        if !cpu.is_finite() || cpu <= 0.0 {
            let field = format!("{}.resource.cpu", process.field());
            let cure = "give a number above 0, such as 0.5";
            return Err(SpecError::invalid(field, cpu.to_string(), "is not a number of processors", cure));
        }
        let milli = format!("{:.0}", (cpu * 1000.0).ceil());
        Ok(milli.strip_suffix("000").map_or_else(|| format!("{milli}m"), str::to_owned))
    });
    Ok(objects::Resources { cpu: cpu.transpose()?, memory })
}

/// Number of `TaskManagers`: as given, or as many as the job's parallelism needs.
fn replicas(spec: &FlinkJobUpgradeSpec, slots: i32) -> Result<i32, SpecError> {
    let parallelism = spec.job.parallelism;
    if parallelism < 1 {
        let cure = "give a number from 1";
        return Err(SpecError::invalid("spec.job.parallelism", parallelism.to_string(), "is no parallelism", cure));
    }
    let needed = parallelism.saturating_add(slots - 1) / slots;
    match spec.task_manager.as_ref().and_then(|part| part.replicas) {
        Some(given) if given < needed => {
            let problem = format!(
                "is too few: with {slots} slots each, {needed} TaskManagers are needed for parallelism {parallelism}"
            );
            let cure = "raise it, leave it out, or change taskmanager.numberOfTaskSlots";
            Err(SpecError::invalid("spec.taskManager.replicas", given.to_string(), problem, cure))
        }
        Some(given) => Ok(given),
        None => Ok(needed),
    }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
