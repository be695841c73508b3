//! How far a command is: one line on standard error, if that is a terminal.

use std::time::Duration;

use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::snapshot::store::{CopyProgress, Progress};

/// Shows progress, and takes the line away when it is dropped.
pub struct Reporter(ProgressBar);

impl Reporter {
    /// One that shows nothing if it is to be quiet, or if standard error is not a terminal.
    pub fn new(quiet: bool) -> Self {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target).with_style(ProgressStyle::default_spinner());
        if !bar.is_hidden() {
            // A store that is slow to answer looks different from a process that hangs.
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Self(bar)
    }

    /// Shows how far it is.
    pub fn show(&self, progress: Progress) {
        if !self.0.is_hidden() {
            self.0.set_message(words(progress));
        }
    }

    /// Shows how many of the files are deleted.
    pub fn deleted(&self, files: u64, of: u64) {
        self.0.set_message(format!("deleting: {} of {} files", HumanCount(files), HumanCount(of)));
    }
}

impl Reporter {
    /// Shows how far a copy is.
    pub fn show_copy(&self, progress: CopyProgress) {
        match progress {
            CopyProgress::Looking(progress) => self.show(progress),
            CopyProgress::Copying { files, of_files, bytes, of_bytes } if !self.0.is_hidden() => {
                self.bar(bytes, of_bytes);
                let (files, of_files) = (HumanCount(files), HumanCount(of_files));
                let (bytes, of_bytes) = (HumanBytes(bytes), HumanBytes(of_bytes));
                self.0.set_message(format!("copying: {files} of {of_files} files, {bytes} of {of_bytes}"));
            }
            CopyProgress::Copying { .. } => {}
        }
    }

    /// Shows how much there is of so many bytes.
    fn bar(&self, bytes: u64, of: u64) {
        if self.0.length() != Some(of)
            && let Ok(style) = ProgressStyle::with_template("{spinner} [{bar:30}] {msg}")
        {
            self.0.set_style(style.progress_chars("=> "));
            self.0.set_length(of);
        }
        self.0.set_position(bytes);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn words(progress: Progress) -> String {
    match progress {
        Progress::Metadata { read, of: Some(of) } => {
            format!("reading _metadata: {} of {}", HumanBytes(read), HumanBytes(of))
        }
        Progress::Metadata { read, of: None } => format!("reading _metadata: {}", HumanBytes(read)),
        Progress::Listed { files, of } => {
            format!("listing the snapshot's directory: {} of {} files", HumanCount(files), HumanCount(of))
        }
        Progress::Asked { files, of } => {
            format!("looking at files elsewhere: {} of {}", HumanCount(files), HumanCount(of))
        }
    }
}
