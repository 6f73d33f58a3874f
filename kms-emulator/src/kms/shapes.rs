//! Constraints of members that several operations share, as the API model has them.

use crate::protocol::{EnumValues, Fault, IntegerLimits, ListLimits, Members, StringLimits};

pub(super) const KEY_ID: StringLimits = StringLimits::length(1, 2048);
pub(super) const CUSTOM_KEY_STORE_ID: StringLimits = StringLimits::length(1, 64);
pub(super) const DESCRIPTION: StringLimits = StringLimits::length(0, 8192);
pub(super) const POLICY: StringLimits = StringLimits::length(1, 131_072)
    .pattern("[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", |text| {
        text.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}'))
    });
pub(super) const LIMIT: IntegerLimits = IntegerLimits { min: 1, max: 1000 };
pub(super) const MARKER: StringLimits = StringLimits::length(1, 1024)
    .pattern("[\\u0020-\\u00FF]*", |text| text.chars().all(|c| matches!(c, ' '..='\u{ff}')));
const GRANT_TOKENS: ListLimits = ListLimits { items_max: 10 };
const GRANT_TOKEN: StringLimits = StringLimits::length(1, 8192);

/// `KeySpec`, and `CustomerMasterKeySpec`, its older name with fewer values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySpec {
    SymmetricDefault,
    Other,
}

impl EnumValues for KeySpec {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("RSA_2048", Self::Other),
        ("RSA_3072", Self::Other),
        ("RSA_4096", Self::Other),
        ("ECC_NIST_P256", Self::Other),
        ("ECC_NIST_P384", Self::Other),
        ("ECC_NIST_P521", Self::Other),
        ("ECC_SECG_P256K1", Self::Other),
        ("SYMMETRIC_DEFAULT", Self::SymmetricDefault),
        ("HMAC_224", Self::Other),
        ("HMAC_256", Self::Other),
        ("HMAC_384", Self::Other),
        ("HMAC_512", Self::Other),
        ("SM2", Self::Other),
        ("ML_DSA_44", Self::Other),
        ("ML_DSA_65", Self::Other),
        ("ML_DSA_87", Self::Other),
        ("ECC_NIST_EDWARDS25519", Self::Other),
    ];
}

/// `KeyUsage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyUsage {
    EncryptDecrypt,
    Other,
}

impl EnumValues for KeyUsage {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("SIGN_VERIFY", Self::Other),
        ("ENCRYPT_DECRYPT", Self::EncryptDecrypt),
        ("GENERATE_VERIFY_MAC", Self::Other),
        ("KEY_AGREEMENT", Self::Other),
    ];
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

/// `EncryptionAlgorithm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EncryptionAlgorithm {
    SymmetricDefault,
    Other,
}

impl EnumValues for EncryptionAlgorithm {
    const VALUES: &'static [(&'static str, Self)] = &[
        ("SYMMETRIC_DEFAULT", Self::SymmetricDefault),
        ("RSAES_OAEP_SHA_1", Self::Other),
        ("RSAES_OAEP_SHA_256", Self::Other),
        ("SM2PKE", Self::Other),
    ];
}

/// Reads `GrantTokens`. There are no grants yet, so that no token can add a permission; tokens are
/// checked and otherwise ignored, as KMS ignores one whose grant is in effect already.
pub(super) fn grant_tokens(members: &mut Members) -> Result<(), Fault> {
    members.optional_strings("GrantTokens", &GRANT_TOKENS, &GRANT_TOKEN).map(drop)
}

/// Refuses `Recipient`: there is no Nitro enclave here to attest, and an answer without its encryption
/// would give the plaintext to whoever asked for it to be sealed.
pub(super) fn refuse_recipient(members: &mut Members) -> Result<(), Fault> {
    if members.holds_structure("Recipient")? {
        return Err(Fault::unsupported("Recipient (attestation) is not provided here."));
    }
    Ok(())
}

/// Refuses `DryRunModifiers`, which would change what a dry run checks.
pub(super) fn refuse_dry_run_modifiers(members: &mut Members) -> Result<(), Fault> {
    const ANY: StringLimits = StringLimits::length(0, 64);
    match members.optional_strings("DryRunModifiers", &GRANT_TOKENS, &ANY)? {
        Some(modifiers) if !modifiers.is_empty() => {
            Err(Fault::unsupported("DryRunModifiers are not provided here."))
        }
        _ => Ok(()),
    }
}
