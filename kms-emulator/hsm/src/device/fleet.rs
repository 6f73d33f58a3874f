//! A fleet device: keys that leave only as tokens, wrapped under a domain key that stays inside.
//!
//! A key store that has more keys than an HSM has room for keeps the tokens in its database and
//! hands one in with every command. Unwrapped keys are kept inside for a while, bounded.

use std::path::Path;
use std::sync::Arc;

use super::cipher::draw;
use super::token::KeyToken;
use super::working::WorkingKeys;
use super::{Config, Device};
use crate::crypto;
use crate::error::{HsmError, Refusal};
use crate::factory::Factory;
use crate::limits::{AAD_BYTES_MAX, MESSAGE_BYTES_MAX, PLAINTEXT_BYTES_MAX};
use crate::mechanism::{self, HashFunction, KeyKind, SignatureScheme, SignedInput, WorkingKey};
use crate::secret::{KeyBytes, Plaintext};

/// An in-process device whose keys are tokens: the default key store's hardware.
///
/// Every method may be called from any number of threads; none holds a lock while it encrypts.
pub struct Fleet {
    device: Device,
    working: WorkingKeys,
}

impl Fleet {
    /// Switches on the fleet device of `dir`; `factory` makes it if there is none yet.
    ///
    /// # Errors
    ///
    /// As [`Factory::manufacture`] and [`Device::power_on`].
    pub fn power_on(factory: &Factory, dir: &Path, config: Config) -> Result<Self, HsmError> {
        factory.manufacture(dir, "hsm-fleet", &*config.clock)?;
        let device = Device::power_on(dir, config)?;
        if device.state()?.contents.domain_key.is_none() {
            let key = Arc::new(crypto::generate_key()?);
            device.change(|contents| {
                contents.domain_key = Some(key);
                Ok(())
            })?;
        }
        Ok(Self { device, working: WorkingKeys::default() })
    }

    /// Makes a key and returns it wrapped. RSA keys take from tenths of a second to seconds.
    ///
    /// # Errors
    ///
    /// [`Refusal::Tampered`], [`Refusal::ModuleFailed`].
    pub fn generate_key(&self, kind: KeyKind) -> Result<KeyToken, Refusal> {
        let domain_key = self.domain_key()?;
        KeyToken::wrap(&domain_key, kind, &mechanism::generate(kind)?)
    }

    /// Encrypts under a key derived from the token's key for this message alone.
    ///
    /// `aad` is at most [`AAD_BYTES_MAX`] bytes. The result is 44 bytes longer than the plaintext.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] for a token of another fleet; [`Refusal::TooLong`];
    /// [`Refusal::Tampered`].
    pub fn seal(
        &self,
        token: &KeyToken,
        aad: &[u8],
        plaintext: &Plaintext,
    ) -> Result<Vec<u8>, Refusal> {
        check_length(aad, AAD_BYTES_MAX)?;
        crypto::seal(self.unwrap(token)?.aes()?, aad, plaintext.expose())
    }

    /// Decrypts what [`Fleet::seal`] or [`Fleet::generate_data_key`] returned.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] when token, `aad` or message are not those of the encryption;
    /// [`Refusal::TooLong`]; [`Refusal::Tampered`].
    pub fn open(&self, token: &KeyToken, aad: &[u8], message: &[u8]) -> Result<Plaintext, Refusal> {
        check_length(aad, AAD_BYTES_MAX)?;
        check_length(message, MESSAGE_BYTES_MAX)?;
        crypto::open(self.unwrap(token)?.aes()?, aad, message)
    }

    /// Draws `bytes` random bytes; returns them, and sealed as [`Fleet::seal`] does.
    ///
    /// # Errors
    ///
    /// As [`Fleet::seal`].
    pub fn generate_data_key(
        &self,
        token: &KeyToken,
        aad: &[u8],
        bytes: usize,
    ) -> Result<(Plaintext, Vec<u8>), Refusal> {
        let plaintext = draw(bytes)?;
        let message = self.seal(token, aad, &plaintext)?;
        Ok((plaintext, message))
    }

