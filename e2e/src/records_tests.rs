use super::*;

const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

/// Two jobs, 600 ms apart, five milliseconds between records.
fn good() -> Vec<String> {
    let line = |s: u64| {
        let (job, pause) = if s < 10 { (OLD, 0) } else { (NEW, 595) };
        format!("{} {s} {} {job}", 1_800_000_000_000 + s * 5 + pause, s + 1)
    };
    (0..20).map(line).collect()
}

fn judge(lines: &[String]) -> Result<Summary, Violation> {
    check(&Records::parse(&(lines.join("\n") + "\n"))?)
}

fn judge_exactly_once(lines: &[String]) -> Result<Summary, Violation> {
    check_exactly_once(&Records::parse(&(lines.join("\n") + "\n"))?)
}

#[test]
fn a_good_run_is_green_and_measured() {
    let summary = judge_exactly_once(&good()).unwrap();
    assert_eq!(summary.records, 20);
    assert_eq!(summary.jobs, [OLD, NEW]);
    assert_eq!(summary.handovers, [Handover { from: OLD.into(), to: NEW.into(), downtime_ms: 600, repeated: 0 }]);
    assert_eq!((summary.longest_gap_ms, summary.repeated, summary.last), (600, 0, 19));
}

/// The old job goes on beside the new one, which began with its tenth record.
#[test]
fn a_fork_is_judged_by_what_led_to_it() {
    let mut lines = good();
    let beside = (10_i64..15).map(|s| format!("{} {s} {} {OLD}", 1_800_000_000_600 + s * 5, s + 1));
    lines.splice(12..12, beside);
    let all = Records::parse(&(lines.join("\n") + "\n")).unwrap();
    assert!(check_exactly_once(&all).is_err());
    assert_eq!(check_exactly_once(&all.lineage(&[OLD])).unwrap().last, 14);
    let summary = check_exactly_once(&all.lineage(&[OLD, NEW])).unwrap();
    assert_eq!((summary.jobs, summary.last), (vec![OLD.to_owned(), NEW.to_owned()], 19));
}

#[test]
fn a_line_that_is_still_being_written_is_not_there_yet() {
    let text = good().join("\n") + "\n18000";
    assert_eq!(Records::parse(&text).unwrap().0.len(), 20);
    assert_eq!(Records::parse("1800").unwrap().0.len(), 0);
    assert_eq!(check(&Records::default()), Err(Violation::Empty));
}

