//! What the owner of a key may change about it: with whom it is shared, and a few attributes.

use super::Device;
use super::sessions::{CryptoUser, SessionId};
use crate::audit::{Opcode, Subject};
use crate::codec::List;
use crate::error::Refusal;
use crate::key::{Attribute, AttributeValue, Key, KeyHandle, Label};
use crate::state::Contents;
use crate::user::{Role, UserId};
use crate::wire::Response;

impl Device {
    pub(super) fn share_key(
        &self,
        session: SessionId,
        handle: KeyHandle,
        with: UserId,
        share: bool,
    ) -> Result<Response, Refusal> {
        let user = self.crypto_user(session)?;
        let outcome = self.change(|contents| {
            check_crypto_user(contents, with)?;
            change_key(contents, user, handle, |key| {
                let others = key.shared_with.as_slice().iter().copied().filter(|id| *id != with);
                let shared = others.chain(share.then_some(with)).collect();
                key.shared_with = List::new(shared).map_err(|_| Refusal::CapacityExhausted)?;
                Ok(())
            })
        });
        self.record(session, Opcode::ShareKey, Subject::Key(handle), &outcome)?;
        outcome.map(|()| Response::Done)
    }

    /// Changes the label, or whether the key encrypts or decrypts.
    pub(super) fn set_attribute(
        &self,
        session: SessionId,
        handle: KeyHandle,
        attribute: Attribute,
        value: &AttributeValue,
    ) -> Result<Response, Refusal> {
        let user = self.crypto_user(session)?;
        let outcome = self.change(|contents| {
            change_key(contents, user, handle, |key| set(key, attribute, value.as_slice()))
        });
        self.record(session, Opcode::ModifyObject, Subject::Key(handle), &outcome)?;
        outcome.map(|()| Response::Done)
    }
}

/// Changes a copy of a key that the user owns. The key itself stays behind its `Arc`.
fn change_key(
    contents: &mut Contents,
    user: CryptoUser,
    handle: KeyHandle,
    change: impl FnOnce(&mut Key) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let key = contents.key(handle)?;
    if key.owner != user.0 {
        return Err(Refusal::KeyAccessDenied { handle });
    }
    let mut changed = key.copy();
    change(&mut changed)?;
    contents.keys.insert(handle, std::sync::Arc::new(changed))
}

fn check_crypto_user(contents: &Contents, user: UserId) -> Result<(), Refusal> {
    match contents.users.get(&user) {
        Some(found) if found.role == Role::CryptoUser => Ok(()),
        Some(found) => Err(Refusal::RoleNotAllowed { role: found.role }),
        None => Err(Refusal::NoSuchUserId { user }),
    }
}

fn set(key: &mut Key, attribute: Attribute, value: &[u8]) -> Result<(), Refusal> {
    match attribute {
        Attribute::Label => {
            let text = std::str::from_utf8(value).map_err(|_| Refusal::PolicyViolation)?;
            key.label = Label::new(text).map_err(|_| Refusal::TooLong)?;
        }
        Attribute::Encrypt => key.usage.encrypt = flag(value)?,
        Attribute::Decrypt => key.usage.decrypt = flag(value)?,
        // Keys of the simulation wrap nothing, so that there is nothing to change about it.
        _ => return Err(Refusal::PolicyViolation),
    }
    Ok(())
}

fn flag(value: &[u8]) -> Result<bool, Refusal> {
    match value {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Refusal::PolicyViolation),
    }
}
