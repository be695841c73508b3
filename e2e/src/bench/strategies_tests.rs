//! The table of measurements, from samples.

use std::path::Path;

use flink_savepoint_operator::api::{FormatType, UpgradeStrategy};
use serde_json::json;

use super::*;
use crate::job::Version;

fn samples() -> Samples {
    let of = |records_ms| Upgrade { records_ms, whole_ms: 9000 };
    let setup = |strategy| Setup {
        version: Version::V2_3,
        state: State::LargeRocksDb,
        format: FormatType::Canonical,
        strategy,
    };
    let measured = |strategy, operator: &[i64], hand: &[i64]| Measured {
        setup: setup(strategy),
        by_operator: operator.iter().copied().map(of).collect(),
        by_hand: hand.iter().copied().map(of).collect(),
    };
    let machine = json!({"cores": 2, "memoryMib": 24576, "kernel": "6", "kubernetes": "v1.35.4", "flink": "1.20.0"});
    Samples {
        measured_at: DateTime::UNIX_EPOCH,
        commit: "abc".to_owned(),
        machine: serde_json::from_value(machine).unwrap(),
        setups: vec![
            measured(UpgradeStrategy::Prewarm, &[600, 900, 700], &[500, 400, 600]),
            measured(UpgradeStrategy::BlueGreen, &[-3000], &[-200]),
        ],
    }
}

#[test]
fn a_row_for_each_setup() {
    let table = table(&samples()).unwrap();
    let rows: Vec<&str> = table.lines().skip(2).collect();
    assert_eq!(
        rows,
        [
            "| 2.3 | 1 GiB, RocksDB | CANONICAL | `Prewarm` | 3 | 0.60 / **0.70** / 0.90 | 0.40 / **0.50** / 0.60 | 1.40 | \
             9.00 / **9.00** / 9.00 | 9.00 / **9.00** / 9.00 |",
            "| 2.3 | 1 GiB, RocksDB | CANONICAL | `BlueGreen` | 1 | -3.00 / **-3.00** / -3.00 | -0.20 / **-0.20** / -0.20 |  | \
             9.00 / **9.00** / 9.00 | 9.00 / **9.00** / 9.00 |",
        ]
    );
}

#[test]
fn without_samples_there_is_no_table() {
    let mut samples = samples();
    samples.setups[0].by_hand.clear();
    assert!(table(&samples).unwrap_err().to_string().contains("no samples"));
}

#[test]
fn what_was_measured_is_read_as_it_was_written() {
    let text = serde_json::to_string(&samples()).unwrap();
    assert_eq!(serde_json::from_str::<Samples>(&text).unwrap(), samples());
}

#[test]
fn the_page_shows_the_newest_measurements() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let page = std::fs::read_to_string(top.join(STRATEGIES.page)).unwrap();
    let newest = STRATEGIES.newest(&top.join("docs/bench")).unwrap();
    assert_eq!(STRATEGIES.inserted(&page, newest.as_ref()).unwrap(), page, "e2e/tools/bench strategies table");
}
