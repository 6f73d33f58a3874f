//! The last use of each key: which operations count, and how it reaches the storage.
//!
//! A use is noted in memory, for a cryptographic request touches no database; the storage gets it
//! `SAVE_SECONDS` later at the latest, and at the end of the server. Whatever kills the server before that
//! loses what was noted since.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use uuid::Uuid;

use super::Kms;
use crate::clock::Timestamp;
use crate::records::{Key, Usage};

/// Longest that a use waits for the storage, in seconds.
const SAVE_SECONDS: u64 = 60;
/// Uses in one commit.
const BATCH_USES_MAX: usize = 1_000;

/// Operations that count as uses (API model: `KeyLastUsageTrackingOperation`).
const OPERATIONS: &[&str] = &[
    "Decapsulate",
    "Decrypt",
    "DeriveSharedSecret",
    "Encapsulate",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// Whether an operation counts as a use of its keys.
pub(super) fn is_tracked(operation: &str) -> bool {
    OPERATIONS.contains(&operation)
}

/// Notes that an operation with `keys` has succeeded.
pub(super) fn note<'a>(
    operation: &str,
    keys: impl Iterator<Item = &'a Key>,
    at: Timestamp,
    request_id: Uuid,
    event_id: Option<Uuid>,
) {
    let mut keys = keys.peekable();
    if keys.peek().is_none() {
        return;
    }
    let usage = Arc::new(Usage { operation: operation.into(), at, request_id, event_id });
    for key in keys {
        key.last_usage.note(Arc::clone(&usage));
    }
}

/// Saves uses until `stop` changes, and those that are left then.
pub(crate) async fn save_uses(kms: Arc<Kms>, mut stop: watch::Receiver<bool>) {
    let pause = Duration::from_secs(SAVE_SECONDS);
    while tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await.is_err() {
        save(&kms).await;
    }
    save(&kms).await;
}

async fn save(kms: &Kms) {
    let state = kms.registry.state();
    let unsaved: Vec<(Arc<Key>, Arc<Usage>)> = state
        .all_keys()
        .filter_map(|key| Some((Arc::clone(key), key.last_usage.take_unsaved()?)))
        .collect();
    for batch in unsaved.chunks(BATCH_USES_MAX) {
        let uses = batch.to_vec();
        let saved = kms.registry.update(move |draft| {
            for (key, usage) in &uses {
                draft.put_usage(key, usage);
            }
            Ok::<(), std::convert::Infallible>(())
        });
        if let Err(error) = saved.await {
            tracing::error!(?error, "the last uses of keys were not saved");
            batch.iter().for_each(|(key, _)| key.last_usage.save_again());
        }
    }
}
