//! UpdateCustomKeyStore.

use std::sync::Arc;

use super::custom_key_store::{self as stores, CLUSTER_ID, NAME, PASSWORD};
use super::{Call, Operation, external_key_store, shapes};
use crate::protocol::{Fault, FaultCode, Members, Request};
use crate::records::{Cluster, ConnectionState, CustomKeyStore, KeyStorePassword, Passwords};

pub(super) struct UpdateCustomKeyStore;

pub(super) struct Input {
    id: String,
    name: Option<String>,
    password: Option<Arc<KeyStorePassword>>,
    cluster: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        external_key_store::refuse(members)?;
        Ok(Self {
            id: members.string("CustomKeyStoreId", &shapes::CUSTOM_KEY_STORE_ID)?,
            name: members.optional_string("NewCustomKeyStoreName", &NAME)?,
            password: members
                .optional_string("KeyStorePassword", &PASSWORD)?
                .map(|password| Arc::new(KeyStorePassword::new(password))),
            cluster: members.optional_string("CloudHsmClusterId", &CLUSTER_ID)?,
        })
    }
}

/// The reply, which has no members.
#[derive(Debug, serde::Serialize)]
pub(super) struct Output {}

impl Operation for UpdateCustomKeyStore {
    const NAME: &'static str = "UpdateCustomKeyStore";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        stores::authorize(call)?;
        let store = stores::find(&call.state, &call.realm, &input.id)?;
        check_state(&store, &input)?;
        let cluster = match &input.cluster {
            Some(id) => Some(related_cluster(call, &store, id).await?),
            None => None,
        };
        let id = input.id.clone();
        stores::change(call, &id, move |state, store| {
            check_state(store, &input)?;
            if let Some(name) = &input.name {
                stores::check_name(state, &store.realm, name, Some(&store.id))?;
                store.name = name.as_str().into();
            }
            if let Some(password) = &input.password {
                // What was left of an interrupted rotation does not count any more.
                store.passwords = Passwords { current: Arc::clone(password), next: None };
            }
            if let Some(cluster) = &cluster {
                stores::check_not_in_use(state, &store.realm, cluster, Some(&store.id))?;
                store.cluster = cluster.id.clone();
            }
            Ok(())
        })
        .await?;
        Ok(Output {})
    }
}

/// A connected store can be renamed; everything else needs one that is disconnected.
fn check_state(store: &CustomKeyStore, input: &Input) -> Result<(), Fault> {
    if input.name.is_none() && input.password.is_none() && input.cluster.is_none() {
        return Err(Fault::validation(
            "Specify at least one of NewCustomKeyStoreName, KeyStorePassword and CloudHsmClusterId.",
        ));
    }
    let is_rename = input.password.is_none() && input.cluster.is_none();
    if is_rename && store.connection == ConnectionState::Connected {
        return Ok(());
    }
    stores::check_disconnected(store)
}

/// The new cluster: it has what a store needs, and the certificate of the old one.
async fn related_cluster(
    call: &Call,
    store: &CustomKeyStore,
    id: &str,
) -> Result<Arc<Cluster>, Fault> {
    let cluster = stores::active_cluster(call, id).await?;
    stores::check_security_group(&call.kms, &cluster)?;
    stores::check_two_hsms(&call.kms, &cluster).await?;
    if stores::certificate(&cluster) != Some(&*store.cluster_certificate) {
        return Err(Fault::new(
            FaultCode::CloudHsmClusterNotRelatedException,
            format!(
                "The CloudHSM cluster {id} has a different cluster certificate than the original \
                 cluster {}.",
                store.cluster
            ),
        ));
    }
    Ok(cluster)
}
