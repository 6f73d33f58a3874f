//! ScheduleKeyDeletion.

use serde::Serialize;

use super::access::Naming;
use super::key_state::KeyState;
use super::{Call, Operation, multi_region, shapes};
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Fault, IntegerLimits, Members, Request};
use crate::records::Lifecycle;

/// The model's bounds of a waiting period, in days, as a validation error words them.
const MODEL_DAYS: IntegerLimits = IntegerLimits { min: 1, max: 365 };
/// The bounds that KMS enforces, and what it takes if none is given.
const DAYS: std::ops::RangeInclusive<u32> = 7..=30;
const DEFAULT_DAYS: u32 = 30;

pub(super) struct ScheduleKeyDeletion;

pub(super) struct Input {
    key_id: String,
    window_days: u32,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            window_days: members
                .optional_integer("PendingWindowInDays", &MODEL_DAYS)?
                .unwrap_or(DEFAULT_DAYS),
        })
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    key_id: KeyArn,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_date: Option<Timestamp>,
    key_state: KeyState,
    pending_window_in_days: u32,
}

impl Operation for ScheduleKeyDeletion {
    const NAME: &'static str = "ScheduleKeyDeletion";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let window_days = input.window_days;
        if !DAYS.contains(&window_days) {
            return Err(Fault::validation(format!(
                "PendingWindowInDays must be between {} and {}.",
                DAYS.start(),
                DAYS.end()
            )));
        }
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        let facts =
            RequestFacts { pending_window_days: Some(window_days), ..RequestFacts::default() };
        let key = found.authorize(call, facts)?;
        let key_id = key.key().arn();
        let at = call.now.plus_days(window_days);
        let lifecycle = key
            .change_in(call, move |draft, key| {
                key.lifecycle = if multi_region::has_replicas(draft, key) {
                    Lifecycle::PendingReplicaDeletion { window_days }
                } else {
                    Lifecycle::PendingDeletion { at, window_days }
                };
                Ok(key.lifecycle)
            })
            .await?;
        let waits_for_replicas = matches!(lifecycle, Lifecycle::PendingReplicaDeletion { .. });
        Ok(Output {
            key_id,
            deletion_date: (!waits_for_replicas).then_some(at),
            key_state: match waits_for_replicas {
                true => KeyState::PendingReplicaDeletion,
                false => KeyState::PendingDeletion,
            },
            pending_window_in_days: window_days,
        })
    }
}
