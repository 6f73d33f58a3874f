//! RSA: RSASSA-PSS, RSASSA-PKCS1-v1_5 and RSAES-OAEP (RFC 8017).

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use aws_lc_rs::signature::{
    self, KeyPair, RsaEncoding, RsaKeyPair, RsaParameters, UnparsedPublicKey,
};

use super::{HashFunction, RsaSize, SignatureScheme, SignedInput, digest_of};
use crate::error::Refusal;
use crate::secret::{Plaintext, SecretBuffer};

/// Makes a pair with the public exponent 65,537.
pub(super) fn generate(size: RsaSize) -> Result<SecretBuffer, Refusal> {
    let size = match size {
        RsaSize::Bits2048 => KeySize::Rsa2048,
        RsaSize::Bits3072 => KeySize::Rsa3072,
        RsaSize::Bits4096 => KeySize::Rsa4096,
    };
    let key = PrivateDecryptingKey::generate(size)?;
    Ok(SecretBuffer::new(key.as_der()?.as_ref().to_vec()))
}

/// A pair that signs.
pub(crate) struct RsaSigning(RsaKeyPair);

impl RsaSigning {
    pub(super) fn load(size: RsaSize, pkcs8: &[u8]) -> Result<Self, Refusal> {
        let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| Refusal::InvalidKey)?;
        if pair.public_modulus_len() != size.modulus_bytes() {
            return Err(Refusal::InvalidKey);
        }
        Ok(Self(pair))
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        Ok(self.0.public_key().as_der()?.as_ref().to_vec())
    }

    pub(super) fn sign(
        &self,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let (hash, padding, _) = parameters(scheme)?;
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0.sign_digest(padding, &digest_of(hash, input)?, &mut signature)?;
        Ok(signature)
    }

    pub(super) fn verify(
        &self,
        scheme: SignatureScheme,
        input: SignedInput<'_>,
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let (hash, _, verification) = parameters(scheme)?;
        UnparsedPublicKey::new(verification, self.0.public_key())
            .verify_digest(&digest_of(hash, input)?, signature)
            .map_err(|_| Refusal::SignatureInvalid)
    }
}

type Parameters = (HashFunction, &'static dyn RsaEncoding, &'static RsaParameters);

fn parameters(scheme: SignatureScheme) -> Result<Parameters, Refusal> {
    use HashFunction::{Sha256, Sha384, Sha512};
    use SignatureScheme::{RsaPkcs1, RsaPss};
    Ok(match scheme {
        RsaPss(Sha256) => {
            (Sha256, &signature::RSA_PSS_SHA256, &signature::RSA_PSS_2048_8192_SHA256)
        }
        RsaPss(Sha384) => {
            (Sha384, &signature::RSA_PSS_SHA384, &signature::RSA_PSS_2048_8192_SHA384)
        }
        RsaPss(Sha512) => {
            (Sha512, &signature::RSA_PSS_SHA512, &signature::RSA_PSS_2048_8192_SHA512)
        }
        RsaPkcs1(Sha256) => {
            (Sha256, &signature::RSA_PKCS1_SHA256, &signature::RSA_PKCS1_2048_8192_SHA256)
        }
        RsaPkcs1(Sha384) => {
            (Sha384, &signature::RSA_PKCS1_SHA384, &signature::RSA_PKCS1_2048_8192_SHA384)
        }
        RsaPkcs1(Sha512) => {
            (Sha512, &signature::RSA_PKCS1_SHA512, &signature::RSA_PKCS1_2048_8192_SHA512)
        }
        _ => return Err(Refusal::KeyKindMismatch),
    })
}

/// A pair that decrypts.
pub(crate) struct RsaDecryption {
    private: OaepPrivateDecryptingKey,
    public: OaepPublicEncryptingKey,
    public_der: Vec<u8>,
}

impl RsaDecryption {
    pub(crate) fn load(size: RsaSize, pkcs8: &[u8]) -> Result<Self, Refusal> {
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| Refusal::InvalidKey)?;
        if key.key_size_bytes() != size.modulus_bytes() {
            return Err(Refusal::InvalidKey);
        }
        let public = key.public_key();
        Ok(Self {
            public_der: public.as_der()?.as_ref().to_vec(),
            public: OaepPublicEncryptingKey::new(public)?,
            private: OaepPrivateDecryptingKey::new(key)?,
        })
    }

    pub(super) fn modulus_bytes(&self) -> usize {
        self.private.key_size_bytes()
    }

    pub(crate) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        Ok(self.public_der.clone())
    }

    pub(super) fn encrypt(&self, hash: HashFunction, plaintext: &[u8]) -> Result<Vec<u8>, Refusal> {
        let algorithm = oaep(hash)?;
        if plaintext.len() > self.public.max_plaintext_size(algorithm) {
            return Err(Refusal::TooLong);
        }
        let mut message = vec![0; self.public.ciphertext_size()];
        let length = self.public.encrypt(algorithm, plaintext, &mut message, None)?.len();
        message.truncate(length);
        Ok(message)
    }

    pub(super) fn decrypt(&self, hash: HashFunction, message: &[u8]) -> Result<Plaintext, Refusal> {
        let algorithm = oaep(hash)?;
        let mut room = SecretBuffer::new(vec![0; self.private.min_output_size()]);
        let plaintext = self
            .private
            .decrypt(algorithm, message, &mut room, None)
            .map_err(|_| Refusal::NotAuthentic)?;
        Plaintext::new(plaintext)
    }
}

fn oaep(hash: HashFunction) -> Result<&'static OaepAlgorithm, Refusal> {
    match hash {
        HashFunction::Sha1 => Ok(&OAEP_SHA1_MGF1SHA1),
        HashFunction::Sha256 => Ok(&OAEP_SHA256_MGF1SHA256),
        _ => Err(Refusal::KeyKindMismatch),
    }
}
