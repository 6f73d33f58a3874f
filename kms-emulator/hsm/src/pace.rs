//! The pace of hardware: a module that executes so many commands in a second and no more, whoever sends them.

use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// A queue of one server with equal service times: a command is done one service time after it was sent, or
/// after the command before it was done.
#[derive(Default)]
pub(crate) struct Pace {
    /// When what was let in is done.
    busy_until: Mutex<Option<Instant>>,
}

impl Pace {
    /// Waits for the turn of one command at a rate of so many a second.
    ///
    /// Whoever stops waiting leaves a gap: hardware works on what was sent, whether or not anyone waits for it.
    pub(crate) async fn turn(&self, commands_per_second: NonZeroU32) {
        sleep_until(self.let_in(Instant::now(), commands_per_second)).await;
    }

    /// Forgets what was let in.
    pub(crate) fn clear(&self) {
        *self.busy_until() = None;
    }

    fn let_in(&self, now: Instant, commands_per_second: NonZeroU32) -> Instant {
        let service = Duration::from_secs(1) / commands_per_second.get();
        let mut busy_until = self.busy_until();
        let done = busy_until.map_or(now, |busy| busy.max(now)) + service;
        *busy_until = Some(done);
        done
    }

    fn busy_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.busy_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_let_in_at_the_rate_and_none_is_saved_up() {
        let pace = Pace::default();
        let rate = NonZeroU32::new(100).unwrap();
        let start = Instant::now();
        for command in 1..=50 {
            assert_eq!(pace.let_in(start, rate), start + Duration::from_millis(10 * command));
        }
        // A second without work is no credit.
        let later = start + Duration::from_secs(2);
        assert_eq!(pace.let_in(later, rate), later + Duration::from_millis(10));
        assert_eq!(pace.let_in(later, rate), later + Duration::from_millis(20));
        // What is let in after a change of the rate does not wait for what was let in before.
        pace.clear();
        assert_eq!(pace.let_in(later, rate), later + Duration::from_millis(10));
    }
}
