//! The multi-keyring: one keyring makes the data key, all wrap it, any may unwrap it.
//!
//! Source: `framework/multi-keyring.md`.

use std::sync::Arc;

use async_trait::async_trait;

use super::Keyring;
use crate::error::{Error, KeyAttempt, KeyringFault, Result};
use crate::materials::{DecryptionMaterials, EncryptionMaterials};
use crate::message::encrypted_data_key::EncryptedDataKey;

/// Several keyrings as one.
pub struct MultiKeyring {
    generator: Option<Arc<dyn Keyring>>,
    children: Vec<Arc<dyn Keyring>>,
}

impl MultiKeyring {
    /// A keyring of `generator`, which makes data keys, and `children`, which wrap them too.
    ///
    /// Without a generator it can only read.
    ///
    /// # Errors
    /// [`Error::Keyring`] when there is no keyring at all.
    pub fn new(
        generator: Option<Arc<dyn Keyring>>,
        children: Vec<Arc<dyn Keyring>>,
    ) -> Result<Self> {
        if generator.is_none() && children.is_empty() {
            return Err(KeyringFault::Empty.into());
        }
        Ok(Self { generator, children })
    }
}

#[async_trait]
impl Keyring for MultiKeyring {
    async fn on_encrypt(&self, materials: &mut EncryptionMaterials) -> Result<()> {
        //= framework/multi-keyring.md#onencrypt
        //# If the input encryption materials already include a plaintext data key, OnEncrypt MUST
        //# fail.
        if let Some(generator) = &self.generator {
            if materials.data_key().is_some() {
                return Err(KeyringFault::DataKeyState("already there").into());
            }
            generator.on_encrypt(materials).await?;
        }
        if materials.data_key().is_none() {
            return Err(Error::NoGenerator);
        }
        for child in &self.children {
            child.on_encrypt(materials).await?;
        }
        Ok(())
    }

    async fn on_decrypt(
        &self,
        materials: &mut DecryptionMaterials,
        keys: &[EncryptedDataKey],
    ) -> Result<()> {
        super::require_no_data_key(materials)?;
        let mut attempts = Vec::new();
        //= framework/multi-keyring.md#ondecrypt
        //# If the generator keyring is unable to decrypt the materials, the multi-keyring MUST attempt
        //# to decrypt using its child keyrings, until one either succeeds in decryption or all have
        //# failed.
        for keyring in self.generator.iter().chain(&self.children) {
            match keyring.on_decrypt(materials, keys).await {
                Ok(()) => return Ok(()),
                Err(Error::NoDataKey { attempts: more }) => attempts.extend(more),
                //= framework/multi-keyring.md#ondecrypt
                //# If the child keyring's OnDecrypt call fails, the multi-keyring MUST collect the
                //# error and continue to the next keyring, if any.
                Err(error) => attempts.push(KeyAttempt {
                    provider_id: "keyring".to_owned(),
                    key: keyring.name(),
                    failure: Some(Box::new(error)),
                }),
            }
        }
        //= framework/multi-keyring.md#ondecrypt
        //# If, after calling OnDecrypt on every child keyring (and possibly the generator keyring), the
        //# decryption materials still do not contain a plaintext data key, OnDecrypt MUST return a
        //# failure message containing the collected failure messages from the child keyrings.
        Err(Error::NoDataKey { attempts: without_repeats(attempts) })
    }

    fn name(&self) -> String {
        "multi-keyring".to_owned()
    }
}

/// Drops "not a key of this keyring" for keys that another keyring did try, and its repetitions.
fn without_repeats(attempts: Vec<KeyAttempt>) -> Vec<KeyAttempt> {
    let mut kept: Vec<KeyAttempt> = Vec::new();
    let (tried, untried): (Vec<_>, Vec<_>) =
        attempts.into_iter().partition(|attempt| attempt.failure.is_some());
    for attempt in tried.into_iter().chain(untried) {
        let known = |other: &KeyAttempt| {
            other.provider_id == attempt.provider_id && other.key == attempt.key
        };
        if attempt.failure.is_some() || !kept.iter().any(known) {
            kept.push(attempt);
        }
    }
    kept
}
