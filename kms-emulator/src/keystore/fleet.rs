//! The default key store: an internal HSM whose keys leave it only wrapped under its domain key.
//!
//! A material's reference is that wrapped key, so that the database holds any number of keys and the
//! HSM none of them. Losing the HSM's directory loses every key: it belongs to the same backup as the
//! database.

mod import;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::digest;
use strongroom_hsm::{
    Config, DataKeyPair, Factory, Fleet, HashFunction, HsmError, KeyKind, KeyToken, Plaintext,
    Refusal, SignatureScheme, SignedInput,
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{DataKey, KeyStore, KeyStoreError};
use crate::ids::KeyArn;
use crate::records::{Material, MaterialId};

pub(crate) use import::{ImportError, WrappedMaterial};

/// RSA keys that are made at the same time; more callers wait. Each takes a core for seconds.
const RSA_GENERATIONS_MAX: usize = 2;

/// The default key store.
pub(crate) struct FleetKeyStore {
    fleet: Arc<Fleet>,
    generations: Semaphore,
}

impl FleetKeyStore {
    /// Switches on the HSM in `dir`, made there if there is none yet.
    ///
    /// # Errors
    /// Those of the HSM's self-tests and of its sealed state.
    pub(crate) fn open(factory: &Factory, dir: &Path, config: Config) -> Result<Self, HsmError> {
        Ok(Self {
            fleet: Arc::new(Fleet::power_on(factory, dir, config)?),
            generations: Semaphore::new(RSA_GENERATIONS_MAX),
        })
    }

    /// Makes material of any kind.
    pub(crate) async fn create_kind(&self, kind: KeyKind) -> Result<Material, KeyStoreError> {
        let token = self.generating(kind, move |fleet| fleet.generate_key(kind)).await?;
        let mut id = [0; 32];
        for (to, from) in
            id.iter_mut().zip(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
        {
            *to = *from;
        }
        Ok(Material::made(MaterialId(id), token.as_bytes()))
    }

    /// Makes a data key pair, its private half sealed under the material.
    pub(crate) async fn data_key_pair(
        &self,
        material: &Material,
        aad: Vec<u8>,
        kind: KeyKind,
    ) -> Result<DataKeyPair, KeyStoreError> {
        let token = token(material)?;
        self.generating(kind, move |fleet| fleet.generate_data_key_pair(&token, &aad, kind)).await
    }

    /// The public half of a pair, as a DER `SubjectPublicKeyInfo`.
    pub(crate) fn public_key(&self, material: &Material) -> Result<Vec<u8>, KeyStoreError> {
        self.fleet.public_key(&token(material)?).map_err(refused)
    }

    /// Signs a message, a digest or a representative.
    pub(crate) async fn sign(
        &self,
        material: &Material,
        scheme: SignatureScheme,
        message: SignedMessage,
    ) -> Result<Vec<u8>, KeyStoreError> {
        let token = token(material)?;
        let is_slow = matches!(scheme, SignatureScheme::RsaPss(_) | SignatureScheme::RsaPkcs1(_));
        self.run(is_slow, move |fleet| fleet.sign(&token, scheme, message.input())).await
    }

    /// Verifies a signature.
    ///
    /// # Errors
    /// `SignatureInvalid`.
    pub(crate) fn verify(
        &self,
        material: &Material,
        scheme: SignatureScheme,
        message: &SignedMessage,
        signature: &[u8],
    ) -> Result<(), KeyStoreError> {
        let token = token(material)?;
        self.fleet.verify(&token, scheme, message.input(), signature).map_err(refused)
    }

    /// Makes an HMAC.
    pub(crate) fn mac(
        &self,
        material: &Material,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        self.fleet.mac(&token(material)?, message).map_err(refused)
    }

    /// Verifies an HMAC in constant time.
    ///
    /// # Errors
    /// `SignatureInvalid`.
    pub(crate) fn verify_mac(
        &self,
        material: &Material,
        message: &[u8],
        mac: &[u8],
    ) -> Result<(), KeyStoreError> {
        self.fleet.verify_mac(&token(material)?, message, mac).map_err(refused)
    }

    /// Encrypts with RSAES-OAEP.
    pub(crate) fn encrypt_oaep(
        &self,
        material: &Material,
        hash: HashFunction,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, KeyStoreError> {
        let plaintext = Plaintext::new(plaintext).map_err(refused)?;
        self.fleet.encrypt_oaep(&token(material)?, hash, &plaintext).map_err(refused)
    }

    /// Decrypts what was encrypted with RSAES-OAEP.
    pub(crate) async fn decrypt_oaep(
        &self,
        material: &Material,
        hash: HashFunction,
        message: Vec<u8>,
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let token = token(material)?;
        let opened = self.run(true, move |fleet| fleet.decrypt_oaep(&token, hash, &message)).await;
        opened.map(|plaintext| Zeroizing::new(plaintext.expose().to_vec()))
    }

    /// The raw ECDH secret with a peer's DER `SubjectPublicKeyInfo`.
    pub(crate) fn agree(
        &self,
        material: &Material,
        peer: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let agreed = self.fleet.agree(&token(material)?, peer).map_err(refused)?;
        Ok(Zeroizing::new(agreed.expose().to_vec()))
    }

    /// A shared secret and its encapsulation under a pair's public half.
    pub(crate) fn encapsulate(
        &self,
        material: &Material,
    ) -> Result<(Zeroizing<Vec<u8>>, Vec<u8>), KeyStoreError> {
        let (secret, ciphertext) = self.fleet.encapsulate(&token(material)?).map_err(refused)?;
        Ok((Zeroizing::new(secret.expose().to_vec()), ciphertext))
    }

    /// The shared secret of an encapsulation.
    pub(crate) fn decapsulate(
        &self,
        material: &Material,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let secret = self.fleet.decapsulate(&token(material)?, ciphertext).map_err(refused)?;
        Ok(Zeroizing::new(secret.expose().to_vec()))
    }

    /// Has a key made; RSA keys wait for their turn.
    async fn generating<T: Send + 'static>(
        &self,
        kind: KeyKind,
        work: impl FnOnce(&Fleet) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        if !matches!(kind, KeyKind::RsaSigning(_) | KeyKind::RsaDecryption(_)) {
            return self.run(false, work).await;
        }
        // The semaphore is never closed.
        let _turn = self.generations.acquire().await.ok();
        self.run(true, work).await
    }

    /// Has the HSM work: milliseconds of it not on a thread that serves connections.
    async fn run<T: Send + 'static>(
        &self,
        is_slow: bool,
        work: impl FnOnce(&Fleet) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, KeyStoreError> {
        if !is_slow {
            return work(&self.fleet).map_err(refused);
        }
        let fleet = Arc::clone(&self.fleet);
        match tokio::task::spawn_blocking(move || work(&fleet)).await {
            Ok(done) => done.map_err(refused),
            Err(_) => Err(refused(Refusal::ModuleFailed)),
        }
    }
}

/// What is signed, owned: an RSA signature is made on another thread.
pub(crate) enum SignedMessage {
    Raw(Zeroizing<Vec<u8>>),
    Digest(Zeroizing<Vec<u8>>),
    ExternalMu(Zeroizing<Vec<u8>>),
}

impl SignedMessage {
    fn input(&self) -> SignedInput<'_> {
        match self {
            Self::Raw(bytes) => SignedInput::Message(bytes),
            Self::Digest(bytes) => SignedInput::Digest(bytes),
            Self::ExternalMu(bytes) => SignedInput::ExternalMu(bytes),
        }
    }
}

#[async_trait]
impl KeyStore for FleetKeyStore {
    async fn create(&self, _key: &KeyArn) -> Result<Material, KeyStoreError> {
        self.create_kind(KeyKind::Aes256).await
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
        let opened = self.fleet.open(&token(material)?, aad, sealed).map_err(refused)?;
        Ok(Zeroizing::new(opened.expose().to_vec()))
    }

    async fn generate_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<DataKey, KeyStoreError> {
        let made = self.fleet.generate_data_key(&token(material)?, aad, bytes);
        let (plaintext, sealed) = made.map_err(refused)?;
        Ok(DataKey { plaintext: Zeroizing::new(plaintext.expose().to_vec()), sealed })
    }

    async fn generate_sealed_data_key(
        &self,
        material: &Material,
        aad: &[u8],
        bytes: usize,
    ) -> Result<Vec<u8>, KeyStoreError> {
        self.generate_data_key(material, aad, bytes).await.map(|made| made.sealed)
    }

    async fn random(&self, bytes: usize) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let drawn = self.fleet.random(bytes).map_err(refused)?;
        Ok(Zeroizing::new(drawn.expose().to_vec()))
    }

    async fn delete(&self, _material: &Material) -> Result<(), KeyStoreError> {
        // The wrapped key is the only copy, and its row is overwritten with the key's.
        Ok(())
    }

    fn is_available(&self, _material: &Material) -> bool {
        true
    }
}

fn token(material: &Material) -> Result<KeyToken, KeyStoreError> {
    // A stored reference that is no token is the database's fault, not the caller's.
    KeyToken::from_bytes(&material.reference).map_err(|refusal| HsmError::Refused(refusal).into())
}

fn refused(refusal: Refusal) -> KeyStoreError {
    match refusal {
        Refusal::NotAuthentic | Refusal::TooLong => KeyStoreError::NotAuthentic,
        Refusal::SignatureInvalid => KeyStoreError::SignatureInvalid,
        Refusal::InvalidKey => KeyStoreError::InvalidPublicKey,
        other => HsmError::Refused(other).into(),
    }
}
