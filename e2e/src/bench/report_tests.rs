use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::DateTime;

use super::super::samples::{Machine, Process};
use super::*;

fn parts(records_ms: i64) -> Parts {
    Parts { records_ms, tasks_ms: 480, stop_ms: 120, verify_ms: 20, submit_ms: 300, running_ms: 160 }
}

fn samples(by_operator: &[i64], by_hand: &[i64]) -> Samples {
    let upgrade = |ms: &i64| OperatorUpgrade { parts: parts(*ms), ready_ms: 14_250, status_seconds: 0.61 };
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
        by_operator: by_operator.iter().map(upgrade).collect(),
        by_hand: by_hand.iter().map(|ms| parts(*ms)).collect(),
        savepoints_ms: vec![400, 700],
        process: Some(Process {
            rss_idle_kib: 7 * 1024,
            rss_one_job_kib: 8 * 1024,
            rss_end_kib: 9 * 1024 + 512,
            rss_peak_kib: 11 * 1024,
            cpu_percent: 0.1,
            cpu_seconds: 30.0,
        }),
    }
}

fn line<'a>(table: &'a str, name: &str) -> &'a str {
    table.lines().find(|line| line.contains(name)).unwrap()
}

#[test]
fn each_figure_stands_beside_that_of_the_others() {
    let table = table(&samples(&[600, 640, 700], &[500, 520])).unwrap();
    assert_eq!(
        line(&table, "Downtime by records"),
        "| **Downtime by records**, s | ≤ 0.7 s, ≤ 1.3 × by hand: met | 0.60 / **0.64** / 0.70 | \
         0.50 / **0.51** / 0.52 | 1.25 | 12.25 / 13.69 / 14.43 |"
    );
    assert_eq!(
        line(&table, "verify"),
        "| – verify: the job's end to the submit, s |  | 0.02 / **0.02** / 0.02 | 0.02 / **0.02** / 0.02 | 1.00 |  |"
    );
    assert_eq!(
        line(&table, "FlinkSavepoint"),
        "| **FlinkSavepoint: apply to Completed**, s | ≤ 0.5 s: **missed** | 0.40 / **0.55** / 0.70 |  |  | \
         15.20 / 15.24 / 15.33 |"
    );
    assert_eq!(
        line(&table, "after all upgrades"),
        "| – **after all upgrades and savepoints**, MiB | ≤ 15 MiB: met | 9.50 |  |  | 459 |"
    );
}

#[test]
fn a_goal_that_is_missed_is_called_so() {
    let of = |by_operator: &[i64], by_hand: &[i64]| table(&samples(by_operator, by_hand)).unwrap();
    assert!(line(&of(&[710], &[700]), "Downtime by records").contains("**missed**"));
    assert!(line(&of(&[670], &[510]), "Downtime by records").contains("**missed**"));
    assert!(line(&of(&[670], &[520]), "Downtime by records").contains("by hand: met"));
}

#[test]
fn nothing_is_shown_of_no_samples() {
    assert!(table(&samples(&[], &[500])).is_err());
    assert!(table(&samples(&[600], &[])).is_err());
}

#[test]
fn only_what_is_between_the_marks_is_replaced() {
    let (begin, end) = UPGRADE.marks();
    let newest = (PathBuf::from("docs/bench/upgrade-2026-01-02.json"), samples(&[600], &[500]));
    let readme = format!("before\n{begin}\nold\n{end}\nafter\n");
    let text = UPGRADE.inserted(&readme, Some(&newest)).unwrap();
    assert!(text.starts_with(&format!("before\n{begin}\n| ")) && text.ends_with(&format!("{end}\nafter\n")), "{text}");
    assert!(text.contains("(docs/bench/upgrade-2026-01-02.json)") && !text.contains("old"), "{text}");
    assert_eq!(UPGRADE.inserted(&text, Some(&newest)).unwrap(), text, "twice is the same");
    assert_eq!(UPGRADE.inserted(&text, None).unwrap(), format!("before\n{begin}\nnot measured yet\n{end}\nafter\n"));
    assert!(UPGRADE.inserted("no marks", None).unwrap_err().to_string().contains(&begin));
}

#[test]
fn samples_are_read_as_they_were_written() {
    let folder = std::env::temp_dir().join(format!("bench-report-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    assert_eq!(UPGRADE.newest(&folder).unwrap(), None);
    for (name, kept) in [("upgrade-2026-01-02.json", &[600][..]), ("upgrade-2025-12-31.json", &[1]), ("z.json", &[2])] {
        fs::write(folder.join(name), serde_json::to_string(&samples(kept, &[500])).unwrap()).unwrap();
    }
    let (path, read) = UPGRADE.newest(&folder).unwrap().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(path.ends_with("upgrade-2026-01-02.json"));
    assert_eq!(read, samples(&[600], &[500]));
}

/// README.md shows what the newest measurements give. After a new run: `make bench-upgrade`, which writes it.
#[test]
fn the_readme_tells_the_newest_measurements() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let readme = fs::read_to_string(top.join("README.md")).unwrap();
    let newest = UPGRADE.newest(&top.join("docs/bench")).unwrap();
    assert_eq!(
        UPGRADE.inserted(&readme, newest.as_ref()).unwrap(),
        readme,
        "write it by: e2e/tools/bench upgrade table"
    );
}
