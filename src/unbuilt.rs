//! The kinds whose controllers are not built yet: each says so, so that nobody waits for it.

use chrono::Utc;
use kube::Api;

use crate::api::condition::{Conditions, Reason};
use crate::api::{FlinkSavepointSchedule, FlinkSnapshotStore};
use crate::reconcile::{Error, Next, Reconciler, SETTLED, write_status};
use crate::runtime::Context;

macro_rules! unbuilt {
    ($(#[$doc:meta])* $controller:ident of $kind:ident: $instead:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $controller;

        impl Reconciler for $controller {
            type Object = $kind;

            const KIND: &'static str = stringify!($kind);

            async fn pass(_: &Context, api: &Api<$kind>, mut live: $kind) -> Result<Next, Error> {
                let mut status = live.status.clone().unwrap_or_default();
                status.observed_generation = live.metadata.generation;
                Conditions::new(&mut status.conditions, live.metadata.generation, Utc::now())
                    .stalled(Reason::NotImplemented, concat!("not implemented yet: kind ", stringify!($kind), "; ", $instead));
                if live.status.as_ref() != Some(&status) {
                    live.status = Some(status);
                    write_status(api, live).await?;
                }
                Ok(Next::After(SETTLED))
            }
        }
    };
}

unbuilt!(
    /// Of FlinkSavepointSchedule.
    Schedules of FlinkSavepointSchedule: "create FlinkSavepoints by a CronJob meanwhile"
);
unbuilt!(
    /// Of FlinkSnapshotStore.
    Stores of FlinkSnapshotStore: "Flink itself writes with the credentials of the job's pods"
);
