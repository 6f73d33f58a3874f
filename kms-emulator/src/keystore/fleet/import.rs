//! Imported key material on its way into the default key store.

use strongroom_hsm::{ImportParameters, ImportWrapping, KeyKind, Refusal, RsaSize};

use super::{FleetKeyStore, refused};
use crate::keystore::KeyStoreError;
use crate::records::{Material, MaterialId};

/// Material wrapped under a wrapping key, with what opens it.
pub(crate) struct WrappedMaterial {
    pub(crate) size: RsaSize,
    /// What was authenticated when the wrapping key was made.
    pub(crate) binding: Vec<u8>,
    pub(crate) sealed_private_key: Vec<u8>,
    pub(crate) wrapping: ImportWrapping,
    pub(crate) wrapped: Vec<u8>,
    pub(crate) kind: KeyKind,
    /// Within which the same material gets the same id.
    pub(crate) scope: Vec<u8>,
}

/// Why material was not imported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// The wrapping key was made for something else, or altered.
    #[error("the import token is not authentic")]
    Token,
    /// The wrapping key was made too long ago.
    #[error("the import token has expired")]
    TokenExpired,
    /// The material was not wrapped under that key in that way.
    #[error("the key material does not unwrap")]
    Wrapped,
    /// What was unwrapped is no key of the kind.
    #[error("the key material is no key of its kind")]
    Material,
    /// The HSM failed.
    #[error(transparent)]
    Store(KeyStoreError),
}

impl FleetKeyStore {
    /// Makes a wrapping key that only the same `binding` opens.
    pub(crate) async fn import_parameters(
        &self,
        size: RsaSize,
        binding: Vec<u8>,
    ) -> Result<ImportParameters, KeyStoreError> {
        let kind = KeyKind::RsaDecryption(size);
        self.generating(kind, move |fleet| fleet.generate_import_key(size, &binding)).await
    }

    /// Takes material in. Whether the wrapping key has expired counts only once it is authentic.
    pub(crate) async fn import(
        &self,
        material: WrappedMaterial,
        is_expired: bool,
    ) -> Result<Material, ImportError> {
        let WrappedMaterial { size, binding, sealed_private_key, .. } = &material;
        let key =
            self.fleet.open_import_key(*size, binding, sealed_private_key).map_err(|refusal| {
                match refusal {
                    Refusal::NotAuthentic | Refusal::TooLong => ImportError::Token,
                    other => ImportError::Store(refused(other)),
                }
            })?;
        if is_expired {
            return Err(ImportError::TokenExpired);
        }
        let imported = self
            .run(true, move |fleet| {
                let WrappedMaterial { wrapping, wrapped, kind, scope, .. } = &material;
                // What this refuses is a result here, to be told from a failure to work.
                Ok(fleet.import_key(&key, *wrapping, wrapped, *kind, scope))
            })
            .await
            .map_err(ImportError::Store)?;
        let imported = imported.map_err(|refusal| match refusal {
            Refusal::NotAuthentic | Refusal::TooLong => ImportError::Wrapped,
            Refusal::InvalidKey => ImportError::Material,
            other => ImportError::Store(refused(other)),
        })?;
        Ok(Material::made(MaterialId(imported.fingerprint), imported.token.as_bytes()))
    }
}
