//! The end of a resource whose files go with it. Pure.
//!
//! Who starts from a snapshot records that in its own status first, then reads here whether the snapshot is `Disposing`.
//! Who deletes writes `Disposing` first, then reads these statuses. So one of the two always sees the other (decision
//! 0024).

use std::time::Duration;

use kube::ResourceExt;

use super::observed::{ByFlink, Observed, Place};
use super::plan::{Decision, Effect};
use super::settle::since;
use super::status;
use crate::api::condition::{Conditions, Reason, types};
use crate::api::{
    DeletionPolicy, Disposal, FlinkSavepoint, FlinkSavepointStatus, Ownership, SavepointPhase, annotations,
};
use crate::holds::{Need, listed};
use crate::reconcile::{Next, SETTLED};
use crate::snapshot::store::{Amount, Contents};
use crate::time;

/// How often one that is held is looked at without any event.
const HELD: Duration = Duration::from_secs(20);
/// After a store refused or gave no answer.
const AGAIN: Duration = Duration::from_secs(20);
/// While Flink deletes.
const ASKED: Duration = Duration::from_secs(1);
/// For so long it is tried, then the resource goes and the files stay.
const DEADLINE: Duration = Duration::from_secs(600);
/// The same where the namespace goes, too: its stores and their Secrets do not come back.
pub const DEADLINE_OF_NAMESPACE: Duration = Duration::from_secs(10);

/// The phases in which there are files.
const THERE: [SavepointPhase; 3] = [SavepointPhase::Completed, SavepointPhase::Superseded, SavepointPhase::Disposing];

/// Whether the files of a snapshot go with its resource.
#[must_use]
pub fn is_wanted(savepoint: &FlinkSavepoint) -> bool {
    let status = savepoint.status.as_ref();
    (goes_with_files(savepoint) || begun(savepoint))
        && status.and_then(|s| s.phase).is_some_and(|phase| THERE.contains(&phase))
        && status.is_some_and(|s| s.location.is_some())
}

/// As its spec asks.
#[must_use]
pub fn goes_with_files(savepoint: &FlinkSavepoint) -> bool {
    savepoint.spec.deletion_policy() == DeletionPolicy::Delete
}

/// Files have begun to go: there is no way back.
pub fn begun(savepoint: &FlinkSavepoint) -> bool {
    savepoint.status.as_ref().and_then(|s| s.disposal.as_ref()).is_some_and(|disposal| disposal.begun)
}

/// What to do with a resource that is being deleted and whose files go with it.
pub fn decide(o: &Observed, draft: &mut FlinkSavepointStatus) -> Decision {
    match draft.disposal.clone() {
        _ if draft.ownership == Some(Ownership::Flink) => let_go(),
        None => begin(o, draft),
        Some(disposal) if !disposal.begun => make_certain(o, draft, disposal),
        Some(disposal) => go_on(o, draft, &disposal),
    }
}

/// Somebody needs it, or from now on nobody may.
fn begin(o: &Observed, draft: &mut FlinkSavepointStatus) -> Decision {
    if is_held(o, draft) {
        return wait(o, draft);
    }
    draft.disposal = Some(Disposal { since: Some(time::to_k8s(o.now)), before: draft.phase, ..Disposal::default() });
    draft.phase = Some(SavepointPhase::Disposing);
    disposing(o, draft, "it is made certain that nobody needs the snapshot");
    (None, Next::Again)
}

/// Who has begun to start from it before the phase was written is seen now; who begins later sees the phase.
fn make_certain(o: &Observed, draft: &mut FlinkSavepointStatus, disposal: Disposal) -> Decision {
    if is_held(o, draft) {
        draft.phase = disposal.before;
        draft.disposal = None;
        if draft.phase == Some(SavepointPhase::Completed) {
            status::completed(o, draft);
        }
        tell_holds(o, draft);
        return wait(o, draft);
    }
    let amount = match &o.place {
        Place::Contents(Contents::Snapshot(amount)) => Some(*amount),
        Place::Contents(Contents::Nothing) => Some(Amount::default()),
        Place::ByFlink(ByFlink::NotAsked) => None,
        Place::NotRead => return (None, Next::Again),
        place => return trouble(o, draft, &disposal, &why_not(place)),
    };
    let number = |of: fn(Amount) -> u64| amount.and_then(|amount| i64::try_from(of(amount)).ok());
    let (files, bytes) = (number(|a| a.files), number(|a| a.bytes));
    draft.disposal = Some(Disposal { begun: true, files, bytes, in_vain_since: None, ..disposal });
    disposing(o, draft, "its files are being deleted");
    (None, Next::Again)
}

