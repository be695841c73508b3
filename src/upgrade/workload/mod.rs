//! stub
#![allow(missing_docs, clippy::all, clippy::pedantic)]
use crate::api::*;
use k8s_openapi::api::apps::v1::*;
use k8s_openapi::api::core::v1::*;
#[derive(Debug, Clone)]
pub struct Sub {
    pub entry_class: Option<String>,
    pub args: Vec<String>,
    pub parallelism: i32,
}
#[derive(Debug, Clone)]
pub struct Rendered {
    pub submission: Sub,
    pub slots: i32,
    pub warm_up_directory: Option<String>,
    pub savepoint_directory: Option<String>,
    pub revision_hash: String,
    pub config_map: ConfigMap,
    pub helper_config_map: ConfigMap,
    pub service: Service,
    pub stateful_set: StatefulSet,
    pub deployment: Deployment,
}
pub const OBJECTS: usize = 5;
pub const WARM_UP_CLASS: &str = "x";
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct E;
pub fn check(_: &FlinkJobUpgrade) -> Result<(), E> {
    Err(E)
}
pub fn revision_hash(_: &FlinkJobUpgradeSpec) -> String {
    String::new()
}
pub fn attempt_hash(_: &FlinkJobUpgradeSpec) -> String {
    String::new()
}
pub fn from_controller_revision(_: &ControllerRevision) -> Result<Rendered, E> {
    Err(E)
}
pub fn to_controller_revision(_: &FlinkJobUpgrade, _: i64) -> Result<ControllerRevision, E> {
    Err(E)
}
pub fn stable_service(_: &FlinkJobUpgrade, _: i64) -> Service {
    Service::default()
}
