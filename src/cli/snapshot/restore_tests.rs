use super::super::testing::savepoint;
use super::Restore;

/// The lines below the question, each with one space between its words.
fn answers(restore: &Restore) -> Vec<String> {
    restore.table().lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn the_same_operators_are_a_yes() {
    let before = savepoint(4, &[("counter", 2, 128, 9), ("sink", 2, 128, 0)]);
    let restore = Restore::new(&before, &savepoint(4, &[("counter", 4, 128, 9), ("new", 1, 128, 0)]));
    assert!(restore.possible && restore.possible_with_allow_non_restored_state);
    assert_eq!(answers(&restore), ["yes every operator with state in BEFORE is in AFTER"]);
}

#[test]
fn state_without_an_operator_is_a_no_unless_it_may_be_dropped() {
    let before = savepoint(4, &[("counter", 2, 128, 9)]);
    let restore = Restore::new(&before, &savepoint(4, &[("sink", 2, 128, 0)]));
    assert!(!restore.possible && restore.possible_with_allow_non_restored_state);
    let expected = "no AFTER has no operator for the state of counter: Flink refuses to start unless \
                    allowNonRestoredState is set, and then that state is lost";
    assert_eq!(answers(&restore), [expected]);
}

#[test]
fn more_subtasks_than_key_groups_are_a_no() {
    let before = savepoint(4, &[("counter", 2, 4, 9)]);
    let restore = Restore::new(&before, &savepoint(4, &[("counter", 8, 16, 9)]));
    assert!(!restore.possible && !restore.possible_with_allow_non_restored_state);
    let answers = answers(&restore);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert!(answers[0].starts_with("no operator counter") && answers[0].ends_with("set at most 4"), "{answers:?}");
    assert!(answers[1].starts_with("note another maximum parallelism (counter 4 → 16)"), "{answers:?}");
}

#[test]
fn another_maximum_may_be_flinks_own_choice() {
    let before = savepoint(4, &[("counter", 2, 128, 9)]);
    let restore = Restore::new(&before, &savepoint(4, &[("counter", 2, 256, 9)]));
    assert!(restore.possible);
    let answers = answers(&restore);
    assert!(answers[0].starts_with("yes") && answers[1].starts_with("note"), "{answers:?}");
    assert!(
        answers[1].ends_with("(counter 128 → 256): Flink refuses to start if the job sets the new one itself"),
        "{answers:?}"
    );
}

#[test]
fn the_way_back_to_an_older_layout_is_a_no() {
    let operators = [("counter", 2, 128, 9)];
    let restore = Restore::new(&savepoint(6, &operators), &savepoint(4, &operators));
    assert!(!restore.possible && !restore.possible_with_allow_non_restored_state);
    assert!(answers(&restore)[0].contains("Flink 1.20 can't read it"), "{:?}", answers(&restore));
    let restore = Restore::new(&savepoint(4, &operators), &savepoint(6, &operators));
    assert!(restore.possible);
    let answers = answers(&restore);
    assert!(answers[1].starts_with("not promised") && answers[1].ends_with("try it on a fork first"), "{answers:?}");
}

#[test]
fn a_line_names_ten_operators() {
    let uids: Vec<String> = (0..12).map(|n| format!("o{n}")).collect();
    let operators: Vec<_> = uids.iter().map(|uid| (uid.as_str(), 8, 8, 9)).collect();
    let gone = answers(&Restore::new(&savepoint(4, &operators), &savepoint(4, &[])));
    assert!(gone[0].contains("the state of o0, o1, o2,") && gone[0].contains(" o9 and 2 more: Flink"), "{gone:?}");
    let more: Vec<_> = uids.iter().map(|uid| (uid.as_str(), 9, 8, 9)).collect();
    let conflicts = answers(&Restore::new(&savepoint(4, &operators), &savepoint(4, &more)));
    assert_eq!((conflicts.len(), conflicts[10].as_str()), (11, "no and 2 more operators"));
}
