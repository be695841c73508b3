//! The orderly end: one switch, handed to everybody who has to stop.

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::Error;

/// A switch that is thrown once. Cheap to clone; all clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    /// A switch that was not thrown yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Throws the switch. A second time does nothing.
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }

    /// Whether the switch was thrown.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when the switch is thrown, at once if it was.
    pub fn requested(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        // The sender is kept, so that waiting never ends only because every other clone is gone.
        let switch = self.clone();
        async move {
            let mut thrown = switch.0.subscribe();
            let _ = thrown.wait_for(|thrown| *thrown).await;
        }
    }

    /// Throws the switch on the first SIGTERM or SIGINT.
    ///
    /// The signals are caught from the call on, not from the first poll: as process 1 of a container this process would ignore
    /// them until then. Must be called inside the runtime.
    ///
    /// # Errors
    /// [`Error::Signals`] if the operating system refuses the handlers.
    pub fn trigger_on_signals(&self) -> Result<(), Error> {
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signals)?;
        let switch = self.clone();
        tokio::spawn(async move {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "shutting down");
            switch.trigger();
        });
        Ok(())
    }
}
