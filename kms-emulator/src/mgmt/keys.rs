//! Keys: who owns what, attributes, copying to another HSM.

use std::fmt::Write as _;

use strongroom_hsm::wire::KeysOfUser;
use strongroom_hsm::{Attribute, KeyHandle, KeyInfo, Possession, UserId};

use super::MgmtError;
use super::shell::{Shell, reason};

/// The number that stands for all attributes.
const ALL_ATTRIBUTES: u32 = 512;

impl Shell<'_> {
    pub(super) async fn find_all_keys(
        &mut self,
        user: &str,
        hash: &str,
        file: Option<&str>,
    ) -> Result<(), MgmtError> {
        let (Ok(user), "0" | "1") = (user.parse(), hash) else {
            return self.fail("Usage: findAllKeys <user id> <key hash (0/1)> [<output file>]\n");
        };
        let mut text = String::new();
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            match client.keys_of_user(UserId(user)).await {
                Ok(keys) => text.push_str(&keys_report(&keys, &label, hash == "1")),
                Err(error) => {
                    self.fail(&format!(
                        "findAllKeys failed: {}\nfindAllKeys failed on server {label}\n",
                        reason(&error)
                    ))?;
                }
            }
        }
        self.deliver(&text, file)
    }

    pub(super) async fn get_key_info(
        &mut self,
        handle: &str,
        file: Option<&str>,
    ) -> Result<(), MgmtError> {
        let Some(handle) = self.handle(handle)? else { return Ok(()) };
        let mut text = String::new();
        for number in self.selected() {
            let Some((client, label)) = self.reach(number) else { continue };
            match client.key_info(handle).await {
                Ok(info) => {
                    text.push_str(&format!(
                        "Key Info on server {label}:\n\n{}",
                        info_report(&info)
                    ));
                }
                Err(error) => {
                    self.fail(&format!(
                        "getKeyInfo failed: {}\ngetKeyInfo failed on server {label}\n",
                        reason(&error)
                    ))?;
                }
            }
        }
        self.deliver(&text, file)
    }

    pub(super) async fn get_attribute(
        &mut self,
        handle: &str,
        attribute: &str,
        file: Option<&str>,
    ) -> Result<(), MgmtError> {
        let Some(handle) = self.handle(handle)? else { return Ok(()) };
        let attributes = match attribute.parse() {
            Ok(ALL_ATTRIBUTES) => Attribute::ALL.to_vec(),
            Ok(code) => Attribute::from_code(code).into_iter().collect(),
            Err(_) => Vec::new(),
        };
        if attributes.is_empty() {
            return self.fail(&format!("There is no attribute {attribute}\n"));
        }
        let mut text = String::new();
        for number in self.selected() {
            text.push_str(&self.attributes_of(number, handle, &attributes).await?);
        }
        self.deliver(&text, file)
    }

    async fn attributes_of(
        &mut self,
        number: usize,
        handle: KeyHandle,
        attributes: &[Attribute],
    ) -> Result<String, MgmtError> {
        let Some((client, label)) = self.reach(number) else { return Ok(String::new()) };
        let mut text = format!("Attribute Value on server {label}:\n");
        for attribute in attributes {
            match client.key_attribute(handle, *attribute).await {
                Ok(value) => text.push_str(&attribute_report(*attribute, &value)),
                // Of all attributes a key shows those that it has.
                Err(_) if attributes.len() > 1 => {}
                Err(error) => self.fail(&format!(
                    "getAttribute failed: {}\ngetAttribute failed on server {label}\n",
                    reason(&error)
                ))?,
            }
        }
        Ok(text)
    }

    pub(super) fn list_attributes(&mut self) -> Result<(), MgmtError> {
        let mut text =
            String::from("Following are the possible attribute values for getAttribute:\n\n");
        for attribute in Attribute::ALL {
            let _ = writeln!(text, "      {:<30} = {}", attribute.constant(), attribute.code());
        }
        let _ = writeln!(text, "      {:<30} = {ALL_ATTRIBUTES}", "OBJ_ATTR_ALL");
        self.print(&text)
    }

    /// Copies a key from the server of server mode to another.
    pub(super) async fn sync_key(&mut self, handle: &str, to: &str) -> Result<(), MgmtError> {
        let Some(from) = self.only() else {
            return self.fail("syncKey works in server mode; enter it with 'server <server id>'\n");
        };
        let Some(handle) = self.handle(handle)? else { return Ok(()) };
        let target = self.server_number(to).and_then(|number| self.reach(number));
        let (Some((source, _)), Some((target, _))) = (self.reach(from), target) else {
            return self.fail(&format!("There is no connection to server {to}\n"));
        };
        let masked = match source.extract_masked(handle).await {
            Ok(masked) => masked,
            Err(error) => return self.fail(&format!("syncKey failed: {}\n", reason(&error))),
        };
        self.print("ExtractMaskedObject: 0x0 !\n")?;
        match target.insert_masked(masked).await {
            Ok(_) => self.print("InsertMaskedObject: 0x0 !\nsyncKey success\n"),
            Err(error) => self.fail(&format!("syncKey failed: {}\n", reason(&error))),
        }
    }

    pub(super) fn handle(&mut self, text: &str) -> Result<Option<KeyHandle>, MgmtError> {
        match text.parse() {
            Ok(number) => Ok(Some(KeyHandle(number))),
            Err(_) => {
                self.fail(&format!("'{text}' is not a key handle\n"))?;
                Ok(None)
            }
        }
    }
}

