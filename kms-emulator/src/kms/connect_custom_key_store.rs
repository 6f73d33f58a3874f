//! ConnectCustomKeyStore.

use std::sync::Arc;

use super::custom_key_store as stores;
use super::{Call, Operation, connection, shapes};
use crate::protocol::{Fault, Members, Request};
use crate::records::ConnectionState;

pub(super) struct ConnectCustomKeyStore;

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

impl Operation for ConnectCustomKeyStore {
    const NAME: &'static str = "ConnectCustomKeyStore";
    type Input = Input;
    type Output = Output;

    /// Answers at once; the connection is made behind it.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        stores::authorize(call)?;
        let store = stores::find(&call.state, &call.realm, &input.id)?;
        // A cluster that is gone shows later, as the reason of the failure.
        if store.connection == ConnectionState::Disconnected
            && call.state.cluster(&call.realm, &store.cluster).is_some()
        {
            let cluster = stores::active_cluster(call, store.cluster.as_str()).await?;
            stores::check_security_group(&call.kms, &cluster)?;
        }
        let is_new = stores::change(call, &input.id, |_, store| match store.connection {
            ConnectionState::Disconnected => {
                store.connection = ConnectionState::Connecting;
                Ok(true)
            }
            ConnectionState::Connecting | ConnectionState::Connected => Ok(false),
            ConnectionState::Disconnecting | ConnectionState::Failed(_) => {
                Err(stores::invalid_state(store, "Disconnect it before you connect it again."))
            }
        })
        .await?;
        if is_new {
            let kms = Arc::clone(&call.kms);
            tokio::spawn(connection::connect(kms, call.realm.clone(), store.id.clone()));
        }
        Ok(Output {})
    }
}
