//! The only place that asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::entry::Timestamp;

/// Where the time comes from.
///
/// Times are recorded and shown, and tell a file that may have changed within the grain of its
/// own times; no safety of what is stored rests on them.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        }
    }
}
