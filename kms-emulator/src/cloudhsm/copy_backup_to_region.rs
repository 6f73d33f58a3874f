//! CopyBackupToRegion.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::lookup::source_backup;
use super::shapes::{self, internal, invalid_request};
use super::tags;
use crate::clock::Timestamp;
use crate::ids::{BackupId, ClusterId, RealmId, Region};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, Members, Request};
use crate::records::{Backup, BackupSource};

pub(super) struct CopyBackupToRegion;

pub(super) struct Input {
    region: String,
    backup: String,
    tags: BTreeMap<String, String>,
}

/// `DestinationBackup`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DestinationBackup {
    create_timestamp: Timestamp,
    source_region: Region,
    source_backup: BackupId,
    source_cluster: ClusterId,
}

/// The reply.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Output {
    destination_backup: DestinationBackup,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self {
            region: members.string("DestinationRegion", &shapes::REGION)?,
            backup: members.string("BackupId", &shapes::BACKUP_ID)?,
            tags: tags::optional_tags(members)?.unwrap_or_default(),
        })
    }
}

impl Operation for CopyBackupToRegion {
    const NAME: &'static str = "CopyBackupToRegion";
    type Input = Input;
    type Output = Output;

    /// All Regions of a server share one factory, so that its HSMs can open backups of each other.
    async fn run(call: &Call, input: Input) -> Result<Output, Fault> {
        let source = source_backup(call, &input.backup)?;
        let region: Region = input
            .region
            .parse()
            .map_err(|_| invalid_request(format!("Invalid Region {}.", input.region)))?;
        if region == call.realm.region && source.realm.account == call.realm.account {
            return Err(invalid_request(format!("Backup {} is in {region} already.", source.id)));
        }
        let copy = Backup {
            realm: RealmId { account: call.realm.account, region },
            id: BackupId::random(),
            ready_at: call.kms.cloudhsm.done_at(call.now),
            never_expires: false,
            copy_of: Some(BackupSource {
                region: source.realm.region.clone(),
                backup: source.id.clone(),
                copied: call.now,
            }),
            tags: Arc::new(input.tags),
            policy: None,
            ..Backup::clone(&source)
        };
        call.kms.cloudhsm.copy_backup(&source.id, copy).await.map_err(internal)?;
        Ok(Output {
            destination_backup: DestinationBackup {
                create_timestamp: call.now,
                source_region: source.realm.region.clone(),
                source_backup: source.id.clone(),
                source_cluster: source.cluster.clone(),
            },
        })
    }
}
