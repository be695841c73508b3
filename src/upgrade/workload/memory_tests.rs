use rstest::rstest;

use super::*;

#[rstest]
#[case("2048m", 2048 * MIB)]
#[case("1g", GIB)]
#[case("1024 mb", GIB)]
#[case("1024 MB", GIB)]
#[case("  1 gibibytes ", GIB)]
#[case("1t", TIB)]
#[case("64kb", 64 * KIB)]
#[case("4096", 4096)]
#[case("4096b", 4096)]
#[case("4096 bytes", 4096)]
#[case("512Ki", 512 * KIB)]
#[case("512Mi", 512 * MIB)]
#[case("2Gi", 2 * GIB)]
#[case("1Ti", TIB)]
fn amounts_are_read_by_flinks_grammar(#[case] text: &str, #[case] bytes: u64) {
    assert_eq!(parse("f", text), Ok(bytes));
}

#[rstest]
#[case("", "is not an amount of memory")]
#[case("m", "is not an amount of memory")]
#[case("-1m", "is not an amount of memory")]
#[case("1.5g", "has no known unit")]
#[case("2x", "has no known unit")]
#[case("2 m m", "has no known unit")]
#[case("0m", "is nothing")]
#[case("99999999999t", "is more than can be counted")]
#[case("99999999999999999999", "is more than can be counted")]
fn other_amounts_are_refused(#[case] text: &str, #[case] problem: &str) {
    let error = parse("spec.jobManager.resource.memory", text).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "spec.jobManager.resource.memory: '{text}' {problem}; give a whole number with a unit of Flink, such as \
             2048m or 2g, or 2Gi"
        )
    );
}

#[rstest]
#[case(2 * GIB, "2Gi")]
#[case(1728 * MIB, "1728Mi")]
#[case(3 * KIB, "3Ki")]
#[case(1001, "1001")]
fn quantities_keep_every_byte(#[case] bytes: u64, #[case] text: &str) {
    assert_eq!(quantity(bytes), text);
    assert_eq!(parse("f", text), Ok(bytes));
}

/// Given memory, given keys, the pod's memory, the process size that Flink is told.
#[rstest]
#[case::given(Process::JobManager, Some("1g"), &[], Some(GIB), Some("1024m"))]
#[case::odd(Process::TaskManager, Some("1000000000"), &[], Some(1_000_000_000), Some("1000000000b"))]
#[case::shipped_job_manager(Process::JobManager, None, &[], Some(1600 * MIB), Some("1600m"))]
#[case::shipped_task_manager(Process::TaskManager, None, &[], Some(1728 * MIB), Some("1728m"))]
#[case::heap(Process::JobManager, Some("384m"), &["jobmanager.memory.heap.size"], Some(384 * MIB), None)]
#[case::heap_alone(Process::JobManager, None, &["jobmanager.memory.heap.size"], None, None)]
#[case::flink(Process::TaskManager, Some("1g"), &["taskmanager.memory.flink.size"], Some(GIB), None)]
#[case::fine(
    Process::TaskManager, Some("1g"),
    &["taskmanager.memory.task.heap.size", "taskmanager.memory.managed.size"], Some(GIB), None)]
#[case::metaspace(
    Process::JobManager, Some("1g"), &["jobmanager.memory.jvm-metaspace.size"], Some(GIB), Some("1024m"))]
#[case::managed_alone(
    Process::TaskManager, Some("1g"), &["taskmanager.memory.managed.size"], Some(GIB), Some("1024m"))]
#[case::the_other_ones(
    Process::TaskManager, Some("1g"), &["jobmanager.memory.heap.size"], Some(GIB), Some("1024m"))]
fn the_process_size_follows_the_pod(
    #[case] process: Process,
    #[case] given: Option<&str>,
    #[case] keys: &[&str],
    #[case] pod: Option<u64>,
    #[case] process_size: Option<&str>,
) {
    let mut configuration: BTreeMap<_, _> = keys.iter().map(|key| ((*key).to_owned(), "64m".to_owned())).collect();
    assert_eq!(apply(process, given, &mut configuration), Ok(pod));
    assert_eq!(configuration.get(process.process_size()).map(String::as_str), process_size);
}

#[test]
fn a_process_size_of_the_user_stays() {
    let mut configuration = BTreeMap::from([("jobmanager.memory.process.size".to_owned(), "900m".to_owned())]);
    assert_eq!(apply(Process::JobManager, Some("1g"), &mut configuration), Ok(Some(GIB)));
    assert_eq!(configuration["jobmanager.memory.process.size"], "900m");
}
