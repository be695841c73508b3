//! What a JobManager answers to a call.

use serde_json::{Value, json};

use super::cause::Cause;
use super::http_answer::Answer;
use super::job::{Job, JobState, OperationKey, Restored};
use super::preflight;
use super::process::Phase;
use super::recorded::{self, JOB, TRIGGER};
use super::requests::{Call, PlanBody, RunBody, SavepointBody};
use super::settings::{JobScript, Main, Version};
use super::snapshotting::Ask;
use super::state::{Cached, Operation, State};
use super::views;

impl State {
    /// The answer; `None`: nobody listens. `snapshot` is the checkpoint id of the snapshot that a run starts from, where
    /// there is one.
    pub fn answer(&mut self, call: Result<Call, Answer>, snapshot: Option<i64>) -> Option<Answer> {
        match self.phase {
            Phase::Dead => return None,
            Phase::Elects => {
                let text = "Service temporarily unavailable due to an ongoing leader election. Please refresh.";
                return Some(Answer::new(503, json!({"errors": [text]})));
            }
            Phase::Leads => {}
        }
        Some(match call {
            Ok(call) => self.lead(call, snapshot),
            Err(refusal) => refusal,
        })
    }

    fn lead(&mut self, call: Call, snapshot: Option<i64>) -> Answer {
        let version = self.settings.version;
        match call {
            Call::Overview => Answer::ok(views::overview(self)),
            Call::Config => Answer::ok(views::config(&self.settings)),
            Call::JobManagerConfig => Answer::ok(views::job_manager_config(&self.settings)),
            Call::Jobs => {
                let jobs = self.jobs.iter().map(|job| json!({"id": job.id, "status": job.state.word()}));
                Answer::ok(json!({"jobs": jobs.collect::<Value>()}))
            }
            Call::JobsOverview => {
                let now = self.timestamp();
                let jobs = self.jobs.iter().map(|job| views::job_overview(job, version, now));
                Answer::ok(json!({"jobs": jobs.collect::<Value>()}))
            }
            Call::Status(id) => match self.job(&id) {
                Some(job) => Answer::ok(json!({"status": job.state.word()})),
                None => Answer::server_error(&format!(
                    "org.apache.flink.runtime.messages.FlinkJobNotFoundException: Could not find Flink job ({id})"
                )),
            },
            Call::Job(id) => {
                let now = self.timestamp();
                self.about(&id, |job| views::job(job, version, now))
            }
            Call::Exceptions { job, most } => self.about(&job, |job| views::exceptions(job, version, most)),
            Call::Checkpoints(id) => self.checkpoints(&id),
            Call::CheckpointsConfig(id) => {
                let on_disk = self.settings.checkpoint_directory.is_some();
                self.about(&id, |_| views::checkpoints_config(version, on_disk))
            }
            Call::Cancel(id) => match self.cancel(&id) {
                Some(Ok(())) => Answer::new(202, json!({})),
                Some(Err(state)) => {
                    let state = format!("({})", state.word());
                    recorded::CANCEL_FINISHED.of(version, &[("(FINISHED)", &state)]).into()
                }
                None => recorded::CANCEL_UNKNOWN.of(version, &[(JOB, &id)]).into(),
            },
            Call::Savepoint { job, stop, body } => self.savepoint(job, stop, body),
            Call::SavepointResult { job, trigger } => self.savepoint_result(&job, &trigger),
            Call::Checkpoint { job, trigger } => {
                let trigger = trigger.unwrap_or_else(|| self.draw_id());
                self.ask_checkpoint(OperationKey { checkpoint: true, job, trigger: trigger.clone() });
                Answer::new(202, json!({"request-id": trigger}))
            }
            Call::CheckpointResult { job, trigger } => self.checkpoint_result(&job, &trigger),
            Call::Run { jar, body } => self.run_jar(&jar, body, snapshot),
            Call::Plan { jar, body } => self.plan(&jar, &body),
            Call::Jars => self.jars(),
            Call::UploadJar { name, content } => self.upload_jar(&name, &content),
            Call::DeleteJar(id) => self.delete_jar(&id),
            Call::Dispose(path) => self.dispose(&path, snapshot.is_some()),
            Call::DisposalResult(id) => self.disposal_result(&id),
        }
    }

