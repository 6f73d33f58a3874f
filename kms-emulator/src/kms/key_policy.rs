//! What makes a key policy acceptable.

use std::sync::Arc;

use super::Call;
use crate::ids::KeyArn;
use crate::policy::{self, KeyPolicy, Query, RequestFacts};
use crate::protocol::{Fault, FaultCode, StringLimits};

/// Longest key policy, in bytes (quota of KMS).
const POLICY_BYTES_MAX: usize = 32 * 1024;

/// Constraints of a `PolicyName` member.
pub(super) const POLICY_NAME: StringLimits = StringLimits::length(1, 128)
    .pattern("[\\w]+", |text| {
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    });

/// A key has one policy, and its name is always this.
///
/// # Errors
/// `NotFoundException` for any other name.
pub(super) fn check_name(name: Option<&str>) -> Result<&'static str, Fault> {
    match name {
        None | Some("default") => Ok("default"),
        Some(other) => Err(Fault::not_found(format!("No such policy exists: {other}"))),
    }
}

/// Reads the text of a key policy.
///
/// # Errors
/// `LimitExceededException`, `MalformedPolicyDocumentException`.
pub(super) fn parse(text: &str) -> Result<Arc<KeyPolicy>, Fault> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(Fault::new(
            FaultCode::LimitExceededException,
            format!("A key policy has at most {POLICY_BYTES_MAX} bytes"),
        ));
    }
    KeyPolicy::parse(text).map(Arc::new).map_err(|error| malformed(&error.to_string()))
}

/// The lockout safety check: who sets a policy must be able to set the next one under it.
///
/// # Errors
/// `MalformedPolicyDocumentException`.
pub(super) fn check_lockout(call: &Call, policy: &KeyPolicy, arn: &KeyArn) -> Result<(), Fault> {
    policy::decide(&Query {
        principal: call.principal(),
        action: "kms:PutKeyPolicy",
        resource: &arn.to_string(),
        key_policy: Some((policy, arn.realm.account)),
        key: None,
        environment: &call.environment(),
        facts: &RequestFacts::default(),
        is_granted: None,
    })
    .map(drop)
    .map_err(|_| {
        malformed("The new key policy will not allow you to update the key policy in the future.")
    })
}

fn malformed(reason: &str) -> Fault {
    Fault::new(FaultCode::MalformedPolicyDocumentException, reason)
}
