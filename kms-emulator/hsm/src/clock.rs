//! Time, passed in.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where a device reads the time from.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time since the Unix epoch, in UTC.
    fn now(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        // A clock set before 1970 reads as 1970: the audit log stays in order by sequence number.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

/// A clock that stands where it is put, for tests and for reproducing an incident.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Duration);

impl Clock for FixedClock {
    fn now(&self) -> Duration {
        self.0
    }
}
