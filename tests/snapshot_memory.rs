//! What the snapshot reader takes of memory, by an allocator that counts. A single test, because the count is of the
//! whole process.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that fails says where")]

use std::fs;
use std::io::{self, Cursor, Read, Write as _, repeat};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use flink_savepoint_operator::snapshot::store::{Access, Patience, Settings, Store, Stores, copy, load, quietly};
use flink_savepoint_operator::snapshot::{Error, Event, RewriteError, SnapshotFacts, read, rewrite};
use object_store::ObjectStoreExt as _;
use peak_alloc::PeakAlloc;
use sparse::Sparse;
use tokio::runtime::Runtime;

#[path = "common/sparse.rs"]
mod sparse;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const GIB: u32 = 1 << 30;
const MIB: usize = 1 << 20;

/// The most that `run` had allocated at once, in bytes.
fn peak(run: impl FnOnce()) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    run();
    ALLOCATOR.peak_usage().saturating_sub(before)
}

fn numbers(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().copied().flat_map(u32::to_be_bytes).collect()
}

/// The start of a `_metadata` of layout 3 with one operator, up to the state of its coordinator.
fn head() -> Vec<u8> {
    [numbers(&[0x4960_672d, 3, 0, 41, 0, 1]), vec![7; 16], numbers(&[1, 1])].concat()
}

/// A `_metadata` with one GiB of inline state: of the coordinator of its operator.
fn gibibyte() -> impl Read {
    let begin = [head(), vec![1, 0, 0], numbers(&[GIB])].concat();
    Cursor::new(begin).chain(repeat(9).take(GIB.into())).chain(Cursor::new(numbers(&[0])))
}

/// Serves it once, as S3 would; returns the address.
fn serve(length: u64, mut content: impl Read + Send + 'static) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || -> io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            request.extend(byte);
        }
        stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").as_bytes())?;
        io::copy(&mut content, &mut stream)?;
        Ok(())
    });
    Ok(address)
}

/// A `_metadata` whose one subtask has incremental state of so many shared files.
fn files(count: u32) -> impl Read {
    files_in("s3://bucket/checkpoints/0123456789abcdef0123456789abcdef/shared", count, 99)
}

/// The same, in this directory and of this size.
fn files_in(directory: &'static str, count: u32, size: u64) -> impl Read {
    let begin = [head(), vec![0], numbers(&[1, 0, 0, 0]), vec![5], vec![0; 10], numbers(&[0, 1]), vec![0]].concat();
    let mut n = 0;
    let next = move || {
        n += 1;
        let path = format!("{directory}/{n:036}");
        let length = u16::try_from(path.len()).unwrap_or_default().to_be_bytes();
        // No local name; tag, size, path.
        Cursor::new([&[0, 0, 2][..], &size.to_be_bytes(), length.as_slice(), path.as_bytes()].concat())
    };
    let one_by_one = Files { left: count, next, now: Cursor::default() };
    let private_raw_and_channels = [numbers(&[0]), vec![0], numbers(&[0, 0])].concat();
    Cursor::new([begin, numbers(&[count])].concat()).chain(one_by_one).chain(Cursor::new(private_raw_and_channels))
}

/// Makes the handle of each file only when it is read.
struct Files<F> {
    left: u32,
    next: F,
    now: Cursor<Vec<u8>>,
}

impl<F: FnMut() -> Cursor<Vec<u8>>> Read for Files<F> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.now.read(into)?;
        if n > 0 || self.left == 0 {
            return Ok(n);
        }
        self.left -= 1;
        self.now = (self.next)();
        self.now.read(into)
    }
}

/// The most that a copy of a snapshot of so many files takes.
fn copying(runtime: &Runtime, count: u32, size: u64) -> usize {
    let (source, target) = (Sparse::default(), Sparse::default());
    let mut metadata = Vec::new();
    files_in("s3://bucket/savepoint", count, size).read_to_end(&mut metadata).unwrap();
    let of = |n: u32| (format!("savepoint/{n:036}").into(), size);
    source.sizes.lock().unwrap().extend((1..=count).map(of));
    runtime.block_on(source.small.put(&"savepoint/_metadata".into(), metadata.into())).unwrap();
    let (from, to) = (Store::over("s3://bucket", Arc::new(source)), Store::over("s3://archive", Arc::new(target)));
    let mut copied = None;
    let taken = peak(|| {
        copied = Some(runtime.block_on(async {
            let stores = Stores::new(vec![from]);
            let snapshot = load(&stores, "s3://bucket/savepoint", &quietly).await.unwrap();
            copy(&stores, &snapshot, &to, "s3://archive/savepoint", &|_| {}).await.unwrap()
        }));
    });
    let copied = copied.unwrap();
    assert_eq!((copied.copied_files, copied.copied_bytes), (u64::from(count), u64::from(count) * size));
    taken
}

