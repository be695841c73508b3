use super::*;

const PLACE: &str = "shop/store";

fn enter(room: &Room, who: &str) -> Result<(), Full> {
    room.enter(PLACE, who, 2, &HashSet::new(), |_| true)
}

#[test]
fn no_more_than_the_limit_are_in_at_once() {
    let room = Room::default();
    assert_eq!(enter(&room, "a"), Ok(()));
    assert_eq!(enter(&room, "b"), Ok(()));
    assert_eq!(enter(&room, "a"), Ok(()), "who is in is in");
    assert_eq!(enter(&room, "c"), Err(Full { limit: 2, waiting: 1 }));
    assert_eq!(enter(&room, "d"), Err(Full { limit: 2, waiting: 2 }));
    room.leave("a");
    assert_eq!(room.still_full("c"), None);
    assert_eq!(enter(&room, "c"), Ok(()));
    assert_eq!(room.still_full("d"), Some(Full { limit: 2, waiting: 1 }));
}

#[test]
fn places_do_not_know_each_other() {
    let room = Room::default();
    assert_eq!(room.enter(PLACE, "a", 1, &HashSet::new(), |_| true), Ok(()));
    assert_eq!(room.enter("other", "b", 1, &HashSet::new(), |_| true), Ok(()));
}

#[test]
fn who_was_there_before_the_process_counts() {
    let room = Room::default();
    let seen = || HashSet::from(["x".to_owned(), "a".to_owned()]);
    assert_eq!(room.enter(PLACE, "a", 2, &seen(), |_| true), Ok(()), "it was seen itself");
    assert_eq!(room.enter(PLACE, "b", 2, &seen(), |_| true), Err(Full { limit: 2, waiting: 1 }));
    assert_eq!(room.still_full("b"), None, "whether x is still there is to be looked for");
}

#[test]
fn who_is_gone_makes_room() {
    let room = Room::default();
    assert_eq!(room.enter(PLACE, "a", 1, &HashSet::new(), |_| true), Ok(()));
    assert!(room.enter(PLACE, "b", 1, &HashSet::new(), |_| true).is_err());
    assert_eq!(room.enter(PLACE, "b", 1, &HashSet::new(), |who| who != "a"), Ok(()));
}

#[test]
fn who_is_forgotten_does_not_wait() {
    let room = Room::default();
    assert_eq!(room.enter(PLACE, "a", 1, &HashSet::new(), |_| true), Ok(()));
    assert!(room.enter(PLACE, "b", 1, &HashSet::new(), |_| true).is_err());
    room.forget("b");
    assert_eq!(room.still_full("b"), None);
    assert_eq!(room.enter(PLACE, "c", 1, &HashSet::new(), |_| true), Err(Full { limit: 1, waiting: 1 }));
}
