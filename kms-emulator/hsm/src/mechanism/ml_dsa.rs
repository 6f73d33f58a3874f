//! ML-DSA (FIPS 204), with an empty context.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    KeyPair, ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87,
    ML_DSA_87_SIGNING, PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
    UnparsedPublicKey,
};

use super::{MlDsaParameters, SignedInput, aws_lc};
use crate::error::Refusal;
use crate::secret::{KEY_BYTES, KeyBytes, SecretBuffer};

/// A pair, and the seed from which the variant with an external µ is made.
pub(crate) struct MlDsaPair {
    parameters: MlDsaParameters,
    pair: PqdsaKeyPair,
    seed: KeyBytes,
}

impl MlDsaPair {
    pub(super) fn load(parameters: MlDsaParameters, secret: &[u8]) -> Result<Self, Refusal> {
        let (signing, _) = algorithms(parameters);
        let pair = PqdsaKeyPair::from_seed(signing, secret).map_err(|_| Refusal::InvalidKey)?;
        Ok(Self { parameters, pair, seed: super::aes_key(secret)? })
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        Ok(self.pair.public_key().as_der()?.as_ref().to_vec())
    }

    pub(super) fn sign(&self, input: SignedInput<'_>) -> Result<Vec<u8>, Refusal> {
        let mut signature = vec![0; self.pair.algorithm().signature_len()];
        let length = match input {
            SignedInput::Message(message) => self.pair.sign(message, &mut signature)?,
            SignedInput::ExternalMu(mu) => {
                aws_lc::ml_dsa_sign_mu(self.parameters, &self.seed, mu_of(mu)?, &mut signature)?
            }
            SignedInput::Digest(_) => return Err(Refusal::KeyKindMismatch),
        };
        signature.truncate(length);
        Ok(signature)
    }

    pub(super) fn verify(&self, input: SignedInput<'_>, signature: &[u8]) -> Result<(), Refusal> {
        let public = self.pair.public_key();
        match input {
            SignedInput::Message(message) => {
                let (_, verification) = algorithms(self.parameters);
                UnparsedPublicKey::new(verification, public)
                    .verify(message, signature)
                    .map_err(|_| Refusal::SignatureInvalid)
            }
            SignedInput::ExternalMu(mu) => {
                aws_lc::ml_dsa_verify_mu(self.parameters, public.as_ref(), mu_of(mu)?, signature)
            }
            SignedInput::Digest(_) => Err(Refusal::KeyKindMismatch),
        }
    }
}

/// The seed in a PKCS #8 document (RFC 9881, 6). One that has an expanded key alone is refused: no seed
/// follows from it.
pub(super) fn seed_of(
    parameters: MlDsaParameters,
    document: &[u8],
) -> Result<SecretBuffer, Refusal> {
    let (signing, _) = algorithms(parameters);
    // The library checks that an expanded key beside the seed is the seed's, and writes the seed alone.
    let pair = PqdsaKeyPair::from_pkcs8(signing, document).map_err(|_| Refusal::InvalidKey)?;
    let document = pair.to_pkcs8v1().map_err(|_| Refusal::InvalidKey)?;
    let seed = document.as_ref().last_chunk::<KEY_BYTES>().ok_or(Refusal::InvalidKey)?;
    Ok(SecretBuffer::new(seed.to_vec()))
}

fn algorithms(
    parameters: MlDsaParameters,
) -> (&'static PqdsaSigningAlgorithm, &'static PqdsaVerificationAlgorithm) {
    match parameters {
        MlDsaParameters::MlDsa44 => (&ML_DSA_44_SIGNING, &ML_DSA_44),
        MlDsaParameters::MlDsa65 => (&ML_DSA_65_SIGNING, &ML_DSA_65),
        MlDsaParameters::MlDsa87 => (&ML_DSA_87_SIGNING, &ML_DSA_87),
    }
}

/// The message representative, which is 64 bytes for every parameter set.
fn mu_of(mu: &[u8]) -> Result<&[u8; 64], Refusal> {
    mu.try_into().map_err(|_| Refusal::DataLengthOutOfRange)
}
