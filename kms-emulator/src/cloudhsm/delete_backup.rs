//! DeleteBackup.

use super::lookup::{change_backup, find_backup};
use super::shapes::{self, invalid_request};
use super::show_backup::{BackupReply, ShownBackup, state_of};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, Members, Request};

/// Days for which a deleted backup can be restored.
const PENDING_DAYS: u32 = 7;

pub(super) struct DeleteBackup;

/// A request that names a backup and nothing else.
pub(super) struct BackupName {
    pub(super) backup_id: String,
}

impl Request for BackupName {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        Ok(Self { backup_id: members.string("BackupId", &shapes::BACKUP_ID)? })
    }
}

impl Operation for DeleteBackup {
    const NAME: &'static str = "DeleteBackup";
    type Input = BackupName;
    type Output = BackupReply;

    async fn run(call: &Call, input: BackupName) -> Result<BackupReply, Fault> {
        find_backup(call, &input.backup_id)?;
        let now = call.now;
        let deleted = change_backup(call, &input.backup_id, move |backup| {
            if !backup.is_ready(now) {
                let state = state_of(backup, now);
                return Err(invalid_request(format!(
                    "Backup {} is {state}; only a backup that is READY can be deleted.",
                    backup.id
                )));
            }
            backup.delete_at = Some(now.plus_days(PENDING_DAYS));
            Ok(())
        })
        .await?;
        Ok(BackupReply { backup: ShownBackup::of(&deleted, now) })
    }
}
