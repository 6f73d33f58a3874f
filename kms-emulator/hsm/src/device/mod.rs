//! The device: a state machine from power-on to power-off, driven by [`Device::handle`].
//!
//! Readers (every cryptographic command) take a snapshot of the state behind an `Arc` and hold no
//! lock while they work. Writers work one at a time on a copy, store it, and put it in place.

mod cipher;
mod fleet;
mod import;
mod keys;
mod provider;
mod quorum;
mod sessions;
mod sharing;
#[cfg(test)]
mod tests;
mod token;
mod transfer;
mod users;
mod working;

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::watch;

pub use self::fleet::{DataKeyPair, Fleet};
pub use self::import::{ImportKey, ImportParameters, ImportedKey};
use self::quorum::Tokens;
pub use self::quorum::{QuorumService, TokenStage};
use self::sessions::Sessions;
pub use self::sessions::{Port, SessionId};
pub use self::token::KeyToken;
use crate::audit::{AuditLog, Event, Opcode, Subject};
use crate::clock::{Clock, SystemClock};
use crate::conditions::Conditions;
use crate::error::{HsmError, Refusal};
use crate::limits::PBKDF2_ITERATIONS_MIN;
use crate::pace::Pace;
use crate::secret::PrivateKey;
use crate::selftest;
use crate::state::{Contents, State};
use crate::store::{Held, Store};
use crate::wire::{CertificateKind, Command, DeviceInfo, Response};

/// What a device needs from its surroundings.
#[derive(Clone)]
pub struct Config {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// PBKDF2-HMAC-SHA-256 iterations for new passwords.
    pub pbkdf2_iterations: u32,
}

impl Default for Config {
    /// The machine's clock, and 600,000 iterations.
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), pbkdf2_iterations: 600_000 }
    }
}

/// A hardware module that is switched on. Dropping it is pulling the plug.
pub struct Device {
    clock: Arc<dyn Clock>,
    pbkdf2_iterations: NonZeroU32,
    store: Store,
    /// `None` once zeroised.
    state: RwLock<Option<Arc<State>>>,
    /// Held while a change is made, so that changes happen one after the other.
    changing: Mutex<()>,
    /// Held while a password is tried, so that parallel guesses are counted like serial ones.
    logging_in: Mutex<()>,
    sessions: Sessions,
    audit: Mutex<AuditLog>,
    identity: watch::Sender<Option<Arc<Identity>>>,
    conditions: watch::Sender<Conditions>,
    pace: Pace,
    tokens: Mutex<Tokens>,
}

/// What a server of the device needs for TLS: the cluster's certificate and its key.
pub(crate) struct Identity {
    pub(crate) certificate_pem: String,
    pub(crate) key: Arc<PrivateKey>,
}

impl Device {
    /// Switches on the device whose directory is `dir`: self-tests, then the sealed state.
    ///
    /// A device that was zeroised starts and refuses every command with [`Refusal::Tampered`].
    ///
    /// # Errors
    ///
    /// [`HsmError::SelfTest`] before anything else is touched; [`HsmError::InUse`] when another
    /// process runs it; [`HsmError::NotADevice`] when there is none, or its state was altered;
    /// [`HsmError::Storage`]; [`HsmError::Configuration`] for too few PBKDF2 iterations.
    pub fn power_on(dir: &Path, config: Config) -> Result<Self, HsmError> {
        selftest::run()?;
        let pbkdf2_iterations = NonZeroU32::new(config.pbkdf2_iterations)
            .filter(|iterations| iterations.get() >= PBKDF2_ITERATIONS_MIN)
            .ok_or(HsmError::Configuration { what: "pbkdf2_iterations" })?;
        let store = Store::open(dir)?;
        let state = boot(&store)?;
        let reboot_counter = state.as_ref().map_or(0, |state| state.reboot_counter);
        let audit = AuditLog::open(&store.audit_path(), reboot_counter)?;
        let (conditions, _) = watch::channel(store.conditions()?);
        let (identity, _) = watch::channel(state.as_deref().and_then(identity_of));
        Ok(Self {
            clock: config.clock,
            pbkdf2_iterations,
            store,
            state: RwLock::new(state),
            changing: Mutex::new(()),
            logging_in: Mutex::new(()),
            sessions: Sessions::default(),
            audit: Mutex::new(audit),
            identity,
            conditions,
            pace: Pace::default(),
            tokens: Mutex::default(),
        })
    }

