//! Constraints of members that several operations share, as the API model has them.

use strongroom_hsm::{Curve, HashFunction, MlDsaParameters, MlKemParameters, RsaSize};

use zeroize::Zeroizing;

use super::ciphertext::CIPHERTEXT;
use super::grants;
use crate::protocol::{
    BlobLimits, EnumValues, Fault, IntegerLimits, ListLimits, Members, StringLimits,
};
use crate::records::{KeySpec, KeyUsage};

pub(super) const KEY_ID: StringLimits = StringLimits::length(1, 2048);
pub(super) const CUSTOM_KEY_STORE_ID: StringLimits = StringLimits::length(1, 64);
pub(super) const DESCRIPTION: StringLimits = StringLimits::length(0, 8192);
pub(super) const POLICY: StringLimits =
    StringLimits::length(1, 131_072).pattern("[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", |text| {
        !text.is_empty() && text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
    });
pub(super) const LIMIT: IntegerLimits = IntegerLimits { min: 1, max: 1000 };
pub(super) const MARKER: StringLimits = StringLimits::length(1, 1024)
    .pattern("[\\u0020-\\u00FF]*", |text| text.chars().all(|c| matches!(c, ' '..='\u{ff}')));
/// Constraints of a `Message` member and of a plaintext (API model: `PlaintextType`).
pub(super) const MESSAGE: BlobLimits = BlobLimits { bytes_min: 1, bytes_max: 4096 };
/// Constraints of a `PublicKey` member.
pub(super) const PUBLIC_KEY: BlobLimits = BlobLimits { bytes_min: 1, bytes_max: 8192 };
const GRANT_TOKENS: ListLimits = ListLimits::of(0, 10);
pub(super) const GRANT_TOKEN: StringLimits = StringLimits::length(1, 8192);

/// `KeySpec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySpecName {
    Provided(KeySpec),
    /// SM2, which only the Regions in China have.
    Sm2,
}

impl EnumValues for KeySpecName {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("RSA_2048", Self::Provided(KeySpec::Rsa(RsaSize::Bits2048))),
        ("RSA_3072", Self::Provided(KeySpec::Rsa(RsaSize::Bits3072))),
        ("RSA_4096", Self::Provided(KeySpec::Rsa(RsaSize::Bits4096))),
        ("ECC_NIST_P256", Self::Provided(KeySpec::Ecc(Curve::P256))),
        ("ECC_NIST_P384", Self::Provided(KeySpec::Ecc(Curve::P384))),
        ("ECC_NIST_P521", Self::Provided(KeySpec::Ecc(Curve::P521))),
        ("ECC_SECG_P256K1", Self::Provided(KeySpec::Ecc(Curve::Secp256k1))),
        ("SYMMETRIC_DEFAULT", Self::Provided(KeySpec::SymmetricDefault)),
        ("HMAC_224", Self::Provided(KeySpec::Hmac(HashFunction::Sha224))),
        ("HMAC_256", Self::Provided(KeySpec::Hmac(HashFunction::Sha256))),
        ("HMAC_384", Self::Provided(KeySpec::Hmac(HashFunction::Sha384))),
        ("HMAC_512", Self::Provided(KeySpec::Hmac(HashFunction::Sha512))),
        ("SM2", Self::Sm2),
        ("ML_DSA_44", Self::Provided(KeySpec::MlDsa(MlDsaParameters::MlDsa44))),
        ("ML_DSA_65", Self::Provided(KeySpec::MlDsa(MlDsaParameters::MlDsa65))),
        ("ML_DSA_87", Self::Provided(KeySpec::MlDsa(MlDsaParameters::MlDsa87))),
        ("ECC_NIST_EDWARDS25519", Self::Provided(KeySpec::Edwards25519)),
        ("ML_KEM_512", Self::Provided(KeySpec::MlKem(MlKemParameters::MlKem512))),
        ("ML_KEM_768", Self::Provided(KeySpec::MlKem(MlKemParameters::MlKem768))),
        ("ML_KEM_1024", Self::Provided(KeySpec::MlKem(MlKemParameters::MlKem1024))),
    ];
}

