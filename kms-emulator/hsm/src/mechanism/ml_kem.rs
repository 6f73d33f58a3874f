//! ML-KEM (FIPS 203), in the encodings of RFC 9935.

use aws_lc_rs::kem::{
    Algorithm, Ciphertext, DecapsulationKey, EncapsulationKey, ML_KEM_512, ML_KEM_768, ML_KEM_1024,
};
use pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use pkcs8::der::{Decode, SecretDocument};
use pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use pkcs8::{Document, ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{MlKemParameters, aws_lc};
use crate::error::Refusal;
use crate::secret::{Plaintext, SecretBuffer};

/// Bytes of a seed: `d`, then `z` (FIPS 203, algorithm 16).
pub(super) const SEED_BYTES: usize = 64;
/// DER before a seed as a private key: `[0] IMPLICIT OCTET STRING` (RFC 9935, 6).
const SEED_HEADER: [u8; 2] = [0x80, 64];
/// Bytes behind the encapsulation key in a decapsulation key: its hash, and `z` (algorithm 16, line 3).
const BEHIND_ENCAPSULATION_KEY_BYTES: usize = 64;

/// A pair.
pub(crate) struct MlKemPair {
    parameters: MlKemParameters,
    decapsulation: DecapsulationKey,
    encapsulation: EncapsulationKey,
}

impl MlKemPair {
    pub(super) fn load(parameters: MlKemParameters, seed: &[u8]) -> Result<Self, Refusal> {
        let expanded = aws_lc::private_key_of_pkcs8(document(parameters, seed)?.as_bytes())?;
        let (algorithm, length, _) = algorithm(parameters);
        let end = expanded.len().checked_sub(BEHIND_ENCAPSULATION_KEY_BYTES);
        let public = end
            .and_then(|end| expanded.get(end.checked_sub(length)?..end))
            .ok_or(Refusal::InvalidKey)?;
        let invalid = |_| Refusal::InvalidKey;
        Ok(Self {
            parameters,
            decapsulation: DecapsulationKey::new(algorithm, &expanded).map_err(invalid)?,
            encapsulation: EncapsulationKey::new(algorithm, public).map_err(invalid)?,
        })
    }

    pub(super) fn public_key(&self) -> Result<Vec<u8>, Refusal> {
        let bytes = self.encapsulation.key_bytes()?;
        let failed = |_| Refusal::ModuleFailed;
        let subject_public_key = BitStringRef::from_bytes(bytes.as_ref()).map_err(failed)?;
        let info =
            SubjectPublicKeyInfoRef { algorithm: identifier(self.parameters), subject_public_key };
        Ok(Document::encode_msg(&info).map_err(failed)?.as_bytes().to_vec())
    }

    /// A shared secret, and its encapsulation under the public half.
    pub(super) fn encapsulate(&self) -> Result<(Plaintext, Vec<u8>), Refusal> {
        let (ciphertext, secret) = self.encapsulation.encapsulate()?;
        Ok((Plaintext::new(secret.as_ref())?, ciphertext.as_ref().to_vec()))
    }

    /// The shared secret of a ciphertext. One that was not encapsulated under this pair gives another
    /// secret, and no sign of it (FIPS 203, algorithm 18: implicit rejection).
    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Plaintext, Refusal> {
        let (_, _, length) = algorithm(self.parameters);
        if ciphertext.len() != length {
            return Err(Refusal::NotAuthentic);
        }
        let secret = self.decapsulation.decapsulate(Ciphertext::from(ciphertext))?;
        Plaintext::new(secret.as_ref())
    }
}

/// The PKCS #8 document of a seed, for a data key pair.
pub(super) fn private_key_info(
    parameters: MlKemParameters,
    seed: &[u8],
) -> Result<Plaintext, Refusal> {
    Plaintext::new(document(parameters, seed)?.as_bytes())
}

/// The seed in a PKCS #8 document. One that has an expanded key alone is refused: RFC 9935 lets it be
/// left out, and nothing could check it.
pub(super) fn seed_of(
    parameters: MlKemParameters,
    document: &[u8],
) -> Result<SecretBuffer, Refusal> {
    let invalid = |_| Refusal::InvalidKey;
    let info = PrivateKeyInfoRef::from_der(document).map_err(invalid)?;
    if info.algorithm != identifier(parameters) {
        return Err(Refusal::InvalidKey);
    }
    let seed = info.private_key.as_bytes().strip_prefix(&SEED_HEADER);
    match seed.filter(|seed| seed.len() == SEED_BYTES) {
        Some(seed) => Ok(SecretBuffer::new(seed.to_vec())),
        None => Err(Refusal::InvalidKey),
    }
}

fn document(parameters: MlKemParameters, seed: &[u8]) -> Result<SecretDocument, Refusal> {
    if seed.len() != SEED_BYTES {
        return Err(Refusal::InvalidKey);
    }
    let invalid = |_| Refusal::InvalidKey;
    let key = Zeroizing::new([&SEED_HEADER, seed].concat());
    let key = OctetStringRef::new(&key).map_err(invalid)?;
    SecretDocument::try_from(PrivateKeyInfoRef::new(identifier(parameters), key))
        .map_err(|_| Refusal::InvalidKey)
}

/// The library's algorithm, and the bytes of an encapsulation key and of a ciphertext (FIPS 203, table 3).
fn algorithm(parameters: MlKemParameters) -> (&'static Algorithm, usize, usize) {
    match parameters {
        MlKemParameters::MlKem512 => (&ML_KEM_512, 800, 768),
        MlKemParameters::MlKem768 => (&ML_KEM_768, 1_184, 1_088),
        MlKemParameters::MlKem1024 => (&ML_KEM_1024, 1_568, 1_568),
    }
}

/// `id-alg-ml-kem-…` (RFC 9935, 3); no parameters.
fn identifier(parameters: MlKemParameters) -> AlgorithmIdentifierRef<'static> {
    let oid = ObjectIdentifier::new_unwrap(match parameters {
        MlKemParameters::MlKem512 => "2.16.840.1.101.3.4.4.1",
        MlKemParameters::MlKem768 => "2.16.840.1.101.3.4.4.2",
        MlKemParameters::MlKem1024 => "2.16.840.1.101.3.4.4.3",
    });
    AlgorithmIdentifierRef { oid, parameters: None }
}
