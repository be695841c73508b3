//! How the jar of the next revision is fetched, if it is not in its image: by the operator's own image, with the
//! credentials of the namespace's store that serves it.

use kube::api::ListParams;
use kube::{Api, ResourceExt as _};

use super::observed::Observed;
use super::workload::{self, Fetch, Jar};
use crate::api::{FlinkSnapshotStore, UpgradeStep};
use crate::context::Context;
use crate::flink::location;
use crate::holds::references;
use crate::image;
use crate::reconcile::{Error, within};
use crate::store::open::serves;

/// How the next revision's jar is fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fetching {
    /// It was not asked, as no revision is about to be made.
    #[default]
    NotAsked,
    /// Like this, or not at all: it is in the image.
    By(Fetch),
    /// It can't be: why, and the cure.
    Refused(String),
}

/// Adds how the jar is fetched of a revision that may be made now.
///
/// # Errors
/// If Kubernetes can't be asked.
pub async fn add(ctx: &Context, o: &mut Observed) -> Result<(), Error> {
    if !matters(o) {
        return Ok(());
    }
    // What is wrong with the spec itself is said elsewhere.
    let Ok(jar) = Jar::of(&o.upgrade.spec.job) else { return Ok(()) };
    o.jar = match jar {
        Jar::InImage(_) => Fetching::By(Fetch::default()),
        Jar::S3(uri) | Jar::Web(uri) => {
            let uri = uri.to_owned();
            fetching(ctx, &o.upgrade.namespace().unwrap_or_default(), &uri).await?
        }
    };
    Ok(())
}

fn matters(o: &Observed) -> bool {
    let status = o.upgrade.status.as_ref();
    if let Some(upgrade) = status.and_then(|s| s.upgrade.as_ref()) {
        return upgrade.step == UpgradeStep::Preparing && o.record(upgrade.to).is_none();
    }
    let active = status.and_then(|s| s.active.as_ref()).and_then(|active| o.record(active.revision));
    let same = active.is_some_and(|record| record.revision_hash == workload::revision_hash(&o.upgrade.spec));
    o.upgrade.metadata.deletion_timestamp.is_none() && (!same || references::pending_restore(&o.upgrade).is_some())
}

async fn fetching(ctx: &Context, namespace: &str, uri: &str) -> Result<Fetching, Error> {
    let Some(image) = image::own(ctx).await? else {
        let message = "spec.job.jarURI: the jar is fetched by the operator's own image, whose name is not known; give it to \
                       the operator by --image (OPERATOR_IMAGE)";
        return Ok(Fetching::Refused(message.to_owned()));
    };
    if !uri.starts_with("s3:") {
        return Ok(Fetching::By(Fetch { image, ..Fetch::default() }));
    }
    let api: Api<FlinkSnapshotStore> = Api::namespaced(ctx.client.clone(), namespace);
    let stores = within("list FlinkSnapshotStores", api.list(&ListParams::default().match_any())).await?.items;
    let serving = stores.into_iter().filter(|store| serves(&store.spec.url, uri));
    let Some(store) = serving.max_by_key(|store| location::normalise(&store.spec.url).len()) else {
        return Ok(Fetching::Refused(format!(
            "spec.job.jarURI: '{uri}' lies in no FlinkSnapshotStore of this namespace; create one whose url it begins with"
        )));
    };
    let spec = store.spec;
    let secret = spec.credentials_secret_ref.map(|secret| secret.name);
    Ok(Fetching::By(Fetch { image, endpoint: spec.endpoint, region: spec.region, secret }))
}

/// Why the next revision's jar can't be fetched.
#[must_use]
pub fn refused(o: &Observed) -> Option<&str> {
    match &o.jar {
        Fetching::Refused(why) => Some(why),
        Fetching::NotAsked | Fetching::By(_) => None,
    }
}
