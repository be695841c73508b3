//! The API server's audit log: what the operator asked for and may not have.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::operator;

/// What the log says about the operator's requests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// How many requests of the operator there are.
    pub requests: usize,
    /// Those that were answered with 403, one line each: verb, resource, name, and the server's message.
    pub forbidden: Vec<String>,
}

/// Reads the log and those files into which it was rotated.
///
/// # Errors
/// A file cannot be read, or has a line that is no audit event.
pub fn read(log: &Path) -> Result<Audit> {
    let folder = log.parent().context("the audit log has no folder")?;
    let stem = log.file_stem().and_then(|stem| stem.to_str()).context("the audit log has no name")?;
    let mut audit = Audit::default();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_file() && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(stem))
        {
            let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            // The server may be writing the last line.
            let whole = text.rfind('\n').and_then(|end| text.get(..end)).unwrap_or_default();
            audit.add(whole).with_context(|| path.display().to_string())?;
        }
    }
    ensure!(audit.requests > 0, "{} knows no request of the operator: wrong log, or wrong policy", log.display());
    Ok(audit)
}

impl Audit {
    fn add(&mut self, lines: &str) -> Result<()> {
        let user = format!("system:serviceaccount:{}:", operator::NAMESPACE);
        for line in lines.lines().filter(|line| line.contains(&user)) {
            let event: Value = serde_json::from_str(line).with_context(|| format!("no audit event: {line}"))?;
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if !text("/user/username").starts_with(&user) {
                continue;
            }
            self.requests += 1;
            let code = event.pointer("/responseStatus/code").and_then(Value::as_i64);
            // Nothing can be created in a namespace that is going away; no right would change that.
            if code != Some(403) || text("/responseStatus/message").contains("because it is being terminated") {
                continue;
            }
            self.forbidden.push(format!(
                "{} {} {}: {}",
                text("/verb"),
                text("/objectRef/resource"),
                text("/requestURI"),
                text("/responseStatus/message")
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod audit_tests;
