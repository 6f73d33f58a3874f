//! CreateCustomKeyStore.

use std::sync::Arc;

use serde::Serialize;

use super::custom_key_store::{self as stores, CLUSTER_ID, NAME, PASSWORD, TRUST_ANCHOR};
use super::{Call, Operation, external_key_store};
use crate::ids::CustomKeyStoreId;
use crate::protocol::{EnumValues, Fault, FaultCode, Members, Request};
use crate::records::{Cluster, ConnectionState, CustomKeyStore, KeyStorePassword, Passwords};
use crate::registry::State;

/// Custom key stores of one account in one Region (quota of KMS).
const STORES_MAX: usize = 10;

pub(super) struct CreateCustomKeyStore;

/// `CustomKeyStoreType`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StoreType {
    AwsCloudHsm,
    ExternalKeyStore,
}

impl EnumValues for StoreType {
    const VALUES: &'static [(&'static str, Self)] =
        &[("AWS_CLOUDHSM", Self::AwsCloudHsm), ("EXTERNAL_KEY_STORE", Self::ExternalKeyStore)];
}

pub(super) struct Input {
    name: String,
    kind: Option<StoreType>,
    cluster: Option<String>,
    trust_anchor: Option<String>,
    password: Option<Arc<KeyStorePassword>>,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    custom_key_store_id: CustomKeyStoreId,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        external_key_store::refuse(members)?;
        Ok(Self {
            name: members.string("CustomKeyStoreName", &NAME)?,
            kind: members.optional_enum("CustomKeyStoreType")?,
            cluster: members.optional_string("CloudHsmClusterId", &CLUSTER_ID)?,
            trust_anchor: members.optional_string("TrustAnchorCertificate", &TRUST_ANCHOR)?,
            password: members
                .optional_string("KeyStorePassword", &PASSWORD)?
                .map(|password| Arc::new(KeyStorePassword::new(password))),
        })
    }
}

impl Operation for CreateCustomKeyStore {
    const NAME: &'static str = "CreateCustomKeyStore";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        stores::authorize(call)?;
        if input.kind == Some(StoreType::ExternalKeyStore) {
            return Err(external_key_store::unsupported());
        }
        let wanted = wanted(call, input)?;
        if let Some(same) = same_as(&call.state, &wanted) {
            return Ok(Output { custom_key_store_id: same });
        }
        stores::check_name(&call.state, &call.realm, &wanted.name, None)?;
        let cluster = stores::active_cluster(call, wanted.cluster.as_str()).await?;
        stores::check_security_group(&call.kms, &cluster)?;
        stores::check_two_hsms(&call.kms, &cluster).await?;
        check_trust_anchor(call, &wanted, &cluster)?;
        let store = CustomKeyStore {
            cluster_certificate: stores::certificate(&cluster).unwrap_or_default().into(),
            ..wanted
        };
        let custom_key_store_id = store.id.clone();
        call.update(move |draft| {
            let (state, realm) = (draft.state(), &store.realm);
            stores::check_name(state, realm, &store.name, None)?;
            stores::check_not_in_use(state, realm, &cluster, None)?;
            if state.realm(realm).map_or(0, |realm| realm.custom_key_stores().count()) >= STORES_MAX
            {
                return Err(Fault::new(
                    FaultCode::LimitExceededException,
                    format!("You have reached the limit of {STORES_MAX} custom key stores."),
                ));
            }
            draft.put_custom_key_store(store.clone());
            Ok(())
        })
        .await?;
        Ok(Output { custom_key_store_id })
    }
}

/// The store that the request asks for, if it asks for all that one needs.
fn wanted(call: &Call, input: Input) -> Result<CustomKeyStore, Fault> {
    let needed = |member: &str| {
        Fault::validation(format!(
            "{member} is required for a custom key store of type AWS_CLOUDHSM."
        ))
    };
    let cluster = input.cluster.ok_or_else(|| needed("CloudHsmClusterId"))?;
    let trust_anchor = input.trust_anchor.ok_or_else(|| needed("TrustAnchorCertificate"))?;
    let current = input.password.ok_or_else(|| needed("KeyStorePassword"))?;
    Ok(CustomKeyStore {
        realm: call.realm.clone(),
        id: CustomKeyStoreId::random(),
        name: input.name.into(),
        created: call.now,
        cluster: cluster.parse().map_err(|_| stores::cluster_not_found(&cluster))?,
        trust_anchor: trust_anchor.into(),
        cluster_certificate: Arc::default(),
        passwords: Passwords { current, next: None },
        connection: ConnectionState::Disconnected,
    })
}

/// A store that is disconnected and in all else the one that is asked for.
fn same_as(state: &State, wanted: &CustomKeyStore) -> Option<CustomKeyStoreId> {
    let is_same = |store: &CustomKeyStore| {
        store.name == wanted.name
            && store.cluster == wanted.cluster
            && store.trust_anchor == wanted.trust_anchor
            && store.connection == ConnectionState::Disconnected
            && store.passwords.next.is_none()
            && is_equal(&store.passwords.current, &wanted.passwords.current)
    };
    let mut stores = state.realm(&wanted.realm)?.custom_key_stores();
    stores.find(|store| is_same(store)).map(|store| store.id.clone())
}

fn is_equal(a: &KeyStorePassword, b: &KeyStorePassword) -> bool {
    use subtle::ConstantTimeEq;
    a.expose().as_bytes().ct_eq(b.expose().as_bytes()).into()
}

/// Demands the certificate with which the cluster was initialised.
fn check_trust_anchor(
    call: &Call,
    wanted: &CustomKeyStore,
    cluster: &Cluster,
) -> Result<(), Fault> {
    let refused = |why: &str| {
        Err(Fault::new(
            FaultCode::IncorrectTrustAnchorException,
            format!(
                "The trust anchor certificate is not the one with which the CloudHSM cluster {} was \
                 initialized{why}.",
                cluster.id
            ),
        ))
    };
    let Some(claim) = &cluster.claim else { return refused("") };
    let given = match stores::trust_anchor(&wanted.trust_anchor, call.now) {
        Ok(anchor) => anchor,
        Err(fault) => return refused(&format!(": {fault}")),
    };
    match stores::trust_anchor(&claim.trust_anchor, call.now) {
        Ok(own) if own.is_same(&given) => Ok(()),
        _ => refused(""),
    }
}
