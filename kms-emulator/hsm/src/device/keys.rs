//! Keys: generation, search, deletion, and their way to the other HSMs of the cluster.

use super::Device;
use super::sessions::{CryptoUser, Login, SessionId};
use crate::audit::{Opcode, Subject};
use crate::codec::{Blob, List, decode, encode, wire_struct};
use crate::crypto;
use crate::error::Refusal;
use crate::key::{Attribute, AttributeValue, Key, KeyHandle, KeyUsage, Label, Possession};
use crate::limits::{KEY_SHARES_MAX, MASKED_BYTES_MAX};
use crate::secret::KeyBytes;
use crate::state::Contents;
use crate::user::{Role, UserId, UserName};
use crate::wire::{KeysOfUser, MaskedObject, OwnedKey, Response};

/// Authenticated with every masked object, before the cluster's id.
const MASKED_FORMAT: &[u8] = b"strongroom masked object v1";

wire_struct! {
    struct Envelope {
        cluster: [u8; 16],
        body: Blob<MASKED_BYTES_MAX>,
    }
}

wire_struct! {
    /// A key on its way. Users are named, not numbered: numbers may differ between HSMs.
    struct Travelling {
        handle: KeyHandle,
        object_id: [u8; 16],
        label: Label,
        owner: UserName,
        shared_with: List<UserName, KEY_SHARES_MAX>,
        usage: KeyUsage,
        check_value: [u8; 3],
        secret: KeyBytes,
    }
}

impl Device {
    pub(super) fn generate_key(
        &self,
        session: SessionId,
        label: Label,
    ) -> Result<Response, Refusal> {
        let user = self.crypto_user(session)?;
        let outcome = self.try_generate_key(user, label);
        let handle = *outcome.as_ref().unwrap_or(&KeyHandle(0));
        self.record(session, Opcode::GenerateKey, Subject::Key(handle), &outcome)?;
        outcome.map(|handle| Response::Key { handle })
    }

    fn try_generate_key(&self, user: CryptoUser, label: Label) -> Result<KeyHandle, Refusal> {
        let secret = crypto::generate_key()?;
        let key = Key {
            object_id: crypto::random_array()?,
            label,
            owner: user.0,
            shared_with: List::default(),
            usage: KeyUsage::default(),
            check_value: crypto::check_value(&secret)?,
            secret,
        };
        self.change(|contents| contents.add_key(key))
    }

    pub(super) fn delete_key(
        &self,
        session: SessionId,
        handle: KeyHandle,
    ) -> Result<Response, Refusal> {
        let user = self.crypto_user(session)?;
        let outcome = self.change(|contents| {
            let key = contents.key(handle)?;
            if key.owner != user.0 {
                return Err(Refusal::KeyAccessDenied { handle });
            }
            if !key.usage.destroyable {
                return Err(Refusal::PolicyViolation);
            }
            contents.keys.remove(&handle);
            Ok(())
        });
        self.record(session, Opcode::DestroyObject, Subject::Key(handle), &outcome)?;
        outcome.map(|()| Response::Done)
    }

    pub(super) fn find_keys(
        &self,
        session: SessionId,
        label: Option<&Label>,
    ) -> Result<Response, Refusal> {
        let user = self.crypto_user(session)?.0;
        let state = self.state()?;
        let handles = state
            .contents
            .keys
            .iter()
            .filter(|(_, key)| key.usable_by(user))
            .filter(|(_, key)| label.is_none_or(|label| key.label == *label))
            .map(|(handle, _)| *handle)
            .collect();
        let handles = List::new(handles).map_err(|_| Refusal::CapacityExhausted)?;
        Ok(Response::Keys { handles })
    }

    pub(super) fn key_info(
        &self,
        session: SessionId,
        handle: KeyHandle,
    ) -> Result<Response, Refusal> {
        let state = self.state()?;
        let key = usable_key(&state.contents, self.crypto_user(session)?, handle)?;
        Ok(Response::KeyInfo { info: key.public(handle) })
    }

    pub(super) fn key_attribute(
        &self,
        session: SessionId,
        handle: KeyHandle,
        attribute: Attribute,
    ) -> Result<Response, Refusal> {
        let state = self.state()?;
        let key = usable_key(&state.contents, self.crypto_user(session)?, handle)?;
        let value = key.attribute(attribute).ok_or(Refusal::PolicyViolation)?;
        let value = AttributeValue::new(value).map_err(|_| Refusal::TooLong)?;
        Ok(Response::Attribute { value })
    }

    /// A CO may look at every user's keys, a CU at its own.
    pub(super) fn keys_of_user(
        &self,
        session: SessionId,
        user: UserId,
    ) -> Result<Response, Refusal> {
        let login = self.logged_in(session)?;
        if login.role != Role::CryptoOfficer && login.user != user {
            return Err(Refusal::RoleNotAllowed { role: login.role });
        }
        let state = self.state()?;
        let keys = state
            .contents
            .keys
            .iter()
            .filter_map(|(handle, key)| {
                possession(key, user).map(|possession| OwnedKey { handle: *handle, possession })
            })
            .collect();
        let keys = List::new(keys).map_err(|_| Refusal::CapacityExhausted)?;
        let digest = state.contents.ownership_digest();
        Ok(Response::KeysOfUser { keys: KeysOfUser { keys, digest } })
    }

