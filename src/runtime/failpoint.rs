//! Points before and after every effect at which a test lets the process die.
//!
//! Only with the cargo feature `failpoints`; without it [`hit`] is nothing. A failpoint is armed in memory, through the admin server, so
//! that the process that comes back runs on.

/// All failpoints. Each effect has one before it and one after it.
pub const NAMES: &[&str] = &[
    "savepoint.intent.before",
    "savepoint.intent.after",
    "savepoint.complete.before",
    "savepoint.complete.after",
    "savepoint.status.before",
    "savepoint.status.after",
    "savepoint.lock.before",
    "savepoint.lock.after",
    "savepoint.trigger.before",
    "savepoint.trigger.after",
    "savepoint.add-finalizer.before",
    "savepoint.add-finalizer.after",
    "savepoint.remove-finalizer.before",
    "savepoint.remove-finalizer.after",
    "savepoint.cancel.before",
    "savepoint.cancel.after",
    "savepoint.sweep.before",
    "savepoint.sweep.after",
    "savepoint.copy.before",
    "savepoint.copy.after",
    "savepoint.label.before",
    "savepoint.label.after",
    "savepoint.dispose.before",
    "savepoint.dispose.after",
    "schedule.status.before",
    "schedule.status.after",
    "schedule.create.before",
    "schedule.create.after",
    "upgrade.status.before",
    "upgrade.status.after",
    "upgrade.add-finalizer.before",
    "upgrade.add-finalizer.after",
    "upgrade.remove-finalizer.before",
    "upgrade.remove-finalizer.after",
    "upgrade.store-revision.before",
    "upgrade.store-revision.after",
    "upgrade.create-objects.before",
    "upgrade.create-objects.after",
    "upgrade.create-without-task-managers.before",
    "upgrade.create-without-task-managers.after",
    "upgrade.scale.before",
    "upgrade.scale.after",
    "upgrade.heal.before",
    "upgrade.heal.after",
    "upgrade.delete-objects.before",
    "upgrade.delete-objects.after",
    "upgrade.delete-pods.before",
    "upgrade.delete-pods.after",
    "upgrade.delete-record.before",
    "upgrade.delete-record.after",
    "upgrade.point-service.before",
    "upgrade.point-service.after",
    "upgrade.delete-service.before",
    "upgrade.delete-service.after",
    "upgrade.preflight.before",
    "upgrade.preflight.after",
    "upgrade.delete-account.before",
    "upgrade.delete-account.after",
    "upgrade.warm-up.before",
    "upgrade.warm-up.after",
    "upgrade.create-savepoint.before",
    "upgrade.create-savepoint.after",
    "upgrade.delete-savepoint.before",
    "upgrade.delete-savepoint.after",
    "upgrade.delete-child.before",
    "upgrade.delete-child.after",
    "upgrade.remove-checkpoints.before",
    "upgrade.remove-checkpoints.after",
    "upgrade.submit.before",
    "upgrade.submit.after",
    "upgrade.cancel.before",
    "upgrade.cancel.after",
    "upgrade.trigger-checkpoint.before",
    "upgrade.trigger-checkpoint.after",
    "upgrade.delete-jars.before",
    "upgrade.delete-jars.after",
    "upgrade.delete-ha-config-maps.before",
    "upgrade.delete-ha-config-maps.after",
    "upgrade.remove-ha-storage.before",
    "upgrade.remove-ha-storage.after",
];

/// Passes a failpoint: if it is armed for the object, the process dies without any cleaning up. `key` is `<namespace>/<name>`.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn hit(_name: &str, _key: &(impl std::fmt::Display + ?Sized)) {}

#[cfg(feature = "failpoints")]
pub use armed::{ARMED, Armed, Unknown, hit};

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        fmt::Display,
        sync::{Mutex, PoisonError},
    };

    /// The failpoints that are armed in this process.
    pub static ARMED: Armed = Armed::new();

    /// Passes a failpoint: if it is armed for the object, the process dies without any cleaning up. `key` is `<namespace>/<name>`.
    pub fn hit(name: &str, key: &(impl Display + ?Sized)) {
        let key = key.to_string();
        debug_assert!(super::NAMES.contains(&name), "{name} is missing in NAMES");
        if ARMED.is_armed(name, &key) {
            tracing::error!(failpoint = name, key, "failpoint hit: the process dies");
            std::process::abort();
        }
    }

    /// There is no failpoint of this name.
    #[derive(Debug, PartialEq, Eq, thiserror::Error)]
    #[error("there is no failpoint {0:?}; known are: {known}", known = super::NAMES.join(", "))]
    pub struct Unknown(pub String);

    /// A set of armed failpoints.
    #[derive(Debug)]
    pub struct Armed(Mutex<Vec<(&'static str, String)>>);

    impl Default for Armed {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Armed {
        /// None is armed.
        #[must_use]
        pub const fn new() -> Self {
            Self(Mutex::new(Vec::new()))
        }

        /// Arms a failpoint for one object (`<namespace>/<name>`) or all objects of a namespace (`<namespace>`).
        ///
        /// # Errors
        /// [`Unknown`] if the name is not in [`NAMES`](super::NAMES).
        pub fn arm(&self, name: &str, key: &str) -> Result<(), Unknown> {
            let known = super::NAMES.iter().find(|known| **known == name);
            let name = known.ok_or_else(|| Unknown(name.to_owned()))?;
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((*name, key.to_owned()));
            Ok(())
        }

        /// Disarms all.
        pub fn clear(&self) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }

        /// Whether the failpoint is armed for the object.
        #[must_use]
        pub fn is_armed(&self, name: &str, key: &str) -> bool {
            let namespace = key.split_once('/').map_or(key, |(namespace, _)| namespace);
            let armed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            armed.iter().any(|(armed, of)| *armed == name && (of == key || of == namespace))
        }
    }
}

#[cfg(test)]
#[path = "failpoint_tests.rs"]
mod tests;
