//! CreateCluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exchange::HSM_TYPES;
use super::lookup::{authorize, source_backup};
use super::network::Zone;
use super::retention::{self, RetentionPolicy};
use super::shapes::{self, invalid_request, not_found};
use super::show::{ClusterReply, ShownCluster};
use super::tags;
use crate::ids::{ClusterId, Region};
use crate::kms::{Call, Operation};
use crate::protocol::{EnumValues, Fault, FaultCode, ListLimits, Members, Request};
use crate::records::{Backup, Cluster, ClusterStage};

/// Clusters of one account in one Region (quota of CloudHSM).
const CLUSTERS_MAX: usize = 4;

pub(super) struct CreateCluster;

pub(super) struct Input {
    hsm_type: String,
    subnets: Vec<String>,
    backup_retention: Option<RetentionPolicy>,
    source_backup: Option<String>,
    network_type: Option<NetworkType>,
    mode: Option<Mode>,
    tags: BTreeMap<String, String>,
}

/// `NetworkType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NetworkType {
    Ipv4,
    DualStack,
}

impl EnumValues for NetworkType {
    const VALUES: &'static [(&'static str, Self)] =
        &[("IPV4", Self::Ipv4), ("DUALSTACK", Self::DualStack)];
}

/// `ClusterMode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Fips,
    NonFips,
}

impl EnumValues for Mode {
    const VALUES: &'static [(&'static str, Self)] =
        &[("FIPS", Self::Fips), ("NON_FIPS", Self::NonFips)];
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const SUBNET_LIST: ListLimits = ListLimits::of(1, 10);
        let subnets = members.optional_strings("SubnetIds", &SUBNET_LIST, &shapes::SUBNET_ID)?;
        Ok(Self {
            hsm_type: members.string("HsmType", &shapes::HSM_TYPE)?,
            subnets: members.require("SubnetIds", subnets),
            backup_retention: RetentionPolicy::read(members)?,
            source_backup: members.optional_string("SourceBackupId", &shapes::BACKUP_NAME)?,
            network_type: members.optional_enum("NetworkType")?,
            mode: members.optional_enum("Mode")?,
            tags: tags::optional_tags(members)?.unwrap_or_default(),
        })
    }
}

impl Operation for CreateCluster {
    const NAME: &'static str = "CreateCluster";
    type Input = Input;
    type Output = ClusterReply;

    async fn run(call: &Call, input: Input) -> Result<ClusterReply, Fault> {
        authorize(call, "*")?;
        check_kind(&input)?;
        let source = match &input.source_backup {
            Some(name) => Some(source_backup(call, name)?),
            None => None,
        };
        let source = source.as_deref();
        let backup_retention_days =
            input.backup_retention.as_ref().map(RetentionPolicy::days).transpose()?;
        let cluster = Cluster {
            realm: call.realm.clone(),
            id: ClusterId::random(),
            created: call.now,
            hsm_type: input.hsm_type.as_str().into(),
            exchange: None,
            subnets: Arc::new(subnets(call, &input.subnets)?),
            backup_retention_days: backup_retention_days.unwrap_or(retention::DAYS_DEFAULT),
            tags: Arc::new(input.tags),
            stage: source.map_or(ClusterStage::Uninitialized, |backup| backup.stage),
            busy_until: call.kms.cloudhsm.done_at(call.now),
            certificates: source.map(|backup| Arc::clone(&backup.certificates)),
            claim: source.map(|backup| Arc::clone(&backup.claim)),
            source_backup: source.map(|backup: &Backup| backup.id.clone()),
            hsms: Arc::default(),
        };
        let shown = ShownCluster::of(&cluster, "CREATE_IN_PROGRESS", "", Vec::new());
        call.update(move |draft| {
            let realm = draft.state().realm(&cluster.realm);
            if realm.map_or(0, |realm| realm.clusters().count()) >= CLUSTERS_MAX {
                return Err(Fault::new(
                    FaultCode::CloudHsmResourceLimitExceededException,
                    format!("You have reached the limit of {CLUSTERS_MAX} clusters."),
                ));
            }
            draft.put_cluster(cluster.clone());
            Ok(())
        })
        .await?;
        Ok(ClusterReply { cluster: shown })
    }
}

/// Refuses the kinds of clusters that are not provided.
fn check_kind(input: &Input) -> Result<(), Fault> {
    if !HSM_TYPES.contains(&input.hsm_type.as_str()) {
        return Err(invalid_request(format!(
            "Invalid HSM type {}. Types: {}.",
            input.hsm_type,
            HSM_TYPES.join(", ")
        )));
    }
    if input.network_type == Some(NetworkType::DualStack) {
        return Err(invalid_request("The only network type provided here is IPV4."));
    }
    if input.mode == Some(Mode::NonFips) {
        return Err(invalid_request("The only mode provided here is FIPS."));
    }
    Ok(())
}

/// The subnets by zone: of one VPC, each in another zone.
fn subnets(call: &Call, ids: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    let faults = call.kms.cloudhsm.network().faults();
    match ids.iter().find(|id| !faults.has_subnet(id)) {
        Some(id) => Err(subnet_not_found(id)),
        None => subnets_by_zone(&call.realm.region, ids),
    }
}

fn subnet_not_found(id: &str) -> Fault {
    not_found(format!("The subnet {id} does not exist."))
}

fn subnets_by_zone(region: &Region, ids: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    if ids.is_empty() {
        return Err(invalid_request("At least one subnet is required."));
    }
    let mut by_zone = BTreeMap::new();
    for id in ids {
        let zone = Zone::of_subnet(region, id).ok_or_else(|| subnet_not_found(id))?;
        if by_zone.insert(zone.name.clone(), id.clone()).is_some() {
            return Err(invalid_request(format!(
                "Only one subnet per Availability Zone: {} is given twice.",
                zone.name
            )));
        }
    }
    Ok(by_zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_has_one_subnet_in_a_zone() {
        let region = "eu-west-1".parse().unwrap();
        let both = ["subnet-0000000a".to_owned(), "subnet-0000000b".to_owned()];
        let by_zone = subnets_by_zone(&region, &both).unwrap();
        assert_eq!(by_zone.keys().collect::<Vec<_>>(), ["eu-west-1a", "eu-west-1b"]);
        assert!(
            subnets_by_zone(&region, &["subnet-0000000a".to_owned(), "subnet-0000000a".to_owned()])
                .is_err()
        );
        assert!(subnets_by_zone(&region, &["subnet-0000000d".to_owned()]).is_err());
        assert!(subnets_by_zone(&region, &[]).is_err());
    }
}
