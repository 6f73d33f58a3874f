//! A provider whose tags and signatures a fuzzer can forge.
//!
//! With real cryptography every mutated message ends at the tag of its header. With this one a tag is wrong
//! exactly when it begins with [`WRONG`], so that what lies behind the header is reached too.

use std::sync::Arc;

use strongroom_sdk::crypto::ecdh::{EcCurve, EcdhKey};
use strongroom_sdk::crypto::{
    AeadKey, CryptoProvider, Iv, RunningDigest, SignatureMismatch, SigningKey, Tag, TagMismatch,
    default_provider,
};
use strongroom_sdk::message::suite::{AeadAlgorithm, HashAlgorithm, SignatureAlgorithm};
use strongroom_sdk::secret::SecretBytes;
use strongroom_sdk::{Error, Result};

/// The first byte of tags and signatures that do not verify.
const WRONG: u8 = 0xff;

pub(super) fn provider() -> Arc<dyn CryptoProvider> {
    Arc::new(Permissive(default_provider()))
}

/// Forges what a message needs, and leaves what only keyrings need to a real provider.
#[derive(Debug)]
struct Permissive(Arc<dyn CryptoProvider>);

impl CryptoProvider for Permissive {
    fn name(&self) -> &'static str {
        "permissive"
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<()> {
        out.fill(4);
        Ok(())
    }

    fn aead_key(&self, algorithm: AeadAlgorithm, key: &SecretBytes) -> Result<Box<dyn AeadKey>> {
        if key.len() == algorithm.key_bytes() {
            return Ok(Box::new(Identity));
        }
        Err(Error::Provider { operation: "key length" })
    }

    fn hkdf_extract(
        &self,
        hash: HashAlgorithm,
        _salt: &[u8],
        _secret: &SecretBytes,
    ) -> Result<SecretBytes> {
        Ok(SecretBytes::copy_of(&vec![0; hash.digest_bytes()]))
    }

    fn hkdf_expand(
        &self,
        _hash: HashAlgorithm,
        _pseudorandom_key: &SecretBytes,
        _info: &[&[u8]],
        length: usize,
    ) -> Result<SecretBytes> {
        Ok(SecretBytes::copy_of(&vec![0; length]))
    }

    fn kbkdf(
        &self,
        hash: HashAlgorithm,
        secret: &SecretBytes,
        label: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<SecretBytes> {
        self.0.kbkdf(hash, secret, label, context, length)
    }

    fn digest(&self, hash: HashAlgorithm) -> Box<dyn RunningDigest> {
        Box::new(Nothing(hash.digest_bytes()))
    }

    fn signing_key(&self, _algorithm: SignatureAlgorithm) -> Result<Box<dyn SigningKey>> {
        Ok(Box::new(Nothing(0)))
    }

    fn verify_digest(
        &self,
        _algorithm: SignatureAlgorithm,
        _public_key: &[u8],
        _digest: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureMismatch> {
        if signature.first() == Some(&WRONG) { Err(SignatureMismatch) } else { Ok(()) }
    }

    fn generate_ecdh_key(&self, curve: EcCurve) -> Result<Box<dyn EcdhKey>> {
        self.0.generate_ecdh_key(curve)
    }

    fn ecdh_key(&self, curve: EcCurve, scalar: &SecretBytes) -> Result<Box<dyn EcdhKey>> {
        self.0.ecdh_key(curve, scalar)
    }

    fn uncompressed_point(&self, curve: EcCurve, point: &[u8]) -> Result<Vec<u8>> {
        self.0.uncompressed_point(curve, point)
    }
}

/// Encrypts by doing nothing.
struct Identity;

impl AeadKey for Identity {
    fn seal_in_place(&self, _iv: &Iv, _aad: &[u8], _in_out: &mut [u8]) -> Result<Tag> {
        Ok([1; 16])
    }

    fn seal_into(&self, _iv: &Iv, _aad: &[u8], from: &[u8], to: &mut [u8]) -> Result<Tag> {
        to.copy_from_slice(from);
        Ok([1; 16])
    }

    fn open_in_place(
        &self,
        _iv: &Iv,
        _aad: &[u8],
        in_out: &mut [u8],
        tag: &Tag,
    ) -> Result<(), TagMismatch> {
        if tag[0] == WRONG {
            in_out.fill(0);
            return Err(TagMismatch);
        }
        Ok(())
    }

    fn open_into(
        &self,
        iv: &Iv,
        aad: &[u8],
        from: &[u8],
        tag: &Tag,
        to: &mut [u8],
    ) -> Result<(), TagMismatch> {
        to.copy_from_slice(from);
        self.open_in_place(iv, aad, to, tag)
    }
}

/// Digests and signs by writing so many zeros.
struct Nothing(usize);

impl RunningDigest for Nothing {
    fn update(&mut self, _bytes: &[u8]) {}

    fn finish(self: Box<Self>) -> Vec<u8> {
        vec![0; self.0]
    }
}

impl SigningKey for Nothing {
    fn public_key(&self) -> Result<Vec<u8>> {
        Ok(vec![2; 49])
    }

    fn sign_digest(&self, _digest: &[u8]) -> Result<Vec<u8>> {
        Ok(vec![0x30; 70])
    }
}
