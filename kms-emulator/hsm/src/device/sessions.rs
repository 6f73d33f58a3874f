//! Sessions: who is connected, through which port, and logged in as whom.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::{Device, lock};
use crate::error::Refusal;
use crate::limits::SESSIONS_MAX;
use crate::user::{Role, UserId, UserName};

/// The number of a session on one device, as the audit log prints it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub(crate) u32);

/// Where a client came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// 2223: programs that use keys.
    Client,
    /// 2225: the management tools.
    Management,
    /// Inside: the provider's control channel.
    Provider,
}

/// The session of the provider's own commands, in the audit log.
pub(super) const PROVIDER_SESSION: SessionId = SessionId(0x0100_4001);

/// Who a session is logged in as.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: UserId,
    pub(super) role: Role,
    pub(super) name: UserName,
}

/// A session whose user is a crypto user; [`Device::crypto_user`] alone makes it.
#[derive(Clone, Copy)]
pub(super) struct CryptoUser(pub(super) UserId);

/// A session whose user is a crypto officer; [`Device::officer`] alone makes it.
pub(super) struct Officer(());

struct Session {
    port: Port,
    login: RwLock<Option<Arc<Login>>>,
    challenge: Mutex<Option<[u8; 32]>>,
}

/// The open sessions of a device.
#[derive(Default)]
pub(super) struct Sessions {
    open: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    by_id: HashMap<SessionId, Arc<Session>>,
    opened: u32,
}

impl Sessions {
    /// Opens a session if, with `occupied` others that are not here, there is one left.
    pub(super) fn open(&self, port: Port, occupied: usize) -> Result<SessionId, Refusal> {
        let mut table = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if table.by_id.len().saturating_add(occupied) >= SESSIONS_MAX {
            return Err(Refusal::SessionsExhausted);
        }
        table.opened = table.opened.wrapping_add(1);
        while table.by_id.contains_key(&id_of(table.opened)) {
            table.opened = table.opened.wrapping_add(1);
        }
        let id = id_of(table.opened);
        let session = Session { port, login: RwLock::new(None), challenge: Mutex::new(None) };
        table.by_id.insert(id, Arc::new(session));
        Ok(id)
    }

    /// Closes a session and returns who was logged in.
    pub(super) fn close(&self, id: SessionId) -> Option<Arc<Login>> {
        let mut table = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let session = table.by_id.remove(&id)?;
        session.login.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes every session.
    pub(super) fn close_all(&self) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).by_id.clear();
    }

    pub(super) fn count(&self) -> usize {
        self.open.read().unwrap_or_else(PoisonError::into_inner).by_id.len()
    }

    /// Who a session is logged in as.
    pub(super) fn login(&self, id: SessionId) -> Result<Option<Arc<Login>>, Refusal> {
        let session = self.get(id)?;
        let login = session.login.read().unwrap_or_else(PoisonError::into_inner);
        Ok(login.clone())
    }

    /// Logs a session in or out.
    pub(super) fn set_login(&self, id: SessionId, login: Option<Login>) -> Result<(), Refusal> {
        let session = self.get(id)?;
        let mut slot = session.login.write().unwrap_or_else(PoisonError::into_inner);
        *slot = login.map(Arc::new);
        Ok(())
    }

    /// Sets the bytes that a second factor has to sign in this session.
    pub(super) fn set_challenge(&self, id: SessionId, bytes: [u8; 32]) -> Result<(), Refusal> {
        *lock(&self.get(id)?.challenge) = Some(bytes);
        Ok(())
    }

    /// Takes those bytes: each serves one attempt.
    pub(super) fn take_challenge(&self, id: SessionId) -> Result<Option<[u8; 32]>, Refusal> {
        Ok(lock(&self.get(id)?.challenge).take())
    }

    /// Whether a user is logged in through the client port by a session other than `except`.
    pub(super) fn is_logged_in_elsewhere(&self, user: UserId, except: SessionId) -> bool {
        let table = self.open.read().unwrap_or_else(PoisonError::into_inner);
        table.by_id.iter().any(|(id, session)| {
            *id != except && session.port == Port::Client && session.is_user(user)
        })
    }

    /// Whether a user is logged in by any session.
    pub(super) fn is_logged_in(&self, user: UserId) -> bool {
        let table = self.open.read().unwrap_or_else(PoisonError::into_inner);
        table.by_id.values().any(|session| session.is_user(user))
    }

    fn get(&self, id: SessionId) -> Result<Arc<Session>, Refusal> {
        let table = self.open.read().unwrap_or_else(PoisonError::into_inner);
        table.by_id.get(&id).cloned().ok_or(Refusal::SessionClosed)
    }
}

impl Session {
    fn is_user(&self, user: UserId) -> bool {
        let login = self.login.read().unwrap_or_else(PoisonError::into_inner);
        login.as_ref().is_some_and(|login| login.user == user)
    }
}

/// Session handles look as in the guide's samples: `0x1004001` and on.
fn id_of(number: u32) -> SessionId {
    SessionId(PROVIDER_SESSION.0.wrapping_add(number))
}

impl Device {
    /// Demands a login of any role.
    pub(super) fn logged_in(&self, session: SessionId) -> Result<Arc<Login>, Refusal> {
        self.sessions.login(session)?.ok_or(Refusal::NotLoggedIn)
    }

    /// Demands the login of a crypto user.
    pub(super) fn crypto_user(&self, session: SessionId) -> Result<CryptoUser, Refusal> {
        let login = self.logged_in(session)?;
        match login.role {
            Role::CryptoUser => Ok(CryptoUser(login.user)),
            role => Err(Refusal::RoleNotAllowed { role }),
        }
    }

    /// Demands the login of a crypto officer.
    pub(super) fn officer(&self, session: SessionId) -> Result<Officer, Refusal> {
        match self.logged_in(session)?.role {
            Role::CryptoOfficer => Ok(Officer(())),
            role => Err(Refusal::RoleNotAllowed { role }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_bounded() {
        let sessions = Sessions::default();
        let first = sessions.open(Port::Client, 0).unwrap();
        for _ in 1..SESSIONS_MAX {
            sessions.open(Port::Client, 0).unwrap();
        }
        assert_eq!(sessions.open(Port::Client, 0), Err(Refusal::SessionsExhausted));
        sessions.close(first);
        assert_eq!(sessions.open(Port::Client, 1), Err(Refusal::SessionsExhausted));
        assert!(sessions.open(Port::Client, 0).is_ok());
    }
}
