use rstest::rstest;

use super::{Cause, SavepointFailure};

#[rstest]
#[case::plain_text("no stack here", "no stack here")]
#[case::empty("", "no reason given")]
#[case::no_message("java.lang.NullPointerException\n\tat a.B.c(B.java:1)", "NullPointerException")]
#[case::frames(
    "java.lang.IllegalStateException: closed\n\tat a.B.c(B.java:1)\n\t... 3 more",
    "IllegalStateException: closed"
)]
#[case::last_cause(
    "a.b.OuterException: out\n\tat a.B.c(B.java:1)\nCaused by: a.b.InnerException: the bucket is gone\n\t... 1 more\n",
    "InnerException: the bucket is gone"
)]
#[case::nested_class("a.b.Outer$InnerException: it broke\n", "InnerException: it broke")]
#[case::shaded("org.apache.flink.shaded.jackson2.com.fasterxml.X: bad json", "X: bad json")]
#[case::lines("a.b.CException: first\nsecond: line\n\tat a.B.c(B.java:1)\n", "CException: first second: line")]
#[case::wrapped(
    "java.util.concurrent.CompletionException: a.b.CException: it broke\n\tat a.B.c(B.java:1)",
    "CException: it broke"
)]
#[case::suppressed(
    "a.b.CException: it broke\n\tat a.B.c(B.java:1)\n\tSuppressed: a.b.DException: on closing\n\t\tat a.B.c(B.java:2)\n\
     \tCaused by: a.b.EException: nested\n",
    "CException: it broke"
)]
#[case::silent_inner(
    "a.b.ProgramInvocationException: The program's entry point class 'no.Such' was not found in the jar file.\n\tat a.B.c(B.java:1)\n\
     Caused by: java.lang.ClassNotFoundException: no.Such\n",
    "ProgramInvocationException: The program's entry point class 'no.Such' was not found in the jar file. \
     (ClassNotFoundException: no.Such)"
)]
#[case::outer_repeats(
    "java.lang.RuntimeException: java.lang.ArithmeticException\n\tat a.B.c(B.java:1)\nCaused by: java.lang.ArithmeticException\n",
    "ArithmeticException"
)]
#[case::text_after_frames("a.b.CException: it broke\n\tat a.B.c(B.java:1)\nstray\n", "CException: it broke")]
#[case::server_side(
    "<Exception on server side:\na.b.CException: it broke\n\tat a.B.c(B.java:1)\n\nEnd of exception on server side>",
    "CException: it broke"
)]
fn shows_the_innermost_cause(#[case] trace: &str, #[case] shown: &str) {
    assert_eq!(Cause::parse(trace).to_string(), shown);
}

#[test]
fn cuts_between_characters() {
    for shift in 0..4 {
        let text = format!("{}{}", "x".repeat(shift), "é€".repeat(300));
        let shown = Cause::parse(&format!("a.b.CException: {text} tail")).to_string();
        assert!(shown.ends_with('…') && shown.len() <= 503, "{} bytes", shown.len());
    }
    let words = "word ".repeat(200);
    assert!(Cause::parse(&words).to_string().len() <= 503);
    assert_eq!(Cause::parse(&words).chain()[0].message.len(), 999, "the whole text is kept");
}

#[test]
fn a_500_says_more_in_its_second_entry() {
    let errors =
        ["Internal server error.", "<Exception on server side:\na.b.CException: it broke\n"].map(str::to_owned);
    assert_eq!(Cause::of_errors(&errors).to_string(), "CException: it broke");
    assert_eq!(Cause::of_errors(&errors[..1]).to_string(), "Internal server error.");
    assert_eq!(Cause::of_errors(&[]).to_string(), "no reason given");
}

#[test]
fn hands_out_what_a_program_threw() {
    let json = r#"{"vertices":[{"name":"a: b.C: d"}]}"#;
    let trace = format!(
        "x.ProgramInvocationException: The main method caused an error: PREFLIGHT {json}\n\tat a.B.c(B.java:1)\n\
         Caused by: java.lang.RuntimeException: PREFLIGHT {json}\n\tat a.B.c(B.java:1)\n"
    );
    assert_eq!(Cause::parse(&trace).after("PREFLIGHT "), Some(json));
    assert_eq!(Cause::parse(&trace).after("OTHER "), None);
}

#[test]
fn finds_the_savepoint_of_a_stop_that_failed_after_it() {
    let trace = "java.util.concurrent.CompletionException: org.apache.flink.runtime.checkpoint.X: y\n\tat a.B.c(B.java:1)\n\
                 Caused by: org.apache.flink.runtime.scheduler.stopwithsavepoint.StopWithSavepointStoppingException: A \
                 savepoint has been created at: s3://flink/sp/savepoint-1-2, but the corresponding job 1 failed during \
                 stopping. The savepoint is consistent, but might have uncommitted transactions.\n";
    let cause = Cause::parse(trace);
    assert_eq!(cause.savepoint_failure(), SavepointFailure::StoppingFailed);
    assert_eq!(cause.savepoint_location(), Some("s3://flink/sp/savepoint-1-2"));
    let other = Cause::parse("a.b.CException: A savepoint has been created at: s3://x, but no");
    assert_eq!(other.savepoint_location(), None);
}

#[rstest]
#[case("a.b.CheckpointException: Checkpoint expired before completing.", SavepointFailure::Expired)]
#[case("a.b.CheckpointException: FailoverRegion is restarting.", SavepointFailure::CoordinatorSuspending)]
#[case("java.io.FileNotFoundException: no bucket", SavepointFailure::Io)]
#[case("a.b.OtherException: what", SavepointFailure::Other)]
#[case("java.net.ConnectException: Connection refused", SavepointFailure::Other)]
// The S3 server went away before `_metadata` was written.
#[case(
    "java.util.concurrent.CompletionException: org.apache.hadoop.fs.s3a.AWSClientIOException: getFileStatus on s3://b/1\n\
     Caused by: org.apache.hadoop.fs.s3a.AWSClientIOException: getFileStatus on s3://b/1\n\
     Caused by: com.amazonaws.SdkClientException: Unable to execute HTTP request: Connect to 10.0.0.1:9000 failed\n\
     Caused by: java.net.ConnectException: Connection refused\n",
    SavepointFailure::Io
)]
#[case("org.apache.hadoop.fs.s3a.AWSStatus500Exception: PUT 0-byte object\nCaused by: a.b.C: d", SavepointFailure::Io)]
fn knows_kinds_of_failure(#[case] trace: &str, #[case] kind: SavepointFailure) {
    assert_eq!(Cause::parse(trace).savepoint_failure(), kind);
}