    /// Makes a pair for its caller, who gets the private half in PKCS #8 DER, sealed as
    /// [`Fleet::seal`] does, and the public half as a DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    ///
    /// [`Refusal::KeyKindMismatch`] for a kind that is no pair or is not given out; as [`Fleet::seal`].
    pub fn generate_data_key_pair(
        &self,
        token: &KeyToken,
        aad: &[u8],
        kind: KeyKind,
    ) -> Result<DataKeyPair, Refusal> {
        let secret = mechanism::generate(kind)?;
        let private_key = mechanism::private_key_info(kind, &secret)?;
        Ok(DataKeyPair {
            sealed_private_key: self.seal(token, aad, &private_key)?,
            public_key: WorkingKey::load(kind, &secret)?.public_key()?,
            private_key,
        })
    }

    /// The public half of a pair: a DER `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
    ///
    /// # Errors
    ///
    /// [`Refusal::KeyKindMismatch`] for a symmetric key; [`Refusal::NotAuthentic`],
    /// [`Refusal::Tampered`].
    pub fn public_key(&self, token: &KeyToken) -> Result<Vec<u8>, Refusal> {
        self.unwrap(token)?.public_key()
    }

    /// Signs a message of at most [`PLAINTEXT_BYTES_MAX`] bytes, a digest or a representative.
    ///
    /// # Errors
    ///
    /// [`Refusal::KeyKindMismatch`] when the key has not that scheme or the scheme not that input;
    /// [`Refusal::DataLengthOutOfRange`] for a digest or representative of another length;
    /// [`Refusal::TooLong`], [`Refusal::NotAuthentic`], [`Refusal::Tampered`].
    pub fn sign(
        &self,
        token: &KeyToken,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        check_input(input)?;
        self.unwrap(token)?.sign(scheme, input)
    }

    /// Verifies a signature.
    ///
    /// # Errors
    ///
    /// [`Refusal::SignatureInvalid`] when it is not the key's over that input; else as
    /// [`Fleet::sign`].
    pub fn verify(
        &self,
        token: &KeyToken,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
        signature: &[u8],
    ) -> Result<(), Refusal> {
        check_input(input)?;
        self.unwrap(token)?.verify(scheme, input, signature)
    }

    /// Makes the HMAC tag, as long as the digest, of at most [`PLAINTEXT_BYTES_MAX`] bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal::KeyKindMismatch`] for any other key; [`Refusal::TooLong`],
    /// [`Refusal::NotAuthentic`], [`Refusal::Tampered`].
    pub fn mac(&self, token: &KeyToken, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        check_length(message, PLAINTEXT_BYTES_MAX)?;
        self.unwrap(token)?.mac(message)
    }

    /// Verifies a whole HMAC tag in constant time.
    ///
    /// # Errors
    ///
    /// [`Refusal::SignatureInvalid`] when it is not the key's over that message; else as
    /// [`Fleet::mac`].
    pub fn verify_mac(&self, token: &KeyToken, message: &[u8], tag: &[u8]) -> Result<(), Refusal> {
        check_length(message, PLAINTEXT_BYTES_MAX)?;
        self.unwrap(token)?.verify_mac(message, tag)
    }

    /// Encrypts with RSAES-OAEP, MGF1 over the same hash function and an empty label.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLong`] when the modulus has no room for the plaintext;
    /// [`Refusal::KeyKindMismatch`], [`Refusal::NotAuthentic`], [`Refusal::Tampered`].
    pub fn encrypt_oaep(
        &self,
        token: &KeyToken,
        hash: HashFunction,
        plaintext: &Plaintext,
    ) -> Result<Vec<u8>, Refusal> {
        self.unwrap(token)?.encrypt_oaep(hash, plaintext.expose())
    }

