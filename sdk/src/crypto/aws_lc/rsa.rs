//! RSA encryption with AWS-LC.

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey,
    Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use zeroize::Zeroizing;

use super::failed;
use crate::crypto::rsa::{RsaDecryptionKey, RsaEncryptionKey, RsaMismatch, RsaPadding};
use crate::error::Result;
use crate::secret::SecretBytes;

pub(super) struct PublicKey(PublicEncryptingKey);

impl PublicKey {
    pub(super) fn new(spki: &[u8]) -> Result<Self> {
        PublicEncryptingKey::from_der(spki).map(Self).map_err(failed("RSA public key"))
    }
}

impl RsaEncryptionKey for PublicKey {
    fn encrypt(&self, padding: RsaPadding, plaintext: &SecretBytes) -> Result<Vec<u8>> {
        let plaintext = plaintext.expose();
        let mut ciphertext = vec![0; self.0.key_size_bytes()];
        let written = match oaep(padding) {
            None => Pkcs1PublicEncryptingKey::new(self.0.clone())
                .and_then(|key| key.encrypt(plaintext, &mut ciphertext).map(|out| out.len())),
            Some(algorithm) => OaepPublicEncryptingKey::new(self.0.clone()).and_then(|key| {
                key.encrypt(algorithm, plaintext, &mut ciphertext, None).map(|out| out.len())
            }),
        };
        ciphertext.truncate(written.map_err(failed("RSA encryption"))?);
        Ok(ciphertext)
    }
}

/// The library wipes the numbers of the key when this is dropped.
pub(super) struct PrivateKey(PrivateDecryptingKey);

impl PrivateKey {
    pub(super) fn new(pkcs8: &[u8]) -> Result<Self> {
        PrivateDecryptingKey::from_pkcs8(pkcs8).map(Self).map_err(failed("RSA private key"))
    }

    /// Decrypts into `out`, which is as long as the modulus.
    fn decrypt_into<'a>(
        &self,
        padding: RsaPadding,
        ciphertext: &[u8],
        out: &'a mut [u8],
    ) -> Result<&'a mut [u8], Unspecified> {
        let key = self.0.clone();
        match oaep(padding) {
            None => Pkcs1PrivateDecryptingKey::new(key)?.decrypt(ciphertext, out),
            Some(algorithm) => {
                OaepPrivateDecryptingKey::new(key)?.decrypt(algorithm, ciphertext, out, None)
            }
        }
    }
}

impl RsaDecryptionKey for PrivateKey {
    fn decrypt(&self, padding: RsaPadding, ciphertext: &[u8]) -> Result<SecretBytes, RsaMismatch> {
        let mut out = Zeroizing::new(vec![0; self.0.key_size_bytes()]);
        match self.decrypt_into(padding, ciphertext, &mut out) {
            Ok(plaintext) => Ok(SecretBytes::copy_of(plaintext)),
            Err(Unspecified) => Err(RsaMismatch),
        }
    }
}

/// The library's OAEP algorithm; `None` for PKCS #1 v1.5.
fn oaep(padding: RsaPadding) -> Option<&'static OaepAlgorithm> {
    match padding {
        RsaPadding::Pkcs1 => None,
        RsaPadding::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
        RsaPadding::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
        RsaPadding::OaepSha384 => Some(&OAEP_SHA384_MGF1SHA384),
        RsaPadding::OaepSha512 => Some(&OAEP_SHA512_MGF1SHA512),
    }
}
