//! DisconnectCustomKeyStore.

use super::custom_key_store as stores;
use super::{Call, Operation, shapes};
use crate::protocol::{Fault, Members, Request};
use crate::records::ConnectionState;

pub(super) struct DisconnectCustomKeyStore;

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

impl Operation for DisconnectCustomKeyStore {
    const NAME: &'static str = "DisconnectCustomKeyStore";
    type Input = Input;
    type Output = Output;

    /// The store shows `DISCONNECTING` until `kmsuser` is logged out of every HSM.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        stores::authorize(call)?;
        let id = stores::change(call, &input.id, |_, store| match store.connection {
            ConnectionState::Disconnected | ConnectionState::Disconnecting => {
                Err(stores::invalid_state(store, "It is disconnected already."))
            }
            _ => {
                store.connection = ConnectionState::Disconnecting;
                Ok(store.id.clone())
            }
        })
        .await?;
        if let Some(connection) = call.kms.key_stores.disconnect(&id) {
            connection.close().await;
        }
        stores::change(call, &input.id, |_, store| {
            if store.connection == ConnectionState::Disconnecting {
                store.connection = ConnectionState::Disconnected;
            }
            Ok(())
        })
        .await?;
        Ok(Output {})
    }
}
