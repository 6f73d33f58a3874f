//! DescribeCustomKeyStores.

use std::sync::Arc;

use serde::Serialize;

use super::custom_key_store::{self as stores, NAME};
use super::pagination::Page;
use super::{Call, Operation, shapes};
use crate::clock::Timestamp;
use crate::ids::{ClusterId, CustomKeyStoreId};
use crate::keystore::custom_key_store_not_found;
use crate::protocol::{Fault, Members, Request};
use crate::records::{ConnectionError, CustomKeyStore};
use crate::registry::Realm;

/// Stores of one page, if no limit is given; an account has no more.
const PAGE_STORES_DEFAULT: u32 = 100;

pub(super) struct DescribeCustomKeyStores;

pub(super) struct Input {
    id: Option<String>,
    name: Option<String>,
    page: Page,
}

/// `CustomKeyStoresListEntry`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    custom_key_store_id: CustomKeyStoreId,
    custom_key_store_name: String,
    cloud_hsm_cluster_id: ClusterId,
    trust_anchor_certificate: String,
    connection_state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_error_code: Option<&'static str>,
    creation_date: Timestamp,
    custom_key_store_type: &'static str,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    custom_key_stores: Vec<Entry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
    truncated: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            id: members.optional_string("CustomKeyStoreId", &shapes::CUSTOM_KEY_STORE_ID)?,
            name: members.optional_string("CustomKeyStoreName", &NAME)?,
            page: Page::read(members, PAGE_STORES_DEFAULT)?,
        })
    }
}

impl Operation for DescribeCustomKeyStores {
    const NAME: &'static str = "DescribeCustomKeyStores";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        stores::authorize(call)?;
        let found = select(call, &input)?;
        let after: Option<CustomKeyStoreId> = input.page.after(|id| id.parse().ok())?;
        let rest =
            found.iter().filter(|store| after.as_ref().is_none_or(|after| store.id > *after));
        let listed = input.page.take(rest.map(|store| Entry::of(store)), |entry| {
            entry.custom_key_store_id.to_string()
        });
        Ok(Output {
            truncated: listed.next_marker.is_some(),
            next_marker: listed.next_marker,
            custom_key_stores: listed.items,
        })
    }
}

impl Entry {
    fn of(store: &CustomKeyStore) -> Self {
        Self {
            custom_key_store_id: store.id.clone(),
            custom_key_store_name: store.name.to_string(),
            cloud_hsm_cluster_id: store.cluster.clone(),
            trust_anchor_certificate: store.trust_anchor.to_string(),
            connection_state: store.connection.as_str(),
            connection_error_code: store.connection.error().map(ConnectionError::as_str),
            creation_date: store.created,
            custom_key_store_type: "AWS_CLOUDHSM",
        }
    }
}

/// The stores that the request asks for, by id.
fn select(call: &Call, input: &Input) -> Result<Vec<Arc<CustomKeyStore>>, Fault> {
    let realm = call.state.realm(&call.realm);
    let mut all = realm.into_iter().flat_map(Realm::custom_key_stores);
    match (&input.id, &input.name) {
        (None, None) => Ok(all.map(Arc::clone).collect()),
        (Some(id), None) => Ok(vec![stores::find(&call.state, &call.realm, id)?]),
        (None, Some(name)) => match all.find(|store| *store.name == **name) {
            Some(store) => Ok(vec![Arc::clone(store)]),
            None => Err(custom_key_store_not_found(name)),
        },
        (Some(_), Some(_)) => Err(Fault::validation(
            "Specify either CustomKeyStoreId or CustomKeyStoreName, but not both.",
        )),
    }
}
