//! ModifyBackupAttributes.

use super::lookup::{change_backup, find_backup};
use super::shapes;
use super::show_backup::{BackupReply, ShownBackup};
use crate::kms::{Call, Operation};
use crate::protocol::{Fault, Members, Request};

pub(super) struct ModifyBackupAttributes;

pub(super) struct Input {
    backup_id: String,
    never_expires: bool,
}

impl Request for Input {
    fn read(members: &mut Members) -> Result<Self, Fault> {
        let never_expires = members.optional_boolean("NeverExpires")?;
        Ok(Self {
            backup_id: members.string("BackupId", &shapes::BACKUP_ID)?,
            never_expires: members.require("NeverExpires", never_expires),
        })
    }
}

impl Operation for ModifyBackupAttributes {
    const NAME: &'static str = "ModifyBackupAttributes";
    type Input = Input;
    type Output = BackupReply;

    async fn run(call: &Call, input: Input) -> Result<BackupReply, Fault> {
        find_backup(call, &input.backup_id)?;
        let never_expires = input.never_expires;
        let modified = change_backup(call, &input.backup_id, move |backup| {
            backup.never_expires = never_expires;
            Ok(())
        })
        .await?;
        Ok(BackupReply { backup: ShownBackup::of(&modified, call.now) })
    }
}
