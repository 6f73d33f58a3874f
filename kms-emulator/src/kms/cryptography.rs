//! Encrypting and decrypting with a usable key: what the cryptographic operations share.

use std::sync::Arc;

use strongroom_hsm::HashFunction;
use zeroize::Zeroizing;

use super::Call;
use super::access::{FoundKey, Naming, UsableKey, live_key};
use super::algorithms::EncryptionAlgorithm;
use super::ciphertext::Header;
use super::encryption_context::EncryptionContext;
use crate::ids::RealmId;
use crate::keystore::KeyStore;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, Fault, FaultCode};
use crate::records::{Key, KeySpec, MaterialId};

/// Encrypts `plaintext` and returns the blob.
///
/// # Errors
/// `ValidationException` for a plaintext that is too long for the algorithm and the key.
pub(super) async fn encrypt(
    call: &Call,
    key: &UsableKey,
    algorithm: EncryptionAlgorithm,
    context: &EncryptionContext,
    plaintext: &[u8],
) -> Result<Base64, Fault> {
    let key = key.key();
    let EncryptionAlgorithm::RsaesOaep(hash) = algorithm else {
        let header = Header::of(key);
        let sealed = store(call, key)?
            .seal(&key.material, &header.authenticated_data(context), plaintext)
            .await
            .map_err(|error| error.into_fault(key))?;
        return Ok(Base64::public(header.join(&sealed)));
    };
    check_plaintext(key, algorithm, plaintext.len())?;
    let message = call.kms.key_stores.fleet().encrypt_oaep(&key.material, hash, plaintext);
    message.map(Base64::public).map_err(|error| error.into_fault(key))
}

/// A data key for its caller: in clear, and as a blob.
pub(super) struct DataKey {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    pub(super) blob: Base64,
}

/// Has the store that holds `key` draw a data key of `bytes` bytes.
pub(super) async fn generate_data_key(
    call: &Call,
    key: &UsableKey,
    context: &EncryptionContext,
    bytes: usize,
) -> Result<DataKey, Fault> {
    let (key, header) = (key.key(), Header::of(key.key()));
    let made = store(call, key)?
        .generate_data_key(&key.material, &header.authenticated_data(context), bytes)
        .await
        .map_err(|error| error.into_fault(key))?;
    Ok(DataKey { plaintext: made.plaintext, blob: Base64::public(header.join(&made.sealed)) })
}

/// The same for a data key that its caller does not see in clear.
pub(super) async fn generate_sealed_data_key(
    call: &Call,
    key: &UsableKey,
    context: &EncryptionContext,
    bytes: usize,
) -> Result<Base64, Fault> {
    let (key, header) = (key.key(), Header::of(key.key()));
    let sealed = store(call, key)?
        .generate_sealed_data_key(&key.material, &header.authenticated_data(context), bytes)
        .await
        .map_err(|error| error.into_fault(key))?;
    Ok(Base64::public(header.join(&sealed)))
}

fn check_plaintext(key: &Key, algorithm: EncryptionAlgorithm, length: usize) -> Result<(), Fault> {
    let bytes_max = algorithm.plaintext_bytes_max(key.spec);
    if length <= bytes_max {
        return Ok(());
    }
    Err(Fault::validation(format!(
        "Algorithm {} and key spec {} cannot encrypt data larger than {bytes_max} bytes.",
        algorithm.as_str(),
        key.spec.as_str()
    )))
}

/// Refuses an encryption context that nothing would authenticate.
pub(super) fn check_context(
    algorithm: EncryptionAlgorithm,
    context: &EncryptionContext,
) -> Result<(), Fault> {
    if algorithm == EncryptionAlgorithm::SymmetricDefault || context.pairs().is_empty() {
        return Ok(());
    }
    Err(Fault::validation(format!(
        "An encryption context is not supported with the algorithm {}.",
        algorithm.as_str()
    )))
}

/// A ciphertext whose key is known; nothing of it has been opened.
pub(super) struct Located<'a> {
    sealed: Sealed<'a>,
    key: FoundKey,
}

