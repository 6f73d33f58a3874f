//! CreateCluster.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::lookup::authorize;
use super::network::Zone;
use super::shapes::{invalid_request, not_found};
use super::show::{ClusterReply, ShownCluster};
use crate::ids::{ClusterId, Region};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, FaultCode, ListLimits, Members, Request, StringLimits};
use crate::records::{Cluster, ClusterStage};

/// Clusters of one account in one Region (quota of CloudHSM).
const CLUSTERS_MAX: usize = 4;
/// Tags of one cluster (quota of CloudHSM).
const TAG_COUNT_MAX: usize = 50;
/// The hardware that is simulated.
const HSM_TYPES: [&str; 2] = ["hsm1.medium", "hsm2m.medium"];
/// Days for which backups are kept: bounds and default of the user guide.
const RETENTION_DAYS: std::ops::RangeInclusive<u32> = 7..=379;
const RETENTION_DAYS_DEFAULT: u32 = 90;

pub(super) struct CreateCluster;

pub(super) struct Input {
    hsm_type: String,
    subnets: Vec<String>,
    backup_retention: Option<(Option<String>, Option<String>)>,
    source_backup: Option<String>,
    network_type: Option<String>,
    mode: Option<String>,
    tags: Vec<(String, String)>,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        const HSM_TYPE: StringLimits = StringLimits::length(0, 32)
            .pattern("((p|)hsm[0-9][a-z.]*\\.[a-zA-Z]+)", |text| text.contains("hsm"));
        const SUBNET_LIST: ListLimits = ListLimits { items_max: 10 };
        const SUBNET: StringLimits = StringLimits::length(0, 256)
            .pattern("subnet-[0-9a-fA-F]{8,17}", |text| text.starts_with("subnet-"));
        const TAG_LIST: ListLimits = ListLimits { items_max: TAG_COUNT_MAX };
        const TAG_KEY: StringLimits = StringLimits::length(1, 128);
        const TAG_VALUE: StringLimits = StringLimits::length(0, 256);
        const SHORT: StringLimits = StringLimits::length(0, 256);
        let subnets = members.optional_strings("SubnetIds", &SUBNET_LIST, &SUBNET)?;
        Ok(Self {
            hsm_type: members.string("HsmType", &HSM_TYPE)?,
            subnets: members.require("SubnetIds", subnets),
            backup_retention: members.optional_structure("BackupRetentionPolicy", |policy| {
                Ok((
                    policy.optional_string("Type", &SHORT)?,
                    policy.optional_string("Value", &SHORT)?,
                ))
            })?,
            source_backup: members.optional_string("SourceBackupId", &SHORT)?,
            network_type: members.optional_string("NetworkType", &SHORT)?,
            mode: members.optional_string("Mode", &SHORT)?,
            tags: members
                .optional_structures("TagList", &TAG_LIST, |tag| {
                    Ok((tag.string("Key", &TAG_KEY)?, tag.string("Value", &TAG_VALUE)?))
                })?
                .unwrap_or_default(),
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
        let cluster = Cluster {
            realm: call.realm.clone(),
            id: ClusterId::random(),
            created: call.now,
            hsm_type: input.hsm_type.as_str().into(),
            subnets: Arc::new(subnets(&call.realm.region, &input.subnets)?),
            backup_retention_days: retention_days(input.backup_retention)?,
            tags: Arc::new(tags(input.tags)?),
            stage: ClusterStage::Uninitialized,
            busy_until: call.kms.cloudhsm.done_at(call.now),
            certificates: None,
            claim: None,
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
    if input.source_backup.is_some() {
        return Err(Fault::unsupported("Clusters from backups are not provided here."));
    }
    if !matches!(input.network_type.as_deref(), None | Some("IPV4")) {
        return Err(Fault::unsupported("The only network type provided here is IPV4."));
    }
    if !matches!(input.mode.as_deref(), None | Some("FIPS")) {
        return Err(Fault::unsupported("The only mode provided here is FIPS."));
    }
    Ok(())
}

/// The subnets by zone: of one VPC, each in another zone.
fn subnets(region: &Region, ids: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    if ids.is_empty() {
        return Err(invalid_request("At least one subnet is required."));
    }
    let mut by_zone = BTreeMap::new();
    for id in ids {
        let zone = Zone::of_subnet(region, id)
            .ok_or_else(|| not_found(format!("The subnet {id} does not exist.")))?;
        if by_zone.insert(zone.name.clone(), id.clone()).is_some() {
            return Err(invalid_request(format!(
                "Only one subnet per Availability Zone: {} is given twice.",
                zone.name
            )));
        }
    }
    Ok(by_zone)
}

fn retention_days(policy: Option<(Option<String>, Option<String>)>) -> Result<u32, Fault> {
    let refused = || {
        invalid_request(format!(
            "The backup retention is a number of DAYS from {} to {}.",
            RETENTION_DAYS.start(),
            RETENTION_DAYS.end()
        ))
    };
    match policy {
        None => Ok(RETENTION_DAYS_DEFAULT),
        Some((Some(kind), Some(value))) if kind == "DAYS" => {
            value.parse().ok().filter(|days| RETENTION_DAYS.contains(days)).ok_or_else(refused)
        }
        Some(_) => Err(refused()),
    }
}

fn tags(list: Vec<(String, String)>) -> Result<BTreeMap<String, String>, Fault> {
    let count = list.len();
    let tags: BTreeMap<_, _> = list.into_iter().collect();
    if tags.len() != count {
        let message = "A tag key is given twice.";
        return Err(Fault::new(FaultCode::CloudHsmTagException, message));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_bounded() {
        let days = |value: &str| retention_days(Some((Some("DAYS".into()), Some(value.into()))));
        assert_eq!(days("7").unwrap(), 7);
        assert_eq!(days("379").unwrap(), 379);
        assert!(days("6").is_err() && days("380").is_err() && days("x").is_err());
        assert_eq!(retention_days(None).unwrap(), RETENTION_DAYS_DEFAULT);
        assert!(retention_days(Some((None, Some("9".into())))).is_err());
    }

    #[test]
    fn a_cluster_has_one_subnet_in_a_zone() {
        let region = "eu-west-1".parse().unwrap();
        let both = ["subnet-0000000a".to_owned(), "subnet-0000000b".to_owned()];
        let by_zone = subnets(&region, &both).unwrap();
        assert_eq!(by_zone.keys().collect::<Vec<_>>(), ["eu-west-1a", "eu-west-1b"]);
        assert!(
            subnets(&region, &["subnet-0000000a".to_owned(), "subnet-0000000a".to_owned()])
                .is_err()
        );
        assert!(subnets(&region, &["subnet-0000000d".to_owned()]).is_err());
        assert!(subnets(&region, &[]).is_err());
    }
}
