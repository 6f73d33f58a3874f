//! What the raw and the AWS KMS ECDH keyrings share: provider information, key derivation, wrapping.
//!
//! ```text
//! provider information = version(1) recipient-length(4) recipient sender-length(4) sender
//! ciphertext           = salt(32) commitment(32) wrapped-data-key tag(16)
//! fixed information    = ecdh-key-derivation 00 curve 00 HMAC_SHA384 00 sender recipient 00 version 00 context
//! commitment(32) wrapping-key(32) = KBKDF(HMAC-SHA-384, shared secret, label = fixed information, context = salt)
//! ```
//! Public keys are compressed points. The wrapping key is used once, with an IV of zeros; the fixed
//! information is its authenticated data too.
//!
//! Source: `framework/raw-ecdh-keyring.md`, `framework/key-agreement-schemas.md#key-derivation`. What the
//! specification leaves open (the place of the salt, the names of the curves, the case of the first label) is as
//! the messages of the other implementations have it.

use subtle::ConstantTimeEq;

use super::{failed, not_configured};
use crate::crypto::ecdh::EcCurve;
use crate::crypto::{CryptoProvider, Iv, Tag};
use crate::error::{Error, Fault, KeyAttempt, KeyFault, KeyringFault, Region, Result};
use crate::keys::EcPublicKey;
use crate::message::codec::Reader;
use crate::message::encrypted_data_key::EncryptedDataKey;
use crate::message::encryption_context::EncryptionContext;
use crate::message::suite::{AeadAlgorithm, HashAlgorithm, IV_BYTES};
use crate::secret::{DataKey, SecretBytes};

/// The provider id of the raw ECDH keyring.
pub(super) const RAW_PROVIDER_ID: &str = "raw-ecdh";
/// The provider id of the AWS KMS ECDH keyring.
pub(super) const KMS_PROVIDER_ID: &str = "aws-kms-ecdh";

const VERSION: u8 = 1;
const SALT_BYTES: usize = 32;
const COMMITMENT_BYTES: usize = 32;
const WRAPPING_KEY_BYTES: usize = 32;
/// The wrapping key is derived anew for each data key, from a random salt.
const IV: Iv = [0; IV_BYTES];

/// Sender and recipient of a wrapped data key, as the message records them: compressed points of a curve.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parties {
    curve: EcCurve,
    sender: Vec<u8>,
    recipient: Vec<u8>,
}

impl Parties {
    /// # Errors
    /// [`Error::Key`] when the two are on different curves.
    pub(super) fn new(sender: &EcPublicKey, recipient: &EcPublicKey) -> Result<Self> {
        let (expected, found) = (sender.curve(), recipient.curve());
        if expected != found {
            return Err(KeyFault::OtherCurve { expected, found }.into());
        }
        let (sender, recipient) = (sender.compressed(), recipient.compressed());
        Ok(Self { curve: expected, sender, recipient })
    }

