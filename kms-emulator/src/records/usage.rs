//! When a key was last used. It changes with every use, and so is no part of the key's value.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use uuid::Uuid;

use crate::clock::Timestamp;

/// A successful cryptographic operation with a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// The operation's name.
    pub(crate) operation: Box<str>,
    pub(crate) at: Timestamp,
    pub(crate) request_id: Uuid,
    /// The id of its record in the audit trail, if one is kept.
    pub(crate) event_id: Option<Uuid>,
}

/// The last use of a key, shared by all values of that key. Noting one takes no lock.
#[derive(Debug, Default)]
pub(crate) struct LastUsage {
    last: ArcSwapOption<Usage>,
    /// Whether the storage has an older one.
    is_unsaved: AtomicBool,
}

impl LastUsage {
    /// One that the storage has.
    pub(crate) fn saved(usage: Usage) -> Self {
        Self { last: ArcSwapOption::from_pointee(usage), is_unsaved: AtomicBool::new(false) }
    }

    /// Notes a use.
    pub(crate) fn note(&self, usage: Arc<Usage>) {
        self.last.store(Some(usage));
        self.is_unsaved.store(true, Ordering::Release);
    }

    /// The last use, if there was any.
    pub(crate) fn get(&self) -> Option<Arc<Usage>> {
        self.last.load_full()
    }

    /// The last use, if the storage does not have it; from now on it counts as saved.
    pub(crate) fn take_unsaved(&self) -> Option<Arc<Usage>> {
        // The flag first: a use that comes in between is saved now and once more.
        self.is_unsaved.swap(false, Ordering::Acquire).then(|| self.get()).flatten()
    }

    /// Takes back that the last use counts as saved.
    pub(crate) fn save_again(&self) {
        self.is_unsaved.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_saved_once() {
        let usage = |millis| Usage {
            operation: "Encrypt".into(),
            at: Timestamp::from_millis(millis),
            request_id: Uuid::nil(),
            event_id: None,
        };
        let last = LastUsage::saved(usage(1));
        assert_eq!(last.take_unsaved(), None);
        last.note(Arc::new(usage(2)));
        last.note(Arc::new(usage(3)));
        assert_eq!(last.take_unsaved().as_deref(), Some(&usage(3)));
        assert_eq!((last.take_unsaved(), last.get().as_deref()), (None, Some(&usage(3))));
        last.save_again();
        assert_eq!(last.take_unsaved().as_deref(), Some(&usage(3)));
    }
}