/// Each way to corrupt one line must go red, on each line where it corrupts anything.
#[test]
fn one_corrupted_line_goes_red() {
    type Way = (&'static str, fn(&mut Vec<String>, usize));
    fn field(lines: &mut [String], line: usize, index: usize, change: impl Fn(&str) -> String) {
        let mut fields: Vec<String> = lines[line].split(' ').map(str::to_owned).collect();
        fields[index] = change(&fields[index]);
        lines[line] = fields.join(" ");
    }
    fn plus(text: &str, by: i64) -> String {
        (text.parse::<i64>().unwrap() + by).to_string()
    }
    let ways: &[Way] = &[
        ("count one more", |lines, at| field(lines, at, 2, |c| plus(c, 1))),
        ("count one less", |lines, at| field(lines, at, 2, |c| plus(c, -1))),
        ("count starts anew", |lines, at| field(lines, at, 2, |_| "0".into())),
        ("sequence one more", |lines, at| field(lines, at, 1, |s| plus(s, 1))),
        ("sequence one less", |lines, at| field(lines, at, 1, |s| plus(s, -1))),
        ("both one more", |lines, at| {
            field(lines, at, 1, |s| plus(s, 1));
            field(lines, at, 2, |c| plus(c, 1));
        }),
        ("time before", |lines, at| field(lines, at, 0, |t| plus(t, -3_600_000))),
        ("another job's", |lines, at| field(lines, at, 3, |job| if job == OLD { NEW } else { OLD }.into())),
        ("no job", |lines, at| field(lines, at, 3, |_| String::new())),
        ("job cut short", |lines, at| field(lines, at, 3, |job| job[1..].to_owned())),
        ("no number", |lines, at| field(lines, at, 1, |_| "x".into())),
        ("a field more", |lines, at| lines[at].push_str(" x")),
        ("torn", |lines, at| lines[at].truncate(20)),
        ("empty", |lines, at| lines[at].clear()),
        ("lost", |lines, at| drop(lines.remove(at))),
    ];
    // A first line's time before all others, a last line's loss, and a job that ends a record earlier are no faults.
    let harmless = |way: &str, at: usize| match way {
        "time before" => at == 0,
        "lost" => at == 19,
        "another job's" => at == 9 || at == 10,
        _ => false,
    };
    let mut red = 0;
    for (way, corrupt) in ways {
        for at in 0..20 {
            let mut lines = good();
            corrupt(&mut lines, at);
            assert_ne!(lines, good(), "{way} at {at} changes nothing");
            assert_eq!(judge(&lines).is_err(), !harmless(way, at), "{way} at {at}: {:?}", judge(&lines));
            red += 1;
        }
    }
    assert_eq!(red, ways.len() * 20);
}

#[test]
fn a_doubled_line_goes_red_where_nothing_failed() {
    for at in 0..20 {
        let mut lines = good();
        lines.insert(at, lines[at].clone());
        assert!(matches!(judge_exactly_once(&lines), Err(Violation::Repeated { repeated: 1, .. })), "line {at}");
    }
}

#[test]
fn a_failover_may_repeat_but_not_differ() {
    let mut lines: Vec<String> = (0..8).map(|s| format!("{} {s} {} {OLD}", 1000 + s, s + 1)).collect();
    lines.extend((5..12).map(|s| format!("{} {s} {} {OLD}", 3000 + s, s + 1)));
    let summary = judge(&lines).unwrap();
    assert_eq!((summary.repeated, summary.last, summary.longest_gap_ms), (3, 11, 1998));
    assert!(matches!(judge_exactly_once(&lines), Err(Violation::Repeated { line: 9, s: 5, repeated: 3 })));

    // The same s with another c.
    lines[9] = format!("3006 6 8 {OLD}");
    assert_eq!(judge(&lines), Err(Violation::Count { line: 10, s: 6, c: 8 }));
    // A hole inside what is repeated.
    lines.remove(9);
    assert_eq!(judge(&lines), Err(Violation::Missing { line: 10, expected: 6, s: 7 }));
}

#[test]
fn a_new_job_from_an_older_checkpoint_repeats() {
    let mut lines: Vec<String> = (0..8).map(|s| format!("{} {s} {} {OLD}", 1000 + s, s + 1)).collect();
    lines.extend((6..9).map(|s| format!("{} {s} {} {NEW}", 3000 + s, s + 1)));
    let summary = judge(&lines).unwrap();
    assert_eq!(summary.handovers[0].repeated, 2);
}

#[test]
fn an_old_job_that_writes_on_goes_red() {
    let mut lines = good();
    let late = lines.remove(9);
    lines.push(late);
    assert!(judge(&lines).is_err());
    // Even where all numbers would fit.
    let lines: Vec<String> =
        [(OLD, 0), (NEW, 1), (OLD, 2)].iter().map(|(job, s)| format!("{} {s} {} {job}", 1000 + s, s + 1)).collect();
    assert_eq!(judge(&lines), Err(Violation::Overlap { line: 3, job: OLD.into(), successor: NEW.into() }));
}

#[test]
fn a_job_that_starts_empty_goes_red() {
    let mut lines: Vec<String> = (0..8).map(|s| format!("{} {s} {} {OLD}", 1000 + s, s + 1)).collect();
    lines.extend((0..3).map(|s| format!("{} {s} {} {NEW}", 3000 + s, s + 9)));
    assert_eq!(judge(&lines), Err(Violation::Count { line: 9, s: 0, c: 9 }), "the source's state was dropped");
    lines.truncate(8);
    lines.extend((0..3).map(|s| format!("{} {s} {} {NEW}", 3000 + s, s + 1)));
    assert_eq!(judge(&lines).unwrap().handovers[0].repeated, 8, "started empty: all again");
    assert!(judge_exactly_once(&lines).is_err());
}
