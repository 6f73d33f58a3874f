//! PutResourcePolicy, GetResourcePolicy and DeleteResourcePolicy: with whom a backup is shared.

use std::sync::Arc;

use serde::Serialize;

use super::lookup::{change_backup, find_backup};
use super::shapes::{self, backup_in, invalid_request};
use crate::ids::BackupId;
use crate::kms::{Call, Operation};
use crate::policy::KeyPolicy;
use crate::protocol::{Fault, Members, Request, StringLimits};

/// Longest policy of a resource, in characters.
const POLICY: StringLimits = StringLimits::length(1, 20_000);

pub(super) struct PutResourcePolicy;
pub(super) struct GetResourcePolicy;
pub(super) struct DeleteResourcePolicy;

/// A request that names a resource.
pub(super) struct Named {
    arn: Option<String>,
}

/// A request that gives a resource a policy.
pub(super) struct PutInput {
    named: Named,
    policy: Option<String>,
}

/// The reply; members of the model that an operation does not have are absent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
}

impl Request for Named {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { arn: members.optional_string("ResourceArn", &shapes::RESOURCE_ARN)? })
    }
}

impl Request for PutInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            named: Named::read(members)?,
            policy: members.optional_string("Policy", &POLICY)?,
        })
    }
}

impl Operation for PutResourcePolicy {
    const NAME: &'static str = "PutResourcePolicy";
    type Input = PutInput;
    type Output = Output;

    async fn run(call: &Call, input: PutInput) -> Result<Output, Fault> {
        let id = input.named.own_backup(call)?;
        let text = input.policy.ok_or_else(|| invalid_request("Give a Policy."))?;
        let policy = KeyPolicy::parse(&text)
            .map_err(|error| invalid_request(format!("The policy is malformed: {error}")))?;
        let policy = Arc::new(policy);
        let changed = change_backup(call, id.as_str(), move |backup| {
            backup.policy = Some(Arc::clone(&policy));
            Ok(())
        })
        .await?;
        Ok(Output { resource_arn: Some(changed.arn()), policy: Some(text) })
    }
}

impl Operation for GetResourcePolicy {
    const NAME: &'static str = "GetResourcePolicy";
    type Input = Named;
    type Output = Output;

    async fn run(call: &Call, input: Named) -> Result<Output, Fault> {
        let id = input.own_backup(call)?;
        let backup = find_backup(call, id.as_str())?;
        let policy = backup.policy.as_ref().map(|policy| policy.text().to_owned());
        Ok(Output { resource_arn: None, policy })
    }
}

impl Operation for DeleteResourcePolicy {
    const NAME: &'static str = "DeleteResourcePolicy";
    type Input = Named;
    type Output = Output;

    async fn run(call: &Call, input: Named) -> Result<Output, Fault> {
        let id = input.own_backup(call)?;
        let backup = find_backup(call, id.as_str())?;
        let policy = backup.policy.as_ref().map(|policy| policy.text().to_owned());
        change_backup(call, id.as_str(), |backup| {
            backup.policy = None;
            Ok(())
        })
        .await?;
        Ok(Output { resource_arn: Some(backup.arn()), policy })
    }
}

impl Named {
    /// The caller's own backup that the request names: nothing else can be shared.
    fn own_backup(&self, call: &Call) -> Result<BackupId, Fault> {
        let arn = self.arn.as_deref().ok_or_else(|| invalid_request("Give a ResourceArn."))?;
        let Some((Some(realm), id)) = backup_in(arn) else {
            return Err(invalid_request("Only backups can have a resource policy."));
        };
        if realm != call.realm {
            return Err(shapes::backup_not_found(&call.realm, arn));
        }
        find_backup(call, id.as_str())?;
        Ok(id)
    }
}
