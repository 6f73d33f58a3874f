//! Users: login, lock-out, creation, deletion, passwords.

use super::quorum::{Quorum, QuorumService};
use super::sessions::{Login, Officer, SessionId};
use super::{Device, lock};
use crate::audit::{Opcode, Subject};
use crate::crypto::{self, PasswordVerified};
use crate::error::Refusal;
use crate::secret::Password;
use crate::user::{Role, SecondFactorKey, User, UserId, UserInfo, UserList, UserName};
use crate::wire::{NewSecondFactor, Response, Signature};

impl Device {
    pub(super) fn list_users(&self) -> Result<Response, Refusal> {
        let state = self.state()?;
        let keys = &state.contents.quorum.keys;
        let users = state
            .contents
            .users
            .values()
            .map(|user| UserInfo { quorum_key: keys.contains_key(&user.id), ..user.public() });
        let users = UserList::new(users.collect()).map_err(|_| Refusal::CapacityExhausted)?;
        Ok(Response::Users { users })
    }

    /// Gives the session bytes that a second factor signs for the next login.
    pub(super) fn challenge(&self, session: SessionId) -> Result<Response, Refusal> {
        let challenge = crypto::random_array()?;
        self.sessions.set_challenge(session, challenge)?;
        Ok(Response::Challenge { challenge })
    }

    pub(super) fn login(
        &self,
        session: SessionId,
        role: Role,
        name: &UserName,
        password: &Password,
        second_factor: Option<&Signature>,
    ) -> Result<Response, Refusal> {
        let outcome = self.try_login(session, role, name, password, second_factor);
        self.record(session, Opcode::Login, Subject::User(name, role), &outcome)?;
        outcome.map(|()| Response::Done)
    }

    fn try_login(
        &self,
        session: SessionId,
        role: Role,
        name: &UserName,
        password: &Password,
        second_factor: Option<&Signature>,
    ) -> Result<(), Refusal> {
        if self.sessions.login(session)?.is_some() {
            return Err(Refusal::AlreadyLoggedIn);
        }
        let challenge = self.sessions.take_challenge(session)?;
        let _logging_in = lock(&self.logging_in);
        let user = self.user_to_log_in(role, name, password)?;
        let factor = check_second_factor(&user, challenge, second_factor);
        let verified =
            user.password.as_ref().and_then(|record| crypto::verify_password(password, record));
        // The second factor is looked at only behind a right password, so that nobody can find out
        // by it whether a password was right without spending an attempt.
        let verdict = match verified {
            None => Err(Refusal::WrongPassword { name: name.clone() }),
            Some(proof) => factor.map(|()| proof),
        };
        match verdict {
            Ok(proof) => self.complete_login(session, user, &proof),
            Err(refusal) => Err(self.count_failure(user, refusal)),
        }
    }

    /// Finds a user who may try to log in: one that exists, has a password and is not locked out.
    fn user_to_log_in(
        &self,
        role: Role,
        name: &UserName,
        password: &Password,
    ) -> Result<User, Refusal> {
        let state = self.state()?;
        match state.contents.user(role, name) {
            Ok(user) if user.is_locked_out() => Err(Refusal::UserLockedOut { name: name.clone() }),
            Ok(user) if user.password.is_some() => Ok(User::clone(user)),
            _ => {
                crypto::verify_nothing(password, self.pbkdf2_iterations);
                Err(Refusal::UserNotFound { name: name.clone() })
            }
        }
    }

    fn complete_login(
        &self,
        session: SessionId,
        user: User,
        _proof: &PasswordVerified,
    ) -> Result<(), Refusal> {
        let login = Login { user: user.id, role: user.role, name: user.name.clone() };
        if user.login_failures > 0 {
            let forgiven = User { login_failures: 0, ..user };
            self.change(|contents| contents.update_user(forgiven))?;
        }
        self.sessions.set_login(session, Some(login))
    }

