//! Who may do what: key policies and identity policies, and the decision they lead to.
//!
//! A decision is an `Authorized` token that only `decide` makes. What the
//! parser does not understand it refuses: a statement that is stored is a statement that is enforced.
//!
//! `scratchstack-aspen` was looked at and not taken: it parses and evaluates single policies, but not
//! the way a key policy, which may hand over to the account's identity policies, and those policies
//! decide together; and it brings a second date, regex and base64 stack of 2022.

mod condition;
mod decide;
#[cfg(test)]
mod differential;
mod document;
mod facts;
mod glob;
mod principal;

pub(crate) use decide::{Authorized, Query, decide};
pub(crate) use document::{IdentityPolicy, KeyPolicy, TrustPolicy};
pub(crate) use facts::{Environment, RequestFacts};
pub(crate) use principal::{Identity, Principal};

use crate::ids::AccountId;

/// The key policy of a key that is made without one: the account may use identity policies, as AWS
/// writes it for keys made through the API.
pub(crate) fn default_key_policy(account: AccountId) -> String {
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:aws:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}
