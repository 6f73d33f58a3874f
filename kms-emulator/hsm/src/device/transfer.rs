//! Users on their way to another HSM of the cluster: nothing moves them but an officer who asks for it.

use super::Device;
use super::quorum::QuorumService;
use super::sessions::{Login, SessionId};
use crate::audit::{Opcode, Subject};
use crate::codec::{decode, encode, wire_struct};
use crate::crypto;
use crate::error::Refusal;
use crate::state::Contents;
use crate::user::{PasswordRecord, Role, SecondFactorKey, User, UserId, UserName};
use crate::wire::{MaskedObject, Response};

/// Authenticated with every masked user, before the cluster's id.
const MASKED_USER_FORMAT: &[u8] = b"strongroom masked user v1";

wire_struct! {
    /// A user on its way. Its number stays behind: the other HSM gives its own.
    struct Travelling {
        role: Role,
        name: UserName,
        password: PasswordRecord,
        second_factor: Option<SecondFactorKey>,
        quorum_key: Option<SecondFactorKey>,
    }
}

impl Device {
    pub(super) fn extract_user(
        &self,
        session: SessionId,
        user: UserId,
    ) -> Result<Response, Refusal> {
        self.officer(session)?;
        let state = self.state()?;
        let cluster = state.contents.initialized_cluster()?;
        let found = state.contents.users.get(&user).ok_or(Refusal::NoSuchUserId { user })?;
        let password =
            found.password.clone().ok_or(Refusal::RoleNotAllowed { role: found.role })?;
        let travelling = Travelling {
            role: found.role,
            name: found.name.clone(),
            password,
            second_factor: found.second_factor.clone(),
            quorum_key: state.contents.quorum.keys.get(&user).cloned(),
        };
        let sealed = crypto::seal(&cluster.masking_key, &aad(&cluster.id), &encode(&travelling))?;
        let object = MaskedObject::new(sealed).map_err(|_| Refusal::TooLong)?;
        self.record(
            session,
            Opcode::ExtractMasked,
            Subject::User(&found.name, found.role),
            &Ok::<(), Refusal>(()),
        )?;
        Ok(Response::Masked { object })
    }

    pub(super) fn insert_user(
        &self,
        session: SessionId,
        object: &MaskedObject,
    ) -> Result<Response, Refusal> {
        self.officer(session)?;
        let login = self.logged_in(session)?;
        let arrived = self.open_user(object)?;
        let (name, role) = (arrived.name.clone(), arrived.role);
        let outcome = self.try_insert_user(&login, arrived);
        self.record(session, Opcode::InsertMasked, Subject::User(&name, role), &outcome)?;
        outcome.map(|()| Response::Done)
    }

    fn open_user(&self, object: &MaskedObject) -> Result<Travelling, Refusal> {
        let state = self.state()?;
        let cluster = state.contents.initialized_cluster()?;
        let opened = crypto::open(&cluster.masking_key, &aad(&cluster.id), object.as_slice())?;
        decode(opened.expose()).map_err(|_| Refusal::NotAuthentic)
    }

    fn try_insert_user(&self, login: &Login, arrived: Travelling) -> Result<(), Refusal> {
        let quorum = self.quorum(login, QuorumService::UserManagement)?;
        self.change(|contents| {
            let known = contents.user(arrived.role, &arrived.name).map(|user| user.id).ok();
            if let Some(user) = known
                && self.sessions.is_logged_in(user)
            {
                return Err(Refusal::UserLoggedIn { name: arrived.name });
            }
            arrive(contents, known, arrived)
        })?;
        self.spend(&quorum);
        Ok(())
    }
}

/// Adds the user, or gives the one of that name the credentials of the other HSM.
fn arrive(
    contents: &mut Contents,
    known: Option<UserId>,
    arrived: Travelling,
) -> Result<(), Refusal> {
    let user = User {
        id: known.unwrap_or(UserId(0)),
        role: arrived.role,
        name: arrived.name,
        password: Some(arrived.password),
        login_failures: 0,
        second_factor: arrived.second_factor,
    };
    let id = match known {
        Some(id) => {
            contents.update_user(user)?;
            id
        }
        None => contents.add_user(user)?,
    };
    match arrived.quorum_key {
        Some(key) => contents.quorum.keys.insert(id, key),
        None => {
            contents.quorum.keys.remove(&id);
            Ok(())
        }
    }
}

fn aad(cluster: &[u8; 16]) -> Vec<u8> {
    [MASKED_USER_FORMAT, cluster].concat()
}
