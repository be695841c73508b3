use super::super::output::Answer as _;
use super::super::testing::savepoint;
use super::{Diff, Snapshot};

/// Of operators: uid, parallelism, maximum parallelism, bytes of keyed state.
fn snapshot(operators: &[(&str, u32, u32, u64)]) -> Snapshot {
    let (directory, metadata) = ("file:///savepoint".to_owned(), "file:///savepoint/_metadata".to_owned());
    Snapshot { directory, metadata, metadata_bytes: 1, facts: savepoint(4, operators) }
}

/// The exit code, the line that counts, and the first words of the operators' lines.
fn diff(before: &[(&str, u32, u32, u64)], after: &[(&str, u32, u32, u64)]) -> (u8, String, Vec<String>) {
    let (before, after) = (snapshot(before), snapshot(after));
    let diff = Diff::new(&before, &after);
    let table = diff.table();
    let mut lines = table.lines().skip_while(|line| !line.starts_with("Operators: "));
    let counts = lines.next().unwrap_or_default().to_owned();
    let rows = lines.skip(1).take_while(|line| !line.is_empty());
    let words =
        rows.map(|row| row.split("  ").filter(|cell| !cell.is_empty()).take(4).map(str::trim).collect::<Vec<_>>());
    (diff.exit_code(), counts, words.map(|words| words.join("|")).collect())
}

#[test]
fn bytes_make_no_difference() {
    let (code, counts, rows) = diff(&[("counter", 2, 128, 9)], &[("counter", 2, 128, 900)]);
    assert_eq!((code, counts.as_str()), (0, "Operators: 1 kept, 0 new, 0 gone"));
    assert_eq!(rows, ["kept|counter|2|128"]);
}

#[test]
fn another_parallelism_or_maximum_makes_one() {
    let (code, counts, rows) = diff(
        &[("a", 2, 128, 9), ("b", 2, 128, 9), ("c", 2, 128, 9)],
        &[("a", 4, 128, 9), ("b", 2, 256, 9), ("c", 2, 128, 9)],
    );
    let expected = "Operators: 3 kept (2 with another parallelism or maximum), 0 new, 0 gone";
    assert_eq!((code, counts.as_str()), (1, expected));
    assert_eq!(rows, ["rescaled|a|2 → 4|128", "rescaled|b|2|128 → 256", "kept|c|2|128"]);
}

#[test]
fn operators_come_and_go() {
    let (code, counts, rows) = diff(&[("a", 2, 128, 9), ("b", 2, 128, 0)], &[("c", 1, 128, 9)]);
    assert_eq!((code, counts.as_str()), (1, "Operators: 0 kept, 1 new, 2 gone (1 with state)"));
    assert_eq!(rows, ["gone|a|2|128", "gone|b|2|128", "new|c|1|128"]);
}
