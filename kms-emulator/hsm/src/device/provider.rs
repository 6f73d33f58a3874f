//! Provider commands: the cluster's identity, backups, tamper.

use std::sync::{Arc, PoisonError};

use super::sessions::PROVIDER_SESSION;
use super::{Device, lock};
use crate::audit::{Opcode, Subject};
use crate::certificates::{
    Authority, TrustAnchor, check_cluster_certificate, csr_public_key, generate_identity_key,
    hsm_subject, make_csr,
};
use crate::codec::{Blob, Malformed, decode, encode, wire_struct};
use crate::conditions::Conditions;
use crate::crypto;
use crate::error::{HsmError, Refusal};
use crate::limits::BACKUP_BYTES_MAX;
use crate::provision::{
    AuditText, Backup, ClusterCertificates, ProviderCommand, ProviderResponse, Status,
};
use crate::secret::{KeyBytes, Password};
use crate::state::{Claim, Cluster, Contents, Hardware, Pem};
use crate::user::{Role, User, UserId, UserName};
use crate::wire::Members;

/// Authenticated with every backup.
const BACKUP_FORMAT: &[u8] = b"strongroom hsm backup v1";
/// Use of the manufacturer's key in the derivation of the persistent backup key.
const LABEL_BACKUP: &str = "strongroom persistent backup key v1";
/// Validity of an HSM's certificate, in days (10 years).
const CERTIFICATE_DAYS: u32 = 3_652;
/// The only partition of the simulated hardware.
const PARTITION: u32 = 1;

wire_struct! {
    /// A backup: an ephemeral key (EBK) encrypts the contents, the persistent key (PBK) that key.
    struct Archive {
        cluster: [u8; 16],
        wrapped_key: Blob<128>,
        body: Blob<BACKUP_BYTES_MAX>,
    }
}

impl Device {
    /// Executes one command of the provider.
    ///
    /// `Status` reports the ports as closed and `PowerOff` is the server's business: a device
    /// without a server is switched off by dropping it.
    pub fn provide(&self, command: ProviderCommand) -> ProviderResponse {
        self.dispatch_provider(command).into()
    }

    fn dispatch_provider(&self, command: ProviderCommand) -> Result<ProviderResponse, Refusal> {
        match command {
            ProviderCommand::Status => {
                let status = Status { info: self.info().ok(), client_port: 0, management_port: 0 };
                Ok(ProviderResponse::Status { status })
            }
            ProviderCommand::MakeRequest => {
                self.make_request().map(|certificates| ProviderResponse::Request { certificates })
            }
            ProviderCommand::Initialize { certificate, trust_anchor } => {
                self.initialize(certificate, trust_anchor).map(|()| ProviderResponse::Done)
            }
            ProviderCommand::Backup => {
                self.backup().map(|backup| ProviderResponse::Backup { backup })
            }
            ProviderCommand::Restore { backup } => {
                self.restore(&backup).map(|()| ProviderResponse::Done)
            }
            ProviderCommand::SetMembers { members } => {
                self.set_members(members).map(|()| ProviderResponse::Done)
            }
            ProviderCommand::AuditLog { offset } => self.read_audit_log(offset),
            ProviderCommand::Tamper => {
                self.tamper().map_err(|error| not_stored(&error))?;
                Ok(ProviderResponse::Done)
            }
            ProviderCommand::PowerOff => Ok(ProviderResponse::Done),
            ProviderCommand::SetConditions { conditions } => {
                self.set_conditions(conditions).map(|()| ProviderResponse::Done)
            }
        }
    }

    /// Makes the cluster's key and signing request, once.
    fn make_request(&self) -> Result<ClusterCertificates, Refusal> {
        if let Some(cluster) = &self.state()?.contents.cluster {
            return Ok(certificates_of(cluster));
        }
        // Not under the lock of `change`: RSA keys take a while. Of two at a time the first wins.
        let made = Arc::new(self.new_cluster(&self.state()?.hardware).map_err(|error| {
            tracing::error!(%error, "signing request was not made");
            Refusal::ModuleFailed
        })?);
        self.change(|contents| {
            let cluster = contents.cluster.get_or_insert(made);
            Ok(certificates_of(cluster))
        })
    }

