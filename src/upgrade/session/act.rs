//! What is done to a session cluster, its jobs aside.

use crate::context::Context;
use crate::reconcile::Error;
use crate::upgrade::observed::{Observed, SessionJobManager};

/// Deletes jars of revisions that are not needed any more. Jobs that were run from them go on.
///
/// # Errors
/// If the JobManager gives no answer, or refuses; the next pass looks again at what is there.
pub async fn delete_jars(ctx: &Context, o: &Observed, ids: &[String]) -> Result<(), Error> {
    let Some(SessionJobManager::Here(process)) = o.session.as_ref().map(|session| &session.job_manager) else {
        return Ok(());
    };
    let flink = process.client(ctx);
    for id in ids {
        flink.delete_jar(id).await?;
    }
    Ok(())
}
