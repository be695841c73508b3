use super::*;

fn job() -> Job {
    Job { name: "j".into(), manifest: json!({"spec": {"job": {"parallelism": 1}}}) }
}

#[test]
fn fields_are_set_and_left_out() {
    let job = job().set("/spec/upgrade/strategy", json!("Prewarm")).unset("/spec/job/parallelism");
    assert_eq!(job.manifest, json!({"spec": {"job": {}, "upgrade": {"strategy": "Prewarm"}}}));
    let job = job.set("/metadata/annotations/savepoints.dev~1x", json!("1"));
    assert_eq!(job.manifest.pointer("/metadata/annotations/savepoints.dev~1x"), Some(&json!("1")));
}

#[test]
fn the_counting_job_writes_to_a_file_of_its_own() {
    let job = job().counting_with(50, &["--fail", "main"]);
    let args = job.manifest.pointer("/spec/job/args").unwrap();
    assert_eq!(args, &json!(["--out", "/records/j.log", "--rate", "50", "--fail", "main"]));
}
