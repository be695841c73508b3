//! Memory and processor time of the operator's process, as Linux counts them on the machine that it runs on.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::time::{Instant, sleep};

use crate::{operator::Operator, proc};

/// The operator's process.
#[derive(Debug, Clone)]
pub struct Process {
    folder: PathBuf,
}

/// Resident memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Now, in KiB.
    pub now_kib: u64,
    /// The most that it ever was, in KiB.
    pub peak_kib: u64,
}

impl Process {
    /// Finds the process of the operator's container; none if it is not on this machine.
    ///
    /// # Errors
    /// There is no operator, or the processes cannot be listed.
    pub async fn of(operator: &Operator) -> Result<Option<Self>> {
        let pod = operator.pod().await?;
        let statuses = pod.status.and_then(|status| status.container_statuses).unwrap_or_default();
        let id = statuses.first().and_then(|status| status.container_id.as_deref());
        let id = id.and_then(|id| id.rsplit('/').next()).context("the operator's container has no id")?;
        // A process may have ended meanwhile.
        let inside = |folder: &Path| fs::read_to_string(folder.join("cgroup")).is_ok_and(|cgroup| cgroup.contains(id));
        Ok(proc::all()?.map(|(_, folder)| folder).find(|folder| inside(folder)).map(|folder| Self { folder }))
    }

    /// How much memory it holds.
    ///
    /// # Errors
    /// It has ended.
    pub fn memory(&self) -> Result<Memory> {
        let status = self.read("status")?;
        Ok(Memory { now_kib: field(&status, "VmRSS:")?, peak_kib: field(&status, "VmHWM:")? })
    }

    /// Which share of one core it uses over a span, in percent.
    ///
    /// # Errors
    /// It has ended.
    pub async fn cpu_percent(&self, span: Duration) -> Result<f64> {
        let (begin, before) = (Instant::now(), self.cpu_seconds()?);
        sleep(span).await;
        Ok(100.0 * (self.cpu_seconds()? - before) / begin.elapsed().as_secs_f64())
    }

    /// Processor time of all its threads, ended ones too.
    fn cpu_seconds(&self) -> Result<f64> {
        let stat = self.read("stat")?;
        ticks(&stat).with_context(|| format!("{}/stat: {stat}", self.folder.display()))
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.folder.join(file);
        fs::read_to_string(&path).with_context(|| format!("{}: has the operator been replaced?", path.display()))
    }
}

/// A line such as `VmRSS:     8124 kB`.
fn field(status: &str, name: &str) -> Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
    number.with_context(|| format!("no {name} in the process' status"))
}

/// User and system time of `/proc/<pid>/stat`, in seconds. Linux counts them in hundredths on every architecture that
/// Kubernetes runs on.
fn ticks(stat: &str) -> Option<f64> {
    const PER_SECOND: f64 = 100.0;
    // The command's name is in brackets and may hold blanks; behind it come state, and eleven fields before the times.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((times.next()?.ok()? + times.next()?.ok()?) / PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_writes_is_read() {
        let stat = "7 (a name) (b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 0 0 20 0 4 0 99 1 2\n";
        assert_eq!(ticks(stat), Some(3.0));
        assert_eq!(ticks("7 (a) S 1"), None);
        let status = "Name:\tx\nVmHWM:\t   900 kB\nVmRSS:\t   812 kB\n";
        assert_eq!(field(status, "VmRSS:").unwrap(), 812);
        assert!(field(status, "VmPeak:").is_err());
    }

    #[test]
    fn our_own_process_has_memory() {
        let own = Process { folder: "/proc/self".into() };
        let memory = own.memory().unwrap();
        assert!(memory.now_kib > 0 && memory.now_kib <= memory.peak_kib, "{memory:?}");
        assert!(own.cpu_seconds().unwrap() >= 0.0);
    }
}
