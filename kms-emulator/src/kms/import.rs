//! Imported key material: which keys take it, how it is wrapped for its way, and the import token.
//!
//! ```text
//! 1  algorithm  modulus  valid to (8 bytes, milliseconds)  sealed private half of the wrapping key
//! ```
//! What stands before the private half is authenticated with it, as is the key's ARN: a token serves for
//! one key, one algorithm and one day, and it alone opens what was wrapped under its public half.

use strongroom_hsm::{Curve, HashFunction, ImportWrapping, RsaSize};

use super::shapes::names;
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::protocol::{BlobLimits, EnumValues, Fault, FaultCode, StringLimits};
use crate::records::{Key, KeySpec, Origin};

/// Constraints of a `CiphertextType` member.
pub(super) const CIPHERTEXT: BlobLimits = BlobLimits { bytes_min: 1, bytes_max: 6144 };
/// Constraints of a `KeyMaterialId` member.
pub(super) const MATERIAL_ID: StringLimits = StringLimits::length(64, 64)
    .pattern("^[a-f0-9]+$", |text| {
        !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    });

/// Constraints of a `KeyMaterialDescription` member.
pub(super) const MATERIAL_DESCRIPTION: StringLimits =
    StringLimits::length(0, 256).pattern("^[a-zA-Z0-9:/_\\s.-]+$", |text| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":/_.- \t\n\x0b\x0c\r".contains(&b);
        !text.is_empty() && text.bytes().all(allowed)
    });

/// First byte of an import token.
const VERSION: u8 = 1;
/// Bytes of a token before the sealed private half.
const HEADER_BYTES: usize = 11;

names! {
    /// `WrappingAlgorithm`.
    WrappingAlgorithm {
        RsaesPkcs1 = "RSAES_PKCS1_V1_5",
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
        RsaAesKeyWrapSha1 = "RSA_AES_KEY_WRAP_SHA_1",
        RsaAesKeyWrapSha256 = "RSA_AES_KEY_WRAP_SHA_256",
        Sm2pke = "SM2PKE",
    }
}

names! {
    /// `WrappingKeySpec`.
    WrappingKeySpec {
        Rsa2048 = "RSA_2048",
        Rsa3072 = "RSA_3072",
        Rsa4096 = "RSA_4096",
        Sm2 = "SM2",
    }
}

names! {
    /// `ExpirationModel`.
    ExpirationModel {
        Expires = "KEY_MATERIAL_EXPIRES",
        DoesNotExpire = "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
}

impl ExpirationModel {
    /// That of material with that end.
    pub(super) fn of(valid_to: Option<Timestamp>) -> Self {
        if valid_to.is_some() { Self::Expires } else { Self::DoesNotExpire }
    }
}

/// A way to wrap material that is provided, by the numbers that tokens carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrapping {
    pub(super) algorithm: ImportWrapping,
    pub(super) size: RsaSize,
}

impl Wrapping {
    const ALGORITHMS: [(u8, WrappingAlgorithm, ImportWrapping); 4] = {
        use HashFunction::{Sha1, Sha256};
        use ImportWrapping::{Oaep, OaepAesKeyWrap};
        [
            (1, WrappingAlgorithm::RsaesOaepSha1, Oaep(Sha1)),
            (2, WrappingAlgorithm::RsaesOaepSha256, Oaep(Sha256)),
            (3, WrappingAlgorithm::RsaAesKeyWrapSha1, OaepAesKeyWrap(Sha1)),
            (4, WrappingAlgorithm::RsaAesKeyWrapSha256, OaepAesKeyWrap(Sha256)),
        ]
    };
    const SIZES: [(u8, WrappingKeySpec, RsaSize); 3] = [
        (1, WrappingKeySpec::Rsa2048, RsaSize::Bits2048),
        (2, WrappingKeySpec::Rsa3072, RsaSize::Bits3072),
        (3, WrappingKeySpec::Rsa4096, RsaSize::Bits4096),
    ];