    pub(super) fn extract_masked(
        &self,
        session: SessionId,
        handle: KeyHandle,
    ) -> Result<Response, Refusal> {
        let login = self.logged_in(session)?;
        let outcome = self.try_extract_masked(&login, handle);
        self.record(session, Opcode::ExtractMasked, Subject::Key(handle), &outcome)?;
        outcome.map(|object| Response::Masked { object })
    }

    fn try_extract_masked(
        &self,
        login: &Login,
        handle: KeyHandle,
    ) -> Result<MaskedObject, Refusal> {
        let state = self.state()?;
        let cluster = state.contents.initialized_cluster()?;
        let key = state.contents.key(handle)?;
        check_may_synchronise(login, key, handle)?;
        let travelling = travelling(&state.contents, handle, key)?;
        let body =
            crypto::seal(&cluster.masking_key, &masked_aad(&cluster.id), &encode(&travelling))?;
        let body = Blob::new(body).map_err(|_| Refusal::TooLong)?;
        let envelope = encode(&Envelope { cluster: cluster.id, body });
        MaskedObject::new(envelope.to_vec()).map_err(|_| Refusal::TooLong)
    }

    pub(super) fn insert_masked(
        &self,
        session: SessionId,
        object: &MaskedObject,
    ) -> Result<Response, Refusal> {
        let login = self.logged_in(session)?;
        let outcome = self.try_insert_masked(&login, object);
        let handle = *outcome.as_ref().unwrap_or(&KeyHandle(0));
        self.record(session, Opcode::InsertMasked, Subject::Key(handle), &outcome)?;
        outcome.map(|handle| Response::Key { handle })
    }

    fn try_insert_masked(
        &self,
        login: &Login,
        object: &MaskedObject,
    ) -> Result<KeyHandle, Refusal> {
        if login.role == Role::PrecryptoOfficer {
            return Err(Refusal::RoleNotAllowed { role: login.role });
        }
        let envelope: Envelope = decode(object.as_slice()).map_err(|_| Refusal::NotAuthentic)?;
        let state = self.state()?;
        let cluster = state.contents.initialized_cluster()?;
        if envelope.cluster != cluster.id {
            return Err(Refusal::OtherCluster);
        }
        let opened =
            crypto::open(&cluster.masking_key, &masked_aad(&cluster.id), envelope.body.as_slice())?;
        let arrived: Travelling = decode(opened.expose()).map_err(|_| Refusal::NotAuthentic)?;
        self.change(|contents| {
            let (handle, key) = arrive(contents, arrived)?;
            contents.adopt_key(handle, key)
        })
    }
}

/// The key of a handle, if the user owns it or shares it.
pub(super) fn usable_key(
    contents: &Contents,
    user: CryptoUser,
    handle: KeyHandle,
) -> Result<&Key, Refusal> {
    let key = contents.key(handle)?;
    if key.usable_by(user.0) { Ok(key) } else { Err(Refusal::KeyAccessDenied { handle }) }
}

fn possession(key: &Key, user: UserId) -> Option<Possession> {
    if key.owner == user {
        Some(Possession::Owned)
    } else if key.usable_by(user) {
        Some(Possession::Shared)
    } else {
        None
    }
}

/// Officers may move every key, crypto users those they own.
fn check_may_synchronise(login: &Login, key: &Key, handle: KeyHandle) -> Result<(), Refusal> {
    match login.role {
        Role::CryptoOfficer | Role::ApplianceUser => Ok(()),
        Role::CryptoUser if key.owner == login.user => Ok(()),
        Role::CryptoUser => Err(Refusal::KeyAccessDenied { handle }),
        role @ Role::PrecryptoOfficer => Err(Refusal::RoleNotAllowed { role }),
    }
}

fn masked_aad(cluster: &[u8; 16]) -> Vec<u8> {
    [MASKED_FORMAT, cluster].concat()
}

fn travelling(contents: &Contents, handle: KeyHandle, key: &Key) -> Result<Travelling, Refusal> {
    let name_of = |user: &UserId| {
        contents.users.get(user).map(|user| user.name.clone()).ok_or(Refusal::OwnerMissing)
    };
    let shared_with =
        key.shared_with.as_slice().iter().map(name_of).collect::<Result<Vec<_>, _>>()?;
    Ok(Travelling {
        handle,
        object_id: key.object_id,
        label: key.label.clone(),
        owner: name_of(&key.owner)?,
        shared_with: List::new(shared_with).map_err(|_| Refusal::TooLong)?,
        usage: key.usage,
        check_value: key.check_value,
        secret: key.secret.copy(),
    })
}

fn arrive(contents: &Contents, arrived: Travelling) -> Result<(KeyHandle, Key), Refusal> {
    let id_of = |name: &UserName| contents.user(Role::CryptoUser, name).map(|user| user.id);
    let owner = id_of(&arrived.owner).map_err(|_| Refusal::OwnerMissing)?;
    // A share with somebody unknown here grants nothing here.
    let shared_with =
        arrived.shared_with.as_slice().iter().filter_map(|name| id_of(name).ok()).collect();
    let key = Key {
        object_id: arrived.object_id,
        label: arrived.label,
        owner,
        shared_with: List::new(shared_with).map_err(|_| Refusal::TooLong)?,
        usage: arrived.usage,
        check_value: arrived.check_value,
        secret: arrived.secret,
    };
    Ok((arrived.handle, key))
}
