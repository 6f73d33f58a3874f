//! Request quotas, for tests of how a client behaves when it is throttled.
//!
//! Source: developer guide, "Request quotas": requests a second of one account in one Region, some of them
//! shared among operations. The figures are those of most Regions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::clock::Timestamp;
use crate::ids::RealmId;
use crate::protocol::{Fault, FaultCode};

/// Cryptographic operations with symmetric keys, which share one quota.
const SYMMETRIC: (&str, f64) = ("Cryptographic operations", 10_000.0);
/// Buckets that are remembered at one time; the fullest are forgotten first, which changes nothing.
const BUCKETS_MAX: usize = 4_096;

/// Requests a second, by operation. Others have no quota of their own here.
const OF_OPERATIONS: &[(&str, f64)] = &[
    ("CancelKeyDeletion", 5.0),
    ("ConnectCustomKeyStore", 5.0),
    ("CreateAlias", 5.0),
    ("CreateCustomKeyStore", 5.0),
    ("CreateGrant", 50.0),
    ("CreateKey", 5.0),
    ("DeleteAlias", 15.0),
    ("DeleteCustomKeyStore", 5.0),
    ("DeleteImportedKeyMaterial", 5.0),
    ("DescribeCustomKeyStores", 5.0),
    ("DescribeKey", 2_000.0),
    ("DisableKey", 5.0),
    ("DisableKeyRotation", 5.0),
    ("DisconnectCustomKeyStore", 5.0),
    ("EnableKey", 5.0),
    ("EnableKeyRotation", 15.0),
    ("GetKeyPolicy", 1_000.0),
    ("GetKeyRotationStatus", 1_000.0),
    ("GetParametersForImport", 0.25),
    ("GetPublicKey", 2_000.0),
    ("ImportKeyMaterial", 5.0),
    ("ListAliases", 500.0),
    ("ListGrants", 100.0),
    ("ListKeyPolicies", 100.0),
    ("ListKeys", 500.0),
    ("ListResourceTags", 2_000.0),
    ("ListRetirableGrants", 100.0),
    ("PutKeyPolicy", 15.0),
    ("ReplicateKey", 5.0),
    ("RetireGrant", 30.0),
    ("RevokeGrant", 30.0),
    ("ScheduleKeyDeletion", 15.0),
    ("TagResource", 10.0),
    ("UntagResource", 5.0),
    ("UpdateAlias", 5.0),
    ("UpdateCustomKeyStore", 5.0),
    ("UpdateKeyDescription", 5.0),
    ("UpdatePrimaryRegion", 5.0),
];
/// Operations that share the quota of symmetric keys.
const SHARED: &[&str] = &[
    "Decrypt",
    "DeriveSharedSecret",
    "Encrypt",
    "GenerateDataKey",
    "GenerateDataKeyWithoutPlaintext",
    "GenerateMac",
    "GenerateRandom",
    "ReEncrypt",
    "Sign",
    "Verify",
    "VerifyMac",
];

/// What is left of every quota.
#[derive(Default)]
pub(crate) struct Quotas(Mutex<HashMap<(RealmId, &'static str), Bucket>>);

/// A token bucket that holds what one second brings, and at least one.
#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled: Timestamp,
}

impl Quotas {
    /// Takes one request of an operation off its quota.
    ///
    /// # Errors
    /// `ThrottlingException` if nothing is left.
    pub(super) fn take(
        &self,
        realm: &RealmId,
        operation: &str,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let Some((name, per_second)) = quota_of(operation) else { return Ok(()) };
        let capacity = per_second.max(1.0);
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| bucket.filled.plus_seconds(10) > now);
        }
        let full = Bucket { tokens: capacity, filled: now };
        let bucket = buckets.entry((realm.clone(), name)).or_insert(full);
        let millis = now.as_millis().saturating_sub(bucket.filled.as_millis()).max(0);
        #[expect(clippy::cast_precision_loss, reason = "a bucket is full long before")]
        let refilled = per_second * millis as f64 / 1_000.0;
        bucket.tokens = (bucket.tokens + refilled).min(capacity);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return Err(Fault::new(
                FaultCode::ThrottlingException,
                "You have exceeded the rate at which you may call KMS. Reduce the frequency of your \
                 calls.",
            ));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    /// Fills every quota.
    pub(super) fn refill(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

fn quota_of(operation: &str) -> Option<(&'static str, f64)> {
    if SHARED.contains(&operation) {
        return Some(SYMMETRIC);
    }
    OF_OPERATIONS.iter().find(|(name, _)| *name == operation).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realm(account: &str) -> RealmId {
        RealmId { account: account.parse().unwrap(), region: "us-east-1".parse().unwrap() }
    }

    fn granted(quotas: &Quotas, realm: &RealmId, operation: &str, at_millis: i64) -> usize {
        let now = Timestamp::from_millis(at_millis);
        (0..20_000).take_while(|_| quotas.take(realm, operation, now).is_ok()).count()
    }

    #[test]
    fn a_second_brings_the_quota_and_no_more() {
        let (quotas, home) = (Quotas::default(), realm("111122223333"));
        assert_eq!(granted(&quotas, &home, "CreateKey", 0), 5);
        assert_eq!(granted(&quotas, &home, "CreateKey", 400), 2);
        assert_eq!(granted(&quotas, &home, "CreateKey", 60_000), 5);
        assert_eq!(granted(&quotas, &realm("444455556666"), "CreateKey", 60_000), 5);
        quotas.refill();
        assert_eq!(granted(&quotas, &home, "CreateKey", 60_000), 5);
    }

    #[test]
    fn cryptographic_operations_share_theirs() {
        let (quotas, home) = (Quotas::default(), realm("111122223333"));
        assert_eq!(granted(&quotas, &home, "Encrypt", 0), 10_000);
        assert_eq!(granted(&quotas, &home, "Decrypt", 0), 0);
        // Less than one a second: one, and the next after four seconds.
        assert_eq!(granted(&quotas, &home, "GetParametersForImport", 0), 1);
        assert_eq!(granted(&quotas, &home, "GetParametersForImport", 3_999), 0);
        assert_eq!(granted(&quotas, &home, "GetParametersForImport", 4_000), 1);
    }

    #[test]
    fn clocks_that_go_back_give_nothing() {
        let (quotas, home) = (Quotas::default(), realm("111122223333"));
        assert_eq!(granted(&quotas, &home, "CreateKey", 10_000), 5);
        assert_eq!(granted(&quotas, &home, "CreateKey", 0), 0);
    }
}