    /// What a caller asks for.
    ///
    /// # Errors
    /// `UnsupportedOperationException` for SM2 and for PKCS #1 v1.5, which KMS has withdrawn.
    pub(super) fn asked(
        algorithm: WrappingAlgorithm,
        spec: WrappingKeySpec,
    ) -> Result<Self, Fault> {
        let known = Self::ALGORITHMS.iter().find(|(_, name, _)| *name == algorithm);
        let size = Self::SIZES.iter().find(|(_, name, _)| *name == spec);
        match (known, size) {
            (Some((_, _, algorithm)), Some((_, _, size))) => {
                Ok(Self { algorithm: *algorithm, size: *size })
            }
            _ => Err(Fault::unsupported(format!(
                "WrappingAlgorithm {} with WrappingKeySpec {} is not supported.",
                algorithm.as_str(),
                spec.as_str()
            ))),
        }
    }

    /// Refuses a way that is not for material of `spec`, or has no room for it.
    pub(super) fn check(self, spec: KeySpec) -> Result<(), Fault> {
        let is_direct = matches!(self.algorithm, ImportWrapping::Oaep(_));
        let fits = match spec {
            KeySpec::SymmetricDefault | KeySpec::Hmac(_) => is_direct,
            KeySpec::Rsa(_) => !is_direct,
            KeySpec::Ecc(Curve::P521) => !is_direct || self.size != RsaSize::Bits2048,
            KeySpec::Ecc(_) | KeySpec::Edwards25519 => true,
            // As seeds they fit everywhere.
            KeySpec::MlDsa(_) | KeySpec::MlKem(_) => true,
        };
        if fits {
            return Ok(());
        }
        Err(Fault::unsupported(format!(
            "The wrapping algorithm and the wrapping key spec are not supported for key material of {}.",
            spec.as_str()
        )))
    }

    fn codes(self) -> Option<(u8, u8)> {
        let (algorithm, ..) = Self::ALGORITHMS.iter().find(|(.., a)| *a == self.algorithm)?;
        let (size, ..) = Self::SIZES.iter().find(|(.., s)| *s == self.size)?;
        Some((*algorithm, *size))
    }

    fn of_codes(algorithm: u8, size: u8) -> Option<Self> {
        let (.., algorithm) = *Self::ALGORITHMS.iter().find(|(code, ..)| *code == algorithm)?;
        let (.., size) = *Self::SIZES.iter().find(|(code, ..)| *code == size)?;
        Some(Self { algorithm, size })
    }
}

/// What stands before the private half in an import token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TokenHeader {
    pub(super) wrapping: Wrapping,
    pub(super) valid_to: Timestamp,
}

impl TokenHeader {
    /// Reads the header of a token and returns it with the sealed private half; nothing is authenticated.
    ///
    /// # Errors
    /// `InvalidImportTokenException` for what cannot be one.
    pub(super) fn split(token: &[u8]) -> Result<(Self, &[u8]), Fault> {
        let (header, sealed) =
            token.split_first_chunk::<HEADER_BYTES>().ok_or_else(invalid_token)?;
        let [VERSION, algorithm, size, millis @ ..] = header else { return Err(invalid_token()) };
        let wrapping = Wrapping::of_codes(*algorithm, *size).ok_or_else(invalid_token)?;
        let valid_to = Timestamp::from_millis(i64::from_be_bytes(*millis));
        Ok((Self { wrapping, valid_to }, sealed))
    }

    /// The token of a sealed private half.
    pub(super) fn join(&self, sealed: &[u8]) -> Vec<u8> {
        [&self.encoded(), sealed].concat()
    }

    /// What is authenticated with the private half: the header, as long as ever, and the key's ARN.
    pub(super) fn binding(&self, key: &KeyArn) -> Vec<u8> {
        [&self.encoded(), key.to_string().as_bytes()].concat()
    }

