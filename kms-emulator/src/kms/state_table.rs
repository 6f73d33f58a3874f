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
    ///
    /// The guide has it for pairs and MAC keys that await an import, too: those it has since let occur.
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
    row("Decapsulate", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("DeleteAlias", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("DeleteImportedKeyMaterial", [Yes, Yes, Yes, Yes, Na, Creating, Updating]),
    row("DeriveSharedSecret", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("DescribeKey", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("DisableKey", [Yes, Yes, Pending, Import, Yes, Creating, Updating]),
    row("DisableKeyRotation", [Depends, Disabled, Pending, External, Unsupported, Creating, Depends]),
    row("EnableKey", [Yes, Yes, Pending, Import, Yes, Creating, Updating]),
    row("EnableKeyRotation", [Depends, Disabled, Pending, External, Unsupported, Creating, Depends]),
    row("Encapsulate", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("Encrypt", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKey", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKeyPair", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKeyPairWithoutPlaintext", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateDataKeyWithoutPlaintext", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("GenerateMac", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("GetKeyLastUsage", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("GetKeyPolicy", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("GetKeyRotationStatus", [Depends, Depends, Depends, External, Unsupported, Depends, Depends]),
    row("GetParametersForImport", [Depends, Depends, Pending, Yes, Unsupported, Creating, Updating]),
    row("GetPublicKey", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("ImportKeyMaterial", [Depends, Depends, Pending, Yes, Unsupported, Creating, Yes]),
    row("ListAliases", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ListGrants", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ListKeyPolicies", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ListKeyRotations", [Depends, Depends, Depends, Depends, Unsupported, Depends, Depends]),
    row("ListResourceTags", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("PutKeyPolicy", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("ReEncrypt", [Yes, Disabled, Pending, Import, Away, Creating, Yes]),
    row("ReplicateKey", [Yes, Disabled, Pending, Import, Na, Creating, Updating]),
    row("RetireGrant", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("RevokeGrant", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    row("RotateKeyOnDemand", [Depends, Disabled, Pending, Import, Unsupported, Creating, Depends]),
    row("ScheduleKeyDeletion", [Yes, Yes, Pending, Yes, Yes, Yes, Updating]),
    row("Sign", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("TagResource", [Yes, Yes, Pending, Yes, Yes, Yes, Yes]),
    row("UntagResource", [Yes, Yes, Pending, Yes, Yes, Yes, Yes]),
    row("UpdateAlias", [Yes, Yes, Depends, Yes, Yes, Yes, Yes]),
    row("UpdateKeyDescription", [Yes, Yes, Pending, Yes, Yes, Yes, Yes]),
    row("UpdatePrimaryRegion", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("Verify", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
    row("VerifyMac", [Yes, Disabled, Pending, Import, Na, Creating, Yes]),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{KeyId, RealmId};

    /// The guide's table as text: operation, then one cell for each state, tab-separated.
    const GUIDE: &str = include_str!("state_table.tsv");

    fn arn() -> KeyArn {
        let realm = RealmId {
            account: "111122223333".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
        };
        realm.key_arn(KeyId::random())
    }

    /// What the guide's footnote says is sent: the exception and a part of its message.
    fn footnote(number: &str) -> (FaultCode, &'static str) {
        use FaultCode::{
            DisabledException, KMSInvalidStateException, UnsupportedOperationException,
        };
        match number {
            "1" => (DisabledException, " is disabled."),
            "2" => (DisabledException, " is pending deletion"),
            "3" => (KMSInvalidStateException, " is pending deletion"),
            "4" => (KMSInvalidStateException, " is not pending deletion"),
            "5" => (KMSInvalidStateException, " is pending import."),
            "6" => (UnsupportedOperationException, " origin is EXTERNAL"),
            "7" | "9" => (UnsupportedOperationException, ""),
            "8" => (KMSInvalidStateException, ""),
            "11" => (KMSInvalidStateException, " is unavailable."),
            "13" => (KMSInvalidStateException, ""),
            "14" => (KMSInvalidStateException, " is creating."),
            "15" => (KMSInvalidStateException, " is updating."),
            other => panic!("footnote {other}"),
        }
    }

    #[test]
    fn every_cell_is_the_guides() {
        let arn = arn();
        let mut cells = 0;
        for line in GUIDE.lines().skip(1) {
            let mut columns = line.split('\t');
            let operation = columns.next().unwrap();
            for (state, cell) in KeyState::all().zip(columns.by_ref()) {
                cells += 1;
                let outcome = check(operation, state, &arn);
                let place = format!("{operation} in {state:?}: guide {cell}, here {outcome:?}");
                let (kind, notes) = cell.split_once('[').unwrap_or((cell, "]"));
                match kind.split(' ').next().unwrap() {
                    "OK" | "COND" => assert!(outcome.is_ok(), "{place}"),
                    "FAIL" => {
                        let fault = outcome.expect_err(&place);
                        let fits = notes.trim_end_matches(']').split(',').any(|note| {
                            let (code, message) = footnote(note);
                            fault.code() == code && fault.message().contains(message)
                        });
                        assert!(fits, "{place}");
                    }
                    "N/A" => {
                        let expected = match state {
                            KeyState::PendingImport => FaultCode::KMSInvalidStateException,
                            _ => FaultCode::KMSInternalException,
                        };
                        assert_eq!(outcome.expect_err(&place).code(), expected, "{place}");
                    }
                    other => panic!("{other}"),
                }
            }
            assert!(columns.next().is_none(), "{operation} has too many cells");
        }
        assert_eq!(cells, TABLE.len() * KeyState::all().count());
    }

    #[test]
    fn an_operation_without_a_row_is_refused() {
        assert!(check("Frobnicate", KeyState::Enabled, &arn()).is_err());
    }
}
