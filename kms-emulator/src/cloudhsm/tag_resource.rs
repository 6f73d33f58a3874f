//! TagResource and UntagResource.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lookup::{change_backup, change_cluster, find, find_backup};
use super::shapes;
use super::tags::{self, TAG_COUNT_MAX, TAG_KEY, TAG_LIST};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, FaultCode, Members, Request};

pub(super) struct TagResource;

pub(super) struct UntagResource;

pub(super) struct TagInput {
    resource: String,
    tags: BTreeMap<String, String>,
}

impl Request for TagInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let resource = members.string("ResourceId", &shapes::TAGGED_ID)?;
        let given = tags::optional_tags(members)?;
        Ok(Self { resource, tags: members.require("TagList", given) })
    }
}

pub(super) struct UntagInput {
    resource: String,
    keys: Vec<String>,
}

impl Request for UntagInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let resource = members.string("ResourceId", &shapes::TAGGED_ID)?;
        let keys = members.optional_strings("TagKeyList", &TAG_LIST, &TAG_KEY)?;
        Ok(Self { resource, keys: members.require("TagKeyList", keys) })
    }
}

/// The reply, which has no members.
#[derive(Debug, serde::Serialize)]
pub(super) struct Output {}

impl Operation for TagResource {
    const NAME: &'static str = "TagResource";
    type Input = TagInput;
    type Output = Output;

    async fn run(call: &Call, input: TagInput) -> Result<Output, Fault> {
        let given = input.tags;
        change_tags(call, &input.resource, move |tags| {
            tags.extend(given.clone());
            if tags.len() > TAG_COUNT_MAX {
                return Err(Fault::new(
                    FaultCode::CloudHsmResourceLimitExceededException,
                    format!("A resource has at most {TAG_COUNT_MAX} tags."),
                ));
            }
            Ok(())
        })
        .await
    }
}

impl Operation for UntagResource {
    const NAME: &'static str = "UntagResource";
    type Input = UntagInput;
    type Output = Output;

    async fn run(call: &Call, input: UntagInput) -> Result<Output, Fault> {
        let keys = input.keys;
        change_tags(call, &input.resource, move |tags| {
            tags.retain(|key, _| !keys.contains(key));
            Ok(())
        })
        .await
    }
}

async fn change_tags<F>(call: &Call, resource: &str, change: F) -> Result<Output, Fault>
where
    F: Fn(&mut BTreeMap<String, String>) -> Result<(), Fault> + Send + 'static,
{
    if resource.starts_with("backup-") {
        find_backup(call, resource)?;
        change_backup(call, resource, move |backup| change(Arc::make_mut(&mut backup.tags)))
            .await?;
    } else {
        let cluster = find(call, resource)?;
        change_cluster(call, &cluster.id, move |_, cluster| {
            change(Arc::make_mut(&mut cluster.tags))
        })
        .await?;
    }
    Ok(Output {})
}
