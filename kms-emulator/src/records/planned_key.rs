//! Keys of custom key stores that are being made, and what is left of those that are gone.

use std::sync::Weak;

use crate::ids::{CustomKeyStoreId, KeyId, RealmId};

/// A key whose material HSMs may have and whose record does not exist, yet or any more.
///
/// It is written down before the first HSM is asked, and struck in the commit that makes the key; and again
/// in the commit that deletes it, until no HSM has a copy. Whatever happens in between, the material can be
/// found and destroyed.
#[derive(Clone, Debug)]
pub(crate) struct PlannedKey {
    pub(crate) realm: RealmId,
    pub(crate) id: KeyId,
    pub(crate) custom_key_store: CustomKeyStoreId,
    /// Lives as long as the request that makes the key; that of a deleted key does not.
    pub(crate) request: Weak<()>,
}

impl PlannedKey {
    /// Whether nobody makes the key any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.request.strong_count() == 0
    }
}