fn keys_report(keys: &KeysOfUser, label: &str, with_hash: bool) -> String {
    let list = keys.keys.as_slice();
    let marked = |key: &strongroom_hsm::wire::OwnedKey| match key.possession {
        Possession::Owned => format!("{}(o)", key.handle),
        Possession::Shared => format!("{}(s)", key.handle),
    };
    let mut text = format!(
        "Keys on server {label}:\nNumber of keys found {}\n\
         number of keys matched from start index 0::{}\n{}\n",
        list.len(),
        list.len(),
        list.iter().map(marked).collect::<Vec<_>>().join(",")
    );
    // A user without keys gets no hash.
    if with_hash && !list.is_empty() {
        let _ = write!(text, "Key Hash:\n{}\n\n", hex::encode(keys.digest));
    }
    let _ = writeln!(text, "findAllKeys success on server {label}");
    text
}

fn info_report(info: &KeyInfo) -> String {
    let mut text = format!("        Token/Flash Key,\n\n        Owned by user {}\n", info.owner);
    let shared = info.shared_with.as_slice();
    if !shared.is_empty() {
        let _ = writeln!(text, "\n        also, shared to following {} user(s):\n", shared.len());
        for user in shared {
            let _ = writeln!(text, "                 {user}");
        }
    }
    text
}

/// Flags and numbers as hexadecimal numbers, labels as text, other bytes in hexadecimal.
fn attribute_report(attribute: Attribute, value: &[u8]) -> String {
    let shown = match (attribute, value) {
        (Attribute::Label, text) => String::from_utf8_lossy(text).into_owned(),
        (_, [flag]) => format!("{flag:#04x}"),
        (_, [a, b, c, d]) => format!("{:#010x}", u32::from_be_bytes([*a, *b, *c, *d])),
        (_, bytes) => hex::encode(bytes),
    };
    format!("{}\n{shown}\n", attribute.constant())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_hsm::wire::OwnedKey;
    use strongroom_hsm::{KeyUsage, Label, List};

    #[test]
    fn keys_are_marked_as_the_guide_marks_them() {
        let key = |handle, possession| OwnedKey { handle: KeyHandle(handle), possession };
        let keys = List::new(vec![key(8, Possession::Shared), key(19, Possession::Owned)]).unwrap();
        let keys = KeysOfUser { keys, digest: [0x55; 32] };
        let hash = "55".repeat(32);
        assert_eq!(
            keys_report(&keys, "0(10.0.0.1)", true),
            format!(
                "Keys on server 0(10.0.0.1):\nNumber of keys found 2\n\
                 number of keys matched from start index 0::2\n8(s),19(o)\n\
                 Key Hash:\n{hash}\n\nfindAllKeys success on server 0(10.0.0.1)\n"
            )
        );
    }

    #[test]
    fn key_information_names_owner_and_shares() {
        let info = KeyInfo {
            handle: KeyHandle(9),
            label: Label::default(),
            owner: UserId(3),
            shared_with: List::new(vec![UserId(4)]).unwrap(),
            usage: KeyUsage::default(),
            check_value: [0; 3],
        };
        assert_eq!(
            info_report(&info),
            "        Token/Flash Key,\n\n        Owned by user 3\n\n        \
             also, shared to following 1 user(s):\n\n                 4\n"
        );
    }
}
