//! Ed25519 and Ed25519ph (RFC 8032).

use aws_lc_rs::encoding::{AsBigEndian, AsDer};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use super::{SignatureScheme, SignedInput, aws_lc};
use crate::error::Refusal;
use crate::secret::{KEY_BYTES, KeyBytes, Plaintext, SecretBuffer};

/// A pair, and the seed that the prehashed variant asks for.
pub(crate) struct EdwardsPair {
    pair: Ed25519KeyPair,
    seed: KeyBytes,
}

impl EdwardsPair {
    pub(super) fn load(secret: &[u8]) -> Result<Self, Refusal> {
        let pair = pair_of(secret)?;
        Ok(Self { pair, seed: super::aes_key(secret)? })
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        Ok(self.pair.public_key().as_der()?.as_ref().to_vec())
    }

    pub(super) fn sign(
        &self,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        match (scheme, input) {
            (SignatureScheme::Ed25519, SignedInput::Message(message)) => {
                Ok(self.pair.sign(message).as_ref().to_vec())
            }
            (SignatureScheme::Ed25519ph, SignedInput::Digest(digest)) => {
                aws_lc::ed25519ph_sign(&self.seed, prehash(digest)?)
            }
            _ => Err(Refusal::KeyKindMismatch),
        }
    }

    pub(super) fn verify(
        &self,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
        signature: &[u8],
    ) -> Result<(), Refusal> {
        match (scheme, input) {
            (SignatureScheme::Ed25519, SignedInput::Message(message)) => {
                UnparsedPublicKey::new(&ED25519, self.pair.public_key())
                    .verify(message, signature)
                    .map_err(|_| Refusal::SignatureInvalid)
            }
            (SignatureScheme::Ed25519ph, SignedInput::Digest(digest)) => {
                let public = self.pair.public_key().as_ref();
                let public = public.try_into().map_err(|_| Refusal::ModuleFailed)?;
                let signature = signature.try_into().map_err(|_| Refusal::SignatureInvalid)?;
                aws_lc::ed25519ph_verify(public, prehash(digest)?, signature)
            }
            _ => Err(Refusal::KeyKindMismatch),
        }
    }
}

/// The PKCS #8 document of a seed (RFC 8410, 7).
pub(super) fn private_key_info(secret: &[u8]) -> Result<Plaintext, Refusal> {
    Plaintext::new(pair_of(secret)?.to_pkcs8v1()?.as_ref())
}

/// The seed in a PKCS #8 document (RFC 8410, 7).
pub(super) fn seed_of(pkcs8: &[u8]) -> Result<SecretBuffer, Refusal> {
    let pair =
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| Refusal::InvalidKey)?;
    Ok(SecretBuffer::new(pair.seed()?.as_be_bytes()?.as_ref().to_vec()))
}

fn pair_of(secret: &[u8]) -> Result<Ed25519KeyPair, Refusal> {
    // The library reads a longer seed as well, and ignores the rest.
    if secret.len() != KEY_BYTES {
        return Err(Refusal::InvalidKey);
    }
    Ed25519KeyPair::from_seed_unchecked(secret).map_err(|_| Refusal::InvalidKey)
}

/// The SHA-512 digest of a message.
fn prehash(digest: &[u8]) -> Result<&[u8; 64], Refusal> {
    digest.try_into().map_err(|_| Refusal::DataLengthOutOfRange)
}
