//! The provider without a C compiler: the RustCrypto crates.
//!
//! It has no RSA: the private operations of the `rsa` crate leak through their timing (RUSTSEC-2023-0071),
//! and no other well-kept crate in pure Rust has RSA encryption.

use std::sync::Arc;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes192;
use aes_gcm::aes::cipher::consts::U12;
use aes_gcm::{Aes128Gcm, Aes256Gcm, AesGcm};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p384::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::{Zeroize, Zeroizing};

use super::ecdh::{EcCurve, EcdhKey};
use super::{
    AeadKey, CryptoProvider, Iv, RunningDigest, SignatureMismatch, SigningKey, Tag, TagMismatch,
    kbkdf,
};
use crate::error::{Error, Result};
use crate::message::suite::{AeadAlgorithm, HashAlgorithm, SignatureAlgorithm};
use crate::secret::SecretBytes;

mod ecdh;

type Aes192Gcm = AesGcm<Aes192, U12>;

/// The provider.
#[must_use]
pub fn provider() -> Arc<dyn CryptoProvider> {
    Arc::new(PureRust)
}

#[derive(Debug)]
struct PureRust;

/// The error for an operation that can only fail for wrong use of a library.
fn failed<E>(operation: &'static str) -> impl Fn(E) -> Error {
    move |_| Error::Provider { operation }
}

