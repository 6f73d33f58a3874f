//! The default key store: an internal HSM whose keys leave it only wrapped under its domain key.
//!
//! A material's reference is that wrapped key, so that the database holds any number of keys and the
//! HSM none of them. Losing the HSM's directory loses every key: it belongs to the same backup as the
//! database.

use std::path::Path;

use async_trait::async_trait;
use aws_lc_rs::digest;
use strongroom_hsm::{Config, Factory, Fleet, HsmError, KeyKind, KeyToken, Plaintext, Refusal};
use zeroize::Zeroizing;

use super::{KeyStore, KeyStoreError};
use crate::ids::KeyArn;
use crate::records::{Material, MaterialId};

/// The default key store.
pub(crate) struct FleetKeyStore {
    fleet: Fleet,
}

impl FleetKeyStore {
    /// Switches on the HSM in `dir`, made there if there is none yet.
    ///
    /// # Errors
    /// Those of the HSM's self-tests and of its sealed state.
    pub(crate) fn open(factory: &Factory, dir: &Path, config: Config) -> Result<Self, HsmError> {
        Ok(Self { fleet: Fleet::power_on(factory, dir, config)? })
    }
}

#[async_trait]
impl KeyStore for FleetKeyStore {
    async fn create(&self, _key: &KeyArn) -> Result<Material, KeyStoreError> {
        let token = self.fleet.generate_key(KeyKind::Aes256).map_err(refused)?;
        let mut id = [0; 32];
        for (to, from) in
            id.iter_mut().zip(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
        {
            *to = *from;
        }
        Ok(Material { id: MaterialId(id), reference: token.as_bytes().into() })
    }

    async fn seal(
        &self,
        material: &Material,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        let plaintext = Plaintext::new(plaintext).map_err(refused)?;
        self.fleet.seal(&token(material)?, aad, &plaintext).map_err(refused)
    }

    async fn open(
        &self,
        material: &Material,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        match self.fleet.open(&token(material)?, aad, sealed) {
            Ok(plaintext) => Ok(Zeroizing::new(plaintext.expose().to_vec())),
            Err(Refusal::NotAuthentic | Refusal::TooLong) => Err(KeyStoreError::NotAuthentic),
            Err(other) => Err(refused(other)),
        }
    }

    async fn random(&self, bytes: usize) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let drawn = self.fleet.random(bytes).map_err(refused)?;
        Ok(Zeroizing::new(drawn.expose().to_vec()))
    }

    async fn delete(&self, _material: &Material) -> Result<(), KeyStoreError> {
        // The wrapped key is the only copy, and its row is overwritten with the key's.
        Ok(())
    }

    fn is_available(&self) -> bool {
        true
    }
}

fn token(material: &Material) -> Result<KeyToken, KeyStoreError> {
    KeyToken::from_bytes(&material.reference).map_err(refused)
}

fn refused(refusal: Refusal) -> KeyStoreError {
    KeyStoreError::Hsm(HsmError::Refused(refusal))
}
