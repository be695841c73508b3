use rstest::rstest;

use super::*;
use crate::api::UpgradeStep;
use crate::flink::{CheckpointsConfig, Externalization, JobState};
use crate::upgrade::fence;
use crate::upgrade::jobmanager::Process;
use crate::upgrade::observed::Up;
use crate::upgrade::tests::upgrading_at;

const JOB: &str = "000000000000000000000000000000aa";

fn submission() -> Submission {
    Submission {
        job_id: JOB.to_owned(),
        revision: 1,
        job_manager_instance: Some("pod/0".to_owned()),
        ..Submission::default()
    }
}

/// The session cluster's JobManager: its process, and in which state it has the job.
fn seen(instance: Option<&str>, state: Option<JobState>) -> (Observed, UpgradeProgress) {
    let mut o = upgrading_at(UpgradeStep::Starting);
    o.upgrade.status.as_mut().unwrap().upgrade.as_mut().unwrap().step = UpgradeStep::Fencing;
    let process = |instance: &str| Process {
        instance: instance.to_owned(),
        url: "http://10.0.0.1:8081".to_owned(),
        authorization: None,
        tls: None,
    };
    let job_manager = match instance {
        Some(instance) => SessionJobManager::Here(process(instance)),
        None => SessionJobManager::NotNow("no pod is behind Service flink now".to_owned()),
    };
    o.session = Some(Session { job_manager, ..Session::default() });
    let revision = o.revisions.entry(1).or_default();
    // It has neither objects nor pods.
    *revision = crate::upgrade::observed::Revision::default();
    if let Some(instance) = instance {
        let jobs = state.map(|state| (JobId::new(JOB).unwrap(), state)).into_iter().collect();
        revision.cluster = Cluster::Up(Box::new(Up { instance: instance.to_owned(), jobs, ..Up::default() }));
    }
    let upgrade = o.upgrade.status.as_ref().unwrap().upgrade.clone().unwrap();
    (o, upgrade)
}

fn word(fence: Fence) -> &'static str {
    match fence {
        Fence::Closed => "closed",
        Fence::Act(Effect::Cancel(..), _) => "cancel",
        Fence::Act(..) => "other",
        Fence::Leaving(_) => "leaving",
        Fence::Stuck(message) => {
            assert!(message.contains(JOB), "{message}");
            "stuck"
        }
    }
}

#[rstest]
#[case::ended(Some("pod/0"), Some(JobState::Finished), "closed")]
#[case::runs(Some("pod/0"), Some(JobState::Running), "cancel")]
#[case::is_ending(Some("pod/0"), Some(JobState::Cancelling), "leaving")]
#[case::another_process(Some("pod/1"), None, "stuck")]
#[case::another_pod(Some("other/0"), None, "stuck")]
#[case::silent(None, None, "leaving")]
fn only_its_own_process_can_say_that_a_job_has_ended(
    #[case] instance: Option<&str>,
    #[case] state: Option<JobState>,
    #[case] expected: &str,
) {
    let (mut o, upgrade) = seen(instance, state);
    assert_eq!(word(fence::for_good(&o, &upgrade, &submission())), expected);
    assert_eq!(word(fence::in_place(&o, &upgrade, &submission())), expected);
    let annotations = o.upgrade.metadata.annotations.get_or_insert_default();
    annotations.insert(FENCED.to_owned(), JOB.to_owned());
    assert_eq!(fence::for_good(&o, &upgrade, &submission()), Fence::Closed, "somebody has made sure");
}

#[rstest]
#[case::kept(Some(false), "cancel")]
#[case::thrown_away(Some(true), "stuck")]
#[case::not_known_yet(None, "leaving")]
fn a_cancel_must_leave_the_checkpoints(#[case] deletes: Option<bool>, #[case] expected: &str) {
    let (mut o, upgrade) = seen(Some("pod/0"), Some(JobState::Restarting));
    o.checkpoints_config = deletes.map(|delete_on_cancellation| CheckpointsConfig {
        interval: 1000,
        externalization: Externalization { enabled: true, delete_on_cancellation },
        checkpoint_storage: "FileSystemCheckpointStorage".to_owned(),
    });
    assert_eq!(word(fence::keeping_checkpoints(&o, &upgrade, &submission())), expected);
}

#[test]
fn a_lost_jar_is_uploaded_by_a_new_pod() {
    let (mut o, _) = seen(Some("pod/0"), None);
    assert_eq!(upload(&o, 1), Some(Effect::CreateObjects(1)));
    let pod =
        Pod { name: "orders-1-jobmanager-0".to_owned(), uid: "p".to_owned(), job_manager: true, ..Pod::default() };
    o.revisions.get_mut(&1).unwrap().pods = vec![pod.clone()];
    assert_eq!(upload(&o, 1), None, "it is about to");
    let done = Pod { jar_sha256: Some("0a".repeat(32)), ..pod };
    o.revisions.get_mut(&1).unwrap().pods = vec![done.clone()];
    assert_eq!(upload(&o, 1), None, "which jars are there is not known");
    o.session.as_mut().unwrap().jars = Some(Vec::new());
    assert_eq!(upload(&o, 1), Some(Effect::DeletePods(1, vec![(done.name, done.uid)])));
}

#[test]
fn the_jar_that_ran_is_the_one_that_is_run_again() {
    let (mut o, _) = seen(Some("pod/0"), None);
    let jar_of = |id: &str, sha256: &str| SessionJar { id: id.to_owned(), revision: 1, sha256: sha256.to_owned() };
    o.session.as_mut().unwrap().jars = Some(vec![jar_of("first", "0a"), jar_of("second", "0b")]);
    let id = |o: &Observed| jar(o, 1).map(|jar| jar.id.clone());
    let active = o.upgrade.status.as_mut().unwrap().active.as_mut().unwrap();
    active.revision = 1;
    assert_eq!(id(&o).as_deref(), Some("second"));
    o.upgrade.status.as_mut().unwrap().active.as_mut().unwrap().submission.jar_sha256 = Some("0a".to_owned());
    assert_eq!(id(&o).as_deref(), Some("first"));
    assert_eq!(surplus_jars(&o, |n| n == 1), None);
    assert_eq!(surplus_jars(&o, |_| false), Some(Effect::DeleteJars(vec!["first".to_owned(), "second".to_owned()])));
}
