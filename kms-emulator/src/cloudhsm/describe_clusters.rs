//! DescribeClusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::lookup::{authorize, observe};
use super::network::VPC;
use super::shapes::{self, invalid_request};
use super::show::{ShownCluster, state_of};
use crate::ids::ClusterId;
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, IntegerLimits, ListLimits, Members, Request};
use crate::records::Cluster;
use crate::registry::Realm;

/// Clusters of one page, if none is asked for: all that the model allows.
const PAGE_CLUSTERS_DEFAULT: u32 = 25;

pub(super) struct DescribeClusters;

pub(super) struct Input {
    filters: BTreeMap<String, Vec<String>>,
    next_token: Option<String>,
    max_results: u32,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    clusters: Vec<ShownCluster>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const PAGE: IntegerLimits = IntegerLimits { min: 1, max: 25 };
        const FILTERS: ListLimits = ListLimits::of(0, 30);
        Ok(Self {
            filters: members.optional_string_lists("Filters", &FILTERS)?.unwrap_or_default(),
            next_token: members.optional_string("NextToken", &shapes::TOKEN)?,
            max_results: members
                .optional_integer("MaxResults", &PAGE)?
                .unwrap_or(PAGE_CLUSTERS_DEFAULT),
        })
    }
}

impl Operation for DescribeClusters {
    const NAME: &'static str = "DescribeClusters";
    type Input = Input;
    type Output = Output;

    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        authorize(call, "*")?;
        check_filters(&input.filters)?;
        let after = input.next_token.as_deref().map(parse_token).transpose()?;
        let realm = call.state.realm(&call.realm);
        let clusters: Vec<Arc<Cluster>> =
            realm.into_iter().flat_map(Realm::clusters).map(Arc::clone).collect();
        let page_max = usize::try_from(input.max_results).unwrap_or(usize::MAX);
        let (mut shown, mut next_token) = (Vec::new(), None);
        let mut last: Option<ClusterId> = None;
        for cluster in clusters {
            if after.as_ref().is_some_and(|after| cluster.id <= *after) {
                continue;
            }
            let cluster = observe(&call.kms, cluster).await;
            if !passes(&cluster, &input.filters, state_of(&cluster, call.now).0) {
                continue;
            }
            if shown.len() == page_max {
                next_token = last.map(|id| id.to_string());
                break;
            }
            last = Some(cluster.id.clone());
            shown.push(ShownCluster::now(&call.kms.cloudhsm, &cluster, call.now).await);
        }
        Ok(Output { clusters: shown, next_token })
    }
}

fn parse_token(token: &str) -> Result<ClusterId, Fault> {
    token.parse().map_err(|_| invalid_request("The NextToken is not one that was given out."))
}

fn check_filters(filters: &BTreeMap<String, Vec<String>>) -> Result<(), Fault> {
    match filters.keys().find(|name| !["clusterIds", "vpcIds", "states"].contains(&name.as_str())) {
        Some(name) => Err(invalid_request(format!(
            "Invalid filter {name}. Filters: clusterIds, vpcIds, states."
        ))),
        None => Ok(()),
    }
}

/// Whether each filter has the cluster's value among its own.
fn passes(cluster: &Cluster, filters: &BTreeMap<String, Vec<String>>, state: &str) -> bool {
    filters.iter().all(|(name, wanted)| {
        let value = match name.as_str() {
            "clusterIds" => cluster.id.as_str(),
            "vpcIds" => VPC,
            _ => state,
        };
        wanted.iter().any(|wanted| wanted == value)
    })
}
