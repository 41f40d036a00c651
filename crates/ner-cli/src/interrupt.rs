//! Ctrl-C: the first one ends a training after its present step, the second one, and any elsewhere, ends the program at once.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use anyhow::Result;

/// Exit code of a program that Ctrl-C ended: 128 and the number of SIGINT.
pub const EXIT_CODE: u8 = 130;

static LISTENING: AtomicBool = AtomicBool::new(false);
static HEARD: AtomicUsize = AtomicUsize::new(0);
/// Who says what Ctrl-C does.
static VOICE: Mutex<Option<Voice>> = Mutex::new(None);

type Voice = Box<dyn Fn(&str) + Send>;

/// A time in which the first Ctrl-C is only noted.
pub struct Listening(());

impl Listening {
    /// Starts listening; a program may do so again and again, one at a time. `say` tells the user what comes of it.
    pub fn start(say: impl Fn(&str) + Send + 'static) -> Result<Self> {
        static HANDLER: Once = Once::new();
        let mut outcome = Ok(());
        HANDLER.call_once(|| {
            outcome = ctrlc::set_handler(|| {
                let earlier = HEARD.fetch_add(1, Ordering::SeqCst);
                let is_first = earlier == 0 && LISTENING.load(Ordering::SeqCst);
                if let Some(say) = voice().as_ref() {
                    say(if is_first {
                        "stopping after the step that is under way, with a checkpoint; Ctrl-C again ends at once, without one"
                    } else {
                        "ended at once, without a checkpoint of this step"
                    });
                }
                if !is_first {
                    std::process::exit(i32::from(EXIT_CODE));
                }
            });
        });
        outcome?;
        *voice() = Some(Box::new(say));
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
        *voice() = None;
    }
}

fn voice() -> MutexGuard<'static, Option<Voice>> {
    VOICE.lock().unwrap_or_else(PoisonError::into_inner)
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
