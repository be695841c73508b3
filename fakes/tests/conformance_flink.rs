//! The fake cluster against the cases that run on real ones, too.

use fakes::conformance::flink::{Fake, Version, cases, run};

#[tokio::test(start_paused = true)]
async fn the_fake_is_as_flink_is() {
    let mut failures = Vec::new();
    for version in [Version::V1_20, Version::V2_3] {
        for high_availability in [false, true] {
            let report = run(&Fake::new(version, high_availability), &cases(high_availability)).await;
            let what = format!("{version}, high availability {high_availability}");
            println!("Flink {what}: {report}");
            failures.extend(report.failures().into_iter().map(|failure| format!("{what}: {failure}")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
