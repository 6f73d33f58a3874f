//! ECDSA (FIPS 186-5) and ECDH (SP 800-56A rev. 3, 5.7.1.2).

use aws_lc_rs::agreement::{
    self, Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, ParsedPublicKeyFormat,
};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, KeyPair,
    UnparsedPublicKey,
};

use super::{Curve, HashFunction, SignedInput, digest_of};
use crate::error::Refusal;
use crate::secret::{Plaintext, SecretBuffer};

/// Makes a pair; it can sign or agree, as its kind says.
pub(super) fn generate(curve: Curve) -> Result<SecretBuffer, Refusal> {
    let (_, signing, _) = ecdsa(curve);
    let pair = EcdsaKeyPair::generate(signing)?;
    Ok(SecretBuffer::new(pair.to_pkcs8v1()?.as_ref().to_vec()))
}

type Ecdsa = (HashFunction, &'static EcdsaSigningAlgorithm, &'static EcdsaVerificationAlgorithm);

/// Each curve has the one hash function of its strength.
fn ecdsa(curve: Curve) -> Ecdsa {
    use HashFunction::{Sha256, Sha384, Sha512};
    match curve {
        Curve::P256 => {
            (Sha256, &signature::ECDSA_P256_SHA256_ASN1_SIGNING, &signature::ECDSA_P256_SHA256_ASN1)
        }
        Curve::P384 => {
            (Sha384, &signature::ECDSA_P384_SHA384_ASN1_SIGNING, &signature::ECDSA_P384_SHA384_ASN1)
        }
        Curve::P521 => {
            (Sha512, &signature::ECDSA_P521_SHA512_ASN1_SIGNING, &signature::ECDSA_P521_SHA512_ASN1)
        }
        Curve::Secp256k1 => (
            Sha256,
            &signature::ECDSA_P256K1_SHA256_ASN1_SIGNING,
            &signature::ECDSA_P256K1_SHA256_ASN1,
        ),
    }
}

/// A pair that signs.
pub(crate) struct EcPair {
    curve: Curve,
    pair: EcdsaKeyPair,
}

impl EcPair {
    pub(super) fn load(curve: Curve, pkcs8: &[u8]) -> Result<Self, Refusal> {
        let (_, signing, _) = ecdsa(curve);
        let pair = EcdsaKeyPair::from_pkcs8(signing, pkcs8).map_err(|_| Refusal::InvalidKey)?;
        Ok(Self { curve, pair })
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        Ok(self.pair.public_key().as_der()?.as_ref().to_vec())
    }

    pub(super) fn sign(
        &self,
        hash: HashFunction,
        input: SignedInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let signature = self.pair.sign_digest(&digest_of(self.hash(hash)?, input)?)?;
        Ok(signature.as_ref().to_vec())
    }

    pub(super) fn verify(
        &self,
        hash: HashFunction,
        input: SignedInput<'_>,
        signature: &[u8],
    ) -> Result<(), Refusal> {
        let (_, _, verification) = ecdsa(self.curve);
        UnparsedPublicKey::new(verification, self.pair.public_key())
            .verify_digest(&digest_of(self.hash(hash)?, input)?, signature)
            .map_err(|_| Refusal::SignatureInvalid)
    }

    fn hash(&self, asked: HashFunction) -> Result<HashFunction, Refusal> {
        let (hash, _, _) = ecdsa(self.curve);
        if asked == hash { Ok(hash) } else { Err(Refusal::KeyKindMismatch) }
    }
}

/// A pair that agrees on secrets.
pub(crate) struct Agreement(agreement::PrivateKey);

impl Agreement {
    pub(super) fn load(curve: Curve, pkcs8: &[u8]) -> Result<Self, Refusal> {
        agreement::PrivateKey::from_private_key_der(ecdh(curve)?, pkcs8)
            .map(Self)
            .map_err(|_| Refusal::InvalidKey)
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        Ok(self.0.compute_public_key()?.as_der()?.as_ref().to_vec())
    }

    /// The library checks that the peer's point lies on the curve (SP 800-56A, 5.6.2.3.3).
    pub(super) fn agree(&self, peer: &[u8]) -> Result<Plaintext, Refusal> {
        let algorithm = self.0.algorithm();
        let peer: ParsedPublicKey = agreement::UnparsedPublicKey::new(algorithm, peer)
            .try_into()
            .map_err(|_| Refusal::InvalidKey)?;
        // The library also reads bare points, which say nothing of their curve.
        if peer.format() != ParsedPublicKeyFormat::X509 {
            return Err(Refusal::InvalidKey);
        }
        agreement::agree(&self.0, peer, Refusal::InvalidKey, Plaintext::new)
    }
}

fn ecdh(curve: Curve) -> Result<&'static Algorithm, Refusal> {
    match curve {
        Curve::P256 => Ok(&ECDH_P256),
        Curve::P384 => Ok(&ECDH_P384),
        Curve::P521 => Ok(&ECDH_P521),
        Curve::Secp256k1 => Err(Refusal::KeyKindMismatch),
    }
}
