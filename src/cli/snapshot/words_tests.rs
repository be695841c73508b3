use super::{columns, count, operator, plain};

#[test]
fn columns_are_aligned_by_what_is_seen() {
    let rows = [["a", "1,000", "x"], ["日本語", "2", ""], ["e\u{301}", "30", "z"]];
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|text| (*text).to_owned()).collect()).collect();
    let expected = "NAME        N  LAST\na       1,000  x\n日本語      2\ne\u{301}          30  z\n";
    assert_eq!(columns(Some(&["NAME", "N", "LAST"]), &rows, &[1]), expected);
    assert_eq!(columns(Some(&["NAME"]), &[], &[]), "NAME\n");
}

#[test]
fn what_a_snapshot_says_does_not_move_the_cursor() {
    assert_eq!(plain("a b\u{1b}[2J\n"), "a b\\u{1b}[2J\\u{a}");
    assert_eq!(plain("txt.\u{202e}gpj"), "txt.\\u{202e}gpj");
    assert_eq!(plain("Zähler ✓"), "Zähler ✓");
    assert_eq!(plain(&"é".repeat(5000)).chars().count(), 1101);
    let rows = [vec!["\u{1b}[31m\nred".to_owned()]];
    assert_eq!(columns(None, &rows, &[]), "\\u{1b}[31m\\u{a}red\n");
}

#[test]
fn operators_are_called_by_the_best_there_is() {
    assert_eq!(operator(Some("counter"), Some("Count")), "counter");
    assert_eq!(operator(None, Some("Count")), "\"Count\"");
    assert_eq!(operator(None, None), "-");
}

#[test]
fn one_is_not_many() {
    assert_eq!(
        [count(0_u64, "file"), count(1_u64, "file"), count(1234_u64, "file")],
        ["0 files", "1 file", "1,234 files"]
    );
}
