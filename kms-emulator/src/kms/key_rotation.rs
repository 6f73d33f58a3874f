//! EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus.

use serde::Serialize;

use super::access::Naming;
use super::key_state::KeyState;
use super::{Call, Operation, multi_region, rotation, shapes};
use crate::clock::Timestamp;
use crate::ids::KeyArn;
use crate::policy::RequestFacts;
use crate::protocol::{Fault, IntegerLimits, Members, Request};
use crate::records::RotationSchedule;

/// Constraints of `RotationPeriodInDays`, and what KMS takes if none is given.
const PERIOD_DAYS: IntegerLimits = IntegerLimits { min: 90, max: 2560 };
const DEFAULT_PERIOD_DAYS: u32 = 365;

pub(super) struct EnableKeyRotation;

pub(super) struct EnableInput {
    key_id: String,
    period_days: u32,
}

impl Request for EnableInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let period_days = members.optional_integer("RotationPeriodInDays", &PERIOD_DAYS)?;
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            period_days: period_days.unwrap_or(DEFAULT_PERIOD_DAYS),
        })
    }
}

impl Operation for EnableKeyRotation {
    const NAME: &'static str = "EnableKeyRotation";
    type Input = EnableInput;
    type Output = ();

    async fn run(call: &Call, input: EnableInput) -> Result<(), Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let period = input.period_days.to_string();
        let facts =
            RequestFacts { more: &[("rotationperiodindays", &period)], ..RequestFacts::default() };
        let key = found.authorize(call, facts)?;
        rotation::check(key.key())?;
        multi_region::refuse_replica(key.key())?;
        let period_days = input.period_days;
        let schedule = RotationSchedule { period_days, next: call.now.plus_days(period_days) };
        key.change(call, move |key| {
            // The same period again moves nothing.
            if key.rotation.is_none_or(|rotation| rotation.period_days != period_days) {
                key.rotation = Some(schedule);
            }
            Ok(())
        })
        .await
    }
}

/// The input of operations that take a key and nothing else.
pub(super) struct KeyInput {
    pub(super) key_id: String,
}

impl Request for KeyInput {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { key_id: members.string("KeyId", &shapes::KEY_ID)? })
    }
}

pub(super) struct DisableKeyRotation;

impl Operation for DisableKeyRotation {
    const NAME: &'static str = "DisableKeyRotation";
    type Input = KeyInput;
    type Output = ();

    async fn run(call: &Call, input: KeyInput) -> Result<(), Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let key = found.authorize(call, RequestFacts::default())?;
        rotation::check(key.key())?;
        multi_region::refuse_replica(key.key())?;
        key.change(call, |key| {
            key.rotation = None;
            Ok(())
        })
        .await
    }
}

pub(super) struct GetKeyRotationStatus;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Status {
    key_rotation_enabled: bool,
    key_id: KeyArn,
    #[serde(skip_serializing_if = "Option::is_none")]
    rotation_period_in_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_rotation_date: Option<Timestamp>,
}

impl Operation for GetKeyRotationStatus {
    const NAME: &'static str = "GetKeyRotationStatus";
    type Input = KeyInput;
    type Output = Status;

    async fn run(call: &Call, input: KeyInput) -> Result<Status, Fault> {
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        let key = found.authorize(call, RequestFacts::default())?;
        rotation::check(key.key())?;
        // A key that waits for its deletion is not rotated and shows it.
        let waits = [KeyState::PendingDeletion, KeyState::PendingReplicaDeletion];
        let is_live = !waits.contains(&key.state(call));
        let key = key.in_state(call)?;
        let schedule = key.key().rotation.filter(|_| is_live);
        Ok(Status {
            key_rotation_enabled: schedule.is_some(),
            key_id: key.key().arn(),
            rotation_period_in_days: schedule.map(|schedule| schedule.period_days),
            next_rotation_date: schedule.map(|schedule| schedule.next),
        })
    }
}
