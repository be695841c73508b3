use std::{fs, path::Path};

use super::*;

fn recovery(seconds: i64) -> Recovery {
    Recovery { old_tasks_ms: 1500, tasks_ms: seconds * 1000, records_ms: seconds * 1000 + 40, repeated: 310 }
}

fn samples(by_operator: &[i64], by_flink: &[i64]) -> Samples {
    let operator = |seconds: &i64| OperatorRecovery {
        recovery: recovery(*seconds),
        noticed_ms: 900,
        fenced_ms: 4100,
        submit_ms: 1000,
        running_ms: 5000,
    };
    Samples {
        measured_at: DateTime::UNIX_EPOCH,
        commit: "1a2b3c4".into(),
        machine: Machine {
            cores: 2,
            memory_mib: 24_000,
            kernel: "6.1".into(),
            kubernetes: "v1.35.4".into(),
            flink: "1.20.0".into(),
        },
        job: "counts".into(),
        by_operator: by_operator.iter().map(operator).collect(),
        by_flink: by_flink.iter().map(|seconds| recovery(*seconds)).collect(),
    }
}

fn line<'a>(table: &'a str, name: &str) -> &'a str {
    table.lines().find(|line| line.contains(name)).unwrap()
}

#[test]
fn each_figure_stands_beside_that_of_flink() {
    let table = table(&samples(&[10, 12, 11], &[18, 22])).unwrap();
    assert_eq!(
        line(&table, "Until all tasks run again"),
        "| **Until all tasks run again**, s | ≤ 15 s: met | 10.00 / **11.00** / 12.00 | 18.00 / **20.00** / 22.00 |"
    );
    assert_eq!(line(&table, "fence"), "| – fence: until the decision to submit, s |  | 4.10 / **4.10** / 4.10 |  |");
    assert_eq!(line(&table, "again |"), "| Records processed again |  | 310 / **310** / 310 | 310 / **310** / 310 |");
}

#[test]
fn a_goal_that_is_missed_is_called_so() {
    let of = |seconds: i64| table(&samples(&[seconds], &[20])).unwrap();
    assert!(line(&of(16), "all tasks run again").contains("**missed**"));
    assert!(line(&of(15), "first record").contains("**missed**"), "a record comes after its task");
    assert!(line(&of(15), "all tasks run again").contains("15 s: met"));
}

#[test]
fn nothing_is_shown_of_no_samples() {
    assert!(table(&samples(&[], &[20])).is_err());
    assert!(table(&samples(&[10], &[])).is_err());
}

/// The page shows what the newest measurements give. After a new run: `make bench-recovery`, which writes it.
#[test]
fn the_page_tells_the_newest_measurements() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = fs::read_to_string(top.join(RECOVERY.page)).unwrap();
    let newest = RECOVERY.newest(&top.join("docs/bench")).unwrap();
    let written = RECOVERY.inserted(&page, newest.as_ref()).unwrap();
    assert_eq!(written, page, "write it by: e2e/tools/bench recovery table");
}
