//! GetKeyLastUsage.

use serde::Serialize;

use super::access::Naming;
use super::key_rotation::KeyInput;
use super::{Call, Operation};
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::Fault;
use crate::records::Usage;

pub(super) struct GetKeyLastUsage;

/// `KeyLastUsageData`: empty for a key that was not used.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct LastUsage {
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cloud_trail_event_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kms_request_id: Option<String>,
}

impl LastUsage {
    fn of(usage: &Usage) -> Self {
        Self {
            operation: Some(usage.operation.to_string()),
            timestamp: Some(usage.at),
            cloud_trail_event_id: usage.event_id.as_ref().map(ToString::to_string),
            kms_request_id: Some(usage.request_id.to_string()),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
    key_last_usage: LastUsage,
    tracking_start_date: Timestamp,
    key_creation_date: Timestamp,
}

impl Operation for GetKeyLastUsage {
    const NAME: &'static str = "GetKeyLastUsage";
    type Input = KeyInput;
    type Output = Output;

    async fn run(call: &Call, input: KeyInput) -> Result<Output, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        let key = key.key();
        let since = call.state.usage_tracked_since();
        Ok(Output {
            key_id: key.arn(),
            key_last_usage: key.last_usage.get().as_deref().map(LastUsage::of).unwrap_or_default(),
            tracking_start_date: since.map_or(key.created, |since| since.max(key.created)),
            key_creation_date: key.created,
        })
    }
}
