//! Who calls.

use std::sync::Arc;

use super::IdentityPolicy;
use crate::clock::Timestamp;
use crate::ids::AccountId;

/// What a principal may do by itself, apart from what key policies say.
#[derive(Debug)]
pub(crate) enum Identity {
    /// The account's root: everything that a key policy allows to the account.
    Root,
    /// A user: what its identity policies say.
    User {
        /// The user's name, without a path.
        name: String,
        /// The policies attached to the user.
        policies: Vec<Arc<IdentityPolicy>>,
    },
    /// A session of a role: what the role's identity policies say.
    Role {
        /// The role's name, without a path.
        name: String,
        /// For example `arn:aws:iam::111122223333:role/writer`.
        role_arn: String,
        /// `AROA…`.
        role_id: String,
        /// When the session began.
        issued: Timestamp,
        /// The policies attached to the role.
        policies: Vec<Arc<IdentityPolicy>>,
    },
}

/// A caller of the KMS, in the terms in which policies speak of callers.
#[derive(Debug)]
pub(crate) struct Principal {
    pub(crate) account: AccountId,
    /// For example `arn:aws:iam::111122223333:user/alice`.
    pub(crate) arn: String,
    /// The unique id that `GetCallerIdentity` shows: the account for root, `AIDA…` for a user.
    pub(crate) unique_id: String,
    pub(crate) identity: Identity,
}

impl Principal {
    /// The root of an account.
    pub(crate) fn root(account: AccountId) -> Self {
        Self {
            account,
            arn: format!("arn:aws:iam::{account}:root"),
            unique_id: account.to_string(),
            identity: Identity::Root,
        }
    }

    /// Whether an ARN names this principal: its own, or that of the role whose session it is.
    pub(crate) fn is_named(&self, arn: &str) -> bool {
        self.arn == arn || self.identity_arn() == arn
    }

    /// The ARN of who is behind a session: the role; else the principal's own.
    pub(crate) fn identity_arn(&self) -> &str {
        match &self.identity {
            Identity::Role { role_arn, .. } => role_arn,
            _ => &self.arn,
        }
    }

    /// Whether this is the root of its account.
    pub(crate) fn is_root(&self) -> bool {
        matches!(self.identity, Identity::Root)
    }
}
