//! The process of the cluster's S3 server: it can be killed, and started again as it was.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpriority_process, pidfd_open, pidfd_send_signal, setpriority_process,
};

use crate::{
    proc::{self, words},
    s3::S3,
    wait::{self, Seen},
};

/// How long its end and its start may take.
const SOON: Duration = Duration::from_secs(10);

/// The process that serves an endpoint. One that was killed is started again when this is dropped, whatever became of
/// the test.
#[derive(Debug)]
pub struct S3Server {
    s3: S3,
    number: Pid,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: PathBuf,
    log: PathBuf,
    priority: i32,
    runs: bool,
    /// Kept, as nobody waits for its end.
    child: Option<Child>,
}

impl S3Server {
    /// The process of this machine with `--port <host>:<port>` of the endpoint; nothing if there is none.
    ///
    /// # Errors
    /// It is there, and can't be looked into.
    pub fn of(s3: &S3) -> Result<Option<Self>> {
        let found = proc::with_option("--port", s3.host())?;
        found.map(|(number, folder)| Self::read(s3, number, &folder)).transpose()
    }

    fn read(s3: &S3, number: Pid, process: &Path) -> Result<Self> {
        let arguments = words(&process.join("cmdline"))?;
        let variables = words(&process.join("environ"))?.into_iter().filter_map(variable).collect();
        let (folder, log) = (fs::read_link(process.join("cwd"))?, fs::read_link(process.join("fd/1"))?);
        let priority = getpriority_process(Some(number))?;
        Ok(Self { s3: s3.clone(), number, arguments, variables, folder, log, priority, runs: true, child: None })
    }

    /// Kills it (`kill -9`), and waits until nobody answers.
    ///
    /// # Errors
    /// It has ended already, or does not end.
    pub async fn kill(&mut self) -> Result<()> {
        let descriptor = pidfd_open(self.number, PidfdFlags::empty()).context("the S3 server has ended")?;
        pidfd_send_signal(&descriptor, Signal::KILL).context("kill the S3 server")?;
        self.runs = false;
        if let Some(mut child) = self.child.take() {
            child.wait()?;
        }
        wait::until("the S3 server does not answer", SOON, async || {
            Ok(match tokio::net::TcpStream::connect(self.s3.host()).await {
                Ok(_) => Seen::NotYet("somebody answers".to_owned()),
                Err(_) => Seen::Yes(()),
            })
        })
        .await
    }

    /// Starts it again, as it was, and waits until it answers.
    ///
    /// # Errors
    /// It runs, or does not start.
    pub async fn start(&mut self) -> Result<()> {
        ensure!(!self.runs, "the S3 server runs");
        self.spawn()?;
        wait::until("the S3 server answers", SOON, async || {
            self.s3.list("nothing").await.map_or_else(|e| Ok(Seen::NotYet(format!("{e:#}"))), |_| Ok(Seen::Yes(())))
        })
        .await
    }

    fn spawn(&mut self) -> Result<()> {
        let log = OpenOptions::new().append(true).open(&self.log).with_context(|| self.log.display().to_string())?;
        // A session of its own, as the cluster's scripts give it one: it must outlive the tests.
        let child = Command::new("setsid")
            .args(&self.arguments)
            .env_clear()
            .envs(self.variables.iter().cloned())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start the S3 server")?;
        self.number = Pid::from_child(&child);
        self.child = Some(child);
        self.runs = true;
        // Not that of the tests.
        setpriority_process(Some(self.number), self.priority).context("priority of the S3 server")
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if !self.runs
            && let Err(error) = self.spawn()
        {
            eprintln!("{error:#}");
        }
    }
}

fn variable(word: OsString) -> Option<(OsString, OsString)> {
    let bytes = word.into_vec();
    let at = bytes.iter().position(|byte| *byte == b'=')?;
    let (name, value) = bytes.split_at(at);
    Some((OsString::from_vec(name.to_vec()), OsString::from_vec(value.get(1..)?.to_vec())))
}
