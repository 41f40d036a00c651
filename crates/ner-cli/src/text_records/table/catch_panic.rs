//! Decoders that panic at some damaged files, kept from ending the program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, anyhow};

thread_local! {
    /// Whether this thread is in a guarded step.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a step of a decoder. A panic in it is an error like any other: the file is damaged.
pub fn guarded<T>(path: &Path, step: impl FnOnce() -> Result<T>) -> Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                usual(panic);
            }
        }));
    });
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(step));
    GUARDED.set(false);
    let damaged = || anyhow!("is damaged: its parts contradict each other");
    let result = outcome.unwrap_or_else(|_| Err(damaged()));
    result.with_context(|| path.display().to_string())
}
