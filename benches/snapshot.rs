//! How fast a `_metadata` is read: `cargo bench --bench snapshot`. Prints the median of eleven runs, with the fastest and
//! the slowest; files are made in memory, so no disk is measured.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use flink_savepoint_operator::snapshot::{Error, FactsError, SnapshotFacts, read};

const RUNS: usize = 11;
/// Up to about this Flink writes state inline: `execution.checkpointing.data-inline-threshold`.
const SMALL_STATE: u32 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // 256 MiB of state, in the largest pieces that Flink writes by default, and in one piece.
    let pieces = 13_422;
    let small = file(pieces, |_| inline(SMALL_STATE));
    let large = file(1, |_| inline(pieces * SMALL_STATE));
    let millions = 1_000_000;
    let files = file(millions, relative);
    for (name, file) in [("inline state in pieces of 20 kB", &small), ("inline state in one piece", &large)] {
        let runs = measure(|| read(file.as_slice(), Some(file.len() as u64), |_| Ok::<_, Error>(())))?;
        let bytes = f64::from(u32::try_from(file.len())?);
        report(name, "MB/s", &runs, bytes / 1e6)?;
    }
    let count = f64::from(millions);
    let runs = measure(|| {
        let mut events = 0_u64;
        let told = read(files.as_slice(), Some(files.len() as u64), |_| {
            events += 1;
            Ok::<_, Error>(())
        });
        black_box(events);
        told
    })?;
    report("file handles, told", "million/s", &runs, count / 1e6)?;
    let runs = measure(|| {
        let facts = SnapshotFacts::read(files.as_slice(), Some(files.len() as u64))?;
        black_box(facts.total_bytes);
        Ok::<_, FactsError>(())
    })?;
    report("file handles, collected as facts", "million/s", &runs, count / 1e6)?;
    Ok(())
}

fn measure<E>(mut run: impl FnMut() -> Result<(), E>) -> Result<Vec<Duration>, E> {
    run()?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        let begin = Instant::now();
        run()?;
        runs.push(begin.elapsed());
    }
    runs.sort_unstable();
    Ok(runs)
}

/// `runs` sorted; `amount` done in each of them.
fn report(name: &str, unit: &str, runs: &[Duration], amount: f64) -> io::Result<()> {
    let rate = |run: Option<&Duration>| run.map_or(f64::NAN, |run| amount / run.as_secs_f64());
    let (median, fastest, slowest) = (rate(runs.get(runs.len() / 2)), rate(runs.first()), rate(runs.last()));
    writeln!(io::stdout(), "{name}: {median:.1} {unit} ({slowest:.1} to {fastest:.1}, {RUNS} runs)")
}

/// A `_metadata` of layout 3: one operator, one subtask with incremental state of so many private files.
fn file(count: u32, stream: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let mut file: Vec<u8> = [0x4960_672d, 3, 0, 41, 0, 1].into_iter().flat_map(u32::to_be_bytes).collect();
    file.extend([7; 16]);
    let numbers = |file: &mut Vec<u8>, numbers: &[u32]| {
        file.extend(numbers.iter().copied().flat_map(u32::to_be_bytes));
    };
    numbers(&mut file, &[1, 1]);
    file.push(0);
    // One subtask, of index 0, without operator state.
    numbers(&mut file, &[1, 0, 0, 0]);
    // An incremental handle: checkpoint, backend, key groups, no meta state, no shared files.
    file.push(5);
    file.extend([0; 10]);
    numbers(&mut file, &[0, 1]);
    file.push(0);
    numbers(&mut file, &[0, count]);
    for n in 0..count {
        file.extend(b"\0\x0a000012.sst");
        file.extend(stream(n));
    }
    // No raw keyed state, no channels.
    file.push(0);
    numbers(&mut file, &[0, 0]);
    file
}

fn inline(length: u32) -> Vec<u8> {
    let mut stream = vec![1, 0, 0];
    stream.extend(length.to_be_bytes());
    stream.resize(stream.len() + usize::try_from(length).unwrap_or_default(), 9);
    stream
}

/// A file with a name of its own, as long as those that Flink gives, and in no order.
fn relative(n: u32) -> Vec<u8> {
    let path = format!("{:08x}-eb19-4106-b903-cd7dd4feda31", n.wrapping_mul(0x9e37_79b9));
    let length = u16::try_from(path.len()).unwrap_or_default().to_be_bytes();
    [&[6], length.as_slice(), path.as_bytes(), &1_000_u64.to_be_bytes()].concat()
}
