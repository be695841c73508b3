//! How fast a snapshot is verified: `cargo bench --bench verify`. Prints the median of eleven runs, with the fastest and
//! the slowest. Files lie in a directory of the machine's temporary folder, and in an S3 in this process, whose own work
//! is part of the time.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use flink_savepoint_operator::snapshot::store::{
    Access, Patience, Settings, Snapshot, Store, Stores, load, quietly, verify,
};

#[path = "../src/snapshot/store/stub_s3.rs"]
mod stub_s3;

use stub_s3::Stub;

const RUNS: usize = 11;
/// Files of a snapshot, and files outside of its directory.
const SIZES: [(u32, u32); 4] = [(10, 0), (50_000, 0), (0, 100), (0, 5_000)];

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    // As the operator has it.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).max_blocking_threads(4).enable_all().build()?;
    for (inside, outside) in SIZES {
        let folder = std::env::temp_dir().join(format!("flink-verify-{}", std::process::id()));
        let measured = runtime.block_on(both(&folder, inside, outside));
        fs::remove_dir_all(&folder)?;
        measured?;
    }
    Ok(())
}

async fn both(folder: &Path, inside: u32, outside: u32) -> Result<()> {
    let root = format!("file://{}", folder.display());
    let files = [("snapshot", inside), ("shared", outside)];
    for (directory, count) in files {
        fs::create_dir_all(folder.join(directory))?;
        for n in 0..count {
            fs::write(folder.join(directory).join(name(n)), "x")?;
        }
    }
    fs::write(folder.join("snapshot/_metadata"), metadata(&root, inside, outside))?;
    measure(&format!("directory, {inside} files inside, {outside} outside"), &root, None).await?;

    let stub = Stub::start("flink", None, 1000).await?;
    for (directory, count) in files {
        (0..count).for_each(|n| stub.put(&format!("{directory}/{}", name(n)), "x"));
    }
    stub.put("snapshot/_metadata", metadata("s3://flink", inside, outside));
    measure(&format!("S3, {inside} files inside, {outside} outside"), "s3://flink", Some(stub.endpoint.clone())).await
}

async fn measure(name: &str, root: &str, endpoint: Option<String>) -> Result<()> {
    let settings = Settings {
        url: root.to_owned(),
        endpoint,
        region: None,
        credentials: None,
        access: Access::ReadOnly,
        patience: Patience::default(),
    };
    let stores = Stores::new(vec![Store::open(&settings)?]);
    let snapshot = load(&stores, &format!("{root}/snapshot"), &quietly).await?;
    run(&stores, &snapshot).await?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(run(&stores, &snapshot).await?);
    }
    runs.sort_unstable();
    let ms = |run: Option<&Duration>| run.map_or(f64::NAN, |run| run.as_secs_f64() * 1e3);
    let (median, fastest, slowest) = (ms(runs.get(RUNS / 2)), ms(runs.first()), ms(runs.last()));
    Ok(writeln!(io::stdout(), "{name}: {median:.1} ms ({fastest:.1} to {slowest:.1}, {RUNS} runs)")?)
}

async fn run(stores: &Stores, snapshot: &Snapshot) -> Result<Duration> {
    let begin = Instant::now();
    let found = verify(stores, snapshot, &quietly).await?;
    let taken = begin.elapsed();
    if found.is_whole() { Ok(taken) } else { Err(found.summary().into()) }
}

/// As long as the names that Flink gives, and in no order.
fn name(n: u32) -> String {
    format!("{:08x}-eb19-4106-b903-cd7dd4feda31", n.wrapping_mul(0x9e37_79b9))
}

/// A `_metadata` of layout 3: one operator, one subtask with incremental state of so many private files.
fn metadata(root: &str, inside: u32, outside: u32) -> Vec<u8> {
    let mut file: Vec<u8> = [0x4960_672d, 3, 0, 41, 0, 1].into_iter().flat_map(u32::to_be_bytes).collect();
    file.extend([7; 16]);
    file.extend([1, 1].into_iter().flat_map(u32::to_be_bytes));
    file.push(0);
    // One subtask, of index 0, without operator state.
    file.extend([1, 0, 0, 0].into_iter().flat_map(u32::to_be_bytes));
    // An incremental handle: checkpoint, backend, key groups, no meta state, no shared files.
    file.push(5);
    file.extend([0; 10]);
    file.extend([0, 1].into_iter().flat_map(u32::to_be_bytes));
    file.push(0);
    file.extend([0, inside + outside].into_iter().flat_map(u32::to_be_bytes));
    let text = |path: &str| [&u16::try_from(path.len()).unwrap_or_default().to_be_bytes(), path.as_bytes()].concat();
    for n in 0..inside {
        file.extend(b"\0\x0a000012.sst\x06");
        file.extend(text(&name(n)));
        file.extend(1_u64.to_be_bytes());
    }
    for n in 0..outside {
        file.extend(b"\0\x0a000012.sst\x02");
        file.extend(1_u64.to_be_bytes());
        file.extend(text(&format!("{root}/shared/{}", name(n))));
    }
    // No raw keyed state, no channels.
    file.push(0);
    file.extend([0, 0].into_iter().flat_map(u32::to_be_bytes));
    file
}