    /// Counts a failed login, durably: switching the device off and on gives no new attempts.
    fn count_failure(&self, user: User, refusal: Refusal) -> Refusal {
        let login_failures = user.login_failures.saturating_add(1);
        let counted = User { login_failures, ..user };
        let stored = self.change(|contents| contents.update_user(counted));
        stored.err().unwrap_or(refusal)
    }

    pub(super) fn logout(&self, session: SessionId) -> Result<Response, Refusal> {
        let login = self.logged_in(session)?;
        let outcome = self.sessions.set_login(session, None);
        self.record(session, Opcode::Logout, Subject::User(&login.name, login.role), &outcome)?;
        outcome.map(|()| Response::Done)
    }

    pub(super) fn create_user(
        &self,
        session: SessionId,
        role: Role,
        name: &UserName,
        password: &Password,
        second_factor: Option<NewSecondFactor>,
    ) -> Result<Response, Refusal> {
        let officer = self.officer(session)?;
        let opcode = match role {
            Role::CryptoOfficer => Opcode::CreateOfficer,
            _ => Opcode::CreateUser,
        };
        let outcome = self.with_quorum(session, |_quorum| {
            let second_factor = self.owned(session, second_factor)?;
            self.try_create_user(&officer, role, name, password, second_factor)
        });
        self.record(session, opcode, Subject::User(name, role), &outcome)?;
        outcome.map(|_| Response::Done)
    }

    /// Does an operation of user management with the quorum that it needs, which its success spends.
    fn with_quorum<T>(
        &self,
        session: SessionId,
        operation: impl FnOnce(&Quorum) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let login = self.logged_in(session)?;
        let quorum = match login.role {
            Role::CryptoOfficer => self.quorum(&login, QuorumService::UserManagement)?,
            // Its role will be refused; an officer's token is none of its business.
            _ => return Err(Refusal::RoleNotAllowed { role: login.role }),
        };
        let done = operation(&quorum)?;
        self.spend(&quorum);
        Ok(done)
    }

    fn try_create_user(
        &self,
        _officer: &Officer,
        role: Role,
        name: &UserName,
        password: &Password,
        second_factor: Option<SecondFactorKey>,
    ) -> Result<UserId, Refusal> {
        if !matches!(role, Role::CryptoUser | Role::CryptoOfficer) {
            return Err(Refusal::RoleNotAllowed { role });
        }
        password.check_rule()?;
        let password = crypto::record_password(password, self.pbkdf2_iterations)?;
        self.change(|contents| {
            let user = contents.add_user(User {
                id: UserId(0),
                role,
                name: name.clone(),
                password: Some(password),
                login_failures: 0,
                second_factor: second_factor.clone(),
            })?;
            if let Some(key) = second_factor.filter(|_| role == Role::CryptoOfficer) {
                contents.quorum.keys.insert(user, key)?;
            }
            Ok(user)
        })
    }

    /// The key of a second factor, after its owner has shown to have the private key.
    fn owned(
        &self,
        session: SessionId,
        second_factor: Option<NewSecondFactor>,
    ) -> Result<Option<SecondFactorKey>, Refusal> {
        let Some(NewSecondFactor { key, signature }) = second_factor else { return Ok(None) };
        let challenge = self.sessions.take_challenge(session)?.ok_or(Refusal::SignatureInvalid)?;
        if crypto::verify_rsa_digest(key.as_slice(), &challenge, signature.as_slice()) {
            Ok(Some(key))
        } else {
            Err(Refusal::SignatureInvalid)
        }
    }

    pub(super) fn delete_user(
        &self,
        session: SessionId,
        role: Role,
        name: &UserName,
    ) -> Result<Response, Refusal> {
        let officer = self.officer(session)?;
        let outcome =
            self.with_quorum(session, |_quorum| self.try_delete_user(&officer, role, name));
        self.record(session, Opcode::DeleteUser, Subject::User(name, role), &outcome)?;
        outcome.map(|()| Response::Done)
    }

