//! What the owner of a key changes on every HSM, and users that are copied to another.

use strongroom_hsm::{Attribute, UserId};

use super::MgmtError;
use super::shell::{Shell, reason};

impl Shell<'_> {
    pub(super) async fn share_key(
        &mut self,
        handle: &str,
        user: &str,
        share: &str,
    ) -> Result<(), MgmtError> {
        let (Ok(user), "0" | "1") = (user.parse(), share) else {
            return self
                .fail("Usage: shareKey <key handle> <user id> <(share/unshare key?) 1/0>\n");
        };
        let Some(handle) = self.handle(handle)? else { return Ok(()) };
        if !self.confirm()? {
            return Ok(());
        }
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            let shared = client.share_key(handle, UserId(user), share == "1").await;
            self.tell("shareKey", &label, shared)?;
        }
        Ok(())
    }

    pub(super) async fn set_attribute(
        &mut self,
        handle: &str,
        attribute: &str,
        value: &str,
    ) -> Result<(), MgmtError> {
        let known = attribute.parse().ok().and_then(Attribute::from_code);
        let Some(attribute) = known else {
            return self.fail(&format!("There is no attribute {attribute}\n"));
        };
        let bytes = match (attribute, value) {
            (Attribute::Label, text) => text.as_bytes().to_vec(),
            (_, "0") => vec![0],
            (_, "1") => vec![1],
            _ => return self.fail("The value is 0 or 1, or the text of a label\n"),
        };
        let Some(handle) = self.handle(handle)? else { return Ok(()) };
        if !self.confirm()? {
            return Ok(());
        }
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            let set = client.set_attribute(handle, attribute, &bytes).await;
            self.tell("setAttribute", &label, set)?;
        }
        Ok(())
    }

    /// Copies a user from the server of server mode to another.
    pub(super) async fn sync_user(&mut self, user: &str, to: &str) -> Result<(), MgmtError> {
        let Some(from) = self.only() else {
            return self
                .fail("syncUser works in server mode; enter it with 'server <server id>'\n");
        };
        let Ok(user) = user.parse() else {
            return self.fail(&format!("'{user}' is not a user id\n"));
        };
        let target = self.server_number(to).and_then(|number| self.reach(number));
        let (Some((source, _)), Some((target, _))) = (self.reach(from), target) else {
            return self.fail(&format!("There is no connection to server {to}\n"));
        };
        let masked = match source.extract_user(UserId(user)).await {
            Ok(masked) => masked,
            Err(error) => return self.fail(&format!("syncUser failed: {}\n", reason(&error))),
        };
        self.print("ExtractMaskedObject: 0x0 !\n")?;
        match target.insert_user(masked).await {
            Ok(()) => self.print("InsertMaskedObject: 0x0 !\nsyncUser success\n"),
            Err(error) => self.fail(&format!("syncUser failed: {}\n", reason(&error))),
        }
    }

    /// Tells what became of a command on a server.
    pub(super) fn tell(
        &mut self,
        command: &str,
        label: &str,
        outcome: Result<(), strongroom_hsm::HsmError>,
    ) -> Result<(), MgmtError> {
        match outcome {
            Ok(()) => self.print(&format!("{command} success on server {label}\n")),
            Err(error) => self.fail(&format!(
                "{command} failed: {}\n{command} failed on server {label}\n",
                reason(&error)
            )),
        }
    }
}
