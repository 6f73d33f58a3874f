//! The key state that AWS shows.

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::records::{Key, Lifecycle};

/// A key's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    Enabled,
    Disabled,
    PendingDeletion,
    PendingReplicaDeletion,
    PendingImport,
    Unavailable,
    Creating,
    Updating,
}

impl KeyState {
    /// Every state, in the order of the key-state table's columns.
    const COLUMNS: [(Self, &'static str); 7] = [
        (Self::Enabled, "Enabled"),
        (Self::Disabled, "Disabled"),
        (Self::PendingDeletion, "PendingDeletion"),
        (Self::PendingImport, "PendingImport"),
        (Self::Unavailable, "Unavailable"),
        (Self::Creating, "Creating"),
        (Self::Updating, "Updating"),
    ];

    /// The state of a key, given whether its key store can be reached. A key that waits for its
    /// deletion stays `PendingDeletion` even while it is unavailable (footnote 13 of the table) or
    /// without its imported material (footnote 9).
    pub(crate) fn of(key: &Key, is_available: bool, now: Timestamp) -> Self {
        match key.lifecycle {
            Lifecycle::PendingDeletion { .. } => Self::PendingDeletion,
            Lifecycle::PendingReplicaDeletion { .. } => Self::PendingReplicaDeletion,
            _ if !key.has_material(now) => Self::PendingImport,
            _ if !is_available => Self::Unavailable,
            Lifecycle::Enabled => Self::Enabled,
            Lifecycle::Disabled => Self::Disabled,
        }
    }

    /// Every state, in the order of the columns.
    #[cfg(test)]
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Self::COLUMNS.iter().map(|(state, _)| *state)
    }

    /// The column of the key-state table.
    pub(super) fn column(self) -> usize {
        // The guide has one column for both ways to wait for a deletion.
        let state = match self {
            Self::PendingReplicaDeletion => Self::PendingDeletion,
            other => other,
        };
        Self::COLUMNS.iter().position(|(column, _)| *column == state).unwrap_or(usize::MAX)
    }

    /// The name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PendingReplicaDeletion => "PendingReplicaDeletion",
            state => Self::COLUMNS.iter().find(|(column, _)| *column == state).map_or("", |c| c.1),
        }
    }
}

impl Serialize for KeyState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
