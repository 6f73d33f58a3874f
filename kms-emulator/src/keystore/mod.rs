//! Where key material lives: a trait, the default key store, and (beside it) custom key stores.
//!
//! The KMS never sees a key. It asks a store to seal and open with the material that a reference
//! names; what comes back is ciphertext, or plaintext that the caller may have. What every store does is
//! the trait; asymmetric and HMAC keys exist in the default key store alone, as its own methods.
//!
//! What a custom key store stands on is a `Connection`: a CloudHSM cluster today. A PKCS #11 device takes
//! the same place in the tests, on a real token.

mod cloudhsm;
mod fleet;
mod label;
#[cfg(test)]
mod pkcs11;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::ids::{CustomKeyStoreId, KeyArn};
use crate::protocol::{Fault, FaultCode};
use crate::records::{Key, Material, PlannedKey};

pub(crate) use cloudhsm::{Connect, KMSUSER, Pool};
pub(crate) use fleet::{FleetKeyStore, ImportError, SignedMessage, WrappedMaterial};

/// Largest plaintext of one seal, in bytes: what `Encrypt` takes.
pub(crate) const PLAINTEXT_BYTES_MAX: usize = 4_096;

/// A place that makes and holds key material.
#[async_trait]
pub(crate) trait KeyStore: Send + Sync {
    /// Makes AES-256 material for a new key.
    async fn create(&self, key: &KeyArn) -> Result<Material, KeyStoreError>;

