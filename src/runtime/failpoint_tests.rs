//! Tests of the failpoints.

use std::{collections::BTreeSet, fs, path::Path};

use super::NAMES;

#[test]
fn names_are_unique_and_in_pairs() {
    let all: BTreeSet<_> = NAMES.iter().copied().collect();
    assert_eq!(all.len(), NAMES.len());
    for name in NAMES {
        let other = match name.rsplit_once('.') {
            Some((effect, "before")) => format!("{effect}.after"),
            Some((effect, "after")) => format!("{effect}.before"),
            _ => panic!("{name} ends neither in .before nor in .after"),
        };
        assert!(all.contains(other.as_str()), "{other} is missing");
    }
}

/// All that is written like a failpoint's name below a folder: most are given to `hit` by a function of the effect.
fn named_in(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named_in(&path, names);
            continue;
        }
        let own = path.ends_with("failpoint.rs") || path.ends_with("failpoint_tests.rs");
        if path.extension().is_some_and(|extension| extension == "rs") && !own {
            let text = fs::read_to_string(&path).unwrap();
            names.extend(text.split('"').filter(|text| is_name(text)).map(str::to_owned));
        }
    }
}

/// Whether it is `<controller>.<effect>.before` or `.after`.
fn is_name(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    parts.len() == 3 && parts.iter().all(word) && matches!(parts[2], "before" | "after")
}

#[test]
fn every_failpoint_in_the_code_is_known() {
    let mut names = BTreeSet::new();
    named_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    let known: BTreeSet<String> = NAMES.iter().map(|name| (*name).to_owned()).collect();
    let missing: Vec<_> = names.difference(&known).collect();
    assert!(missing.is_empty(), "missing in NAMES: {missing:?}");
    let unused: Vec<_> = known.difference(&names).collect();
    assert!(unused.is_empty(), "passed by nobody: {unused:?}");
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        os::unix::process::ExitStatusExt as _,
        process::{Command, Stdio},
    };

    use super::super::{ARMED, Armed, Unknown, hit};

    #[test]
    fn for_an_object_or_a_namespace() {
        let armed = Armed::new();
        armed.arm("savepoint.trigger.after", "ns/orders").unwrap();
        armed.arm("upgrade.submit.before", "ns").unwrap();
        for (name, key, expected) in [
            ("savepoint.trigger.after", "ns/orders", true),
            ("savepoint.trigger.after", "ns/orders-2", false),
            ("savepoint.trigger.after", "ns/other", false),
            ("savepoint.trigger.before", "ns/orders", false),
            ("upgrade.submit.before", "ns/any", true),
            ("upgrade.submit.before", "ns-2/any", false),
            ("upgrade.submit.before", "other/ns", false),
        ] {
            assert_eq!(armed.is_armed(name, key), expected, "{name} {key}");
        }
        armed.clear();
        assert!(!armed.is_armed("savepoint.trigger.after", "ns/orders"));
    }

    #[test]
    fn only_known_ones() {
        assert_eq!(Armed::new().arm("savepoint.triggered", "ns"), Err(Unknown("savepoint.triggered".to_owned())));
    }

    /// Not a test: what the next one runs in a process of its own.
    #[test]
    #[ignore = "dies on purpose"]
    fn dies() {
        ARMED.arm("savepoint.trigger.after", "failpoint-test").unwrap();
        hit("savepoint.trigger.before", "failpoint-test/orders");
        hit("savepoint.trigger.after", "elsewhere/orders");
        println!("alive");
        hit("savepoint.trigger.after", "failpoint-test/orders");
        println!("survived");
    }

    #[test]
    fn the_process_dies_at_the_armed_one_only() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "runtime::failpoint::tests::armed::dies", "--ignored", "--nocapture"]);
        let ended = child.stderr(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert_eq!(ended.status.signal(), Some(6), "{said}");
        assert!(said.contains("alive") && !said.contains("survived"), "{said}");
    }
}