    /// The directory of the device.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.store.dir()
    }

    /// Opens a session for a client that came through `port`.
    ///
    /// # Errors
    ///
    /// [`Refusal::SessionsExhausted`], [`Refusal::Tampered`].
    pub fn open_session(&self, port: Port) -> Result<SessionId, Refusal> {
        self.state()?;
        let occupied = self.conditions.borrow().occupied_sessions;
        self.sessions.open(port, occupied as usize)
    }

    /// Closes a session, logging it out if need be.
    pub fn close_session(&self, session: SessionId) {
        if let Some(login) = self.sessions.close(session) {
            // The client has gone: there is nobody to tell if the record cannot be written.
            let _ = self.record(
                session,
                Opcode::CloseSession,
                Subject::User(&login.name, login.role),
                &Ok::<(), Refusal>(()),
            );
        }
    }

    /// Waits until the hardware takes up another command, at the rate that it has by then.
    pub(crate) async fn turn(&self) {
        if self.conditions.borrow().commands_per_second == 0 {
            return;
        }
        let mut conditions = self.conditions();
        loop {
            let rate = conditions.borrow_and_update().commands_per_second;
            let Some(rate) = NonZeroU32::new(rate) else { return };
            tokio::select! {
                () = self.pace.turn(rate) => return,
                _ = conditions.changed() => {}
            }
        }
    }

    /// Executes one command of a session, at once.
    pub fn handle(&self, session: SessionId, command: Command) -> Response {
        self.dispatch(session, command).into()
    }

    fn dispatch(&self, session: SessionId, command: Command) -> Result<Response, Refusal> {
        match command {
            Command::Info => self.info().map(|info| Response::Info { info }),
            Command::ListUsers => self.list_users(),
            Command::Challenge => self.challenge(session),
            Command::Login { role, name, password, second_factor } => {
                self.login(session, role, &name, &password, second_factor.as_ref())
            }
            Command::Logout => self.logout(session),
            Command::CreateUser { role, name, password, second_factor } => {
                self.create_user(session, role, &name, &password, second_factor)
            }
            Command::DeleteUser { role, name } => self.delete_user(session, role, &name),
            Command::ChangePassword { role, name, password, second_factor } => {
                self.change_password(session, role, &name, &password, second_factor)
            }
            Command::GenerateKey { label } => self.generate_key(session, label),
            Command::DeleteKey { handle } => self.delete_key(session, handle),
            Command::FindKeys { label } => self.find_keys(session, label.as_ref()),
            Command::KeyInfo { handle } => self.key_info(session, handle),
            Command::KeyAttribute { handle, attribute } => {
                self.key_attribute(session, handle, attribute)
            }
            Command::KeysOfUser { user } => self.keys_of_user(session, user),
            Command::ExtractMasked { handle } => self.extract_masked(session, handle),
            Command::InsertMasked { object } => self.insert_masked(session, &object),
            Command::Encrypt { handle, aad, plaintext } => {
                self.encrypt(session, handle, &aad, &plaintext)
            }
            Command::Decrypt { handle, aad, message } => {
                self.decrypt(session, handle, &aad, &message)
            }
            Command::Seal { handle, aad, plaintext } => {
                self.seal(session, handle, &aad, &plaintext)
            }
            Command::Open { handle, aad, message } => self.open(session, handle, &aad, &message),
            Command::GenerateSealed { handle, aad, bytes, with_plaintext } => {
                self.generate_sealed(session, handle, &aad, bytes, with_plaintext)
            }
            Command::Random { bytes } => self.random(session, bytes),
            Command::ShareKey { handle, user, share } => {
                self.share_key(session, handle, user, share)
            }
            Command::SetAttribute { handle, attribute, value } => {
                self.set_attribute(session, handle, attribute, &value)
            }
            Command::ExtractUser { user } => self.extract_user(session, user),
            Command::InsertUser { object } => self.insert_user(session, &object),
            Command::RegisterQuorumKey { name, token, signature, key } => {
                self.register_quorum_key(session, &name, &token, &signature, key)
            }
            Command::SetQuorumValue { service, value } => {
                self.set_quorum_value(session, service, value)
            }
            Command::QuorumValue { service } => self.quorum_value(session, service),
            Command::SetTokenTimeout { stage, seconds } => {
                self.set_token_timeout(session, stage, seconds)
            }
            Command::TokenTimeouts => self.token_timeouts(),
            Command::GetToken { service } => self.get_token(session, service),
            Command::ApproveToken { file, approver, signature } => {
                self.approve_token(session, &file, &approver, &signature)
            }
            Command::DeleteTokens { all } => self.delete_tokens(session, all),
            Command::ListTokens => self.list_tokens(session),
            Command::Certificate { kind } => self.certificate(kind),
        }
    }

    /// One of the certificates that anybody may see.
    fn certificate(&self, kind: CertificateKind) -> Result<Response, Refusal> {
        let state = self.state()?;
        let cluster = state.contents.initialized_cluster()?;
        let claim = cluster.claimed.as_ref().ok_or(Refusal::NotInitialized)?;
        let certificate = match kind {
            CertificateKind::ManufacturerHardware => &cluster.manufacturer_hardware_certificate,
            CertificateKind::CustomerRoot => &claim.trust_anchor,
            CertificateKind::Cluster => &claim.certificate,
            CertificateKind::Hsm => &cluster.hsm_certificate,
        };
        Ok(Response::Certificate { certificate: certificate.clone() })
    }

    /// What anybody may know about the device.
    pub(crate) fn info(&self) -> Result<DeviceInfo, Refusal> {
        let state = self.state()?;
        let contents = &state.contents;
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        Ok(DeviceInfo {
            hsm_id: state.hardware.hsm_id.clone(),
            serial: state.hardware.serial.clone(),
            reboot_counter: state.reboot_counter,
            initialized: contents.initialized_cluster().is_ok(),
            activated: contents.is_activated(),
            users: count(contents.users.len()),
            keys: count(contents.keys.len()),
            sessions: count(self.sessions.count()),
            members: state.members.clone(),
        })
    }

    /// Follows the TLS identity: `None` until the device is initialised, and after a tamper.
    pub(crate) fn identity(&self) -> watch::Receiver<Option<Arc<Identity>>> {
        self.identity.subscribe()
    }

    /// Follows the conditions of the surroundings.
    pub(crate) fn conditions(&self) -> watch::Receiver<Conditions> {
        self.conditions.subscribe()
    }

    /// A snapshot of the state.
    fn state(&self) -> Result<Arc<State>, Refusal> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.clone().ok_or(Refusal::Tampered)
    }

    /// Makes a change to users, keys or the cluster: on a copy, stored, then put in place.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        self.change_state(|state| change(&mut state.contents))
    }

    fn change_state<T>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let _changing = lock(&self.changing);
        let mut state = State::clone(&*self.state()?);
        let value = change(&mut state)?;
        if let Err(error) = self.store.save(&state) {
            tracing::error!(%error, "state was not stored");
            return Err(Refusal::StorageFailed);
        }
        let identity = identity_of(&state);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(state));
        self.identity.send_replace(identity);
        Ok(value)
    }

    /// Writes the outcome of a management command into the audit log.
    ///
    /// A command whose record cannot be written is refused, though a change it made stays.
    fn record<T>(
        &self,
        session: SessionId,
        opcode: Opcode,
        subject: Subject<'_>,
        outcome: &Result<T, Refusal>,
    ) -> Result<(), Refusal> {
        let refusal = outcome.as_ref().err();
        let event = Event { opcode, session: session.0, refusal, subject };
        lock(&self.audit).record(&event, self.clock.now()).map_err(|error| {
            tracing::error!(%error, "audit log was not written");
            Refusal::StorageFailed
        })
    }
}

/// Reads the state and counts the reboot; `None` if the device was zeroised.
fn boot(store: &Store) -> Result<Option<Arc<State>>, HsmError> {
    match store.load::<State>()? {
        Held::Nothing => Err(HsmError::NotADevice { path: store.dir().into() }),
        Held::Tampered => Ok(None),
        Held::State(mut state) => {
            state.reboot_counter = state.reboot_counter.saturating_add(1);
            store.save(&state)?;
            Ok(Some(Arc::new(state)))
        }
    }
}

fn identity_of(state: &State) -> Option<Arc<Identity>> {
    let cluster = state.contents.cluster.as_ref()?;
    let claim = cluster.claimed.as_ref()?;
    Some(Arc::new(Identity {
        certificate_pem: claim.certificate.as_str().to_owned(),
        key: Arc::clone(&cluster.key),
    }))
}

/// Locks a mutex whose data stays consistent even if a holder panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