    fn new_cluster(&self, hardware: &Hardware) -> Result<Cluster, HsmError> {
        let key = generate_identity_key()?;
        let subject = hsm_subject(hardware.serial.as_str(), PARTITION);
        let csr = make_csr(&key, subject.clone())?;
        let authority =
            Authority::load(hardware.key.copy(), hardware.aws_certificate.as_str().to_owned());
        let certificate =
            authority.certify("HSM", subject, &key, CERTIFICATE_DAYS, self.clock.now())?;
        Ok(Cluster {
            id: crypto::random_array()?,
            key: Arc::new(key),
            csr: Pem::new(csr)?,
            hsm_certificate: Pem::new(certificate)?,
            aws_hardware_certificate: hardware.aws_certificate.clone(),
            manufacturer_hardware_certificate: hardware.manufacturer_certificate.clone(),
            claimed: None,
            masking_key: Arc::new(crypto::generate_key()?),
        })
    }

    fn initialize(&self, certificate: Pem, trust_anchor: Pem) -> Result<(), Refusal> {
        let state = self.state()?;
        let cluster = state.contents.cluster.as_ref().ok_or(Refusal::NoRequest)?;
        if cluster.claimed.is_some() {
            return Err(Refusal::AlreadyInitialized);
        }
        self.check_claim(cluster, &certificate, &trust_anchor)?;
        let officer = self.precrypto_officer()?;
        let appliance_user = user_without_password(Role::ApplianceUser, "app_user")?;
        let appliance_name = appliance_user.name.clone();
        self.change(|contents| {
            let cluster = contents.cluster.as_ref().ok_or(Refusal::NoRequest)?;
            let claim = Claim { certificate, trust_anchor };
            contents.cluster = Some(Arc::new(claimed(cluster, claim)));
            contents.add_user(officer)?;
            contents.add_user(appliance_user).map(|_| ())
        })?;
        self.record_initialization(&appliance_name)
    }

    fn check_claim(
        &self,
        cluster: &Cluster,
        certificate: &Pem,
        trust_anchor: &Pem,
    ) -> Result<(), Refusal> {
        let now = self.clock.now();
        let check = || {
            let anchor = TrustAnchor::from_pem(trust_anchor.as_str(), now)?;
            let key = csr_public_key(cluster.csr.as_str())?;
            check_cluster_certificate(certificate.as_str(), &anchor, &key, now)
        };
        check().map(|_| ()).map_err(|fault| Refusal::CertificateRefused { fault })
    }

    /// The user that activates the cluster: `admin`, whose password everybody knows.
    fn precrypto_officer(&self) -> Result<User, Refusal> {
        let password = Password::new("password")?;
        let record = crypto::record_password(&password, self.pbkdf2_iterations)?;
        Ok(User {
            password: Some(record),
            ..user_without_password(Role::PrecryptoOfficer, "admin")?
        })
    }

    /// Writes down what the log of a first HSM begins with.
    fn record_initialization(&self, appliance_user: &UserName) -> Result<(), Refusal> {
        let done = Ok::<(), Refusal>(());
        let nothing = |opcode| self.record(PROVIDER_SESSION, opcode, Subject::Nothing, &done);
        nothing(Opcode::InitToken)?;
        nothing(Opcode::GeneratePasswordKey)?;
        let subject = Subject::User(appliance_user, Role::ApplianceUser);
        self.record(PROVIDER_SESSION, Opcode::CreateApplianceUser, subject, &done)?;
        nothing(Opcode::StoreCertificate)?;
        nothing(Opcode::InitDone)
    }

    fn backup(&self) -> Result<Backup, Refusal> {
        let state = self.state()?;
        let cluster = state.contents.initialized_cluster()?.id;
        let done = Ok::<(), Refusal>(());
        self.record(PROVIDER_SESSION, Opcode::BackupBegin, Subject::Nothing, &done)?;
        let ephemeral = crypto::generate_key()?;
        let persistent = persistent_backup_key(&state.hardware)?;
        let aad = backup_aad(&cluster);
        let archive = Archive {
            cluster,
            wrapped_key: fits(Blob::new(crypto::seal(&persistent, &aad, ephemeral.expose())?))?,
            body: fits(Blob::new(crypto::seal(&ephemeral, &aad, &encode(&state.contents))?))?,
        };
        let backup = fits(Backup::new(encode(&archive).to_vec()))?;
        self.record(PROVIDER_SESSION, Opcode::BackupEnd, Subject::Nothing, &done)?;
        Ok(backup)
    }

    fn restore(&self, backup: &Backup) -> Result<(), Refusal> {
        let state = self.state()?;
        let done = Ok::<(), Refusal>(());
        self.record(PROVIDER_SESSION, Opcode::RestoreBegin, Subject::Nothing, &done)?;
        let outcome = open_backup(&state.hardware, backup).and_then(|restored| {
            self.change(|contents| {
                *contents = restored;
                Ok(())
            })
        });
        if outcome.is_ok() {
            self.sessions.close_all();
        }
        self.record(PROVIDER_SESSION, Opcode::RestoreEnd, Subject::Nothing, &outcome)?;
        outcome
    }