    /// Decrypts what was encrypted with RSAES-OAEP under the public half, here or elsewhere.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] for what was not; [`Refusal::KeyKindMismatch`],
    /// [`Refusal::TooLong`], [`Refusal::Tampered`].
    pub fn decrypt_oaep(
        &self,
        token: &KeyToken,
        hash: HashFunction,
        message: &[u8],
    ) -> Result<Plaintext, Refusal> {
        check_length(message, MESSAGE_BYTES_MAX)?;
        self.unwrap(token)?.decrypt_oaep(hash, message)
    }

    /// Derives the raw ECDH secret (the x-coordinate) with a peer's DER `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidKey`] when the peer's key is malformed, not on the curve or of another one;
    /// [`Refusal::KeyKindMismatch`], [`Refusal::NotAuthentic`], [`Refusal::Tampered`].
    pub fn agree(&self, token: &KeyToken, peer: &[u8]) -> Result<Plaintext, Refusal> {
        check_length(peer, MESSAGE_BYTES_MAX)?;
        self.unwrap(token)?.agree(peer)
    }

    /// Makes a shared secret of 32 bytes and encapsulates it under the public half of an ML-KEM pair;
    /// returns both.
    ///
    /// # Errors
    ///
    /// [`Refusal::KeyKindMismatch`], [`Refusal::NotAuthentic`], [`Refusal::Tampered`].
    pub fn encapsulate(&self, token: &KeyToken) -> Result<(Plaintext, Vec<u8>), Refusal> {
        self.unwrap(token)?.encapsulate()
    }

    /// Recovers the shared secret of an encapsulation. What was encapsulated under another pair, or was
    /// altered, gives another secret.
    ///
    /// # Errors
    ///
    /// [`Refusal::NotAuthentic`] for a length that is not that of the pair's parameters;
    /// [`Refusal::KeyKindMismatch`], [`Refusal::TooLong`], [`Refusal::Tampered`].
    pub fn decapsulate(&self, token: &KeyToken, ciphertext: &[u8]) -> Result<Plaintext, Refusal> {
        check_length(ciphertext, MESSAGE_BYTES_MAX)?;
        self.unwrap(token)?.decapsulate(ciphertext)
    }

    /// Draws random bytes.
    ///
    /// # Errors
    ///
    /// [`Refusal::TooLong`] beyond [`crate::limits::RANDOM_BYTES_MAX`]; [`Refusal::Tampered`].
    pub fn random(&self, bytes: usize) -> Result<Plaintext, Refusal> {
        self.device.state()?;
        draw(bytes)
    }

    /// Zeroises the device: every token becomes useless.
    ///
    /// # Errors
    ///
    /// [`HsmError::Storage`] when the directory cannot be overwritten.
    pub fn tamper(&self) -> Result<(), HsmError> {
        self.device.tamper()?;
        self.working.clear();
        Ok(())
    }

    pub(super) fn domain_key(&self) -> Result<Arc<KeyBytes>, Refusal> {
        self.device.state()?.contents.domain_key.clone().ok_or(Refusal::NotInitialized)
    }

    fn unwrap(&self, token: &KeyToken) -> Result<Arc<WorkingKey>, Refusal> {
        let domain_key = self.domain_key()?;
        if let Some(key) = self.working.get(token) {
            return Ok(key);
        }
        Ok(self.working.insert(token, token.unwrap(&domain_key)?))
    }
}

/// A pair made for its caller.
pub struct DataKeyPair {
    /// The private half, in PKCS #8 DER.
    pub private_key: Plaintext,
    /// The same, sealed.
    pub sealed_private_key: Vec<u8>,
    /// The public half, a DER `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
}

fn check_input(input: SignedInput<'_>) -> Result<(), Refusal> {
    let (SignedInput::Message(bytes) | SignedInput::Digest(bytes) | SignedInput::ExternalMu(bytes)) =
        input;
    check_length(bytes, PLAINTEXT_BYTES_MAX)
}

pub(super) fn check_length(bytes: &[u8], max: usize) -> Result<(), Refusal> {
    if bytes.len() <= max { Ok(()) } else { Err(Refusal::TooLong) }
}
