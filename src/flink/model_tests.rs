use std::collections::BTreeMap;

use rstest::rstest;

use super::{Checkpoints, Job, JobId, JobOverview, JobState, TaskCounts, TriggerId, config};

#[test]
fn later_versions_do_not_break_it() {
    let text = r#"{"jid":"00000000000000000000000000000001","name":"x","state":"HIBERNATING","new":{"a":[1]},
        "start-time":5,"end-time":-1,"tasks":{"running":1,"dreaming":2,"total":3}}"#;
    let job: JobOverview = serde_json::from_str(text).unwrap();
    assert_eq!((job.state, job.start_time, job.end_time), (JobState::Unknown, Some(5), None));
    assert!(!job.tasks.all_running(), "two tasks are in a state that is not known");
    assert!(!job.state.is_terminal());

    let bare = r#"{"jid":"00000000000000000000000000000001","state":"FAILED","vertices":[]}"#;
    let job: Job = serde_json::from_str(bare).unwrap();
    assert!(job.state.is_terminal() && !job.all_tasks_running());

    let text = r#"{"summary":{"state_size":{"p50":"NaN"}},"latest":{"completed":{"id":7,"status":"PAUSED"}}}"#;
    let checkpoints: Checkpoints = serde_json::from_str(text).unwrap();
    assert_eq!(checkpoints.latest.completed.unwrap().id, 7);
    assert!(serde_json::from_str::<Checkpoints>(r#"{"latest":{"restored":null},"history":[]}"#).is_ok());
}

#[rstest]
#[case(JobState::Finished, true)]
#[case(JobState::Canceled, true)]
#[case(JobState::Failed, true)]
#[case(JobState::Suspended, false)]
#[case(JobState::Failing, false)]
#[case(JobState::Cancelling, false)]
#[case(JobState::Unknown, false)]
fn knows_ends(#[case] state: JobState, #[case] terminal: bool) {
    assert_eq!(state.is_terminal(), terminal);
}

#[rstest]
#[case::none(TaskCounts::default(), false)]
#[case::all(TaskCounts { running: 2, total: Some(2), ..TaskCounts::default() }, true)]
#[case::bounded_part(TaskCounts { running: 1, finished: 1, ..TaskCounts::default() }, true)]
#[case::ended(TaskCounts { finished: 2, ..TaskCounts::default() }, false)]
#[case::waiting(TaskCounts { running: 1, scheduled: 1, ..TaskCounts::default() }, false)]
#[case::restoring(TaskCounts { running: 1, initializing: 1, ..TaskCounts::default() }, false)]
#[case::not_counted(TaskCounts { running: 1, total: Some(2), ..TaskCounts::default() }, false)]
fn knows_when_all_tasks_run(#[case] tasks: TaskCounts, #[case] all: bool) {
    assert_eq!(tasks.all_running(), all);
}

#[test]
fn a_vertex_may_have_ended() {
    let vertex = |tasks: &str| format!(r#"{{"id":"v","tasks":{{{tasks}}}}}"#);
    let job = |vertices: &[String]| -> Job {
        let id = "0".repeat(32);
        let text = format!(r#"{{"jid":"{id}","state":"RUNNING","vertices":[{}]}}"#, vertices.join(","));
        serde_json::from_str(&text).unwrap()
    };
    let (runs, ended, waits) = (vertex(r#""RUNNING":2"#), vertex(r#""FINISHED":2"#), vertex(r#""SCHEDULED":1"#));
    assert!(job(&[runs.clone(), ended.clone()]).all_tasks_running());
    assert!(!job(&[runs, waits]).all_tasks_running());
    assert!(!job(&[ended]).all_tasks_running());
}

#[test]
fn ids_are_checked() {
    assert_eq!(JobId::new("ABCDEF00000000000000000000000001").unwrap().as_str(), "abcdef00000000000000000000000001");
    let error = TriggerId::new("../../jobs").unwrap_err();
    assert_eq!(error.to_string(), "trigger id \"../../jobs\" is not 32 hexadecimal digits");
    for bad in ["", "0", &"g".repeat(32), &"0".repeat(33), &"é".repeat(16)] {
        assert!(JobId::new(bad).is_err(), "{bad}");
        assert!(serde_json::from_value::<JobId>(bad.into()).is_err(), "{bad}");
    }
    assert_eq!(serde_json::to_value(JobId::new("0".repeat(32)).unwrap()).unwrap(), "0".repeat(32));
}

#[test]
fn the_newer_key_wins() {
    let set = |keys: &[(&str, &str)]| -> BTreeMap<String, String> {
        keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    let old = set(&[("state.savepoints.dir", "s3://old")]);
    assert_eq!(config::SAVEPOINT_DIRECTORY.get(&old), Some("s3://old"));
    assert_eq!(config::SAVEPOINT_DIRECTORY.used_name(&old), Some("state.savepoints.dir"));
    let both = set(&[("state.savepoints.dir", "s3://old"), ("execution.checkpointing.savepoint-dir", "s3://new")]);
    assert_eq!(config::SAVEPOINT_DIRECTORY.get(&both), Some("s3://new"));
    assert_eq!(config::CHECKPOINT_DIRECTORY.get(&both), None);
}
