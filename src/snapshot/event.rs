//! What a `_metadata` says, in the order in which it says it.

use super::operator_id::OperatorId;
use super::properties::Properties;

/// One thing that a `_metadata` says. What comes between an [`Operator`](Self::Operator) and the next belongs to it,
/// what comes between a [`Subtask`](Self::Subtask) and the next to that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The first one.
    Header {
        /// The layout of the file, from 2 to 7: see [`layout`](super::layout).
        version: u32,
        /// Flink's number of the checkpoint or savepoint, within its job.
        checkpoint_id: u64,
    },
    /// State of a `MasterTriggerRestoreHook`. Not counted as anybody's state.
    MasterState {
        /// The hook's identifier.
        name: &'a str,
        /// The version of its serialiser.
        version: i32,
        /// Its length in bytes.
        bytes: u64,
    },
    /// An operator; one without state is listed, too.
    Operator {
        /// Its id.
        id: OperatorId,
        /// Its uid, in layouts from 5 and if one is set.
        uid: Option<&'a str>,
        /// Its name, in layouts from 5 and if it has one.
        name: Option<&'a str>,
        /// Its parallelism.
        parallelism: u32,
        /// Its maximum parallelism: the number of its key groups.
        max_parallelism: u32,
    },
    /// All subtasks of the operator were finished, and none is listed.
    FullyFinished,
    /// A subtask of the operator.
    Subtask {
        /// From 0.
        index: u32,
        /// It was finished, so it has no state.
        finished: bool,
    },
    /// A file, as a whole or in part. The handle that it belongs to comes after it.
    File {
        /// What of the operator it holds.
        part: Part,
        /// As it stands in the file, not checked: see [`path`](super::path).
        path: &'a str,
        /// How it is named.
        form: FileForm,
        /// Bytes of the file, or of the part of it that is meant.
        size: u64,
    },
    /// A directory of files that Flink has merged, by its whole URI, not checked. Flink deletes it with all that is in it
    /// once no checkpoint needs it.
    Directory {
        /// What of the operator it belongs to.
        part: Part,
        /// As it stands in the file.
        path: &'a str,
    },
    /// Bytes that stand in `_metadata` itself; they are passed over. The handle that they belong to comes after them.
    Inline {
        /// What of the operator they hold.
        part: Part,
        /// Their number.
        bytes: u64,
    },
    /// A state handle, complete.
    Handle {
        /// What of the operator it holds.
        part: Part,
        /// Its kind.
        kind: HandleKind,
        /// Bytes of state, as Flink's `getStateSize()` counts them: a file of which several handles each hold a part
        /// counts with these parts only.
        bytes: u64,
        /// It is part of another handle, which comes after it and counts its bytes again.
        nested: bool,
    },
    /// What Flink itself thinks the snapshot is; the last one, in layouts from 4.
    Properties(Properties),
}

/// Which state of an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Of its `OperatorCoordinator`, in the JobManager.
    Coordinator,
    /// Operator state.
    ManagedOperator,
    /// Operator state that the operator serialises itself.
    RawOperator,
    /// Keyed state.
    ManagedKeyed,
    /// Keyed state that the operator serialises itself: timers of some state backends.
    RawKeyed,
    /// Records in flight before the operator: only in unaligned checkpoints.
    InputChannel,
    /// Records in flight after the operator: only in unaligned checkpoints.
    OutputChannel,
}

/// How a file is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// Relative to the directory of `_metadata` (`RelativeFileStateHandle`), which may be moved with it.
    Relative,
    /// By its whole URI (`FileStateHandle`).
    Absolute,
    /// By its whole URI, and only a part of it is meant (`SegmentFileStateHandle`, of merged files).
    Segment {
        /// Where in the file the part begins, in bytes.
        start: u64,
        /// The file belongs to several checkpoints (`SHARED`), not to this one (`EXCLUSIVE`).
        shared: bool,
    },
}

/// The kinds of state handles, by Flink's classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HandleKind {
    /// `StreamStateHandle` of a coordinator.
    Coordinator,
    /// `OperatorStreamStateHandle`.
    Operator,
    /// `FileMergingOperatorStreamStateHandle`.
    MergedOperator,
    /// `KeyGroupsStateHandle`: keyed state of hashmap, or any raw one.
    KeyGroups,
    /// `KeyGroupsSavepointStateHandle`: keyed state in the format of all state backends, only in canonical savepoints.
    KeyGroupsSavepoint,
    /// `IncrementalRemoteKeyedStateHandle`: the files of RocksDB or ForSt.
    Incremental,
    /// `ChangelogStateBackendHandle`: a materialised state and what changed since.
    Changelog,
    /// `InMemoryChangelogStateHandle`.
    ChangelogInMemory,
    /// `ChangelogStateHandleStreamImpl`.
    ChangelogFiles,
    /// `InputChannelStateHandle` or `ResultSubpartitionStateHandle`.
    Channel,
    /// `MergedInputChannelStateHandle` or `MergedResultSubpartitionStateHandle`.
    MergedChannel,
}
