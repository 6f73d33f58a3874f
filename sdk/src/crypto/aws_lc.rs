//! The default provider: AWS-LC, through `aws-lc-rs`.

use std::sync::Arc;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    EcdsaVerificationAlgorithm, KeyPair, UnparsedPublicKey,
};
use aws_lc_rs::{digest, hkdf, hmac, rand};
use zeroize::Zeroize;

use super::ecdh::{EcCurve, EcdhKey};
use super::rsa::{RsaDecryptionKey, RsaEncryptionKey};
use super::{
    AeadKey, CryptoProvider, Iv, RunningDigest, SignatureMismatch, SigningKey, Tag, TagMismatch,
    kbkdf,
};
use crate::error::{Error, Result};
use crate::message::suite::{AeadAlgorithm, HashAlgorithm, SignatureAlgorithm, TAG_BYTES};
use crate::secret::SecretBytes;

mod ecdh;
mod rsa;

/// The provider.
#[must_use]
pub fn provider() -> Arc<dyn CryptoProvider> {
    Arc::new(AwsLc)
}

#[derive(Debug)]
struct AwsLc;

/// The error for an operation of the library that gives no reason.
fn failed<E>(operation: &'static str) -> impl Fn(E) -> Error {
    move |_| Error::Provider { operation }
}

impl CryptoProvider for AwsLc {
    fn name(&self) -> &'static str {
        "aws-lc"
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        rand::fill(out).map_err(failed("random bytes"))
    }

    fn aead_key(&self, algorithm: AeadAlgorithm, key: &SecretBytes) -> Result<Box<dyn AeadKey>> {
        let algorithm = match algorithm {
            AeadAlgorithm::Aes128Gcm => &aead::AES_128_GCM,
            AeadAlgorithm::Aes192Gcm => &aead::AES_192_GCM,
            AeadAlgorithm::Aes256Gcm => &aead::AES_256_GCM,
        };
        let key = UnboundKey::new(algorithm, key.expose()).map_err(failed("AES-GCM key"))?;
        Ok(Box::new(GcmKey(LessSafeKey::new(key))))
    }

    fn hkdf_extract(
        &self,
        hash: HashAlgorithm,
        salt: &[u8],
        secret: &SecretBytes,
    ) -> Result<SecretBytes> {
        // The library extracts again with every expansion; HMAC alone is what extracting means.
        let key = hmac::Key::new(hmac_algorithm(hash), salt);
        SecretBytes::fill_with(hash.digest_bytes(), |out| {
            hmac::sign_to_buffer(&key, secret.expose(), out).map(drop).map_err(failed("HKDF"))
        })
    }

    fn hkdf_expand(
        &self,
        hash: HashAlgorithm,
        pseudorandom_key: &SecretBytes,
        info: &[&[u8]],
        length: usize,
    ) -> Result<SecretBytes> {
        if pseudorandom_key.len() != hash.digest_bytes() {
            return Err(Error::Provider { operation: "HKDF" });
        }
        let prk = hkdf::Prk::new_less_safe(hkdf_algorithm(hash), pseudorandom_key.expose());
        let okm = prk.expand(info, OkmLength(length)).map_err(failed("HKDF"))?;
        SecretBytes::fill_with(length, |out| okm.fill(out).map_err(failed("HKDF")))
    }

    fn kbkdf(
        &self,
        hash: HashAlgorithm,
        secret: &SecretBytes,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<SecretBytes> {
        let unsupported = Error::Provider { operation: "KBKDF" };
        let algorithm = get_kbkdf_ctr_hmac_algorithm(match hash {
            HashAlgorithm::Sha256 => KbkdfCtrHmacAlgorithmId::Sha256,
            HashAlgorithm::Sha384 => KbkdfCtrHmacAlgorithmId::Sha384,
            HashAlgorithm::Sha512 => KbkdfCtrHmacAlgorithmId::Sha512,
        })
        .ok_or(unsupported)?;
        let info = kbkdf::fixed_input(label, context, length)?;
        SecretBytes::fill_with(length, |out| {
            kbkdf_ctr_hmac(algorithm, secret.expose(), &info, out).map_err(failed("KBKDF"))
        })
    }

    fn digest(&self, hash: HashAlgorithm) -> Box<dyn RunningDigest> {
        Box::new(Sha2(digest::Context::new(digest_algorithm(hash))))
    }

    fn signing_key(&self, algorithm: SignatureAlgorithm) -> Result<Box<dyn SigningKey>> {
        let pair = EcdsaKeyPair::generate(signing(algorithm)).map_err(failed("signing key"))?;
        Ok(Box::new(EcdsaKey { pair, hash: algorithm.hash() }))
    }

    fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureMismatch> {
        let digest = digest::Digest::import_less_safe(digest, digest_algorithm(algorithm.hash()))
            .map_err(|_| SignatureMismatch)?;
        UnparsedPublicKey::new(verification(algorithm), public_key)
            .verify_digest(&digest, signature)
            .map_err(|_| SignatureMismatch)
    }

    fn rsa_encryption_key(&self, spki: &[u8]) -> Result<Box<dyn RsaEncryptionKey>> {
        Ok(Box::new(rsa::PublicKey::new(spki)?))
    }

    fn rsa_decryption_key(&self, pkcs8: &[u8]) -> Result<Box<dyn RsaDecryptionKey>> {
        Ok(Box::new(rsa::PrivateKey::new(pkcs8)?))
    }

    fn generate_ecdh_key(&self, curve: EcCurve) -> Result<Box<dyn EcdhKey>> {
        Ok(Box::new(ecdh::Key::generate(curve)?))
    }

    fn ecdh_key(&self, curve: EcCurve, scalar: &SecretBytes) -> Result<Box<dyn EcdhKey>> {
        Ok(Box::new(ecdh::Key::new(curve, scalar)?))
    }

    fn uncompressed_point(&self, curve: EcCurve, point: &[u8]) -> Result<Vec<u8>> {
        ecdh::uncompressed(curve, point)
    }
}

