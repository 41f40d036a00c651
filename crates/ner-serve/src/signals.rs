//! Signals that ask a program to end.

use std::io;

use tokio::runtime::Handle;

use crate::server::Stopper;

/// Stops a service at SIGINT and SIGTERM, or Ctrl-C and what takes its place elsewhere.
pub fn listen(runtime: &Handle, stopper: &Stopper) -> io::Result<()> {
    let _inside = runtime.enter();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            let mut signals = signal(kind)?;
            let stopper = stopper.clone();
            runtime.spawn(async move {
                while signals.recv().await.is_some() {
                    stopper.stop();
                }
            });
        }
    }
    #[cfg(windows)]
    {
        let mut signals = tokio::signal::windows::ctrl_c()?;
        let stopper = stopper.clone();
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                stopper.stop();
            }
        });
    }
    Ok(())
}