    /// From the cache of a job's graph.
    fn about(&mut self, id: &str, view: impl FnOnce(&Job) -> Value) -> Answer {
        let (now, kept) = (self.now, self.settings.refresh_interval);
        self.graphs.retain(|_, cached| now.duration_since(cached.since) < kept);
        if let Some(cached) = self.graphs.get(id) {
            return Answer::ok(view(&cached.value));
        }
        let Some(job) = self.job(id).cloned() else {
            return recorded::JOB_UNKNOWN.of(self.settings.version, &[(JOB, id)]).into();
        };
        let answer = Answer::ok(view(&job));
        self.graphs.insert(id.to_owned(), Cached { since: now, value: job });
        answer
    }

    fn checkpoints(&mut self, id: &str) -> Answer {
        let (now, kept) = (self.now, self.settings.refresh_interval);
        let version = self.settings.version;
        self.checkpoints.retain(|_, cached| now.duration_since(cached.since) < kept);
        let Some(job) = self.job(id) else { return recorded::JOB_UNKNOWN.of(version, &[(JOB, id)]).into() };
        if job.state == JobState::Initializing {
            return Answer::server_error(&Cause::Initializing.text(version, id));
        }
        let tasks = job.script().tasks();
        let snapshots = job.snapshots.clone();
        let cached = self.checkpoints.entry(id.to_owned()).or_insert(Cached { since: now, value: snapshots });
        Answer::ok(views::checkpoints(&cached.value, version, id, tasks))
    }

    fn savepoint(&mut self, job: String, stop: bool, body: SavepointBody) -> Answer {
        let Some(directory) = body.directory.or_else(|| self.settings.savepoint_directory.clone()) else {
            let refusal = if stop { recorded::STOP_NO_DIRECTORY } else { recorded::SAVEPOINT_NO_DIRECTORY };
            return refusal.of(self.settings.version, &[]).into();
        };
        let trigger = body.trigger.unwrap_or_else(|| self.draw_id());
        let key = OperationKey { checkpoint: false, job, trigger: trigger.clone() };
        self.ask(Ask { key, directory, format: body.format, stop, cancel: body.cancel });
        Answer::new(202, json!({"request-id": trigger}))
    }

    fn savepoint_result(&mut self, job: &str, trigger: &str) -> Answer {
        let version = self.settings.version;
        let key = OperationKey { checkpoint: false, job: job.to_owned(), trigger: trigger.to_owned() };
        Answer::ok(match self.result(&key) {
            None => {
                let ids = [(JOB, job), (TRIGGER, trigger)];
                return recorded::SAVEPOINT_UNKNOWN_TRIGGER.of(version, &ids).into();
            }
            Some(Operation::Failed(cause, _)) => completed(&json!({"failure-cause": cause.failure(version, job)})),
            Some(Operation::Savepoint(location, _)) => completed(&json!({"location": location})),
            Some(Operation::InProgress | Operation::Checkpoint(..)) => in_progress(),
        })
    }

    fn checkpoint_result(&mut self, job: &str, trigger: &str) -> Answer {
        let version = self.settings.version;
        let key = OperationKey { checkpoint: true, job: job.to_owned(), trigger: trigger.to_owned() };
        Answer::ok(match self.result(&key) {
            None => {
                let what = format!("There is no checkpoint operation with triggerId={trigger} for job {job}.");
                return Answer::refused(404, &what);
            }
            Some(Operation::Failed(cause, _)) => completed(&json!({"failureCause": cause.failure(version, job)})),
            Some(Operation::Checkpoint(id, _)) => completed(&json!({"checkpointId": id})),
            Some(Operation::InProgress | Operation::Savepoint(..)) => in_progress(),
        })
    }

