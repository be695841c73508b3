//! What is judged when all other scenarios are over.

use anyhow::{Result, ensure};
use e2e::{audit, env::Env};

/// The operator has the rights that it needs: no request of it was ever refused.
#[tokio::test]
async fn alone_audit_no_403() -> Result<()> {
    let env = Env::load()?;
    let Some(log) = &env.audit_log else {
        eprintln!("E2E_AUDIT_LOG is not set: the rights of the operator are not judged on this cluster");
        return Ok(());
    };
    let audit = audit::read(log)?;
    ensure!(
        audit.forbidden.is_empty(),
        "of {} requests these were refused:\n{}",
        audit.requests,
        audit.forbidden.join("\n")
    );
    Ok(())
}