#[test]
fn memory_is_bounded() {
    // A GiB of inline state takes no more than a buffer.
    let mut inline_bytes = 0;
    let taken = peak(|| inline_bytes = SnapshotFacts::read(gibibyte(), None).unwrap().inline_bytes);
    assert_eq!(inline_bytes, u64::from(GIB));
    assert!(taken < 128 * 1024, "{taken} bytes for one GiB of inline state");

    // The same from S3: what HTTP keeps, and what is on its way to the reader.
    let length = u64::from(GIB) + head().len() as u64 + 3 + 4 + 4;
    let settings = Settings {
        url: "s3://bucket".to_owned(),
        endpoint: Some(serve(length, gibibyte()).unwrap()),
        region: None,
        credentials: None,
        access: Access::ReadOnly,
        patience: Patience::default(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stores = Stores::new(vec![Store::open(&settings).unwrap()]);
    let mut found = None;
    let taken = peak(|| found = Some(runtime.block_on(load(&stores, "s3://bucket/savepoint", &quietly))));
    let found = found.unwrap().unwrap();
    assert_eq!((found.metadata_bytes, found.facts.inline_bytes), (length, u64::from(GIB)));
    assert!(taken < 3 * 1024 * 1024, "{taken} bytes for one GiB from S3");

    // A whole copy takes two parts of 5 MiB for each of four files at a time, however large they are and how many.
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let taken = copying(&single, 1, GIB.into());
    assert!(taken < 11 * MIB, "{taken} bytes for a copy of a file of one GiB");
    for count in [8, 100] {
        let taken = copying(&single, count, 16 * MIB as u64);
        assert!(taken < 41 * MIB, "{taken} bytes for a copy of {count} files");
    }

    // A million files that nobody keeps take no more.
    let taken = peak(|| read(files(1_000_000), None, |_| Ok::<_, Error>(())).unwrap());
    assert!(taken < 128 * 1024, "{taken} bytes for a million files that are not kept");

    // Nor does a copy with other paths, of either.
    let keep = |_: Event<'_>| Ok::<_, RewriteError>(None);
    let taken = peak(|| rewrite(gibibyte(), None, io::sink(), keep).unwrap());
    assert!(taken < 192 * 1024, "{taken} bytes for a copy of one GiB of inline state");
    let other = |event: Event<'_>| {
        Ok::<_, RewriteError>(match event {
            Event::File { path, .. } => Some(path.replace("s3://bucket", "s3a://another")),
            _ => None,
        })
    };
    let taken = peak(|| rewrite(files(1_000_000), None, io::sink(), other).unwrap());
    assert!(taken < 192 * 1024, "{taken} bytes for a copy with a million other paths");

    // Facts take what they hold: twice, while the list grows.
    let mut count = 0;
    let taken = peak(|| count = SnapshotFacts::read(files(100_000), None).unwrap().files.len());
    assert_eq!(count, 100_000);
    assert!(taken < 32 * 1024 * 1024, "{taken} bytes for facts of 100,000 files");

    // Whatever a file claims, nothing of that size is allocated: every number in some real files becomes the largest.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/flink/snapshots");
    for name in ["handwritten/layout-2", "2.3.0/filemerging-checkpoint", "1.20.5/unaligned-checkpoint"] {
        let whole = fs::read(folder.join(name).join("_metadata")).unwrap();
        for claim in [&i32::MAX.to_be_bytes()[..], &i64::MAX.to_be_bytes()] {
            for at in 4..whole.len() - claim.len() {
                let mut file = whole.clone();
                file[at..at + claim.len()].copy_from_slice(claim);
                for length in [None, Some(file.len() as u64)] {
                    let taken = peak(|| drop(SnapshotFacts::read(file.as_slice(), length)));
                    assert!(taken < 256 * 1024, "{name}: {taken} bytes for a claim of {claim:?} at {at}");
                }
            }
        }
    }
}
