use rstest::rstest;
use serde_json::json;

use super::judge;
use crate::api::condition::Reason;
use crate::flink::{CheckpointsConfig, JobId};

/// What Flink 1.20 and 2.3 answer.
fn config(interval: i64, enabled: bool, delete: bool, storage: &str) -> CheckpointsConfig {
    serde_json::from_value(json!({
        "mode": "exactly_once", "interval": interval, "timeout": 600_000, "min_pause": 0, "max_concurrent": 1,
        "externalization": {"enabled": enabled, "delete_on_cancellation": delete},
        "state_backend": "HashMapStateBackend", "checkpoint_storage": storage,
    }))
    .unwrap()
}

#[rstest]
#[case::kept(config(2000, true, false, "FileSystemCheckpointStorage"), true, Reason::CheckpointsKept)]
#[case::off(config(i64::MAX, true, false, "FileSystemCheckpointStorage"), false, Reason::CheckpointsOff)]
#[case::in_memory(config(2000, true, false, "JobManagerCheckpointStorage"), false, Reason::CheckpointsInMemory)]
#[case::not_retained(config(2000, false, true, "FileSystemCheckpointStorage"), false, Reason::CheckpointsThrownAway)]
#[case::deleted_with_a_cancel(
    config(2000, true, true, "FileSystemCheckpointStorage"),
    false,
    Reason::CheckpointsThrownAway
)]
fn what_becomes_of_checkpoints_is_said(#[case] config: CheckpointsConfig, #[case] kept: bool, #[case] reason: Reason) {
    let id = JobId::new("00000000000000000000000000000abc").unwrap();
    let (is, why, message) = judge(&config, &id);
    assert_eq!((is, why), (kept, reason));
    // By its id it is known whether the job was asked.
    assert!(message.contains(id.as_str()), "{message}");
}
