//! Why a condition is as it is.

super::string_enum! {
    /// Reasons: the stable strings that a condition, its Event and its metric label share.
    pub enum Reason {
        /// First start under way.
        Starting = "Starting",
        /// Running and stable.
        Running = "Running",
        /// An upgrade is under way.
        Upgrading = "Upgrading",
        /// A failed upgrade is going back.
        RollingBack = "RollingBack",
        /// The job was lost, and is started again.
        Recovering = "Recovering",
        /// The last upgrade went back to the revision before it.
        RolledBack = "RolledBack",
        /// The job is being stopped, as asked.
        Suspending = "Suspending",
        /// Suspended as asked.
        Suspended = "Suspended",
        /// The job reached its end.
        Finished = "Finished",
        /// The job ended by a failure.
        JobFailed = "JobFailed",
        /// The resource is being deleted.
        Deleting = "Deleting",
        /// Slots start at their times.
        Scheduled = "Scheduled",
        /// A slot could not start in time.
        SlotMissed = "SlotMissed",
        /// The newest slot of a schedule that was acted upon is still to come.
        ClockWentBack = "ClockWentBack",
        /// The savepoint is under way.
        InProgress = "InProgress",
        /// The savepoint is complete.
        Completed = "Completed",
        /// No savepoint came of it.
        SavepointFailed = "SavepointFailed",
        /// A newer savepoint takes its place.
        Superseded = "Superseded",
        /// The files are being deleted.
        Disposing = "Disposing",
        /// The snapshot could not be copied.
        CopyFailed = "CopyFailed",
        /// Somebody needs the snapshot.
        Held = "Held",
        /// Nobody needs the snapshot.
        NotHeld = "NotHeld",
        /// A value is set that this version does not know, or that asks for what is not built.
        NotImplemented = "NotImplemented",
        /// A field's value cannot be used.
        InvalidSpec = "InvalidSpec",
        /// A Flink option is set that the operator owns, or set twice.
        InvalidConfiguration = "InvalidConfiguration",
        /// The object that the spec names is not there.
        JobNotFound = "JobNotFound",
        /// The job is not in a state in which this can be done.
        JobNotRunning = "JobNotRunning",
        /// Neither the resource nor the job names a savepoint directory.
        NoTargetDirectory = "NoTargetDirectory",
        /// The job is stopped by `job.state`, not by a savepoint of one's own.
        UseSuspend = "UseSuspend",
        /// Another operation of the job comes first.
        WaitingForOperation = "WaitingForOperation",
        /// The JobManager does not answer; that says nothing about the savepoint or the job.
        JobManagerUnreachable = "JobManagerUnreachable",
        /// The JobManager restarted and knows nothing of the job any more.
        JobManagerLost = "JobManagerLost",
        /// The JobManager's process runs, and can't do its work any more.
        JobManagerUnhealthy = "JobManagerUnhealthy",
        /// Another cluster leads where the revision's own JobManager should.
        ForeignLeader = "ForeignLeader",
        /// Data of Flink's high availability of an earlier cluster would start that one's job by itself.
        HighAvailabilityDataExists = "HighAvailabilityDataExists",
        /// The job's newest checkpoints outlive it.
        CheckpointsKept = "CheckpointsKept",
        /// The job takes no checkpoints.
        CheckpointsOff = "CheckpointsOff",
        /// The job's checkpoints end with its JobManager.
        CheckpointsInMemory = "CheckpointsInMemory",
        /// The job has Flink delete its checkpoints when it is cancelled or fails.
        CheckpointsThrownAway = "CheckpointsThrownAway",
        /// A revision's image or jar is not what it was when it ran.
        RevisionChanged = "RevisionChanged",
        /// A revision's stored rendering is gone.
        RevisionRecordMissing = "RevisionRecordMissing",
        /// A revision's stored rendering can't be read: a newer operator wrote it, or it is damaged.
        RevisionRecordUnreadable = "RevisionRecordUnreadable",
        /// The old revision can't be put back.
        RollbackFailed = "RollbackFailed",
        /// An answer was lost and cannot be found out any more.
        AnswerLost = "AnswerLost",
        /// A failed savepoint made the job restart: no more are tried.
        SnapshotHarmsJob = "SnapshotHarmsJob",
        /// It takes longer than its timeout.
        TimeoutExceeded = "TimeoutExceeded",
        /// The job has ended.
        JobEnded = "JobEnded",
        /// Not all tasks of the job were running.
        TasksNotRunning = "TasksNotRunning",
        /// The job was being restarted, stopped or cancelled meanwhile.
        CoordinatorSuspending = "CoordinatorSuspending",
        /// It took longer than Flink's own timeout of checkpoints.
        CheckpointExpired = "CheckpointExpired",
        /// Flink has no file system of the directory's scheme.
        UnknownFileSystem = "UnknownFileSystem",
        /// Flink could not write to the directory.
        StorageFailed = "StorageFailed",
        /// The job failed while it was being stopped.
        StoppingFailed = "StoppingFailed",
        /// The savepoint of an upgrade could not be taken.
        SavepointBlocked = "SavepointBlocked",
        /// The new revision can take the state.
        PreflightPassed = "PreflightPassed",
        /// The new revision cannot take the state.
        PreflightFailed = "PreflightFailed",
        /// Whether the new revision can take the state is known only when it is submitted.
        PreflightNotPossible = "PreflightNotPossible",
        /// The new revision's pods do not come up.
        PodsNotReady = "PodsNotReady",
        /// Flink refused the submitted job.
        SubmitFailed = "SubmitFailed",
        /// The new job restored something other than what was asked.
        RestoreMismatch = "RestoreMismatch",
        /// No progress within `upgrade.progressDeadline`.
        ProgressDeadlineExceeded = "ProgressDeadlineExceeded",
        /// The previous submission may still process.
        PreviousJobNotFenced = "PreviousJobNotFenced",
        /// State of an earlier job of this name exists, and the spec does not say what to do with it.
        StateExists = "StateExists",
        /// Whether state of an earlier job exists cannot be found out.
        StateUnknown = "StateUnknown",
        /// A revision name was used before for another spec.
        RevisionNameReused = "RevisionNameReused",
        /// An object of the same name belongs to something else.
        NameConflict = "NameConflict",
        /// The status holds a value that this version does not know.
        UnknownStatus = "UnknownStatus",
        /// A window has to open first.
        WaitingForWindow = "WaitingForWindow",
        /// Somebody has to promote the new colour.
        WaitingForPromotion = "WaitingForPromotion",
        /// The new colour was promoted.
        Promoted = "Promoted",
        /// Somebody has given the new colour up.
        Aborted = "Aborted",
        /// The new colour was not promoted within `upgrade.blueGreen.abortAfter`.
        PromotionOverdue = "PromotionOverdue",
        /// Nothing in the spec tells the two sides of a blue-green upgrade apart.
        SidesNotApart = "SidesNotApart",
        /// A newer spec waits until the current upgrade is over.
        UpgradeInProgress = "UpgradeInProgress",
        /// The probe of the store succeeded.
        ProbeSucceeded = "ProbeSucceeded",
        /// The Secret with a store's credentials is not there.
        SecretMissing = "SecretMissing",
        /// The Secret with a store's credentials lacks a key.
        SecretIncomplete = "SecretIncomplete",
        /// What the Secret holds can't be credentials.
        SecretMalformed = "SecretMalformed",
        /// A `file://` store outside of the directories that the operator may look into.
        LocalNotAllowed = "LocalNotAllowed",
        /// The store takes no more savepoints at once.
        StoreBusy = "StoreBusy",
        /// No FlinkSnapshotStore of the namespace serves the place.
        NoStore = "NoStore",
        /// The named FlinkSnapshotStore does not serve the place.
        WrongStore = "WrongStore",
        /// All files of the snapshot are there, with their sizes.
        FilesChecked = "FilesChecked",
        /// The snapshot's metadata was read; its files were not looked for, as asked.
        MetadataRead = "MetadataRead",
        /// Files of the snapshot are missing or of another size.
        FilesMissing = "FilesMissing",
        /// Some files lie where no FlinkSnapshotStore of the namespace serves them.
        FilesNotServed = "FilesNotServed",
        /// A store's url can't be used.
        InvalidUrl = "InvalidUrl",
        /// A place is of a scheme that is not supported.
        UnsupportedScheme = "UnsupportedScheme",
        /// A store's endpoint can't be used.
        InvalidEndpoint = "InvalidEndpoint",
        /// A store's bucket does not exist.
        NoSuchBucket = "NoSuchBucket",
        /// A store does not know the access key id.
        UnknownAccessKey = "UnknownAccessKey",
        /// The secret access key does not belong to the access key id.
        WrongSecretKey = "WrongSecretKey",
        /// The session token is expired or not valid.
        ExpiredToken = "ExpiredToken",
        /// A store does not allow these credentials to do it.
        AccessDenied = "AccessDenied",
        /// A file is not there.
        NotFound = "NotFound",
        /// A store's server can't be reached.
        Unreachable = "Unreachable",
        /// A store gives no answer in time.
        TimedOut = "TimedOut",
        /// A store's server closed the connection before its answer was complete.
        ConnectionCut = "ConnectionCut",
        /// A store's server failed.
        ServerError = "ServerError",
        /// A store sent fewer bytes than it promised.
        ShortRead = "ShortRead",
        /// A store refused, for another reason; its own word for that is in the message.
        Refused = "Refused",
        /// The file system failed.
        Io = "Io",
        /// No store serves the place.
        NoStoreForLocation = "NoStoreForLocation",
        /// There is neither a file nor a directory at the place.
        SnapshotNotFound = "SnapshotNotFound",
        /// The directory has files, and no `_metadata`: a snapshot that was never completed.
        NoMetadata = "NoMetadata",
        /// The metadata could not be read to its end.
        MetadataUnreadable = "MetadataUnreadable",
        /// The metadata has no bytes.
        MetadataEmpty = "MetadataEmpty",
        /// The metadata ends too early.
        MetadataTruncated = "MetadataTruncated",
        /// The file is no metadata of Flink's.
        NotMetadata = "NotMetadata",
        /// The metadata is of a layout that is not known.
        UnknownMetadataVersion = "UnknownMetadataVersion",
        /// The metadata has a kind of state handle that is not known.
        UnknownStateHandle = "UnknownStateHandle",
        /// The metadata has a count or a size below zero.
        NegativeNumber = "NegativeNumber",
        /// The metadata has a number that stands for nothing known.
        UnknownValue = "UnknownValue",
        /// The metadata has text that is not modified UTF-8.
        MalformedText = "MalformedText",
        /// The metadata has state handles within each other, deeper than Flink writes them.
        NestedTooDeep = "NestedTooDeep",
        /// The metadata goes on after its end.
        TrailingBytes = "TrailingBytes",
        /// The checkpoint's properties in the metadata can't be understood.
        MalformedProperties = "MalformedProperties",
        /// The snapshot has more operators or files than are kept in memory.
        SnapshotTooLarge = "SnapshotTooLarge",
        /// The metadata names a file outside of the directory, by `..`.
        PathClimbs = "PathClimbs",
        /// The metadata names a file by an absolute path where a relative one belongs.
        PathAbsolute = "PathAbsolute",
        /// The metadata hides parts of a path behind percent-encoding.
        PathEncoded = "PathEncoded",
        /// The metadata names the directory itself, or nothing, as a file.
        PathEmpty = "PathEmpty",
        /// The metadata names a file by a path with a control character.
        PathControlCharacter = "PathControlCharacter",
        /// What somebody had changed or deleted of the active revision's objects was put back.
        Healed = "Healed",
        /// That is changed again and again.
        HealedInVain = "HealedInVain",
        /// A job of somebody else lives on the active revision's cluster.
        ForeignJob = "ForeignJob",
        /// The snapshot is Flink's own since a restore with CLAIM.
        SnapshotOwnedByFlink = "SnapshotOwnedByFlink",
        /// No savepoint that could be taken allows what is to change.
        NotPossible = "NotPossible",
    }
}

impl Reason {
    /// The reason that an error names by this word; `None`: it is of no use in a condition.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word)
    }

    /// The reason of an error about a snapshot or a store. Each has one: a test holds the two lists together.
    #[must_use]
    pub fn of_error(word: &str) -> Self {
        Self::of(word).unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
#[path = "reason_tests.rs"]
mod tests;