/// Files go, until none is left.
fn go_on(o: &Observed, draft: &mut FlinkSavepointStatus, disposal: &Disposal) -> Decision {
    match &o.place {
        Place::Contents(Contents::Nothing) | Place::ByFlink(ByFlink::Done | ByFlink::Gone) => {
            (Some(Effect::RemoveFinalizer), Next::Again)
        }
        Place::Contents(_) if in_vain(o, disposal) => let_go(),
        Place::Contents(_) => (Some(Effect::Dispose), Next::Again),
        Place::ByFlink(ByFlink::NotAsked) => (Some(Effect::DisposeByFlink), Next::Again),
        Place::ByFlink(ByFlink::UnderWay) => {
            disposing(o, draft, "its JobManager deletes its files");
            (None, Next::After(ASKED))
        }
        Place::NotRead => (None, Next::Again),
        place => trouble(o, draft, disposal, &why_not(place)),
    }
}

/// Others need it, and no person has said that it shall go nevertheless. What is about to be Flink's no person can give.
fn is_held(o: &Observed, draft: &FlinkSavepointStatus) -> bool {
    !draft.holds.is_empty() && (!is_forced(&o.savepoint) || is_being_claimed(draft))
}

fn is_being_claimed(draft: &FlinkSavepointStatus) -> bool {
    draft.holds.iter().any(|hold| hold.reason == Need::Claimed.words())
}

/// The resource can't go now, because of others.
fn wait(o: &Observed, draft: &mut FlinkSavepointStatus) -> Decision {
    if o.namespace_terminating && deleted_for(o) >= DEADLINE_OF_NAMESPACE {
        return let_go();
    }
    let cure = if is_being_claimed(draft) {
        String::new()
    } else {
        format!(
            "; to delete it nevertheless, set the annotation {}={}",
            annotations::FORCE_DELETE,
            o.savepoint.name_any()
        )
    };
    draft.message = Some(format!("deletion waits for who needs the snapshot: {}{cure}", listed(&draft.holds)));
    (None, Next::After(HELD))
}

/// A person has said that its files shall go, whoever needs them.
#[must_use]
pub fn is_forced(savepoint: &FlinkSavepoint) -> bool {
    let said = savepoint.annotations().get(annotations::FORCE_DELETE);
    said.is_some_and(|said| said.trim() == savepoint.name_any())
}

/// It is tried again, but not for ever.
fn trouble(o: &Observed, draft: &mut FlinkSavepointStatus, disposal: &Disposal, why: &str) -> Decision {
    if in_vain(o, disposal) {
        return let_go();
    }
    let since = disposal.in_vain_since.clone().or_else(|| Some(time::to_k8s(o.now)));
    draft.disposal = Some(Disposal { in_vain_since: since, request_id: None, ..disposal.clone() });
    let limit = limit(o).as_secs();
    disposing(o, draft, &format!("its files can't be deleted: {why}; it is tried for {limit} s, then they stay"));
    (None, Next::After(AGAIN))
}

/// For so long it is tried.
fn limit(o: &Observed) -> Duration {
    if o.namespace_terminating { DEADLINE_OF_NAMESPACE } else { DEADLINE }
}

fn in_vain(o: &Observed, disposal: &Disposal) -> bool {
    disposal.in_vain_since.as_ref().is_some_and(|began| since(o, began) >= limit(o))
}

/// The status, and when to look again, once files could not be removed.
#[must_use]
pub fn failed(o: &Observed, why: &str) -> (FlinkSavepointStatus, Next) {
    let mut draft = o.savepoint.status.clone().unwrap_or_default();
    let disposal = draft.disposal.clone().unwrap_or_default();
    let (_, next) = trouble(o, &mut draft, &disposal, why);
    (draft, next)
}