impl CryptoProvider for PureRust {
    fn name(&self) -> &'static str {
        "pure-rust"
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        getrandom::fill(out).map_err(failed("random bytes"))
    }

    fn aead_key(&self, algorithm: AeadAlgorithm, key: &SecretBytes) -> Result<Box<dyn AeadKey>> {
        let key = key.expose();
        Ok(match algorithm {
            AeadAlgorithm::Aes128Gcm => Box::new(GcmKey(new_cipher::<Aes128Gcm>(key)?)),
            AeadAlgorithm::Aes192Gcm => Box::new(GcmKey(new_cipher::<Aes192Gcm>(key)?)),
            AeadAlgorithm::Aes256Gcm => Box::new(GcmKey(new_cipher::<Aes256Gcm>(key)?)),
        })
    }

    fn hkdf_extract(
        &self,
        hash: HashAlgorithm,
        salt: &[u8],
        secret: &SecretBytes,
    ) -> Result<SecretBytes> {
        match hash {
            HashAlgorithm::Sha256 => extract::<Hmac<Sha256>>(salt, secret),
            HashAlgorithm::Sha384 => extract::<Hmac<Sha384>>(salt, secret),
            HashAlgorithm::Sha512 => extract::<Hmac<Sha512>>(salt, secret),
        }
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
        let prk = pseudorandom_key.expose();
        SecretBytes::fill_with(length, |out| match hash {
            HashAlgorithm::Sha256 => {
                let hkdf = Hkdf::<Sha256>::from_prk(prk).map_err(failed("HKDF"))?;
                hkdf.expand_multi_info(info, out).map_err(failed("HKDF"))
            }
            HashAlgorithm::Sha384 => {
                let hkdf = Hkdf::<Sha384>::from_prk(prk).map_err(failed("HKDF"))?;
                hkdf.expand_multi_info(info, out).map_err(failed("HKDF"))
            }
            HashAlgorithm::Sha512 => {
                let hkdf = Hkdf::<Sha512>::from_prk(prk).map_err(failed("HKDF"))?;
                hkdf.expand_multi_info(info, out).map_err(failed("HKDF"))
            }
        })
    }

    fn kbkdf(
        &self,
        hash: HashAlgorithm,
        secret: &SecretBytes,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<SecretBytes> {
        let fixed = kbkdf::fixed_input(label, context, length)?;
        SecretBytes::fill_with(length, |out| match hash {
            HashAlgorithm::Sha256 => fill_in_counter_mode::<Hmac<Sha256>>(secret, &fixed, out),
            HashAlgorithm::Sha384 => fill_in_counter_mode::<Hmac<Sha384>>(secret, &fixed, out),
            HashAlgorithm::Sha512 => fill_in_counter_mode::<Hmac<Sha512>>(secret, &fixed, out),
        })
    }

    fn digest(&self, hash: HashAlgorithm) -> Box<dyn RunningDigest> {
        match hash {
            HashAlgorithm::Sha256 => Box::new(Sha2(Sha256::new())),
            HashAlgorithm::Sha384 => Box::new(Sha2(Sha384::new())),
            HashAlgorithm::Sha512 => Box::new(Sha2(Sha512::new())),
        }
    }

    fn signing_key(&self, algorithm: SignatureAlgorithm) -> Result<Box<dyn SigningKey>> {
        match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => {
                let scalar = random_scalar(self, 256, p256::ecdsa::SigningKey::from_slice)?;
                Ok(Box::new(P256Key(scalar)))
            }
            SignatureAlgorithm::EcdsaP384Sha384 => {
                let scalar = random_scalar(self, 384, p384::ecdsa::SigningKey::from_slice)?;
                Ok(Box::new(P384Key(scalar)))
            }
        }
    }

    fn verify_digest(
        &self,
        algorithm: SignatureAlgorithm,
        public_key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureMismatch> {
        // The libraries would accept a digest of another length.
        if digest.len() != algorithm.hash().digest_bytes() {
            return Err(SignatureMismatch);
        }
        match algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key);
                let signature = p256::ecdsa::Signature::from_der(signature);
                let (Ok(key), Ok(signature)) = (key, signature) else {
                    return Err(SignatureMismatch);
                };
                key.verify_prehash(digest, &signature).map_err(|_| SignatureMismatch)
            }
            SignatureAlgorithm::EcdsaP384Sha384 => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(public_key);
                let signature = p384::ecdsa::Signature::from_der(signature);
                let (Ok(key), Ok(signature)) = (key, signature) else {
                    return Err(SignatureMismatch);
                };
                key.verify_prehash(digest, &signature).map_err(|_| SignatureMismatch)
            }
        }
    }

    fn generate_ecdh_key(&self, curve: EcCurve) -> Result<Box<dyn EcdhKey>> {
        ecdh::generate(self, curve)
    }

    fn ecdh_key(&self, curve: EcCurve, scalar: &SecretBytes) -> Result<Box<dyn EcdhKey>> {
        ecdh::key(curve, scalar)
    }

    fn uncompressed_point(&self, curve: EcCurve, point: &[u8]) -> Result<Vec<u8>> {
        ecdh::uncompressed(curve, point)
    }
}

fn new_cipher<C: KeyInit>(key: &[u8]) -> Result<C> {
    C::new_from_slice(key).map_err(failed("AES-GCM key"))
}

/// RFC 5869, section 2.2: HMAC of the secret, keyed with the salt.
fn extract<P: Mac + KeyInit>(salt: &[u8], secret: &SecretBytes) -> Result<SecretBytes> {
    let mut hmac = <P as KeyInit>::new_from_slice(salt).map_err(failed("HKDF"))?;
    hmac.update(secret.expose());
    let mut output = hmac.finalize().into_bytes();
    Ok(SecretBytes::take(&mut output))
}

/// Fills `out` with `PRF(secret, [i] || fixed)` for i from 1 (SP 800-108r1, section 4.1).
fn fill_in_counter_mode<P: Mac + KeyInit>(
    secret: &SecretBytes,
    fixed: &[u8],
    out: &mut [u8],
) -> Result<()> {
    for (counter, block) in (1_u32..).zip(out.chunks_mut(P::output_size())) {
        let mut prf = <P as KeyInit>::new_from_slice(secret.expose()).map_err(failed("KBKDF"))?;
        prf.update(&counter.to_be_bytes());
        prf.update(fixed);
        let output = prf.finalize();
        block.iter_mut().zip(output.as_bytes()).for_each(|(to, from)| *to = *from);
    }
    Ok(())
}

