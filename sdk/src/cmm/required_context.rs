//! The required-encryption-context CMM: pairs that readers must know instead of reading them.
//!
//! Source: `framework/required-encryption-context-cmm.md`.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::MaterialsManager;
use crate::error::{Error, Result};
use crate::materials::{
    DecryptionMaterials, DecryptionRequest, EncryptionMaterials, EncryptionRequest,
};
use crate::message::encryption_context::{EncryptionContext, RESERVED_PREFIX};

/// Demands that writers give the pairs of some keys, and that readers give them again.
///
/// The pairs are authenticated with the message, but not written into it.
pub struct RequiredContextCmm {
    underlying: Arc<dyn MaterialsManager>,
    keys: BTreeSet<String>,
}

impl RequiredContextCmm {
    /// A manager that demands `keys` and then asks `underlying`.
    ///
    /// # Errors
    /// [`Error::ContextKeyReserved`] for a key of the format's own.
    pub fn new<K: Into<String>>(
        underlying: Arc<dyn MaterialsManager>,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Self> {
        let keys: BTreeSet<String> = keys.into_iter().map(Into::into).collect();
        if let Some(key) = keys.iter().find(|key| key.starts_with(RESERVED_PREFIX)) {
            return Err(Error::ContextKeyReserved { key: key.clone() });
        }
        Ok(Self { underlying, keys })
    }

    fn require(&self, is_there: impl Fn(&str) -> bool) -> Result<()> {
        match self.keys.iter().find(|key| !is_there(key)) {
            None => Ok(()),
            Some(missing) => Err(Error::ContextKeyMissing { key: missing.clone() }),
        }
    }

    fn require_in(&self, context: &EncryptionContext) -> Result<()> {
        self.require(|key| context.get(key).is_some())
    }
}

#[async_trait]
impl MaterialsManager for RequiredContextCmm {
    async fn encryption_materials(
        &self,
        request: &EncryptionRequest,
    ) -> Result<EncryptionMaterials> {
        //= framework/required-encryption-context-cmm.md#get-encryption-materials
        //# The encryption context on the encryption materials request
        //# MUST contain a value for every key in the configured required encryption context keys
        //# or this request MUST fail.
        self.require_in(&request.encryption_context)?;
        let mut request = request.clone();
        request.required_context_keys.extend(self.keys.iter().cloned());
        let materials = self.underlying.encryption_materials(&request).await?;
        //= framework/required-encryption-context-cmm.md#get-encryption-materials
        //# The obtained encryption materials MUST
        //# have all configured required encryption context keys
        //# in it's required encryption context keys.
        self.require(|key| materials.required_context_keys().contains(key))?;
        Ok(materials)
    }

    async fn decryption_materials(
        &self,
        request: &DecryptionRequest,
    ) -> Result<DecryptionMaterials> {
        //= framework/required-encryption-context-cmm.md#decrypt-materials
        //# The reproduced encryption context on the decrypt materials request
        //# MUST contain a value for every key in the configured required encryption context keys
        //# or this request MUST fail.
        self.require(|key| request.supplied_keys().contains(key))?;
        let materials = self.underlying.decryption_materials(request).await?;
        //= framework/required-encryption-context-cmm.md#decrypt-materials
        //# The obtained decryption materials MUST
        //# have all configured required encryption context keys
        //# in it's encryption context.
        self.require_in(materials.encryption_context())?;
        Ok(materials)
    }
}