fn why_not(place: &Place) -> String {
    match place {
        Place::Trouble(why) | Place::ByFlink(ByFlink::Failed(why)) => why.clone(),
        Place::Contents(Contents::Unfinished(_)) => {
            "its directory has files and no _metadata, so what they are can't be told; remove them, or leave them with \
             spec.deletionPolicy: Retain"
                .to_owned()
        }
        Place::Contents(_) | Place::ByFlink(_) | Place::NotRead => String::new(),
    }
}

fn let_go() -> Decision {
    (Some(Effect::RemoveFinalizer), Next::After(SETTLED))
}

fn disposing(o: &Observed, draft: &mut FlinkSavepointStatus, message: &str) {
    status::under_way(o, draft, Reason::Disposing, message);
}

fn deleted_for(o: &Observed) -> Duration {
    o.savepoint.metadata.deletion_timestamp.as_ref().map_or(Duration::ZERO, |at| since(o, at))
}

/// The status once files were removed that could not be before; `None`: it says so.
#[must_use]
pub fn removed(o: &Observed) -> Option<FlinkSavepointStatus> {
    let mut draft = o.savepoint.status.clone()?;
    draft.disposal.as_mut()?.in_vain_since.take()?;
    disposing(o, &mut draft, "its files are being deleted");
    Some(draft)
}

/// The status once a JobManager was asked: its answer is looked for by this id.
#[must_use]
pub fn asked(o: &Observed, request: String) -> FlinkSavepointStatus {
    let mut draft = o.savepoint.status.clone().unwrap_or_default();
    if let Some(disposal) = &mut draft.disposal {
        disposal.request_id = Some(request);
    }
    draft
}

/// Who needs the snapshot, and whether it could be deleted.
pub fn tell_holds(o: &Observed, draft: &mut FlinkSavepointStatus) {
    let Some(holds) = &o.holds else { return };
    let begun = draft.disposal.as_ref().is_some_and(|disposal| disposal.begun);
    if begun || !draft.phase.is_some_and(|phase| THERE.contains(&phase)) {
        return;
    }
    draft.holds.clone_from(holds);
    let mut conditions = Conditions::new(&mut draft.conditions, o.savepoint.metadata.generation, o.now);
    if draft.ownership == Some(Ownership::Flink) {
        let message = "its files are Flink's since a restore with CLAIM: the operator never deletes them";
        conditions.set(types::DELETABLE, false, Reason::SnapshotOwnedByFlink, message);
    } else if holds.is_empty() {
        conditions.set(types::DELETABLE, true, Reason::NotHeld, "nobody needs it");
    } else {
        conditions.set(types::DELETABLE, false, Reason::Held, listed(holds));
    }
}

/// What became of the files of a resource that goes, for the Event that says so; whether that is as asked.
#[must_use]
pub fn outcome(o: &Observed) -> Option<(bool, String)> {
    let status = o.savepoint.status.as_ref().filter(|_| is_wanted(&o.savepoint))?;
    let location = status.location.as_deref()?;
    if status.ownership == Some(Ownership::Flink) {
        return Some((false, format!("{location} stays: it is Flink's since a restore with CLAIM")));
    }
    let disposal = status.disposal.as_ref().filter(|disposal| disposal.begun);
    let gone = matches!(o.place, Place::Contents(Contents::Nothing) | Place::ByFlink(ByFlink::Done | ByFlink::Gone));
    Some(match disposal {
        Some(Disposal { files: Some(files), bytes: Some(bytes), .. }) if gone => {
            let s = if *files == 1 { "" } else { "s" };
            (true, format!("{location} is deleted: {files} file{s}, {bytes} bytes"))
        }
        Some(_) if o.place == Place::ByFlink(ByFlink::Gone) => {
            let note =
                "is deleted by its JobManager, whose answer was lost: files that its _metadata named may be left";
            (false, format!("{location} {note}"))
        }
        Some(_) if gone => (true, format!("{location} is deleted by its JobManager")),
        Some(_) => {
            let why = status.message.as_deref().unwrap_or_default();
            (false, format!("files below {location} are left behind: {why}"))
        }
        None => {
            let why = if status.holds.is_empty() { why_not(&o.place) } else { listed(&status.holds) };
            (false, format!("{location} is left behind: {why}"))
        }
    })
}

#[cfg(test)]
#[path = "dispose_tests.rs"]
mod tests;
