//! What benchmarks have in common: samples in a file of their day, and a page with the table of the newest.

use std::{
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail, ensure};
use serde::{Serialize, de::DeserializeOwned};

use super::stats::Stats;

/// What stands in the page while there are no measurements.
const EMPTY: &str = "not measured yet";

/// A benchmark, with samples of type `S`.
#[derive(Debug, Clone, Copy)]
pub struct Benchmark<S> {
    /// What the names of its files begin with, and what its place in the page is called.
    pub name: &'static str,
    /// The page with its table, from the top of the repository.
    pub page: &'static str,
    /// Makes the table, in Markdown.
    pub table: fn(&S) -> Result<String>,
    /// Makes the line about where the figures come from; it is given the name of the file.
    pub source: fn(&str, &S) -> String,
}

impl<S: Serialize + DeserializeOwned> Benchmark<S> {
    /// The program of the benchmark. `measure --rounds N --commit C --out FILE` measures on the cluster under test and
    /// writes every sample to a file; `show FILE` prints its table; `table` writes the table of the newest measurements
    /// into the page.
    pub async fn main(&self, measure: impl AsyncFnOnce(usize, &str) -> Result<S>) -> ExitCode {
        match self.run(measure).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench {}: {error:#}", self.name);
                ExitCode::FAILURE
            }
        }
    }

    async fn run(&self, measure: impl AsyncFnOnce(usize, &str) -> Result<S>) -> Result<()> {
        // `cargo bench` adds an argument of its own.
        let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match arguments.as_slice() {
            ["measure", "--rounds", rounds, "--commit", commit, "--out", file] => {
                let rounds = rounds.parse().with_context(|| format!("--rounds {rounds}"))?;
                let samples = Box::pin(measure(rounds, commit)).await?;
                fs::write(file, serde_json::to_string_pretty(&samples)? + "\n").with_context(|| (*file).to_owned())
            }
            ["show", file] => {
                let text = fs::read_to_string(file).with_context(|| (*file).to_owned())?;
                let table = (self.table)(&serde_json::from_str(&text)?)?;
                Ok(std::io::stdout().write_all(table.as_bytes())?)
            }
            ["table"] => {
                let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("no folder above")?;
                let file = top.join(self.page);
                let page = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                Ok(fs::write(&file, self.inserted(&page, self.newest(&top.join("docs/bench"))?.as_ref())?)?)
            }
            other => bail!("{other:?}: give measure --rounds N --commit C --out FILE, show FILE, or table"),
        }
    }

    /// The newest measurements of a folder; none if it holds none. The names of the files go on with the date.
    ///
    /// # Errors
    /// A file cannot be read, or holds something else.
    pub fn newest(&self, folder: &Path) -> Result<Option<(PathBuf, S)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let ours = name.strip_prefix(self.name).is_some_and(|rest| rest.starts_with('-'));
            if ours && path.extension().is_some_and(|extension| extension == "json") {
                files.push(path);
            }
        }
        let Some(path) = files.into_iter().max() else { return Ok(None) };
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let samples = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
        Ok(Some((path, samples)))
    }

    /// The page with the table of these measurements, whatever stood there before.
    ///
    /// # Errors
    /// It has no place for the table, or there is nothing to show.
    pub fn inserted(&self, page: &str, newest: Option<&(PathBuf, S)>) -> Result<String> {
        let (begin, end) = self.marks();
        let place = || {
            let (before, rest) = page.split_once(&begin)?;
            let (_, after) = rest.split_once(&end)?;
            Some((before, after))
        };
        let (before, after) = place().with_context(|| format!("{} needs the lines {begin} and {end}", self.page))?;
        let block = match newest {
            Some((path, samples)) => {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                format!("{}\n{}", (self.table)(samples)?, (self.source)(name, samples))
            }
            None => format!("{EMPTY}\n"),
        };
        Ok(format!("{before}{begin}\n{block}{end}{after}"))
    }

    /// The lines of the page between which the table stands.
    #[must_use]
    pub fn marks(&self) -> (String, String) {
        (format!("<!-- bench:{} -->", self.name), format!("<!-- /bench:{} -->", self.name))
    }
}

/// A goal, and whether it is met.
pub(super) fn judged(goal: &str, met: bool) -> String {
    format!("{goal}: {}", if met { "met" } else { "**missed**" })
}

/// Minimum, median and maximum of something in seconds.
pub(super) fn three(stats: Stats) -> String {
    format!("{:.2} / **{:.2}** / {:.2}", stats.min, stats.median, stats.max)
}

/// Of samples in milliseconds, in seconds. There must be some.
pub(super) fn seconds(milliseconds: impl Iterator<Item = i64>) -> Result<Stats> {
    let numbers: Vec<f64> = milliseconds.map(|ms| as_f64(ms) / 1000.0).collect();
    ensure!(!numbers.is_empty(), "there are no samples");
    Stats::of(numbers).context("there are no samples")
}

#[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
fn as_f64(number: i64) -> f64 {
    number as f64
}
