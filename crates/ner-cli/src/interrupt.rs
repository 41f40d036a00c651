//! Ctrl-C: the first one ends a training after its present step, the second one, and any elsewhere, ends the program at once.

use std::fmt;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Result;

/// Exit code of a program that Ctrl-C ended: 128 and the number of SIGINT.
pub const EXIT_CODE: u8 = 130;

static LISTENING: AtomicBool = AtomicBool::new(false);
static HEARD: AtomicUsize = AtomicUsize::new(0);

/// A time in which the first Ctrl-C is only noted.
pub struct Listening(());

impl Listening {
    /// Starts listening; a program may do so again and again, one at a time.
    pub fn start() -> Result<Self> {
        static HANDLER: Once = Once::new();
        let mut outcome = Ok(());
        HANDLER.call_once(|| {
            outcome = ctrlc::set_handler(|| {
                let earlier = HEARD.fetch_add(1, Ordering::SeqCst);
                if earlier > 0 || !LISTENING.load(Ordering::SeqCst) {
                    std::process::exit(i32::from(EXIT_CODE));
                }
            });
        });
        outcome?;
        HEARD.store(0, Ordering::SeqCst);
        LISTENING.store(true, Ordering::SeqCst);
        Ok(Self(()))
    }

    /// Whether Ctrl-C was pressed.
    pub fn heard(&self) -> bool {
        HEARD.load(Ordering::SeqCst) > 0
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        LISTENING.store(false, Ordering::SeqCst);
    }
}

/// A command that Ctrl-C ended; says how to go on.
#[derive(Debug)]
pub struct Interrupted(pub String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}
