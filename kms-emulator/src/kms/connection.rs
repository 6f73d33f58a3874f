//! Connections of custom key stores: made behind ConnectCustomKeyStore, and taken up again at a start.

use std::sync::Arc;

use super::Kms;
use super::custom_key_store::trust_anchor;
use crate::cloudhsm::Zone;
use crate::ids::{CustomKeyStoreId, RealmId};
use crate::keystore::{Connect, Connection, Pool};
use crate::records::{ConnectionError, ConnectionState, CustomKeyStore};

/// Connects a store that is `CONNECTING`, and writes down what became of it.
pub(super) async fn connect(kms: Arc<Kms>, realm: RealmId, id: CustomKeyStoreId) {
    let outcome = match make(&kms, &realm, &id).await {
        Ok(connection) => {
            // In use before anybody is told that it is.
            kms.key_stores.connect(&id, &connection);
            ConnectionState::Connected
        }
        Err(error) => ConnectionState::Failed(error),
    };
    if !write_down(&kms, realm, id.clone(), outcome).await
        && let Some(connection) = kms.key_stores.disconnect(&id)
    {
        connection.close().await;
    }
}

async fn make(
    kms: &Kms,
    realm: &RealmId,
    id: &CustomKeyStoreId,
) -> Result<Arc<dyn Connection>, ConnectionError> {
    let state = kms.registry.state();
    let store = state.custom_key_store(realm, id).ok_or(ConnectionError::InternalError)?;
    let cluster = state.cluster(realm, &store.cluster).ok_or(ConnectionError::ClusterNotFound)?;
    let network = kms.cloudhsm.network();
    let zones = Zone::of_cluster(&realm.region, &cluster.subnets);
    let faults = network.faults();
    if !zones.iter().all(|zone| faults.has_subnet(zone.subnet)) {
        return Err(ConnectionError::SubnetNotFound);
    }
    if !zones.iter().all(|zone| network.has_free_address(&state, zone)) {
        return Err(ConnectionError::InsufficientFreeAddresses);
    }
    let anchor = trust_anchor(&store.trust_anchor, kms.clock.now()).map_err(|fault| {
        tracing::warn!(store = %id, %fault, "the trust anchor does not serve any more");
        ConnectionError::InternalError
    })?;
    let (store, cluster) = (Arc::clone(store), Arc::clone(cluster));
    Ok(Connect { registry: kms.registry.clone(), store, cluster, anchor }.run().await?)
}

/// Returns whether the outcome stands: a store may have been disconnected meanwhile.
async fn write_down(
    kms: &Kms,
    realm: RealmId,
    id: CustomKeyStoreId,
    outcome: ConnectionState,
) -> bool {
    let name = id.clone();
    let update = kms.registry.update(move |draft| {
        let store = draft.state().custom_key_store(&realm, &id).ok_or(())?;
        if store.connection != ConnectionState::Connecting {
            return Err(());
        }
        let mut changed = CustomKeyStore::clone(store);
        changed.connection = outcome;
        draft.put_custom_key_store(changed);
        Ok::<(), ()>(())
    });
    match update.await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(store = %name, ?error, "a connection was abandoned");
            false
        }
    }
}

/// Takes up, at a start of the server, the connections that its last run had.
pub(crate) async fn resume_all(kms: &Arc<Kms>) {
    let state = kms.registry.state();
    for store in state.all_custom_key_stores() {
        let (realm, id) = (store.realm.clone(), store.id.clone());
        match store.connection {
            ConnectionState::Connected => resume(kms, store).await,
            // The connection was being made: from the beginning, with the passwords as they are.
            ConnectionState::Connecting => {
                tokio::spawn(connect(Arc::clone(kms), realm, id));
            }
            ConnectionState::Disconnecting => finish_disconnecting(kms, realm, id).await,
            ConnectionState::Disconnected | ConnectionState::Failed(_) => {}
        }
    }
}

async fn resume(kms: &Kms, store: &CustomKeyStore) {
    match trust_anchor(&store.trust_anchor, kms.clock.now()) {
        Ok(anchor) => {
            let pool = Pool::resume(kms.registry.clone(), store, anchor).await;
            kms.key_stores.connect(&store.id, &(pool as Arc<dyn Connection>));
        }
        Err(fault) => {
            tracing::error!(store = %store.id, %fault, "a key store is not connected again");
        }
    }
}

/// The sessions have ended with the server that had them.
async fn finish_disconnecting(kms: &Kms, realm: RealmId, id: CustomKeyStoreId) {
    let update = kms.registry.update(move |draft| {
        let store = draft.state().custom_key_store(&realm, &id).ok_or(())?;
        let mut changed = CustomKeyStore::clone(store);
        changed.connection = ConnectionState::Disconnected;
        draft.put_custom_key_store(changed);
        Ok::<(), ()>(())
    });
    if let Err(error) = update.await {
        tracing::error!(?error, "a key store still shows that it is being disconnected");
    }
}