fn digest_algorithm(hash: HashAlgorithm) -> &'static digest::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => &digest::SHA256,
        HashAlgorithm::Sha384 => &digest::SHA384,
        HashAlgorithm::Sha512 => &digest::SHA512,
    }
}

fn hmac_algorithm(hash: HashAlgorithm) -> hmac::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => hmac::HMAC_SHA256,
        HashAlgorithm::Sha384 => hmac::HMAC_SHA384,
        HashAlgorithm::Sha512 => hmac::HMAC_SHA512,
    }
}

fn hkdf_algorithm(hash: HashAlgorithm) -> hkdf::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => hkdf::HKDF_SHA256,
        HashAlgorithm::Sha384 => hkdf::HKDF_SHA384,
        HashAlgorithm::Sha512 => hkdf::HKDF_SHA512,
    }
}

fn signing(algorithm: SignatureAlgorithm) -> &'static EcdsaSigningAlgorithm {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
        SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
    }
}

fn verification(algorithm: SignatureAlgorithm) -> &'static EcdsaVerificationAlgorithm {
    match algorithm {
        SignatureAlgorithm::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
        SignatureAlgorithm::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
    }
}

/// The length of HKDF's output as the library wants it: a type.
struct OkmLength(usize);

impl hkdf::KeyType for OkmLength {
    fn len(&self) -> usize {
        self.0
    }
}

/// The library wipes its key schedule when this is dropped.
struct GcmKey(LessSafeKey);

impl AeadKey for GcmKey {
    fn seal_in_place(&self, iv: &Iv, aad: &[u8], in_out: &mut [u8]) -> Result<Tag> {
        let nonce = Nonce::assume_unique_for_key(*iv);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce, Aad::from(aad), in_out)
            .map_err(failed("AES-GCM sealing"))?;
        tag.as_ref().try_into().map_err(failed("AES-GCM sealing"))
    }

    fn seal_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<Tag> {
        let nonce = Nonce::assume_unique_for_key(*iv);
        let mut tag = [0; TAG_BYTES];
        self.0
            .seal_out_of_place_scatter(nonce, Aad::from(aad), plaintext, ciphertext, &[], &mut tag)
            .map_err(failed("AES-GCM sealing"))?;
        Ok(tag)
    }

    fn open_in_place(
        &self,
        iv: &Iv,
        aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), TagMismatch> {
        let nonce = Nonce::assume_unique_for_key(*iv);
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(aad), tag, in_out);
        if opened.is_ok() {
            return Ok(());
        }
        in_out.zeroize();
        Err(TagMismatch)
    }

    fn open_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        plaintext: &mut [u8],
    ) -> Result<(), TagMismatch> {
        let nonce = Nonce::assume_unique_for_key(*iv);
        let opened = self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext);
        if opened.is_ok() {
            return Ok(());
        }
        plaintext.zeroize();
        Err(TagMismatch)
    }
}

struct Sha2(digest::Context);

impl RunningDigest for Sha2 {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.0.finish().as_ref().to_vec()
    }
}

struct EcdsaKey {
    pair: EcdsaKeyPair,
    hash: HashAlgorithm,
}

impl SigningKey for EcdsaKey {
    fn public_key(&self) -> Result<Vec<u8>> {
        let point: EcPublicKeyCompressedBin<'_> =
            self.pair.public_key().as_be_bytes().map_err(failed("public key"))?;
        Ok(point.as_ref().to_vec())
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>> {
        let digest = digest::Digest::import_less_safe(digest, digest_algorithm(self.hash))
            .map_err(failed("ECDSA signing"))?;
        let signature = self.pair.sign_digest(&digest).map_err(failed("ECDSA signing"))?;
        Ok(signature.as_ref().to_vec())
    }
}
