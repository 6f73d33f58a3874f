//! What the operations on aliases share: names, and permission on both the alias and its key.

use super::Call;
use super::access::{AuthorizedKey, FoundKey, alias_not_found};
use crate::ids::{ALIAS_BYTES_MAX, ALIAS_PREFIX, AliasName, RealmId};
use crate::policy::{Authorized, RequestFacts};
use crate::protocol::{Fault, FaultCode, StringLimits};

/// Constraints of an `AliasName` member (API model: `AliasNameType`).
pub(super) const ALIAS_NAME: StringLimits =
    StringLimits::length(1, ALIAS_BYTES_MAX).pattern("^[a-zA-Z0-9:/_-]+$", |text| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":/_-".contains(&b))
    });

/// Reads the name of an alias that a caller may make, change or delete.
///
/// # Errors
/// `InvalidAliasNameException`, `ValidationException`, worded as AWS words them.
pub(super) fn parse(name: &str) -> Result<AliasName, Fault> {
    if !name.starts_with(ALIAS_PREFIX) {
        return Err(Fault::validation(
            "Invalid identifier: alias names must begin with the prefix \"alias/\".",
        ));
    }
    let alias: AliasName =
        name.parse().map_err(|_| invalid("An alias has a name behind alias/."))?;
    if name.get(ALIAS_PREFIX.len()..).is_some_and(|rest| rest.contains(':')) {
        return Err(invalid(&format!("{name} contains invalid characters for an alias")));
    }
    if alias.is_reserved() {
        return Err(Fault::new(
            FaultCode::InvalidAliasNameException,
            "The alias name is reserved.",
        ));
    }
    Ok(alias)
}

/// The same for operations that change an alias which is there, and that the model gives fewer errors.
///
/// # Errors
/// `NotFoundException` for what can be no alias, `ValidationException`.
pub(super) fn parse_existing(call: &Call, name: &str) -> Result<AliasName, Fault> {
    parse(name).map_err(|fault| match fault.code() {
        FaultCode::InvalidAliasNameException if name.parse::<AliasName>().is_ok() => {
            Fault::validation(fault.message())
        }
        FaultCode::InvalidAliasNameException => {
            let RealmId { account, region } = &call.realm;
            alias_not_found(&format!("arn:aws:kms:{region}:{account}:{name}"))
        }
        _ => fault,
    })
}

fn invalid(message: &str) -> Fault {
    Fault::new(FaultCode::InvalidAliasNameException, message)
}

/// Permission on the alias, which identity policies alone give.
pub(super) fn authorize_alias(call: &Call, alias: &AliasName) -> Result<Authorized, Fault> {
    let arn = call.realm.alias_arn(alias).to_string();
    call.authorize_without_key(&arn, &RequestFacts::default())
}

/// Permission on both: the alias, and the key that it names or will name.
pub(super) fn authorize_both(
    call: &Call,
    alias: &AliasName,
    key: FoundKey,
) -> Result<AuthorizedKey, Fault> {
    authorize_alias(call, alias)?;
    key.authorize(call, RequestFacts::default())
}
