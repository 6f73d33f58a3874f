//! `key`: the keys that the user of the login owns or shares.

use serde_json::{Value, json};
use strongroom_hsm::{Client, HsmError, KeyHandle, KeyInfo, UserId};

use super::session::{Member, Session};
use super::{Answer, CliError};

impl Session {
    /// `key list`: the keys as the first HSM has them, and whether all have them.
    ///
    /// # Errors
    ///
    /// [`CliError::NotLoggedIn`], [`CliError::Hsm`].
    pub async fn key_list(&self) -> Answer {
        let first = self.first()?;
        let lists = self.on_each(async |client| client.find_all_keys().await).await?;
        let mut keys = Vec::new();
        let own = lists.first().cloned().unwrap_or_default();
        for handle in &own {
            let info = first.client.key_info(*handle).await.map_err(|e| first.failed(e))?;
            let is_everywhere = lists.iter().all(|list| list.contains(handle));
            keys.push(shown(&info, is_everywhere));
        }
        Ok(
            json!({ "matched_keys": keys, "total_key_count": own.len(), "returned_key_count": own.len() }),
        )
    }

    /// `key generate-symmetric aes`: makes an AES-256 key in the first HSM and copies it to the others.
    ///
    /// # Errors
    ///
    /// As [`Session::key_list`].
    pub async fn key_generate_aes(&self, label: &str) -> Answer {
        let first = self.first()?;
        let make = async {
            let handle = first.client.generate_key(label).await?;
            Ok((handle, first.client.extract_masked(handle).await?))
        };
        let (handle, masked) = make.await.map_err(|error: HsmError| first.failed(error))?;
        for member in self.members.iter().skip(1) {
            let copied = member.client.insert_masked(masked.clone()).await;
            copied.map_err(|error| member.failed(error))?;
        }
        let info = first.client.key_info(handle).await.map_err(|error| first.failed(error))?;
        Ok(json!({ "key": shown(&info, true) }))
    }

    /// `key delete`: the keys of a label, on every HSM.
    ///
    /// # Errors
    ///
    /// As [`Session::key_list`], and [`CliError::NotFound`].
    pub async fn key_delete(&self, label: &str) -> Answer {
        self.labelled(label, async |client, handle| client.delete_key(handle).await).await?;
        Ok(json!({ "message": "Key deleted successfully" }))
    }

    /// `key share` and `key unshare`: the keys of a label with another crypto user.
    ///
    /// # Errors
    ///
    /// As [`Session::key_delete`].
    pub async fn key_share(&self, label: &str, username: &str, share: bool) -> Answer {
        let change = async |client: &Client, handle: KeyHandle| {
            let user = user_id(client, username).await?;
            client.share_key(handle, user, share).await
        };
        self.labelled(label, change).await?;
        let done = if share { "shared" } else { "unshared" };
        Ok(json!({ "message": format!("Key {done} successfully"), "username": username }))
    }

    async fn labelled(
        &self,
        label: &str,
        operation: impl AsyncFn(&Client, KeyHandle) -> Result<(), HsmError>,
    ) -> Result<(), CliError> {
        self.first()?;
        let mut found = 0_usize;
        for member in &self.members {
            let handles = member.client.find_keys(label).await;
            for handle in handles.map_err(|error| member.failed(error))? {
                found = found.saturating_add(1);
                operation(&member.client, handle).await.map_err(|error| member.failed(error))?;
            }
        }
        if found == 0 {
            return Err(CliError::NotFound { what: "key with the label", name: label.to_owned() });
        }
        Ok(())
    }

    fn first(&self) -> Result<&Member, CliError> {
        self.user()?;
        self.members.first().ok_or(CliError::NotLoggedIn)
    }
}

async fn user_id(client: &Client, name: &str) -> Result<UserId, HsmError> {
    let wanted = strongroom_hsm::UserName::parse(name)?;
    let users = client.list_users().await?;
    let found = users.iter().find(|user| user.name == wanted).map(|user| user.id);
    found.ok_or(HsmError::Refused(strongroom_hsm::Refusal::UserNotFound { name: wanted }))
}

fn shown(info: &KeyInfo, is_everywhere: bool) -> Value {
    json!({
        "key-reference": format!("{:#018x}", info.handle.0),
        "key-info": {
            "key-owners": [{ "user-id": info.owner.0 }],
            "shared-users": info.shared_with.as_slice().iter().map(|user| user.0).collect::<Vec<_>>(),
            "cluster-coverage": if is_everywhere { "full" } else { "partial" },
        },
        "attributes": {
            "key-type": "aes",
            "label": info.label.as_str(),
            "check-value": format!("0x{}", hex::encode(info.check_value)),
            "class": "secret-key",
            "encrypt": info.usage.encrypt,
            "decrypt": info.usage.decrypt,
            "derive": info.usage.derive,
            "destroyable": info.usage.destroyable,
            "token": true,
            "extractable": false,
            "sensitive": true,
            "key-length-bytes": 32,
        },
    })
}