/// Finds the key of a ciphertext, which must be the one that the caller named, if it named one; without a
/// ciphertext it must name one.
///
/// # Errors
/// `InvalidCiphertextException` for what was altered, `IncorrectKeyException` for another key's, and
/// `AccessDeniedException`, as AWS words it, for a key that is not there.
pub(super) fn locate<'a>(
    call: &Call,
    blob: Option<&'a [u8]>,
    named: Option<&str>,
    algorithm: EncryptionAlgorithm,
) -> Result<Located<'a>, Fault> {
    let named = named.map(|name| call.find_key(name, Naming::KeyOrAlias)).transpose()?;
    if let Some(key) = &named {
        algorithm.check(key.key())?;
    }
    let Some(blob) = blob else {
        let key = named.ok_or_else(|| {
            Fault::validation("A KeyId is required if the ciphertext is ignored.")
        })?;
        return Ok(Located { sealed: Sealed::Ignored, key });
    };
    if let EncryptionAlgorithm::RsaesOaep(hash) = algorithm {
        // A ciphertext of a standard algorithm says nothing of its key.
        let key = named.ok_or_else(|| {
            Fault::validation("A KeyId is required with an asymmetric algorithm.")
        })?;
        return Ok(Located { sealed: Sealed::Oaep(hash, blob), key });
    }
    let (header, sealed) = Header::split(blob)?;
    let key = match named {
        Some(key) if (key.key().realm.account, key.key().id) == (header.account, header.key) => key,
        Some(_) => {
            return Err(Fault::new(
                FaultCode::IncorrectKeyException,
                "The key ID in the request does not identify a CMK that can perform this operation.",
            ));
        }
        None => find_key_of_header(call, &header)?,
    };
    Ok(Located { sealed: Sealed::Symmetric(header, sealed), key })
}

fn find_key_of_header(call: &Call, header: &Header) -> Result<FoundKey, Fault> {
    let realm = RealmId { account: header.account, region: call.realm.region.clone() };
    live_key(&call.state, &realm, header.key, call.now).map(FoundKey::of).ok_or_else(|| {
        Fault::new(
            FaultCode::AccessDeniedException,
            "The ciphertext refers to a customer master key that does not exist, does not exist in \
             this region, or you are not allowed to access.",
        )
    })
}

impl<'a> Located<'a> {
    /// Takes the key to be authorized; what remains can be opened with the key that comes of it.
    pub(super) fn into_parts(self) -> (FoundKey, Sealed<'a>) {
        (self.key, self.sealed)
    }
}

/// The part of a ciphertext that its key opens.
pub(super) enum Sealed<'a> {
    Symmetric(Header, &'a [u8]),
    Oaep(HashFunction, &'a [u8]),
    /// There is none: the dry run is about permission alone.
    Ignored,
}

/// What was opened, and with which of the key's materials if it can have several.
pub(super) struct Opened {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    pub(super) material: Option<MaterialId>,
}

impl Sealed<'_> {
    /// Decrypts.
    ///
    /// # Errors
    /// `InvalidCiphertextException` if anything differs from what was encrypted.
    pub(super) async fn open(
        &self,
        call: &Call,
        key: &UsableKey,
        context: &EncryptionContext,
    ) -> Result<Opened, Fault> {
        let key = key.key();
        let (plaintext, material) = match self {
            Self::Symmetric(header, sealed) => {
                let material =
                    key.material_of(header.material).ok_or_else(Fault::invalid_ciphertext)?;
                let aad = header.authenticated_data(context);
                (store(call, key)?.open(material, &aad, sealed).await, Some(material.id))
            }
            Self::Oaep(hash, message) => {
                let fleet = call.kms.key_stores.fleet();
                (fleet.decrypt_oaep(&key.material, *hash, message.to_vec()).await, None)
            }
            Self::Ignored => return Err(Fault::internal("a dry run went on")),
        };
        Ok(Opened { plaintext: plaintext.map_err(|error| error.into_fault(key))?, material })
    }
}

/// Refuses a pair where a data key is to be encrypted.
pub(super) fn check_symmetric(key: &Key) -> Result<(), Fault> {
    if key.spec == KeySpec::SymmetricDefault {
        return Ok(());
    }
    Err(Fault::new(
        FaultCode::InvalidKeyUsageException,
        "You cannot generate a data key with an asymmetric CMK",
    ))
}

/// The material with which a key encrypts now, if it can ever have another.
pub(super) fn current_material(key: &Key) -> Option<MaterialId> {
    (key.spec == KeySpec::SymmetricDefault).then_some(key.material.id)
}

/// The facts of a request with an encryption context and an algorithm.
pub(super) fn facts(
    context: &EncryptionContext,
    algorithm: EncryptionAlgorithm,
) -> RequestFacts<'_> {
    RequestFacts {
        encryption_context: Some(context.pairs()),
        encryption_algorithm: Some(algorithm.as_str()),
        ..RequestFacts::default()
    }
}

/// Ends a request that asked for a dry run, once everything but the act itself has been decided.
pub(super) fn end_dry_run(dry_run: bool) -> Result<(), Fault> {
    if dry_run {
        return Err(Fault::new(
            FaultCode::DryRunOperationException,
            "The request would have succeeded, but the DryRun option is set.",
        ));
    }
    Ok(())
}

fn store(call: &Call, key: &Key) -> Result<Arc<dyn KeyStore>, Fault> {
    call.kms
        .key_stores
        .of(key)
        .ok_or_else(|| Fault::invalid_state(format!("{} is unavailable.", key.arn())))
}
