//! UpdatePrimaryRegion.

use super::access::{FoundKey, Naming, key_not_found, live_key};
use super::multi_region::{self, REGION};
use super::{Call, Operation, shapes};
use crate::ids::{RealmId, Region};
use crate::policy::RequestFacts;
use crate::protocol::{Fault, Members, Request};
use crate::records::Key;

pub(super) struct UpdatePrimaryRegion;

pub(super) struct Input {
    key_id: String,
    region: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            key_id: members.string("KeyId", &shapes::KEY_ID)?,
            region: members.string("PrimaryRegion", &REGION)?,
        })
    }
}

impl Operation for UpdatePrimaryRegion {
    const NAME: &'static str = "UpdatePrimaryRegion";
    type Input = Input;
    type Output = ();

    /// Permission on both keys: the one that steps down and the one that steps up.
    async fn run(call: &Call, input: Input) -> Result<(), Fault> {
        let region: Region = input
            .region
            .parse()
            .map_err(|_| Fault::validation(format!("Invalid Region {}", input.region)))?;
        let found = call.find_key(&input.key_id, Naming::KeyOnly)?;
        call.check_own(found.key())?;
        let realm = RealmId { account: found.key().realm.account, region };
        let facts = RequestFacts {
            more: &[("primaryregion", realm.region.as_str())],
            ..RequestFacts::default()
        };
        let key = found.authorize(call, facts)?;
        multi_region::check_primary(key.key())?;
        let id = key.key().id;
        let absent = || key_not_found(&realm.key_arn(id).to_string());
        let replica = live_key(&call.state, &realm, id, call.now).ok_or_else(absent)?;
        FoundKey::of(replica).authorize(call, facts)?.in_state(call)?;
        let key = key.in_state(call)?;
        let (old, now) = (key.key().realm.clone(), call.now);
        call.update(move |draft| {
            let absent = |realm: &RealmId| key_not_found(&realm.key_arn(id).to_string());
            let newest = live_key(draft.state(), &old, id, now).ok_or_else(|| absent(&old))?;
            multi_region::check_primary(newest)?;
            live_key(draft.state(), &realm, id, now).ok_or_else(|| absent(&realm))?;
            let relatives = draft.state().relatives(newest).chain([newest]);
            let keys: Vec<Key> = relatives.map(|key| Key::clone(key)).collect();
            for mut key in keys {
                key.primary_region = Some(realm.region.clone());
                draft.put_key(key);
            }
            Ok(())
        })
        .await
    }
}