    fn set_members(&self, members: Members) -> Result<(), Refusal> {
        self.change_state(|state| {
            state.members = members;
            Ok(())
        })
    }

    fn set_conditions(&self, conditions: Conditions) -> Result<(), Refusal> {
        conditions.check().map_err(|_| Refusal::MalformedCommand)?;
        self.store.save_conditions(&conditions).map_err(|error| {
            tracing::error!(%error, "conditions were not stored");
            Refusal::StorageFailed
        })?;
        // What waits queues again, at the new rate.
        self.pace.clear();
        self.conditions.send_replace(conditions);
        Ok(())
    }

    fn read_audit_log(&self, offset: u64) -> Result<ProviderResponse, Refusal> {
        let text = lock(&self.audit).read(offset).map_err(|error| {
            tracing::error!(%error, "audit log was not read");
            Refusal::StorageFailed
        })?;
        let text = AuditText::new(text).map_err(|_| Refusal::TooLong)?;
        Ok(ProviderResponse::AuditLog { text })
    }

    /// The tamper response: forgets every key and user at once, in memory first, then on the disk.
    ///
    /// # Errors
    ///
    /// [`HsmError::Storage`] when the disk cannot be overwritten; the memory is cleared all the
    /// same, and the next power-on tries again.
    pub fn tamper(&self) -> Result<(), HsmError> {
        let _changing = lock(&self.changing);
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.sessions.close_all();
        self.identity.send_replace(None);
        let zeroised = self.store.zeroise();
        let outcome = Ok::<(), Refusal>(());
        // The keys are gone whether or not the log can still be written.
        let _ = self.record(PROVIDER_SESSION, Opcode::Zeroize, Subject::Nothing, &outcome);
        zeroised
    }
}

fn user_without_password(role: Role, name: &str) -> Result<User, Refusal> {
    Ok(User {
        id: UserId(0),
        role,
        name: UserName::parse(name)?,
        password: None,
        login_failures: 0,
        second_factor: None,
    })
}

fn claimed(cluster: &Cluster, claim: Claim) -> Cluster {
    Cluster {
        id: cluster.id,
        key: Arc::clone(&cluster.key),
        csr: cluster.csr.clone(),
        hsm_certificate: cluster.hsm_certificate.clone(),
        aws_hardware_certificate: cluster.aws_hardware_certificate.clone(),
        manufacturer_hardware_certificate: cluster.manufacturer_hardware_certificate.clone(),
        claimed: Some(claim),
        masking_key: Arc::clone(&cluster.masking_key),
    }
}

fn certificates_of(cluster: &Cluster) -> ClusterCertificates {
    ClusterCertificates {
        csr: cluster.csr.clone(),
        hsm_certificate: cluster.hsm_certificate.clone(),
        aws_hardware_certificate: cluster.aws_hardware_certificate.clone(),
        manufacturer_hardware_certificate: cluster.manufacturer_hardware_certificate.clone(),
        cluster_certificate: cluster.claimed.as_ref().map(|claim| claim.certificate.clone()),
    }
}

/// PBK: a KDF in counter mode over the manufacturer's and the owner's backup keys.
fn persistent_backup_key(hardware: &Hardware) -> Result<KeyBytes, Refusal> {
    let owner = hardware.owner_backup_key.expose();
    crypto::derive(&hardware.manufacturer_backup_key, LABEL_BACKUP, owner)
}

fn open_backup(hardware: &Hardware, backup: &Backup) -> Result<Contents, Refusal> {
    let archive: Archive = decode(backup.as_slice()).map_err(not_authentic)?;
    let aad = backup_aad(&archive.cluster);
    let persistent = persistent_backup_key(hardware)?;
    let ephemeral = crypto::open(&persistent, &aad, archive.wrapped_key.as_slice())?;
    let ephemeral: KeyBytes = decode(ephemeral.expose()).map_err(not_authentic)?;
    let contents = crypto::open(&ephemeral, &aad, archive.body.as_slice())?;
    decode(contents.expose()).map_err(not_authentic)
}

fn backup_aad(cluster: &[u8; 16]) -> Vec<u8> {
    [BACKUP_FORMAT, cluster].concat()
}

fn fits<T>(value: Result<T, Malformed>) -> Result<T, Refusal> {
    value.map_err(too_long)
}

fn too_long(_: Malformed) -> Refusal {
    Refusal::TooLong
}

fn not_authentic(_: Malformed) -> Refusal {
    Refusal::NotAuthentic
}

fn not_stored(error: &HsmError) -> Refusal {
    tracing::error!(%error, "device was not zeroised on the disk");
    Refusal::StorageFailed
}
