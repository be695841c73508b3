//! Which operators of a snapshot the operators of a job take: Flink's own rule, ahead of the start.
//!
//! `Checkpoints.loadAndValidateCheckpoint` refuses a snapshot that has state of an operator which the job lacks, unless
//! told otherwise, and one whose operator has another maximum parallelism than the job's, if the job sets it;
//! `StateAssignmentOperation.checkParallelismPreconditions` refuses a parallelism above the snapshot's maximum.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{OperatorFacts, SnapshotFacts};
use super::operator_id::OperatorId;

/// An operator of a job that is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GraphOperator {
    /// Its id.
    pub id: OperatorId,
    /// A second id that state is found by, too: `setUidHash`.
    pub uid_hash: Option<OperatorId>,
    /// Its uid, if one is set.
    pub uid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its parallelism. `None`: not known.
    pub parallelism: Option<u32>,
    /// Its maximum parallelism, if the job sets one. Else Flink takes that of the snapshot.
    pub max_parallelism: Option<u32>,
    /// Its id was made from the shape of the graph, because no uid is set: it changes with the graph.
    #[serde(default)]
    pub generated: bool,
}

/// An operator, by the ways to name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorRef {
    /// Its id.
    pub id: OperatorId,
    /// Its uid, if known.
    pub uid: Option<String>,
    /// Its name, if known.
    pub name: Option<String>,
}

impl fmt::Display for OperatorRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.uid, &self.name) {
            (Some(uid), _) => write!(f, "{uid} ({})", self.id),
            (None, Some(name)) => write!(f, "{name:?} ({})", self.id),
            (None, None) => self.id.fmt(f),
        }
    }
}

/// An operator whose state the job can't take, because of the number of its key groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// Which operator.
    pub operator: OperatorRef,
    /// Its maximum parallelism in the snapshot.
    pub snapshot_max_parallelism: u32,
    /// What of the job does not agree with that.
    pub kind: ConflictKind,
}

/// What does not agree with the maximum parallelism in a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ConflictKind {
    /// The job sets another maximum parallelism.
    MaxParallelism(u32),
    /// The job's parallelism is above it.
    Parallelism(u32),
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operator, snapshot) = (&self.operator, self.snapshot_max_parallelism);
        match self.kind {
            ConflictKind::MaxParallelism(job) => write!(
                f,
                "operator {operator}: maxParallelism {job} is set, the snapshot has {snapshot}: set {snapshot}, or leave \
                 it out"
            ),
            ConflictKind::Parallelism(job) => write!(
                f,
                "operator {operator}: parallelism {job} is above the snapshot's maximum parallelism {snapshot}: set at \
                 most {snapshot}"
            ),
        }
    }
}

/// Operators of a snapshot and of a job, held against each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// In both: the job takes their state. Named as in the job.
    pub kept: Vec<OperatorRef>,
    /// In the job only: they start without state.
    pub new: Vec<OperatorRef>,
    /// In the snapshot only, with state: Flink refuses to start unless `allowNonRestoredState` is set, and then the state
    /// is lost.
    pub dropped_with_state: Vec<OperatorRef>,
    /// In the snapshot only, without state: Flink passes over them.
    pub dropped_without_state: Vec<OperatorRef>,
    /// Flink refuses to start, whatever is allowed.
    pub conflicts: Vec<Conflict>,
    /// Operators of the job whose id was generated.
    pub generated: Vec<OperatorRef>,
}

impl Comparison {
    /// Flink would take the snapshot, as far as operators go.
    #[must_use]
    pub fn is_restorable(&self, allow_non_restored_state: bool) -> bool {
        self.conflicts.is_empty() && (allow_non_restored_state || self.dropped_with_state.is_empty())
    }

    /// What does not stand in the way of this start, and may in that of the next.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.generated.is_empty() {
            warnings.push(format!(
                "no uid is set for {}: their ids change with the graph, and state is lost by the next change of it. Set \
                 uid() on every operator; on one that has state already setUidHash() with its present id",
                listed(&self.generated)
            ));
        }
        let ids: HashSet<OperatorId> = self.generated.iter().map(|operator| operator.id).collect();
        let renamed: Vec<OperatorRef> =
            self.new.iter().filter(|operator| ids.contains(&operator.id)).cloned().collect();
        if !renamed.is_empty() && !self.dropped_with_state.is_empty() {
            warnings.push(format!(
                "{} may be what {} was before the graph changed: setUidHash() with the old id would keep its state",
                listed(&renamed),
                listed(&self.dropped_with_state)
            ));
        }
        warnings
    }
}

/// At most ten of them, in words.
#[must_use]
pub fn listed(operators: &[OperatorRef]) -> String {
    let shown: Vec<String> = operators.iter().take(10).map(ToString::to_string).collect();
    match operators.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Holds the operators of a snapshot against those of a job. Orders are those of the snapshot, and of the job for
/// `new` and `generated`.
#[must_use]
pub fn compare(snapshot: &SnapshotFacts, job: &[GraphOperator]) -> Comparison {
    let mut by_id: HashMap<OperatorId, &GraphOperator> = HashMap::new();
    for operator in job {
        by_id.insert(operator.id, operator);
    }
    for operator in job {
        if let Some(id) = operator.uid_hash {
            by_id.insert(id, operator);
        }
    }
    let mut comparison = Comparison::default();
    let mut found: HashSet<OperatorId> = HashSet::new();
    for old in &snapshot.operators {
        match by_id.get(&old.id) {
            Some(new) => {
                found.insert(new.id);
                let operator = named(new, old);
                comparison.conflicts.extend(conflict(old, new, &operator));
                comparison.kept.push(operator);
            }
            None if old.has_state => comparison.dropped_with_state.push(old.into()),
            None => comparison.dropped_without_state.push(old.into()),
        }
    }
    comparison.new = job.iter().filter(|operator| !found.contains(&operator.id)).map(Into::into).collect();
    comparison.generated = job.iter().filter(|operator| operator.generated).map(Into::into).collect();
    comparison
}

fn conflict(old: &OperatorFacts, new: &GraphOperator, operator: &OperatorRef) -> Option<Conflict> {
    let snapshot_max_parallelism = old.max_parallelism;
    let kind = if let Some(set) = new.max_parallelism.filter(|set| *set != snapshot_max_parallelism) {
        ConflictKind::MaxParallelism(set)
    } else {
        let above = new.parallelism.filter(|parallelism| *parallelism > snapshot_max_parallelism)?;
        ConflictKind::Parallelism(above)
    };
    Some(Conflict { operator: operator.clone(), snapshot_max_parallelism, kind })
}

fn named(new: &GraphOperator, old: &OperatorFacts) -> OperatorRef {
    let OperatorRef { uid, name, .. } = new.into();
    OperatorRef { id: old.id, uid: uid.or_else(|| old.uid.clone()), name: name.or_else(|| old.name.clone()) }
}

impl From<&GraphOperator> for OperatorRef {
    fn from(operator: &GraphOperator) -> Self {
        Self { id: operator.id, uid: operator.uid.clone(), name: operator.name.clone() }
    }
}

impl From<&OperatorFacts> for OperatorRef {
    fn from(operator: &OperatorFacts) -> Self {
        Self { id: operator.id, uid: operator.uid.clone(), name: operator.name.clone() }
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
