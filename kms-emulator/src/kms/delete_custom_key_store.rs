//! DeleteCustomKeyStore.

use super::custom_key_store as stores;
use super::{Call, Operation, shapes};
use crate::protocol::{Fault, FaultCode, Members, Request};
use crate::records::Key;
use crate::registry::Realm;

pub(super) struct DeleteCustomKeyStore;

pub(super) struct Input {
    id: String,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { id: members.string("CustomKeyStoreId", &shapes::CUSTOM_KEY_STORE_ID)? })
    }
}

/// The reply, which has no members.
#[derive(Debug, serde::Serialize)]
pub(super) struct Output {}

impl Operation for DeleteCustomKeyStore {
    const NAME: &'static str = "DeleteCustomKeyStore";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        stores::authorize(call)?;
        let (realm, now) = (call.realm.clone(), call.now);
        call.update(move |draft| {
            let store = stores::find(draft.state(), &realm, &input.id)?;
            let holds = |key: &Key| key.custom_key_store.as_deref() == Some(store.id.as_str());
            let keys = draft.state().realm(&realm).into_iter().flat_map(Realm::keys);
            // A key that waits for its deletion can still be kept by cancelling it.
            if keys.into_iter().any(|key| holds(key) && !key.is_expired(now)) {
                return Err(Fault::new(
                    FaultCode::CustomKeyStoreHasCMKsException,
                    format!("Custom key store {} contains KMS keys.", store.id),
                ));
            }
            stores::check_disconnected(&store)?;
            draft.delete_custom_key_store(&realm, &store.id);
            Ok(())
        })
        .await?;
        Ok(Output {})
    }
}