/// `CustomerMasterKeySpec`: the older name, which has had no new values since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OldKeySpecName(pub(super) KeySpecName);

impl EnumValues for OldKeySpecName {
    const VALUES: &'static [(&'static str, Self)] = &{
        let mut values = [("", Self(KeySpecName::Sm2)); OLD_KEY_SPECS];
        let mut number = 0;
        while number < OLD_KEY_SPECS {
            let (name, spec) = KeySpecName::VALUES[number];
            values[number] = (name, Self(spec));
            number += 1;
        }
        values
    };
}

/// Key specs that the older name knows: the first of them.
const OLD_KEY_SPECS: usize = 13;

/// `DataKeyPairSpec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyPairSpecName {
    Provided(KeySpec),
    /// SM2, which only the Regions in China have.
    Sm2,
}

impl EnumValues for KeyPairSpecName {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("RSA_2048", Self::Provided(KeySpec::Rsa(RsaSize::Bits2048))),
        ("RSA_3072", Self::Provided(KeySpec::Rsa(RsaSize::Bits3072))),
        ("RSA_4096", Self::Provided(KeySpec::Rsa(RsaSize::Bits4096))),
        ("ECC_NIST_P256", Self::Provided(KeySpec::Ecc(Curve::P256))),
        ("ECC_NIST_P384", Self::Provided(KeySpec::Ecc(Curve::P384))),
        ("ECC_NIST_P521", Self::Provided(KeySpec::Ecc(Curve::P521))),
        ("ECC_SECG_P256K1", Self::Provided(KeySpec::Ecc(Curve::Secp256k1))),
        ("SM2", Self::Sm2),
        ("ECC_NIST_EDWARDS25519", Self::Provided(KeySpec::Edwards25519)),
        ("ML_KEM_512", Self::Provided(KeySpec::MlKem(MlKemParameters::MlKem512))),
        ("ML_KEM_768", Self::Provided(KeySpec::MlKem(MlKemParameters::MlKem768))),
        ("ML_KEM_1024", Self::Provided(KeySpec::MlKem(MlKemParameters::MlKem1024))),
    ];
}

impl EnumValues for KeyUsage {
    const VALUES: &'static [(&'static str, Self)] = &KeyUsage::NAMES;
}

/// `Origin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OriginName {
    AwsKms,
    External,
    AwsCloudHsm,
    ExternalKeyStore,
}

impl EnumValues for OriginName {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("AWS_KMS", Self::AwsKms),
        ("EXTERNAL", Self::External),
        ("AWS_CLOUDHSM", Self::AwsCloudHsm),
        ("EXTERNAL_KEY_STORE", Self::ExternalKeyStore),
    ];
}

/// Makes an enum of the model's names, each value with its own.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $wire:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $name { $($variant),* }

        impl EnumValues for $name {
            const VALUES: &'static [(&'static str, Self)] = &[$(($wire, Self::$variant)),*];
        }
    };
}

pub(super) use names;

names! {
    /// `EncryptionAlgorithm`.
    EncryptionAlgorithmName {
        SymmetricDefault = "SYMMETRIC_DEFAULT",
        RsaesOaepSha1 = "RSAES_OAEP_SHA_1",
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
        Sm2pke = "SM2PKE",
    }
}

names! {
    /// `SigningAlgorithm`.
    SigningAlgorithmName {
        RsassaPssSha256 = "RSASSA_PSS_SHA_256",
        RsassaPssSha384 = "RSASSA_PSS_SHA_384",
        RsassaPssSha512 = "RSASSA_PSS_SHA_512",
        RsassaPkcs1Sha256 = "RSASSA_PKCS1_V1_5_SHA_256",
        RsassaPkcs1Sha384 = "RSASSA_PKCS1_V1_5_SHA_384",
        RsassaPkcs1Sha512 = "RSASSA_PKCS1_V1_5_SHA_512",
        EcdsaSha256 = "ECDSA_SHA_256",
        EcdsaSha384 = "ECDSA_SHA_384",
        EcdsaSha512 = "ECDSA_SHA_512",
        Sm2dsa = "SM2DSA",
        MlDsaShake256 = "ML_DSA_SHAKE_256",
        Ed25519Sha512 = "ED25519_SHA_512",
        Ed25519PhSha512 = "ED25519_PH_SHA_512",
    }
}