    fn encoded(&self) -> [u8; HEADER_BYTES] {
        let (algorithm, size) = self.wrapping.codes().unwrap_or_default();
        let [a, b, c, d, e, f, g, h] = self.valid_to.as_millis().to_be_bytes();
        [VERSION, algorithm, size, a, b, c, d, e, f, g, h]
    }
}

/// The refusal of a token that was altered or belongs to another key.
pub(super) fn invalid_token() -> Fault {
    Fault::new(FaultCode::InvalidImportTokenException, "")
}

/// Refuses a key that takes no imported material.
pub(super) fn check_origin(key: &Key) -> Result<(), Fault> {
    if key.origin == Origin::External {
        return Ok(());
    }
    Err(Fault::unsupported(format!(
        "{} origin is {} which is not valid for this operation.",
        key.arn(),
        key.origin.as_str()
    )))
}

/// The key without that material of it which has expired, if any has.
pub(crate) fn without_expired_material(key: &Key, now: Timestamp) -> Option<Key> {
    if !key.has_expired_material(now) {
        return None;
    }
    let mut key = key.clone();
    key.map_materials(|material| match material.is_expired(now) {
        true => material.forgotten(),
        false => material.clone(),
    });
    if key.pending.as_ref().is_some_and(|pending| pending.is_expired(now)) {
        key.forget_pending();
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{KeyId, RealmId};

    #[test]
    fn headers_round_trip_and_bind_everything() {
        let realm = RealmId {
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
        };
        let (one, other) = (realm.key_arn(KeyId::random()), realm.key_arn(KeyId::random()));
        let mut bindings = std::collections::HashSet::new();
        for (_, _, algorithm) in Wrapping::ALGORITHMS {
            for (_, _, size) in Wrapping::SIZES {
                for millis in [0, 1, i64::MAX] {
                    let wrapping = Wrapping { algorithm, size };
                    let valid_to = Timestamp::from_millis(millis);
                    let header = TokenHeader { wrapping, valid_to };
                    let token = header.join(b"sealed");
                    assert_eq!(TokenHeader::split(&token).unwrap(), (header, &b"sealed"[..]));
                    assert!(bindings.insert(header.binding(&one)));
                    assert!(bindings.insert(header.binding(&other)));
                }
            }
        }
        for token in
            [&[][..], &[VERSION; HEADER_BYTES - 1], &[0; 40], &[1, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            let fault = TokenHeader::split(token).unwrap_err();
            assert_eq!(fault.code(), FaultCode::InvalidImportTokenException);
        }
    }

    #[test]
    fn wrappings_are_for_their_kinds_of_key() {
        let fits = |algorithm, spec, key: KeySpec| {
            Wrapping::asked(algorithm, spec).unwrap().check(key).is_ok()
        };
        use WrappingAlgorithm::{RsaAesKeyWrapSha256 as KeyWrap, RsaesOaepSha256 as Oaep};
        use WrappingKeySpec::{Rsa2048, Rsa3072};
        let rsa = KeySpec::Rsa(RsaSize::Bits2048);
        for (key, oaep, oaep_3072, key_wrap) in [
            (KeySpec::SymmetricDefault, true, true, false),
            (KeySpec::Hmac(HashFunction::Sha512), true, true, false),
            (rsa, false, false, true),
            (KeySpec::Ecc(Curve::P256), true, true, true),
            (KeySpec::Ecc(Curve::P521), false, true, true),
            (KeySpec::Edwards25519, true, true, true),
        ] {
            let found =
                (fits(Oaep, Rsa2048, key), fits(Oaep, Rsa3072, key), fits(KeyWrap, Rsa2048, key));
            assert_eq!(found, (oaep, oaep_3072, key_wrap), "{key:?}");
        }
        assert!(Wrapping::asked(WrappingAlgorithm::RsaesPkcs1, Rsa2048).is_err());
        assert!(Wrapping::asked(Oaep, WrappingKeySpec::Sm2).is_err());
    }
}
