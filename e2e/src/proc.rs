//! Processes of this machine, as `/proc` shows them.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use rustix::process::Pid;

/// Number and folder of each process. Any of them may end at any time.
pub(crate) fn all() -> Result<impl Iterator<Item = (Pid, PathBuf)>> {
    let folders = fs::read_dir("/proc")?.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(folders.filter_map(|folder| {
        let number = folder.file_name()?.to_str()?.parse().ok()?;
        Some((Pid::from_raw(number)?, folder))
    }))
}

/// The process that was started with an option and this value of it, as two arguments.
pub(crate) fn with_option(name: &str, value: impl AsRef<OsStr>) -> Result<Option<(Pid, PathBuf)>> {
    Ok(all()?.find(|(_, folder)| has_option(folder, name, value.as_ref())))
}

/// Whether a process was started with it. One that has ended was not.
pub(crate) fn has_option(folder: &Path, name: &str, value: &OsStr) -> bool {
    let arguments = words(&folder.join("cmdline")).unwrap_or_default();
    arguments.windows(2).any(|two| matches!(two, [key, given] if key == name && given == value))
}

/// Those of a file of `/proc`, each ended by a zero.
pub(crate) fn words(file: &Path) -> Result<Vec<OsString>> {
    let bytes = fs::read(file).with_context(|| file.display().to_string())?;
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Ok(words.map(|word| OsString::from_vec(word.to_vec())).collect())
}
