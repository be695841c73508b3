//! The kind whose controller is not built yet: it says so, so that nobody waits for it.

use kube::Api;

use crate::api::FlinkSavepointSchedule;
use crate::api::condition::{Conditions, Reason};
use crate::reconcile::{Error, Next, Reconciler, SETTLED, write_status};
use crate::runtime::Context;

/// Of FlinkSavepointSchedule.
#[derive(Debug, Clone, Copy)]
pub struct Schedules;

impl Reconciler for Schedules {
    type Object = FlinkSavepointSchedule;

    const KIND: &'static str = "FlinkSavepointSchedule";

    async fn pass(
        ctx: &Context,
        api: &Api<FlinkSavepointSchedule>,
        mut live: FlinkSavepointSchedule,
    ) -> Result<Next, Error> {
        let mut status = live.status.clone().unwrap_or_default();
        status.observed_generation = live.metadata.generation;
        let message = "not implemented yet: kind FlinkSavepointSchedule; create FlinkSavepoints by a CronJob meanwhile";
        Conditions::new(&mut status.conditions, live.metadata.generation, ctx.clock.now())
            .stalled(Reason::NotImplemented, message);
        if live.status.as_ref() != Some(&status) {
            live.status = Some(status);
            write_status(api, live).await?;
        }
        Ok(Next::After(SETTLED))
    }
}