    fn plan(&self, jar: &str, body: &PlanBody) -> Answer {
        let Some(script) = self.job_in(jar) else {
            return recorded::RUN_UNKNOWN_JAR.of(self.settings.version, &[("nope.jar", jar)]).into();
        };
        let name = if body.entry_class.as_deref() == Some(preflight::CLASS) {
            preflight::answer(&self.settings.jars, &body.args)
        } else {
            script.name
        };
        Answer::ok(
            json!({"plan": {"jid": "00000000000000000000000000000000", "name": name, "type": "STREAMING", "nodes": []}}),
        )
    }

    fn run_jar(&mut self, jar: &str, body: RunBody, snapshot: Option<i64>) -> Answer {
        let version = self.settings.version;
        let Some(mut script) = self.job_in(jar) else {
            return recorded::RUN_UNKNOWN_JAR.of(version, &[("nope.jar", jar)]).into();
        };
        if let Some(parallelism) = body.parallelism {
            // The first is the source.
            script.vertices.iter_mut().skip(1).for_each(|vertex| vertex.parallelism = parallelism);
        }
        script.checkpoint_directory = body.checkpoint_directory;
        if let Main::Throws(message) | Main::Hangs(message) = &script.main {
            return recorded::RUN_MAIN_THROWS.of(version, &[("boom in user main()", message)]).into();
        }
        let id = body.job.unwrap_or_else(|| self.draw_id());
        if self.is_duplicate(&id) {
            return recorded::RUN_DUPLICATE.of(version, &[("stateful-v1", &script.name)]).into();
        }
        let at = self.timestamp();
        let from = match (body.savepoint, snapshot) {
            (None, _) => None,
            (Some(location), Some(snapshot)) => Some(Restored {
                id: snapshot,
                at,
                is_savepoint: !body.claims,
                location: super::files::normal(&location),
            }),
            (Some(location), None) => return self.no_such_savepoint(&id, script, &location),
        };
        if let (Some(from), Main::LacksOperator, false) = (&from, &script.main, body.allows_non_restored) {
            return self.no_such_operator(&id, script.clone(), &from.location);
        }
        self.submit(&id, script, from);
        Answer::ok(match version {
            Version::V1_20 => json!({"jobid": id}),
            Version::V2_3 => json!({"jobid": id, "applicationId": id}),
        })
    }

    /// 2.3 remembers every id; 1.20 forgets one whose job has ended, with high availability, once that is cleaned up.
    fn is_duplicate(&self, id: &str) -> bool {
        let forgets = self.settings.version == Version::V1_20 && self.settings.high_availability;
        let ended = self.job(id).is_none_or(|job| job.state.is_terminal());
        self.durable().contains_key(id) || (self.submitted.contains(id) && !(forgets && ended))
    }

    fn no_such_operator(&mut self, id: &str, script: JobScript, location: &str) -> Answer {
        let operator = script.vertices.last().map(|vertex| vertex.id.clone()).unwrap_or_default();
        let replace = [
            ("file:/srv/fk/sp-1.20.5/savepoint-c9ba30-b0f41ba97068", location),
            ("file:/srv/fk/sp-2.3.0/savepoint-4c6f77-d89a0b3d0b5c", location),
            ("8eeed16b661251f13cfc6a3c5e75c420", &operator),
        ];
        let answer = recorded::RUN_MISSING_OPERATOR.of(self.settings.version, &replace).into();
        let why = format!(
            "java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint {location}. Cannot map \
             checkpoint/savepoint state for operator {operator} to the new program, because the operator is not available \
             in the new program."
        );
        self.submit_failed(id, script, &why);
        answer
    }

    fn no_such_savepoint(&mut self, id: &str, script: JobScript, location: &str) -> Answer {
        let replace = [("file:///srv/fk/nope", location), ("stateful-v1", &script.name)];
        let answer = recorded::RUN_NO_SUCH_SAVEPOINT.of(self.settings.version, &replace).into();
        let why =
            format!("java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory '{location}'.");
        self.submit_failed(id, script, &why);
        answer
    }
}

pub(super) fn in_progress() -> Value {
    json!({"status": {"id": "IN_PROGRESS"}, "operation": null})
}

pub(super) fn completed(operation: &Value) -> Value {
    json!({"status": {"id": "COMPLETED"}, "operation": operation})
}