    /// The parties of `key`, if an ECDH keyring wrapped it on `curve`. The points are not checked.
    ///
    /// # Errors
    /// [`Error::Truncated`], [`Error::Malformed`] in the encrypted data keys.
    pub(super) fn of(curve: EcCurve, key: &EncryptedDataKey) -> Result<Option<Self>> {
        //= framework/raw-ecdh-keyring.md#ondecrypt
        //# The key provider ID of the encrypted data key MUST have a value equal to the UTF8 encoded strings
        //# `raw-ecdh` OR `aws-kms-ecdh`.
        if ![RAW_PROVIDER_ID, KMS_PROVIDER_ID].contains(&key.provider_id.as_str()) {
            return Ok(None);
        }
        let mut reader = Reader::new(&key.provider_info, Region::EncryptedDataKeys);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(reader.fault(Fault::EcdhVersion(version)));
        }
        let (Some(recipient), Some(sender)) =
            (read_point(&mut reader, curve)?, read_point(&mut reader, curve)?)
        else {
            return Ok(None);
        };
        if !reader.is_empty() {
            return Err(reader.fault(Fault::ProviderInfoLength));
        }
        Ok(Some(Self { curve, sender, recipient }))
    }

    /// The sender's compressed point.
    pub(super) fn sender(&self) -> &[u8] {
        &self.sender
    }

    /// Whether the recipient is `public_key`.
    pub(super) fn are_to(&self, public_key: &EcPublicKey) -> bool {
        self.recipient == public_key.compressed()
    }

    /// Whether these are the same two, whichever is the sender: what one wrote for the other, both read.
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        let reversed = self.sender == other.recipient && self.recipient == other.sender;
        self == other || (self.curve == other.curve && reversed)
    }

    /// The recipient, for messages to people.
    pub(super) fn name(&self) -> String {
        let hexadecimal: String = self.recipient.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{} {hexadecimal}", self.curve)
    }

    /// `data_key` for the recipient.
    pub(super) fn wrap(
        &self,
        provider: &dyn CryptoProvider,
        provider_id: &str,
        shared_secret: &SecretBytes,
        context: &EncryptionContext,
        data_key: &DataKey,
    ) -> Result<EncryptedDataKey> {
        //= framework/key-agreement-schemas.md#key-derivation
        //# Before deriving a shared wrapping key,
        //# the keyring MUST generate a 32 byte random salt value.
        let mut salt = [0; SALT_BYTES];
        provider.fill_random(&mut salt)?;
        let fixed_info = self.fixed_info(&context.serialize()?);
        let derived = Derived::new(provider, shared_secret, &fixed_info, &salt)?;
        //= framework/raw-ecdh-keyring.md#data-key-wrapping
        //# MUST use the shared wrapping key as the AES-GCM cipher key.
        //= framework/raw-ecdh-keyring.md#data-key-wrapping
        //# It MUST use a zeroed out 12 byte IV
        let cipher = provider.aead_key(AeadAlgorithm::Aes256Gcm, &derived.wrapping_key)?;
        let plaintext = data_key.secret().expose();
        let mut wrapped = vec![0; plaintext.len()];
        let tag = cipher.seal_into(&IV, &fixed_info, plaintext, &mut wrapped)?;
        Ok(EncryptedDataKey {
            provider_id: provider_id.to_owned(),
            provider_info: self.provider_info(),
            ciphertext: [&salt[..], derived.commitment.expose(), &wrapped, &tag].concat(),
        })
    }

    /// The data key in `ciphertext`.
    pub(super) fn unwrap(
        &self,
        provider: &dyn CryptoProvider,
        shared_secret: &SecretBytes,
        context: &EncryptionContext,
        ciphertext: &[u8],
    ) -> Result<DataKey> {
        let region = Region::EncryptedDataKeys;
        let mut reader = Reader::new(ciphertext, region);
        let salt: [u8; SALT_BYTES] = reader.array()?;
        let commitment: [u8; COMMITMENT_BYTES] = reader.array()?;
        let (wrapped, tag): (&[u8], &Tag) =
            reader.rest().split_last_chunk().ok_or(Error::Truncated { region })?;
        let fixed_info = self.fixed_info(&context.serialize()?);
        let derived = Derived::new(provider, shared_secret, &fixed_info, &salt)?;
        //= framework/raw-ecdh-keyring.md#ondecrypt
        //# The keyring MUST check that the calculated Commitment Key
        //# from the key derivation step is equal to the deserialized commitment key
        //# found in the encrypted data key.
        //= framework/raw-ecdh-keyring.md#ondecrypt
        //# This check MUST be a constant time check.
        if !bool::from(derived.commitment.expose().ct_eq(&commitment)) {
            return Err(KeyringFault::WrappingKeyCommitment.into());
        }
        let cipher = provider.aead_key(AeadAlgorithm::Aes256Gcm, &derived.wrapping_key)?;
        let secret = SecretBytes::fill_with(wrapped.len(), |out| {
            cipher.open_into(&IV, &fixed_info, wrapped, tag, out)
        });
        secret.map(DataKey::new).map_err(|_mismatch| Error::TagMismatch { region })
    }

    fn provider_info(&self) -> Vec<u8> {
        let mut info = vec![VERSION];
        for point in [&self.recipient, &self.sender] {
            info.extend_from_slice(&(point.len() as u32).to_be_bytes());
            info.extend_from_slice(point);
        }
        info
    }

    fn fixed_info(&self, context: &[u8]) -> Vec<u8> {
        let curve: &[u8] = match self.curve {
            EcCurve::P256 => b"p256",
            EcCurve::P384 => b"p384",
            EcCurve::P521 => b"p521",
        };
        let points = [&self.sender[..], &self.recipient].concat();
        [b"ecdh-key-derivation", curve, b"HMAC_SHA384", &points, &[VERSION], context].join(&0)
    }
}

/// The parties of `key`, if it is one of `ours`; else the attempt to report.
pub(super) fn recognize(
    curve: EcCurve,
    key: &EncryptedDataKey,
    ours: impl Fn(&Parties) -> bool,
) -> Result<Parties, KeyAttempt> {
    match Parties::of(curve, key) {
        Ok(Some(parties)) if ours(&parties) => Ok(parties),
        Ok(Some(parties)) => Err(not_configured(key, parties.name())),
        Ok(None) => Err(not_configured(key, key.key_name())),
        Err(error) => Err(failed(key, key.key_name(), error)),
    }
}

/// A compressed point with its length in four bytes; `None` for one that is as long as those of other curves.
fn read_point(reader: &mut Reader<'_>, curve: EcCurve) -> Result<Option<Vec<u8>>> {
    let length = reader.u32()?;
    let bytes = usize::try_from(length).map_err(|_| reader.fault(Fault::ProviderInfoLength))?;
    let point = reader.take(bytes)?;
    Ok((bytes == 1 + curve.field_bytes()).then(|| point.to_vec()))
}

