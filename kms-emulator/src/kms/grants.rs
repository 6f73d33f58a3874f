//! Grants: their shape in requests and replies, tokens, and which of them allow a request.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::shapes::names;
use crate::clock::Timestamp;
use crate::ids::{AccountId, GrantId, KeyArn, KeyId, RealmId, split_kms_arn};
use crate::policy::Principal;
use crate::protocol::{EnumValues, Fault, FaultCode, Members, StringLimits};
use crate::records::{Grant, GrantConstraints, Key, KeySpec, KeyUsage};
use crate::registry::State;

/// Constraints of a `…Principal` member (API model: `PrincipalIdType`).
pub(super) const PRINCIPAL: StringLimits =
    StringLimits::length(1, 256).pattern("^[\\w+=,.@:/-]+$", |text| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c))
    });
/// Constraints of a `GrantId` member.
pub(super) const GRANT_ID: StringLimits = StringLimits::length(1, 128);
/// Constraints of a grant constraint's `SourceArn`.
const SOURCE_ARN: StringLimits = StringLimits::length(20, 512).pattern(
    "^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$",
    |text| {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, service, region, account, resource] = parts.as_slice() else {
            return false;
        };
        let is_word = |word: &str| {
            word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        partition.strip_prefix("aws").is_some_and(is_word)
            && (is_word(service) && !service.is_empty())
            && is_word(region)
            && (account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()))
            // What Java's `.` takes: everything but the ends of lines.
            && !resource.is_empty()
            && !resource.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
    },
);
/// First part of a grant token: its format.
const TOKEN_VERSION: &str = "1";

/// Operations that every grant may have, whatever its key.
const COMMON: &[&str] = &["CreateGrant", "RetireGrant", "DescribeKey"];

names! {
    /// `GrantOperation`.
    GrantOperation {
        Decrypt = "Decrypt",
        Encrypt = "Encrypt",
        GenerateDataKey = "GenerateDataKey",
        GenerateDataKeyWithoutPlaintext = "GenerateDataKeyWithoutPlaintext",
        ReEncryptFrom = "ReEncryptFrom",
        ReEncryptTo = "ReEncryptTo",
        Sign = "Sign",
        Verify = "Verify",
        GetPublicKey = "GetPublicKey",
        CreateGrant = "CreateGrant",
        RetireGrant = "RetireGrant",
        DescribeKey = "DescribeKey",
        GenerateDataKeyPair = "GenerateDataKeyPair",
        GenerateDataKeyPairWithoutPlaintext = "GenerateDataKeyPairWithoutPlaintext",
        GenerateMac = "GenerateMac",
        VerifyMac = "VerifyMac",
        DeriveSharedSecret = "DeriveSharedSecret",
        Encapsulate = "Encapsulate",
        Decapsulate = "Decapsulate",
    }
}

/// Whether a key of that spec and usage does an operation at all.
pub(super) fn fits(operation: &str, key: &Key) -> bool {
    let own: &[&str] = match (key.spec, key.usage) {
        (KeySpec::SymmetricDefault, _) => &[
            "Decrypt",
            "Encrypt",
            "GenerateDataKey",
            "GenerateDataKeyWithoutPlaintext",
            "GenerateDataKeyPair",
            "GenerateDataKeyPairWithoutPlaintext",
            "ReEncryptFrom",
            "ReEncryptTo",
        ],
        (_, KeyUsage::EncryptDecrypt) => {
            &["Decrypt", "Encrypt", "ReEncryptFrom", "ReEncryptTo", "GetPublicKey"]
        }
        (_, KeyUsage::SignVerify) => &["Sign", "Verify", "GetPublicKey"],
        (_, KeyUsage::GenerateVerifyMac) => &["GenerateMac", "VerifyMac"],
        (_, KeyUsage::KeyAgreement) => &["DeriveSharedSecret", "GetPublicKey"],
        (_, KeyUsage::EncapsulateDecapsulate) => &["Encapsulate", "Decapsulate", "GetPublicKey"],
    };
    own.contains(&operation) || COMMON.contains(&operation)
}

/// Whether the constraints of a grant say anything of an operation: those on encryption contexts do so
/// only of operations that have one.
fn is_constrained(operation: &str) -> bool {
    !COMMON.contains(&operation) && operation != "GetPublicKey"
}

/// The grants on a key that allow its grantee an operation.
pub(super) fn allowing<'a>(
    state: &'a State,
    key: &Key,
    principal: &'a Principal,
    operation: &'a str,
    context: Option<&'a BTreeMap<String, String>>,
) -> impl Iterator<Item = &'a Grant> {
    let none = const { &BTreeMap::new() };
    let context = context.unwrap_or(none);
    let id = key.id;
    let grants = state.realm(&key.realm).into_iter().flat_map(move |realm| realm.grants_of(id));
    grants.map(AsRef::as_ref).filter(move |grant| {
        principal.is_named(&grant.terms.grantee)
            && grant.terms.allow(operation)
            && (!is_constrained(operation) || grant.terms.constraints.hold(context))
    })
}

