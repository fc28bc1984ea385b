//! How far a task is, on standard error, where that is a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Characters of a whole bar.
const WIDTH: usize = 40;
/// Time from one picture to the next.
const PERIOD: Duration = Duration::from_millis(50);

/// A bar that fills up, and disappears with the value.
pub(crate) struct Progress {
    task: &'static str,
    total: usize,
    shown: Option<Instant>,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new(task: &'static str, total: usize) -> Self {
        Self { task, total, shown: None, is_terminal: io::stderr().is_terminal() }
    }

    /// Shows that so much is done, of what turned out to be so much in all.
    pub(crate) fn show_of(&mut self, done: usize, total: usize) {
        self.total = total;
        self.show(done);
    }

    /// Shows that so much is done.
    pub(crate) fn show(&mut self, done: usize) {
        let is_early = self.shown.is_some_and(|shown| shown.elapsed() < PERIOD);
        if self.is_terminal && !is_early {
            self.shown = Some(Instant::now());
            // Without a picture the work goes on.
            write!(io::stderr(), "\r{}", bar(self.task, done, self.total)).unwrap_or_default();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            write!(io::stderr(), "\r\x1b[K").unwrap_or_default();
        }
    }
}

fn bar(task: &str, done: usize, total: usize) -> String {
    let full = (WIDTH * done).checked_div(total).unwrap_or(0).min(WIDTH);
    format!("{task} [{:<WIDTH$}] {done}/{total}", "#".repeat(full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_task_is_done() {
        let hashes = |done, total| bar("calibrating", done, total).matches('#').count();
        assert_eq!(
            [hashes(0, 8), hashes(3, 8), hashes(8, 8), hashes(9, 8), hashes(1, 0)],
            [0, 15, 40, 40, 0]
        );
        assert!(bar("calibrating", 3, 8).ends_with("] 3/8"));
    }
}
