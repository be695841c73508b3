use super::*;

/// The sources whose errors become conditions.
const SOURCES: [&str; 4] = [
    include_str!("../snapshot/error.rs"),
    include_str!("../snapshot/path.rs"),
    include_str!("../snapshot/store/error.rs"),
    include_str!("../store/open.rs"),
];

#[test]
fn every_error_about_snapshots_and_stores_has_its_reason() {
    let words = SOURCES.iter().flat_map(|source| source.lines()).filter_map(|line| {
        let word = line.split_once("=> \"")?.1.split_once('"')?.0;
        word.starts_with(char::is_uppercase).then_some(word)
    });
    let words: Vec<&str> = words.collect();
    assert!(words.len() > 35, "{words:?}");
    let unknown: Vec<&str> = words.into_iter().filter(|word| Reason::of(word).is_none()).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn reasons_are_what_kubernetes_allows() {
    for reason in Reason::ALL {
        let word = reason.as_str();
        assert!(word.len() < 64 && word.chars().all(char::is_alphanumeric), "{word}");
        assert_eq!(Reason::of(word), Some(*reason));
    }
    assert_eq!(Reason::of("Unheard"), None);
}