names! {
    /// `MessageType`.
    MessageType {
        Raw = "RAW",
        Digest = "DIGEST",
        ExternalMu = "EXTERNAL_MU",
    }
}

names! {
    /// `MacAlgorithm`.
    MacAlgorithmName {
        Sha224 = "HMAC_SHA_224",
        Sha256 = "HMAC_SHA_256",
        Sha384 = "HMAC_SHA_384",
        Sha512 = "HMAC_SHA_512",
    }
}

names! {
    /// `KeyAgreementAlgorithm`.
    KeyAgreementAlgorithm {
        Ecdh = "ECDH",
    }
}

names! {
    /// `EncapsulationAlgorithm`.
    EncapsulationAlgorithm {
        MlKem = "ML_KEM",
    }
}

/// Reads `GrantTokens`. A grant is in effect as soon as it is made, so that no token can add a permission;
/// tokens are checked and otherwise ignored, as KMS ignores one whose grant is in effect already.
pub(super) fn grant_tokens(members: &mut Members) -> Result<(), Fault> {
    let tokens = unchecked_grant_tokens(members)?;
    let refused = tokens.unwrap_or_default().iter().find_map(|token| grants::of_token(token).err());
    refused.into_iter().for_each(|fault| members.refuse(fault));
    Ok(())
}

/// The same for an operation that has no refusal for a token that is none.
pub(super) fn unchecked_grant_tokens(members: &mut Members) -> Result<Option<Vec<String>>, Fault> {
    members.optional_strings("GrantTokens", &GRANT_TOKENS, &GRANT_TOKEN)
}

names! {
    /// `KeyEncryptionMechanism`.
    KeyEncryptionMechanism {
        RsaesOaepSha256 = "RSAES_OAEP_SHA_256",
    }
}

/// Refuses `Recipient`: there is no Nitro enclave here to attest, and an answer without its encryption
/// would give the plaintext to whoever asked for it to be sealed.
pub(super) fn refuse_recipient(members: &mut Members) -> Result<(), Fault> {
    const ATTESTATION_DOCUMENT: BlobLimits = BlobLimits { bytes_min: 1, bytes_max: 262_144 };
    let recipient = members.optional_structure("Recipient", |recipient| {
        recipient.optional_enum::<KeyEncryptionMechanism>("KeyEncryptionAlgorithm")?;
        recipient.optional_blob("AttestationDocument", &ATTESTATION_DOCUMENT).map(drop)
    })?;
    if recipient.is_some() {
        members.refuse(Fault::unsupported("Recipient (attestation) is not provided here."));
    }
    Ok(())
}

names! {
    /// `DryRunModifierType`.
    DryRunModifier {
        IgnoreCiphertext = "IGNORE_CIPHERTEXT",
    }
}

/// Reads `DryRun`.
pub(super) fn dry_run(members: &mut Members) -> Result<bool, Fault> {
    Ok(members.optional_boolean("DryRun")?.unwrap_or(false))
}

/// Reads the `CiphertextBlob` of a request of which `is_dry_run` says what `DryRun` does: none if
/// `DryRunModifiers` say that it does not matter.
pub(super) fn ciphertext(
    members: &mut Members,
    is_dry_run: bool,
) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
    let modifiers = members.optional_enums("DryRunModifiers", &ListLimits::ANY)?;
    let is_ignored =
        is_dry_run && modifiers.unwrap_or_default().contains(&DryRunModifier::IgnoreCiphertext);
    let blob = members.optional_blob("CiphertextBlob", &CIPHERTEXT)?;
    if blob.is_none() && !is_ignored {
        members.refuse(Fault::validation(
            "CiphertextBlob is required unless DryRun is true and DryRunModifiers has \
             IGNORE_CIPHERTEXT.",
        ));
    }
    Ok(blob.filter(|_| !is_ignored))
}
