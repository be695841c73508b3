//! Broken files: the recorded ones and ones of every layout, changed at random by a fixed seed. No bytes may make the
//! reader panic, run on for ever, or tell more than there is.
//!
//! `SNAPSHOT_MUTATIONS` sets the number of cases, `SNAPSHOT_MUTATIONS_SEED` the seed.

use std::env;
use std::io::Read;

use super::bytes::{
    Operator, Subtask, absolute, changelog, changelog_files, changelog_in_memory, channel, file, incremental, inline,
    key_groups, merged_channel, merged_operator_state, operator_state, relative, segment,
};
use super::golden_tests::{golden, recorded};
use super::{FactsError, SnapshotFacts};

const CASES: u64 = 200_000;
const SEED: u64 = 0x4960_672d;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }
}

/// A file of a layout with each handle once.
pub fn dense(version: i32) -> Vec<u8> {
    let [input, output] = if version >= 6 { [Some(1), Some(2)] } else { [None, None] };
    let rocksdb = incremental(11, &inline(4), &[absolute("s3://b/shared/1", 7)], &[relative("p1", 8)]);
    let delta = [changelog_in_memory(&[3, 2]), changelog_files(13, &[segment("s3://b/m", 5, 6, 1)], 9)];
    let mut subtask = Subtask {
        managed_operator: operator_state(&relative("o1", 5)),
        raw_operator: merged_operator_state(&segment("s3://b/m", 0, 5, 0)),
        managed_keyed: changelog(14, &[rocksdb], &delta),
        raw_keyed: key_groups(7, &inline(3)),
        inputs: vec![channel(input, 3, &relative("c1", 9))],
        outputs: vec![channel(output, 3, &inline(2))],
        reference: Some(7),
    };
    if version >= 6 {
        subtask.inputs.push(merged_channel(3, 2, &relative("c1", 9)));
    }
    let finished = Operator { fully_finished: true, ..Operator::new("finished") };
    let source = Operator { coordinator: inline(6), ..Operator::new("source") };
    file(version, &[source.with(Subtask::default()), Operator::new("all").with(subtask), finished])
}

/// Changes a file in one to four places.
fn mutate(file: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    for _ in 0..=random.below(4) {
        if file.is_empty() {
            return;
        }
        let at = random.below(file.len());
        let run = (1 + random.below(16)).min(file.len() - at);
        match random.below(10) {
            0 | 1 => file[at] ^= 1 << random.below(8),
            2 => file[at] = u8::try_from(random.below(256)).unwrap(),
            // A tag, or a small number.
            3 => file[at] = u8::try_from(random.below(20)).unwrap(),
            4 => file.truncate(at),
            5 => drop(file.drain(at..at + run)),
            6 => {
                let copy = file[at..at + run].to_vec();
                drop(file.splice(at..at, copy));
            }
            // A count or a size, as extreme as can be.
            7 => {
                let extremes = [i64::MAX, i64::MIN, -1, 0, 1, 1 << 31, (1 << 31) - 1, 1 << 40];
                let number = extremes[random.below(extremes.len())].to_be_bytes();
                let width = if random.below(2) == 0 { 4 } else { 8 };
                let end = (at + width).min(file.len());
                let number = if width == 4 { &number[4..] } else { &number[..] };
                file[at..end].copy_from_slice(&number[..end - at]);
            }
            8 => {
                let from = random.below(other.len());
                let piece = &other[from..(from + run).min(other.len())];
                drop(file.splice(at..at, piece.iter().copied()));
            }
            _ => {
                let end = file.len().min(at + run);
                for byte in &mut file[at..end] {
                    *byte = u8::try_from(random.below(256)).unwrap();
                }
            }
        }
    }
}

/// Ends with an error instead of a loop.
struct Counting<'a> {
    rest: &'a [u8],
    reads: usize,
}

impl Read for Counting<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.reads += 1;
        assert!(self.reads < 1000, "it reads on and on");
        self.rest.read(into)
    }
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| text.parse().unwrap_or_else(|e| panic!("{variable}={text}: {e}")))
}

#[test]
fn no_bytes_do_harm() {
    let (cases, seed) = (number("SNAPSHOT_MUTATIONS", CASES), number("SNAPSHOT_MUTATIONS_SEED", SEED));
    // The largest recorded ones are more of the same, and would take most of the time.
    let real = golden().keys().map(|name| recorded(name)).filter(|file| file.len() < 10_000).collect::<Vec<_>>();
    let dense: Vec<Vec<u8>> = (2..=7).map(dense).collect();
    for file in real.iter().chain(&dense) {
        SnapshotFacts::read(file.as_slice(), None).unwrap();
    }
    let mut random = Random(seed);
    let mut outcomes = std::collections::BTreeMap::<&str, u64>::new();
    for case in 0..cases {
        // Small ones more often: a change hits more of what decides.
        let files = if random.below(4) == 0 { &real } else { &dense };
        let mut file = files[random.below(files.len())].clone();
        let other = &files[random.below(files.len())];
        mutate(&mut file, other, &mut random);
        let length = (case % 2 == 0).then_some(file.len() as u64);
        let outcome = match SnapshotFacts::read(Counting { rest: &file, reads: 0 }, length) {
            Ok(facts) => {
                check(&facts, &file);
                "Read"
            }
            Err(error @ FactsError::TooMany { .. }) => panic!("seed {seed}, case {case}: {error}"),
            Err(error) => {
                assert!(error.to_string().len() < 1000, "{error}");
                error.reason()
            }
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("seed {seed}, {cases} cases: {outcomes:?}");
    if cases >= CASES {
        // The mutations reach everything that can go wrong with bytes.
        for reason in [
            "Read",
            "MetadataEmpty",
            "MetadataTruncated",
            "NotMetadata",
            "UnknownMetadataVersion",
            "UnknownStateHandle",
            "NegativeNumber",
            "UnknownValue",
            "MalformedText",
            "TrailingBytes",
            "MalformedProperties",
        ] {
            assert!(outcomes.contains_key(reason), "no case of {reason}");
        }
    }
}

/// What is told of a file is in the file.
fn check(facts: &SnapshotFacts, file: &[u8]) {
    assert!(facts.inline_bytes <= file.len() as u64);
    assert!(facts.operators.len() * 28 <= file.len());
    assert!(facts.files.iter().map(|file| file.path.len() + 11).sum::<usize>() <= file.len());
    assert!((2..=7).contains(&facts.version));
}