/// What a shared secret gives for one data key.
struct Derived {
    commitment: SecretBytes,
    wrapping_key: SecretBytes,
}

impl Derived {
    fn new(
        provider: &dyn CryptoProvider,
        shared_secret: &SecretBytes,
        fixed_info: &[u8],
        salt: &[u8; SALT_BYTES],
    ) -> Result<Self> {
        let bytes = COMMITMENT_BYTES + WRAPPING_KEY_BYTES;
        let derived =
            provider.kbkdf(HashAlgorithm::Sha384, shared_secret, fixed_info, salt, bytes)?;
        let (commitment, wrapping_key) = derived.expose().split_at(COMMITMENT_BYTES);
        //= framework/raw-ecdh-keyring.md#onencrypt
        //# The keyring MUST use the first 32 bytes as the Commitment Key.
        let commitment = SecretBytes::copy_of(commitment);
        //= framework/raw-ecdh-keyring.md#onencrypt
        //# The keyring MUST use the last 32 bytes as the Derived Shared Wrapping Key.
        let wrapping_key = SecretBytes::copy_of(wrapping_key);
        Ok(Self { commitment, wrapping_key })
    }
}

#[cfg(all(test, feature = "aws-lc"))]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use super::*;
    use crate::crypto::aws_lc::provider;
    use crate::keys::EcPrivateKey;

    fn parties(curve: EcCurve) -> Parties {
        let key = || EcPrivateKey::generate(&*provider(), curve).unwrap();
        Parties::new(key().public_key(), key().public_key()).unwrap()
    }

    fn edk(provider_info: Vec<u8>) -> EncryptedDataKey {
        EncryptedDataKey {
            provider_id: RAW_PROVIDER_ID.into(),
            provider_info,
            ciphertext: Vec::new(),
        }
    }

    #[test]
    fn provider_information_round_trips_and_nothing_else_is_read() {
        for curve in EcCurve::ALL {
            let parties = parties(curve);
            let info = parties.provider_info();
            assert_eq!(Parties::of(curve, &edk(info.clone())).unwrap().unwrap(), parties);
            for length in 0..info.len() {
                assert!(Parties::of(curve, &edk(info[..length].to_vec())).is_err(), "{length}");
            }
            assert!(Parties::of(curve, &edk([&info[..], &[0]].concat())).is_err());
            for (at, byte) in [(0, 2), (1, 0xff)] {
                let mut altered = info.clone();
                altered[at] = byte;
                assert!(Parties::of(curve, &edk(altered)).is_err());
            }
            let other = EcCurve::ALL.into_iter().find(|other| *other != curve).unwrap();
            assert_eq!(Parties::of(other, &edk(info)).unwrap(), None);
        }
    }

    #[test]
    fn fixed_information_is_in_the_order_of_the_other_implementations() {
        let parties = parties(EcCurve::P384);
        let expected = [
            &b"ecdh-key-derivation\0p384\0HMAC_SHA384\0"[..],
            &parties.sender,
            &parties.recipient,
            b"\0\x01\0context",
        ];
        assert_eq!(parties.fixed_info(b"context"), expected.concat());
    }

    #[test]
    fn the_wrapped_key_is_bound_to_secret_commitment_context_and_tag() {
        let (provider, parties) = (provider(), parties(EcCurve::P256));
        let secret = SecretBytes::copy_of(&[5; 32]);
        let data_key = DataKey::new(SecretBytes::copy_of(&[6; 32]));
        let context = EncryptionContext::from_pairs([("a", "b")]).unwrap();
        let wrapped =
            parties.wrap(&*provider, RAW_PROVIDER_ID, &secret, &context, &data_key).unwrap();
        let open = |secret: &SecretBytes, context: &EncryptionContext, ciphertext: &[u8]| {
            parties.unwrap(&*provider, secret, context, ciphertext)
        };
        let opened = open(&secret, &context, &wrapped.ciphertext).unwrap();
        assert_eq!(opened.secret().expose(), [6; 32]);
        assert!(open(&SecretBytes::copy_of(&[4; 32]), &context, &wrapped.ciphertext).is_err());
        assert!(open(&secret, &EncryptionContext::new(), &wrapped.ciphertext).is_err());
        for at in 0..wrapped.ciphertext.len() {
            let mut altered = wrapped.ciphertext.clone();
            altered[at] ^= 1;
            let error = open(&secret, &context, &altered).err().unwrap();
            let by_commitment =
                matches!(error, Error::Keyring(KeyringFault::WrappingKeyCommitment));
            assert_eq!(by_commitment, at < SALT_BYTES + COMMITMENT_BYTES, "{at}: {error}");
            assert!(open(&secret, &context, &wrapped.ciphertext[..at]).is_err());
        }
    }
}
