//! A keyring whose data key is given: what test vectors call static material.

use async_trait::async_trait;
use strongroom_sdk::keyring::Keyring;
use strongroom_sdk::materials::{DecryptionMaterials, EncryptionMaterials};
use strongroom_sdk::message::encrypted_data_key::EncryptedDataKey;
use strongroom_sdk::secret::{DataKey, SecretBytes};
use strongroom_sdk::{Error, Result};

/// Wraps nothing: answers every request with the same data key. For test vectors only.
pub(super) struct StaticMaterialKeyring {
    /// `None` in vectors that are to fail for want of it.
    pub(super) data_key: Option<SecretBytes>,
    pub(super) encrypted_data_keys: Vec<EncryptedDataKey>,
}

impl StaticMaterialKeyring {
    fn data_key(&self) -> Option<DataKey> {
        let secret = self.data_key.as_ref()?;
        Some(DataKey::new(SecretBytes::copy_of(secret.expose())))
    }
}

#[async_trait]
impl Keyring for StaticMaterialKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        if let Some(data_key) = self.data_key() {
            materials.set_data_key(data_key)?;
        }
        for key in &self.encrypted_data_keys {
            materials.push_encrypted_data_key(key.clone());
        }
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        _keys: &[EncryptedDataKey],
    ) -> Result<()> {
        match self.data_key() {
            Some(data_key) => materials.set_data_key(data_key),
            None => Err(Error::NoDataKey { attempts: Vec::new() }),
        }
    }
}
