use super::*;

fn at(second: u32) -> DateTime<Utc> {
    format!("2026-11-21T10:00:{second:02}Z").parse().unwrap()
}

#[test]
fn the_transition_time_moves_only_when_the_status_flips() {
    let mut list = Vec::new();
    Conditions::new(&mut list, Some(1), at(1)).set(types::READY, false, Reason::Starting, "pods");
    Conditions::new(&mut list, Some(2), at(2)).set(types::READY, false, Reason::Upgrading, "savepoint");
    let ready = find(&list, types::READY).unwrap();
    assert_eq!((ready.reason.as_str(), ready.message.as_str()), ("Upgrading", "savepoint"));
    assert_eq!(ready.observed_generation, Some(2));
    assert_eq!(ready.last_transition_time, to_k8s(at(1)));

    Conditions::new(&mut list, Some(2), at(3)).set(types::READY, true, Reason::Running, "");
    assert_eq!(find(&list, types::READY).unwrap().last_transition_time, to_k8s(at(3)));
    assert_eq!(list.len(), 1);
}

#[test]
fn reconciling_and_stalled_exist_only_while_true() {
    let mut list = Vec::new();
    Conditions::new(&mut list, None, at(1)).reconciling(Reason::Starting, "a");
    assert!(is_true(&list, types::RECONCILING) && !is_true(&list, types::READY));
    Conditions::new(&mut list, None, at(2)).stalled(Reason::NotImplemented, "b");
    assert!(is_true(&list, types::STALLED) && find(&list, types::RECONCILING).is_none());
    Conditions::new(&mut list, None, at(3)).ready(Reason::Running, "c");
    assert_eq!(list.len(), 1);
    assert!(is_true(&list, types::READY));
}

#[test]
fn setting_the_same_again_changes_nothing() {
    let mut list = Vec::new();
    Conditions::new(&mut list, Some(1), at(1)).stalled(Reason::StateExists, "x");
    let before = list.clone();
    Conditions::new(&mut list, Some(1), at(9)).stalled(Reason::StateExists, "x");
    assert_eq!(list, before);
}

#[test]
fn a_message_is_cut_at_what_kubernetes_allows_on_a_character_boundary() {
    let mut list = Vec::new();
    Conditions::new(&mut list, None, at(1)).set(types::READY, false, Reason::JobFailed, "é".repeat(20_000) + "x");
    assert!(list[0].message.len() <= MAX_MESSAGE);
}

#[test]
fn reasons_are_names_that_kubernetes_accepts() {
    for reason in Reason::ALL {
        assert!(reason.as_str().bytes().all(|byte| byte.is_ascii_alphabetic()), "{reason}");
    }
}
