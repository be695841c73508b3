//! Flink's high availability in the simulated world: ConfigMaps from which a JobManager starts jobs by itself.

use std::collections::BTreeSet;

use serde_json::Value;

use super::world::{Job, NAME, World, ms, spec};
use crate::flink::JobState;
use crate::naming;
use crate::upgrade::observed::HighAvailability;
use crate::upgrade::scope::{self, Scope};

/// From the end of a job until Flink has stored its result.
const RESULT_STORED: i64 = 1000;

/// A job whose Flink recovers it.
pub fn with_high_availability(tag: &str) -> Value {
    let mut spec = spec(tag);
    spec["flinkConfiguration"]["high-availability.type"] = "kubernetes".into();
    spec["flinkConfiguration"]["high-availability.storageDir"] = "s3://flink/ha".into();
    spec
}

fn leader_map(revision: i64) -> String {
    naming::leader_config_map(&naming::revision_name(NAME, revision))
}

pub fn job_map(job: &Job) -> String {
    naming::job_config_map(&naming::revision_name(NAME, job.revision), job.id.as_str())
}

impl World {
    pub fn has_high_availability(&self, revision: i64) -> bool {
        let record = self.revisions.get(&revision).and_then(|r| r.record.as_ref());
        record.is_some_and(|record| record.rendered.high_availability)
    }

    /// What the ConfigMaps of a revision that runs are by now.
    pub fn elect(&mut self) {
        let now = self.now;
        let runs = |n: &i64| self.has_high_availability(*n) && self.instance(*n).is_some();
        let numbers: Vec<i64> = self.revisions.keys().copied().filter(runs).collect();
        for n in numbers {
            let Some(revision) = self.revisions.get_mut(&n) else { continue };
            revision.config_maps.insert(leader_map(n));
            for job in self.jobs.iter_mut().filter(|j| j.revision == n) {
                let map = job_map(job);
                if job.ended.is_some_and(|t| now >= t + ms(RESULT_STORED)) {
                    revision.config_maps.remove(&map);
                }
                // Whoever made the pods: what is told of is started.
                if job.forgotten && revision.config_maps.contains(&map) {
                    job.forgotten = false;
                    job.task_manager = revision.task_manager;
                    job.recover(now);
                }
            }
        }
    }

    /// Records that a job was submitted.
    pub fn note_submit(&mut self, revision: i64, map: String) {
        if self.has_high_availability(revision) {
            self.revisions.entry(revision).or_default().config_maps.insert(map);
        }
    }

    /// Whether a JobManager would start a job again.
    pub fn returns(&self, job: &Job) -> bool {
        self.revisions.get(&job.revision).is_some_and(|r| r.config_maps.contains(&job_map(job)))
    }

    /// The ConfigMaps of a revision go under its living JobManager: its process ends, and its jobs with it.
    pub fn delete_config_maps(&mut self, revision: i64) {
        if let Some(r) = self.revisions.get_mut(&revision) {
            r.config_maps.clear();
        }
        self.restart_job_manager(revision);
    }

    /// What a pass reads of it.
    pub fn high_availability(&self, revision: i64) -> Option<HighAvailability> {
        let upgrade = self.upgrade.as_ref()?;
        let found = self.revisions.get(&revision)?;
        let submitted = |id: &str| scope::submissions(upgrade).any(|s| s.revision == revision && s.job_id == id);
        let known = self.has_high_availability(revision)
            || scope::submissions(upgrade).any(|s| s.revision == revision && s.high_availability);
        if !known {
            return None;
        }
        if scope::of(upgrade) == Scope::Whole {
            let leader = self.instance(revision).map(|_| {
                let of = if found.image.ends_with(":standby") {
                    "others-1".to_owned()
                } else {
                    naming::revision_name(NAME, revision)
                };
                format!("pekko.tcp://flink@{of}:6123/user/rpc/dispatcher_0")
            });
            return Some(HighAvailability { config_maps: found.config_maps.iter().cloned().collect(), leader });
        }
        let own: BTreeSet<String> = self.jobs.iter().filter(|j| submitted(j.id.as_str())).map(job_map).collect();
        Some(HighAvailability { config_maps: found.config_maps.intersection(&own).cloned().collect(), leader: None })
    }
}

impl Job {
    /// Another JobManager starts it from its newest checkpoint.
    pub fn recover(&mut self, now: chrono::DateTime<chrono::Utc>) {
        if self.checkpoints > 0 {
            self.recovered = Some(format!("s3://flink/ck/{}/chk-{}", self.id, self.checkpoints));
        }
        (self.state, self.submitted, self.ended, self.checkpoint_began) = (JobState::Initializing, now, None, None);
    }
}
