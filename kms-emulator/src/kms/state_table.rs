//! Which operation a key allows in which state: the table of the developer guide, "Key states of AWS
//! KMS keys", as data.
//!
//! A cell names the sentence of the refusal. Where the guide's footnotes leave two (a key pending deletion
//! is refused with `DisabledException` or `KMSInvalidStateException`) it is the one that KMS sends today.

use super::key_state::KeyState;
use crate::ids::KeyArn;
use crate::protocol::{Fault, FaultCode};

use Cell::{
    Away, Creating, Depends, Disabled, External, Import, Na, NotPending, Ok as Yes, Pending,
    Unsupported, Updating,
};

/// Proof that the table allows the operation to a key in its present state. Only `check` makes one.
#[derive(Debug)]
pub(super) struct StateAllows(());

/// What the table says of one operation in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cell {
    /// It succeeds.
    Ok,
    /// The operation itself decides, by the footnote.
    Depends,
    /// The combination cannot occur.
    Na,
    /// Footnote 1.
    Disabled,
    /// Footnotes 2, 3 and 8.
    Pending,
    /// Footnote 4.
    NotPending,
    /// Footnote 5.
    Import,
    /// Footnote 6.
    External,
    /// Footnotes 7 and 9.
    Unsupported,
    /// Footnote 11.
    Away,
    /// Footnote 14.
    Creating,
    /// Footnote 15.
    Updating,
}

/// One operation's row; columns in the order of `KeyState::COLUMNS`.
struct Row {
    operation: &'static str,
    cells: [Cell; 7],
}

const fn row(operation: &'static str, cells: [Cell; 7]) -> Row {
    Row { operation, cells }
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    //                      Enabled, Disabled, pending deletion, pending import, Unavailable, Creating, Updating
    row("CancelKeyDeletion", [NotPending, NotPending, Yes, NotPending, NotPending, NotPending, NotPending]),
    row("CreateAlias", [Yes, Yes, Pending, Yes, Yes, Yes, Yes]),
    row("CreateGrant", [Yes, Disabled, Pending, Import, Yes, Creating, Yes]),
    row("Decrypt", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("DeleteAlias", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("DeleteImportedKeyMaterial", [Yes, Yes, Yes, Yes, Na, Creating, Updating]),
    row("DescribeKey", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("DisableKey", [Yes, Yes, Pending, Import, Yes, Creating, Updating]),
    row("DisableKeyRotation", [Depends, Disabled, Pending, External, Unsupported, Creating, Depends]),
    row("EnableKey", [Yes, Yes, Pending, Import, Yes, Creating, Updating]),
    row("EnableKeyRotation", [Depends, Disabled, Pending, External, Unsupported, Creating, Depends]),
    row("Encrypt", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKey", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKeyPair", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKeyPairWithoutPlaintext", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKeyWithoutPlaintext", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateMac", [Yes, Disabled, Pending, Na, Na, Creating, Yes]),
    row("GetKeyPolicy", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("GetKeyRotationStatus", [Depends, Depends, Depends, External, Unsupported, Depends, Depends]),
    row("GetParametersForImport", [Depends, Depends, Pending, Yes, Unsupported, Creating, Updating]),
    row("GetPublicKey", [Yes, Disabled, Pending, Na, Na, Creating, Yes]),
    row("ImportKeyMaterial", [Depends, Depends, Pending, Yes, Unsupported, Creating, Yes]),
    row("ListAliases", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ListGrants", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ListKeyPolicies", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ListResourceTags", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("PutKeyPolicy", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ReEncrypt", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("ReplicateKey", [Yes, Disabled, Pending, Import, Na, Creating, Updating]),
    row("RetireGrant", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("RevokeGrant", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ScheduleKeyDeletion", [Yes, Yes, Pending, Yes, Yes, Yes, Updating]),
    row("Sign", [Yes, Disabled, Pending, Na, Na, Creating, Yes]),
    row("TagResource", [Yes, Yes, Pending, Yes, Yes, Yes, Yes]),
    row("UntagResource", [Yes, Yes, Pending, Yes, Yes, Yes, Yes]),
    row("UpdateAlias", [Yes, Yes, Depends, Yes, Yes, Yes, Yes]),
    row("UpdateKeyDescription", [Yes, Yes, Pending, Yes, Yes, Yes, Yes]),
    row("UpdatePrimaryRegion", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("Verify", [Yes, Disabled, Pending, Na, Na, Creating, Yes]),
    row("VerifyMac", [Yes, Disabled, Pending, Na, Na, Creating, Yes]),
];

/// Decides whether `operation` may act on a key in `state`.
///
/// # Errors
/// The fault of the cell, with the key's ARN. An operation that the table does not know is refused: it
/// must be entered before it is registered.
pub(super) fn check(operation: &str, state: KeyState, arn: &KeyArn) -> Result<StateAllows, Fault> {
    let cell = TABLE
        .iter()
        .find(|row| row.operation == operation)
        .and_then(|row| row.cells.get(state.column()))
        .ok_or_else(|| Fault::internal(format!("{operation} is not in the key-state table")))?;
    let invalid = |what: &str| Err(Fault::invalid_state(format!("{arn} is {what}.")));
    match cell {
        Cell::Ok | Depends => Ok(StateAllows(())),
        Disabled => Err(Fault::new(FaultCode::DisabledException, format!("{arn} is disabled."))),
        Pending => invalid("pending deletion (or pending replica deletion)"),
        NotPending => invalid("not pending deletion (or pending replica deletion)"),
        Import => invalid("pending import"),
        Away => invalid("unavailable"),
        Creating => invalid("creating"),
        Updating => invalid("updating"),
        External => Err(Fault::unsupported(format!(
            "{arn} origin is EXTERNAL which is not valid for this operation."
        ))),
        Unsupported => {
            Err(Fault::unsupported(format!("{arn} origin is not valid for this operation.")))
        }
        Na => Err(Fault::internal(format!("{arn} is in a state that cannot occur here"))),
    }
}