    fn try_delete_user(
        &self,
        _officer: &Officer,
        role: Role,
        name: &UserName,
    ) -> Result<(), Refusal> {
        if !matches!(role, Role::CryptoUser | Role::CryptoOfficer) {
            return Err(Refusal::RoleNotAllowed { role });
        }
        self.change(|contents| {
            let user = contents.user(role, name)?.id;
            if self.sessions.is_logged_in(user) {
                return Err(Refusal::UserLoggedIn { name: name.clone() });
            }
            if contents.keys.values().any(|key| key.owner == user) {
                return Err(Refusal::UserOwnsKeys { name: name.clone() });
            }
            contents.users.remove(&user);
            contents.quorum.keys.remove(&user);
            Ok(())
        })
    }

    pub(super) fn change_password(
        &self,
        session: SessionId,
        role: Role,
        name: &UserName,
        password: &Password,
        second_factor: Option<NewSecondFactor>,
    ) -> Result<Response, Refusal> {
        let login = self.logged_in(session)?;
        let own = login.role == role && login.name == *name;
        let change = || {
            let second_factor = self.owned(session, second_factor)?;
            self.try_change_password(session, &login, (role, name), password, second_factor)
        };
        let outcome = if own { change() } else { self.with_quorum(session, |_quorum| change()) };
        self.record(session, Opcode::ChangePassword, Subject::User(name, role), &outcome)?;
        outcome.map(|()| Response::Done)
    }

    fn try_change_password(
        &self,
        session: SessionId,
        login: &Login,
        (role, name): (Role, &UserName),
        password: &Password,
        second_factor: Option<SecondFactorKey>,
    ) -> Result<(), Refusal> {
        let own = login.role == role && login.name == *name;
        if !own && login.role != Role::CryptoOfficer {
            return Err(Refusal::RoleNotAllowed { role: login.role });
        }
        password.check_rule()?;
        let record = crypto::record_password(password, self.pbkdf2_iterations)?;
        let user = self.change(|contents| {
            let user = User::clone(contents.user(role, name)?);
            if user.password.is_none() {
                return Err(Refusal::RoleNotAllowed { role });
            }
            if self.sessions.is_logged_in_elsewhere(user.id, session) {
                return Err(Refusal::UserLoggedIn { name: name.clone() });
            }
            let role = activated(user.role);
            // One key serves both: a second factor that goes or changes ends its approvals.
            match &second_factor {
                Some(key) if role == Role::CryptoOfficer => {
                    contents.quorum.keys.insert(user.id, key.clone())?;
                }
                _ if user.second_factor.is_some() => {
                    contents.quorum.keys.remove(&user.id);
                }
                _ => {}
            }
            let password = Some(record);
            let changed = User { password, login_failures: 0, role, second_factor, ..user };
            contents.update_user(changed.clone())?;
            Ok(changed)
        })?;
        if own {
            let login = Login { user: user.id, role: user.role, name: user.name };
            self.sessions.set_login(session, Some(login))?;
        }
        Ok(())
    }
}

/// A precrypto officer who sets a password becomes a crypto officer: that activates the cluster.
fn activated(role: Role) -> Role {
    match role {
        Role::PrecryptoOfficer => Role::CryptoOfficer,
        other => other,
    }
}

fn check_second_factor(
    user: &User,
    challenge: Option<[u8; 32]>,
    signature: Option<&Signature>,
) -> Result<(), Refusal> {
    let Some(key) = &user.second_factor else { return Ok(()) };
    let (Some(challenge), Some(signature)) = (challenge, signature) else {
        return Err(Refusal::SecondFactorRequired { name: user.name.clone() });
    };
    if crypto::verify_rsa_digest(key.as_slice(), &challenge, signature.as_slice()) {
        Ok(())
    } else {
        Err(Refusal::WrongPassword { name: user.name.clone() })
    }
}
