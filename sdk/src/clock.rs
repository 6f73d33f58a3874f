//! Time: the only place that asks the operating system for it.
//!
//! Caches drop what is too old, and new branch keys record when they were made. No argument for what is
//! kept secret or intact rests on a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Something that tells the time.
pub trait Clock: Send + Sync {
    /// Time since a moment of the clock's own; never goes back.
    fn elapsed(&self) -> Duration;

    /// Time since 1970-01-01T00:00:00Z; may be set, and go back.
    fn since_epoch(&self) -> Duration;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn since_epoch(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}
