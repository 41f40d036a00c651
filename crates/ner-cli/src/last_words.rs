//! Ctrl-C in a command that writes files: nothing half-made is left of them, and a word is said on how to go on.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use crate::interrupt::EXIT_CODE;

/// What is said at the end.
static WORDS: Mutex<Option<String>> = Mutex::new(None);
/// Files under their first names.
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A time in which Ctrl-C ends the program at once, with a word on what that leaves.
pub struct LastWords(());

impl LastWords {
    /// Has this said on Ctrl-C. Nothing changes where signals are ignored already, as under `nohup`.
    pub fn prepare(words: String) -> Self {
        static HANDLER: Once = Once::new();
        *locked(&WORDS) = Some(words);
        HANDLER.call_once(|| {
            _ = ctrlc::try_set_handler(end);
        });
        Self(())
    }
}

impl Drop for LastWords {
    fn drop(&mut self) {
        *locked(&WORDS) = None;
    }
}

/// Notes a file that the program would leave behind if it were ended at once.
pub fn leaves(unfinished: &Path) {
    locked(&UNFINISHED).push(unfinished.to_owned());
}

/// Ends the program. Stderr may be gone, with the terminal.
fn end() {
    for path in locked(&UNFINISHED).iter() {
        _ = fs::remove_file(path); // those that have their names by now are not there
    }
    if let Some(words) = locked(&WORDS).as_ref() {
        let mut stderr = io::stderr();
        // A bar, or what the terminal shows of the key, stands on the line.
        let start = if stderr.is_terminal() { "\n" } else { "" };
        _ = writeln!(stderr, "{start}{words}");
    }
    std::process::exit(i32::from(EXIT_CODE));
}

fn locked<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
