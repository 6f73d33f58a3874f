//! RestoreBackup.

use super::delete_backup::BackupName;
use super::lookup::{change_backup, find_backup};
use super::shapes::invalid_request;
use super::show_backup::{BackupReply, ShownBackup, state_of};
use crate::kms::{Call, Operation};
use crate::protocol::Fault;

pub(super) struct RestoreBackup;

impl Operation for RestoreBackup {
    const NAME: &'static str = "RestoreBackup";
    type Input = BackupName;
    type Output = BackupReply;

    async fn run(call: &Call, input: BackupName) -> Result<BackupReply, Fault> {
        find_backup(call, &input.backup_id)?;
        let now = call.now;
        let restored =
            change_backup(call, &input.backup_id, move |backup| match state_of(backup, now) {
                "PENDING_DELETION" => {
                    backup.delete_at = None;
                    Ok(())
                }
                state => Err(invalid_request(format!(
                    "Backup {} is {state}; only a backup that is PENDING_DELETION can be restored.",
                    backup.id
                ))),
            })
            .await?;
        Ok(BackupReply { backup: ShownBackup::of(&restored, now) })
    }
}