/// A key of a uniformly random scalar of `bits` bits: one that is zero or not below the group's order,
/// one chance in 2^32 or less, is drawn again.
fn random_scalar<K, E>(
    provider: &PureRust,
    bits: usize,
    parse: impl Fn(&[u8]) -> Result<K, E>,
) -> Result<K> {
    let mut scalar = Zeroizing::new(vec![0; bits.div_ceil(8)]);
    let bits_over = scalar.len() * 8 - bits;
    for _attempt in 0..8 {
        provider.fill_random(&mut scalar)?;
        scalar.iter_mut().take(1).for_each(|first| *first &= 0xff >> bits_over);
        if let Ok(key) = parse(&scalar) {
            return Ok(key);
        }
    }
    Err(Error::Provider { operation: "private key" })
}

/// The library wipes its key schedule when this is dropped (feature `zeroize`).
struct GcmKey<C>(C);

impl<C> AeadKey for GcmKey<C>
where
    C: AeadInOut<NonceSize = U12, TagSize = aes_gcm::aes::cipher::consts::U16> + Send + Sync,
{
    fn seal_in_place(&self, iv: &Iv, aad: &[u8], in_out: &mut [u8]) -> Result<Tag> {
        let sealed = self.0.encrypt_inout_detached(&(*iv).into(), aad, in_out.into());
        sealed.map(Into::into).map_err(failed("AES-GCM sealing"))
    }

    fn seal_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        plaintext: &[u8],
        ciphertext: &mut [u8],
    ) -> Result<Tag> {
        let buffer = InOutBuf::new(plaintext, ciphertext).map_err(failed("AES-GCM sealing"))?;
        let sealed = self.0.encrypt_inout_detached(&(*iv).into(), aad, buffer);
        sealed.map(Into::into).map_err(failed("AES-GCM sealing"))
    }

    fn open_in_place(
        &self,
        iv: &Iv,
        aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), TagMismatch> {
        let opened =
            self.0.decrypt_inout_detached(&(*iv).into(), aad, in_out.into(), &(*tag).into());
        opened.map_err(|_| {
            in_out.zeroize();
            TagMismatch
        })
    }

    fn open_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        ciphertext: &[u8],
        tag: &Tag,
        plaintext: &mut [u8],
    ) -> Result<(), TagMismatch> {
        let opened = InOutBuf::new(ciphertext, plaintext).map_err(|_| TagMismatch).and_then(
            |buffer: InOutBuf<'_, '_, u8>| {
                self.0
                    .decrypt_inout_detached(&(*iv).into(), aad, buffer, &(*tag).into())
                    .map_err(|_| TagMismatch)
            },
        );
        opened.inspect_err(|_| plaintext.zeroize())
    }
}

struct Sha2<D>(D);

impl<D: Digest + Send + Sync> RunningDigest for Sha2<D> {
    fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

struct P256Key(p256::ecdsa::SigningKey);

impl SigningKey for P256Key {
    fn public_key(&self) -> Result<Vec<u8>> {
        Ok(self.0.verifying_key().to_sec1_point(true).as_bytes().to_vec())
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>> {
        let signature: p256::ecdsa::Signature =
            self.0.sign_prehash(digest).map_err(failed("ECDSA signing"))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

struct P384Key(p384::ecdsa::SigningKey);

impl SigningKey for P384Key {
    fn public_key(&self) -> Result<Vec<u8>> {
        Ok(self.0.verifying_key().to_sec1_point(true).as_bytes().to_vec())
    }

    fn sign_digest(&self, digest: &[u8]) -> Result<Vec<u8>> {
        let signature: p384::ecdsa::Signature =
            self.0.sign_prehash(digest).map_err(failed("ECDSA signing"))?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