    /// Encrypts at most `PLAINTEXT_BYTES_MAX` bytes under a key derived from the
    /// material for this message alone; `aad` is authenticated with it.
    async fn seal(
        &self,
        material: &Material,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError>;

    /// Decrypts what `seal` returned, given the same material and `aad`.
    async fn open(
        &self,
        material: &Material,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError>;

    /// Draws a data key of `bytes` bytes and seals it as `seal` does.
    async fn generate_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<DataKey, KeyStoreError>;

    /// The same for a data key that nobody is to see in clear.
    async fn generate_sealed_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<Vec<u8>, KeyStoreError>;

    /// Draws random bytes from the store's own generator.
    async fn random(&self, bytes: usize) -> Result<Zeroizing<Vec<u8>>, KeyStoreError>;

    /// Destroys the material of a deleted key. Material that is not there any more counts as destroyed.
    async fn delete(&self, material: &Material) -> Result<(), KeyStoreError>;

    /// Whether a key of this store can be used now; if not its state is `Unavailable`.
    fn is_available(&self, material: &Material) -> bool;
}

/// A custom key store that is connected to the devices of its owner: HSMs that the KMS logs in to.
#[async_trait]
pub(crate) trait Connection: KeyStore {
    /// Destroys what the devices may have made for a key that does not exist.
    ///
    /// # Errors
    /// Those of the store: something may remain.
    async fn clear(&self, key: &KeyArn) -> Result<(), KeyStoreError>;

    /// Logs out of every device, for good; requests under way end, or fail as unreachable.
    async fn close(&self);
}

/// A data key in clear, and sealed.
pub(crate) struct DataKey {
    pub(crate) plaintext: Zeroizing<Vec<u8>>,
    pub(crate) sealed: Vec<u8>,
}

/// Why a key store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyStoreError {
    /// Ciphertext, authenticated data and material do not belong together.
    #[error("the ciphertext is not authentic")]
    NotAuthentic,
    /// A signature or a MAC is not the key's over that message.
    #[error("the signature is not valid")]
    SignatureInvalid,
    /// The public key of a peer is not one of the key's curve.
    #[error("the public key is not valid")]
    InvalidPublicKey,
    /// The store is connected and none of its HSMs answers.
    #[error("no HSM of the key store answers: {0}")]
    Unreachable(String),
    /// The store has too few HSMs, or too few availability zones, to make a key.
    #[error("the cluster has no two HSMs in different availability zones that answer")]
    TooFewHsms,
    /// The store's HSMs answer, and none has the key's material.
    #[error("the key material is on no HSM of the cluster")]
    MaterialMissing,
    /// The store's HSMs have no session left.
    #[error("the HSMs have no session left")]
    SessionsExhausted,
    /// The device failed.
    #[error("the HSM failed: {0}")]
    Device(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<strongroom_hsm::HsmError> for KeyStoreError {
    fn from(error: strongroom_hsm::HsmError) -> Self {
        Self::Device(Box::new(error))
    }
}

impl KeyStoreError {
    /// What a caller is told who has no key yet.
    pub(crate) fn into_creation_fault(self) -> Fault {
        match self {
            Self::TooFewHsms => too_few_hsms(),
            Self::Unreachable(_) => {
                Fault::invalid_state("KMS cannot communicate with your CloudHSM cluster")
                    .because(self)
            }
            Self::SessionsExhausted => sessions_exhausted(),
            other => Fault::internal(other),
        }
    }

    /// What a caller that used `key` is told.
    pub(crate) fn into_fault(self, key: &Key) -> Fault {
        match self {
            Self::NotAuthentic => Fault::invalid_ciphertext(),
            Self::SignatureInvalid => Fault::new(FaultCode::KMSInvalidSignatureException, ""),
            Self::InvalidPublicKey => Fault::validation(format!(
                "The public key is not a valid DER-encoded X.509 public key on the curve of {}.",
                key.spec.as_str()
            )),
            Self::Unreachable(_) => {
                Fault::invalid_state("KMS cannot communicate with your CloudHSM cluster")
                    .because(self)
            }
            Self::MaterialMissing => Fault::invalid_state(format!(
                "The key material of {} does not exist in your CloudHSM cluster",
                key.arn()
            )),
            Self::SessionsExhausted => sessions_exhausted(),
            Self::TooFewHsms => too_few_hsms(),
            Self::Device(_) => Fault::internal(self),
        }
    }
}

fn sessions_exhausted() -> Fault {
    Fault::new(
        FaultCode::KMSInternalException,
        "The CloudHSM cluster has no available PKCS #11 sessions; back off and retry.",
    )
}

/// The key stores of a server.
pub(crate) struct KeyStores {
    fleet: Arc<FleetKeyStore>,
    default: Arc<dyn KeyStore>,
    connected: ArcSwap<HashMap<Arc<str>, Arc<dyn Connection>>>,
}

impl KeyStores {
    /// A server with the default key store alone.
    pub(crate) fn new(fleet: Arc<FleetKeyStore>) -> Self {
        Self { default: Arc::clone(&fleet) as _, fleet, connected: ArcSwap::default() }
    }

    /// The default key store for what no other store does: asymmetric keys, HMAC keys, data key pairs.
    pub(crate) fn fleet(&self) -> &FleetKeyStore {
        &self.fleet
    }

    /// The default key store: for keys of origin `AWS_KMS`, and for randomness.
    pub(crate) fn default_store(&self) -> &Arc<dyn KeyStore> {
        &self.default
    }

    /// A custom key store that is connected.
    pub(crate) fn connected(&self, id: &str) -> Option<Arc<dyn KeyStore>> {
        self.connected.load().get(id).map(|connection| Arc::clone(connection) as Arc<dyn KeyStore>)
    }

    /// The store that holds a key's material; none if its custom key store is not connected.
    pub(crate) fn of(&self, key: &Key) -> Option<Arc<dyn KeyStore>> {
        match &key.custom_key_store {
            None => Some(Arc::clone(&self.default)),
            Some(id) => self.connected(id),
        }
    }

    /// Whether the key's material can be used now.
    pub(crate) fn is_available(&self, key: &Key) -> bool {
        self.of(key).is_some_and(|store| store.is_available(&key.material))
    }

    /// Destroys what an HSM may have made for a key that does not exist.
    ///
    /// # Errors
    /// Those of the store: something may remain. A store that is not connected is `Unreachable`.
    pub(crate) async fn clear(&self, planned: &PlannedKey) -> Result<(), KeyStoreError> {
        let store = planned.custom_key_store.as_str();
        let Some(connection) = self.connected.load().get(store).map(Arc::clone) else {
            return Err(KeyStoreError::Unreachable(format!("{store} is not connected")));
        };
        connection.clear(&planned.realm.key_arn(planned.id)).await
    }

    /// Puts a connection to use.
    pub(crate) fn connect(&self, id: &CustomKeyStoreId, connection: &Arc<dyn Connection>) {
        self.connected.rcu(|connected| {
            let mut connected = HashMap::clone(connected);
            connected.insert(id.as_str().into(), Arc::clone(connection));
            connected
        });
    }

    /// Takes a connection out of use and returns it, to be closed.
    pub(crate) fn disconnect(&self, id: &CustomKeyStoreId) -> Option<Arc<dyn Connection>> {
        let before = self.connected.rcu(|connected| {
            let mut connected = HashMap::clone(connected);
            connected.remove(id.as_str());
            connected
        });
        before.get(id.as_str()).cloned()
    }
}

/// The refusal for a cluster that cannot do what takes two HSMs.
pub(crate) fn too_few_hsms() -> Fault {
    Fault::new(
        FaultCode::CloudHsmClusterInvalidConfigurationException,
        "The CloudHSM cluster must have at least two active HSMs, each in a different Availability Zone.",
    )
}

/// The refusal for a custom key store that does not exist.
pub(crate) fn custom_key_store_not_found(id: &str) -> Fault {
    Fault::new(
        FaultCode::CustomKeyStoreNotFoundException,
        format!("Custom key store with the ID {id} is not found."),
    )
}