/// Makes a token of a grant. Each is unique; what it names is no secret, and it gives no permission that
/// the grant, which is in effect already, does not give.
pub(super) fn token(key: &KeyArn, grant: GrantId) -> String {
    let nonce = uuid::Uuid::new_v4().simple();
    URL_SAFE_NO_PAD.encode(format!("{TOKEN_VERSION}/{key}/{grant}/{nonce}"))
}

/// What a grant token names.
pub(super) fn of_token(token: &str) -> Result<(RealmId, KeyId, GrantId), Fault> {
    let parsed = || {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
        let rest = text.strip_prefix(TOKEN_VERSION)?.strip_prefix('/')?;
        let (rest, _nonce) = rest.rsplit_once('/')?;
        let (arn, grant) = rest.rsplit_once('/')?;
        let (realm, resource) = split_kms_arn(arn).ok()?;
        let key = resource.strip_prefix("key/")?.parse().ok()?;
        Some((realm, key, grant.parse().ok()?))
    };
    parsed().ok_or_else(|| Fault::new(FaultCode::InvalidGrantTokenException, "Invalid grant token"))
}

/// Refuses what is not the ARN of a principal.
pub(super) fn check_principal(arn: &str) -> Result<(), Fault> {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let head = (next(), next(), next(), next());
    let well_formed = matches!(head, ("arn", "aws", "iam" | "sts", ""))
        && next().parse::<AccountId>().is_ok()
        && !next().is_empty();
    if well_formed {
        return Ok(());
    }
    Err(Fault::new(FaultCode::InvalidArnException, format!("Invalid arn {arn}")))
}

/// Refuses the newer members, by their `names`, that name a service: none calls here.
pub(super) fn refuse_service_principals(
    members: &mut Members,
    names: &[&str],
) -> Result<(), Fault> {
    const SERVICE: StringLimits = StringLimits::length(1, 128).pattern(
        "^([A-Za-z0-9\\-]+)\\.([A-Za-z0-9\\-]+)(\\.[A-Za-z0-9\\-]+)+$",
        |text| {
            let is_label = |label: &str| {
                !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            };
            text.split('.').count() > 2 && text.split('.').all(is_label)
        },
    );
    for name in names {
        if members.optional_string(name, &SERVICE)?.is_some() {
            members.refuse(Fault::unsupported(format!("{name} is not provided here.")));
        }
    }
    Ok(())
}

/// Reads `Constraints`.
pub(super) fn read_constraints(members: &mut Members) -> Result<GrantConstraints, Fault> {
    let constraints = members.optional_structure("Constraints", |constraints| {
        if constraints.optional_string("SourceArn", &SOURCE_ARN)?.is_some() {
            constraints
                .refuse(Fault::unsupported("The constraint SourceArn is not provided here."));
        }
        Ok(GrantConstraints {
            equals: constraints.optional_string_map("EncryptionContextEquals")?,
            subset: constraints.optional_string_map("EncryptionContextSubset")?,
        })
    })?;
    Ok(constraints.unwrap_or_default())
}

/// Reads a grant's id, if it can be one.
pub(super) fn parse_id(text: &str) -> Result<GrantId, Fault> {
    text.parse().map_err(|_| {
        Fault::new(FaultCode::InvalidGrantIdException, format!("Invalid grant ID {text}"))
    })
}

/// The refusal for a grant that does not exist.
pub(super) fn not_found(id: &str) -> Fault {
    Fault::not_found(format!("Grant ID {id} not found"))
}

/// A grant in a listing.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Entry {
    key_id: KeyArn,
    pub(super) grant_id: GrantId,
    name: String,
    creation_date: Timestamp,
    grantee_principal: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    retiring_principal: Option<String>,
    issuing_account: String,
    operations: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<Constraints>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Constraints {
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_equals: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption_context_subset: Option<BTreeMap<String, String>>,
}

impl Entry {
    /// What is shown of a grant.
    pub(super) fn of(grant: &Grant) -> Self {
        let terms = &grant.terms;
        Self {
            key_id: grant.realm.key_arn(grant.key),
            grant_id: grant.id,
            name: terms.name.as_deref().unwrap_or_default().to_owned(),
            creation_date: grant.created,
            grantee_principal: terms.grantee.to_string(),
            retiring_principal: terms.retiring.as_ref().map(ToString::to_string),
            issuing_account: Principal::root(terms.issuing_account).arn,
            operations: terms.operations.clone(),
            constraints: (!terms.constraints.is_empty()).then(|| Constraints {
                encryption_context_equals: terms.constraints.equals.clone(),
                encryption_context_subset: terms.constraints.subset.clone(),
            }),
        }
    }
}

/// A page of grants.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listing {
    pub(super) grants: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_marker: Option<String>,
    pub(super) truncated: bool,
}
