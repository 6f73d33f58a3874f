//! Encrypting and decrypting with a usable key: what the cryptographic operations share.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::Call;
use super::access::{FoundKey, Naming, UsableKey, live_key};
use super::ciphertext::{Algorithm, Header};
use super::encryption_context::EncryptionContext;
use crate::ids::RealmId;
use crate::keystore::KeyStore;
use crate::policy::RequestFacts;
use crate::protocol::{Base64, Fault, FaultCode};

/// The name of the only algorithm, as replies carry it.
pub(super) const SYMMETRIC_DEFAULT: &str = "SYMMETRIC_DEFAULT";

/// Encrypts `plaintext` and returns the blob.
pub(super) async fn encrypt(
    call: &Call,
    key: &UsableKey,
    context: &EncryptionContext,
    plaintext: &[u8],
) -> Result<Base64, Fault> {
    let key = key.key();
    let header = Header::of(key);
    let sealed = store(call, key)?
        .seal(&key.material, &header.authenticated_data(context), plaintext)
        .await
        .map_err(|error| error.into_fault(key))?;
    Ok(Base64::public(header.join(&sealed)))
}

/// A ciphertext whose key is known; nothing of it has been opened.
pub(super) struct Located<'a> {
    header: Header,
    sealed: &'a [u8],
    pub(super) key: FoundKey,
}

/// Finds the key of a ciphertext, which must be the one that the caller named, if it named one.
///
/// # Errors
/// `InvalidCiphertextException` for what was altered, `IncorrectKeyException` for another key's, and
/// `AccessDeniedException`, as AWS words it, for a key that is not there.
pub(super) fn locate<'a>(
    call: &Call,
    blob: &'a [u8],
    named: Option<&str>,
    algorithm: Algorithm,
) -> Result<Located<'a>, Fault> {
    let named = named.map(|name| call.find_key(name, Naming::KeyOrAlias)).transpose()?;
    if let Some(key) = &named {
        algorithm.check(key.key())?;
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
    Ok(Located { header, sealed, key })
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
        (self.key, Sealed { header: self.header, sealed: self.sealed })
    }
}

/// The part of a ciphertext that its key opens.
pub(super) struct Sealed<'a> {
    header: Header,
    sealed: &'a [u8],
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
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let key = key.key();
        if self.header.material != key.material.id {
            return Err(Fault::invalid_ciphertext());
        }
        store(call, key)?
            .open(&key.material, &self.header.authenticated_data(context), self.sealed)
            .await
            .map_err(|error| error.into_fault(key))
    }
}

/// Draws `bytes` random bytes from the store that holds `key`.
pub(super) async fn random(
    call: &Call,
    key: &UsableKey,
    bytes: usize,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let key = key.key();
    store(call, key)?.random(bytes).await.map_err(|error| error.into_fault(key))
}

/// The facts of a request with an encryption context.
pub(super) fn facts(context: &EncryptionContext) -> RequestFacts<'_> {
    RequestFacts { encryption_context: Some(context.pairs()), ..RequestFacts::default() }
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

fn store(call: &Call, key: &crate::records::Key) -> Result<Arc<dyn KeyStore>, Fault> {
    call.kms
        .key_stores
        .of(key)
        .ok_or_else(|| Fault::invalid_state(format!("{} is unavailable.", key.arn())))
}
